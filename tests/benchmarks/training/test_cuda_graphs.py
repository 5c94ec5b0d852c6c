"""Recorded steps: a tape that repeats operations stands in for the GPU, and must end with the bits of plain steps."""

import gc
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from cgbench.api.graph_nodes import Apply, Network
from cgbench.api.method import Method, Player, Term
from cgbench.api.registry import METHODS
from cgbench.benchmarks.runtime.determinism import deterministic_kernels
from cgbench.benchmarks.training.cuda_graphs import WARMUP_STEPS, CapturedStep, CudaGraphs
from cgbench.benchmarks.training.optimizers import make_optimizers, set_learning_rate
from cgbench.benchmarks.training.trainer import make_train_step, move_players, train_step
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.builders import generator
from cgbench.methods.blocks.model import Model
from cgbench.methods.blocks.static_inputs import StaticInputs
from cgbench.seeds import derive
from helpers.tiny_models import tiny_config, tiny_model, tiny_sampler

TRAINED = [name for name in METHODS.names() if METHODS.get(name).reference is None]
STEPS = WARMUP_STEPS + 4


class Tape(TorchDispatchMode):
    """Writes down the operations of a call and repeats them on the same memory, as a CUDA graph does.

    What a graph could not do raises: to wait for a number, to make a shape of one, to read what the host just made.
    """

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_consecutive", "equal", "bincount")

    def __init__(self) -> None:
        super().__init__()
        self.operations = []
        tensors = (item for item in gc.get_objects() if issubclass(type(item), Tensor))
        self.known = {_memory(tensor): tensor for tensor in tensors if tensor.layout == torch.strided}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function._schema.name.removeprefix("aten::")
        assert name not in self.WAITS, f"{name} waits for the device"
        given = _tensors((args, kwargs))
        assert all(_memory(tensor) in self.known for tensor in given), f"{name} reads what the host has just made"
        if name.startswith("index"):
            assert all(tensor.dtype != torch.bool for tensor in given), f"{name} waits to count what is true"
        result = function(*args, **kwargs)
        written = any(argument.alias_info and argument.alias_info.is_write for argument in function._schema.arguments)
        places = {_memory(tensor) for tensor in given}
        made = [tensor for tensor in _tensors(result) if _memory(tensor) not in places]
        self.known.update({_memory(tensor): tensor for tensor in made})
        if written or made:
            self.operations.append((function, args, kwargs, result, made))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for function, args, kwargs, result, made in self.operations:
            again = function(*args, **kwargs)
            for old, new in zip(_tensors(result), _tensors(again), strict=True):
                if any(old is tensor for tensor in made):
                    old.copy_(new)


def _tensors(tree) -> list[Tensor]:
    return [value for value in tree_flatten(tree)[0] if isinstance(value, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


class TapeRecorder:
    """Rehearses as usual; records on a tape, and puts back what the recording changed: a GPU would not have done it."""

    def __init__(self, model: Model, optimizers: dict) -> None:
        self.model, self.optimizers = model, optimizers

    def warm_up(self, call) -> None:
        call()

    def record(self, call):
        lasting = [pool.stored for pool in self.model.pools.values() if pool.stored is not None]
        for network in self.model.networks.values():
            lasting += [*network.parameters(), *network.buffers()]
        for optimizer in self.optimizers.values():
            lasting += [value for state in optimizer.state.values() for value in state.values()]
        before, stream = [tensor.detach().clone() for tensor in lasting], torch.get_rng_state()
        with Tape() as tape:
            call()
        with torch.no_grad():
            for tensor, value in zip(lasting, before, strict=True):
                tensor.copy_(value)
        torch.set_rng_state(stream)
        return tape.replay


def trained(name, recorder=None, device="cpu", **settings):
    """The losses of every step, and the state in the end, of a training with a rate that falls."""
    config = tiny_config(**{"cuda_graphs": True, "pool_size": 3, **settings})
    model = tiny_model(METHODS.get(name), config, device=device)
    model.train()
    feed, optimizers = tiny_sampler(config, labels=True, device=device), make_optimizers(model, config)
    step = partial(move_players, model, optimizers)
    if recorder:
        step = CapturedStep(model, step, recorder(model, optimizers))
    losses = []
    for number in range(STEPS):
        torch.manual_seed(derive(0, "layers", number))
        set_learning_rate(optimizers, 1e-3 / (1 + number))
        losses.append({name: float(value) for name, value in step(feed.batch(number), number).items()})
    return losses, model.state()


def assert_equal(found, plain):
    assert found[0] == plain[0]
    assert found[1].keys() == plain[1].keys()
    assert all(torch.equal(value, plain[1][key]) for key, value in found[1].items())


@pytest.mark.parametrize("name", TRAINED)
def test_a_replayed_training_has_the_bits_of_a_plain_one(name):
    assert_equal(trained(name, TapeRecorder), trained(name))


@pytest.mark.parametrize("change", ["precision=bf16", "norm=batch", "memory_format=contiguous", "pool_size=0"])
def test_so_it_has_with_other_settings(change):
    settings = dict([change.split("=")])
    assert_equal(trained("cyclegan", TapeRecorder, **settings), trained("cyclegan", **settings))


def test_every_step_moves_and_differs():
    losses, _ = trained("cyclegan", TapeRecorder)
    assert len({values["cycle_a"] for values in losses}) == STEPS


@pytest.mark.parametrize("name", ["cyclegan", "cut", "unit"])
def test_the_tape_refuses_what_is_drawn_while_it_records(monkeypatch, name):
    """What the host draws inside a step would be the same numbers in every replay."""
    monkeypatch.setattr(StaticInputs, "value", lambda self, *asked: self.draw(*asked))
    with pytest.raises(AssertionError, match="what the host has just made"):
        trained(name, TapeRecorder)


@pytest.mark.parametrize("loss", [lambda x: x.square().mean() * x.mean().item(), lambda x: x[x > 0].mean()])
def test_the_tape_refuses_a_step_that_waits(loss):
    method = Method(
        name="waits",
        summary="a loss that a GPU cannot record",
        networks={"G": Network(generator)},
        graph={"fake_b": Apply("G", "real_a"), "fake_a": Apply("G", "real_b")},
        players=(Player("one", ("G",), (Term("waits", loss, ("fake_b",)),)),),
        translates={"AtoB": "fake_b", "BtoA": "fake_a"},
    )
    config = tiny_config(cuda_graphs=True)
    model = tiny_model(method, config)
    optimizers = make_optimizers(model, config)
    step = CapturedStep(model, partial(move_players, model, optimizers), TapeRecorder(model, optimizers))
    with pytest.raises(AssertionError, match="waits"):
        for number in range(STEPS):
            step(tiny_sampler(config).batch(number), number)


def test_a_cpu_records_nothing_and_says_so():
    config = tiny_config(cuda_graphs=True)
    model = tiny_model(METHODS.get("cyclegan"), config)
    with pytest.raises(CgbenchError, match="cuda_graphs=true needs an NVIDIA GPU, and the device is cpu"):
        make_train_step(model, make_optimizers(model, config), config)


@pytest.mark.gpu
@pytest.mark.parametrize("name", TRAINED)
def test_a_gpu_replays_the_bits_of_plain_steps(name):
    def graphs(model, optimizers):
        return CudaGraphs(model.device)

    with deterministic_kernels(True):
        assert_equal(trained(name, graphs, "cuda"), trained(name, device="cuda"))


@pytest.mark.gpu
@pytest.mark.parametrize("name", TRAINED)
def test_no_step_waits_for_a_gpu(name):
    config = tiny_config(pool_size=3)
    model = tiny_model(METHODS.get(name), config, device="cuda")
    model.train()
    feed, optimizers = tiny_sampler(config, labels=True, device="cuda"), make_optimizers(model, config)
    for step in range(6):
        if step == 2:  # libraries have started
            torch.cuda.set_sync_debug_mode("error")
        try:
            losses = train_step(model, optimizers, feed.batch(step), step, 1e-3)  # raises where it waits
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert all(value.is_cuda and value.isfinite() for value in losses.values())
