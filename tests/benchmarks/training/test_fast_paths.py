"""Fast ways to take the same step: layout, compilation and bf16 against the plain one."""

import pytest
import torch

from cgbench.api.registry import METHODS
from cgbench.benchmarks.evaluation.scorer import build_network
from cgbench.benchmarks.training.checkpoint import read_checkpoint, restore
from cgbench.benchmarks.training.flat_parameters import flat_view, match_layout, view_as
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train, train_step
from cgbench.methods.blocks.model import Model
from cgbench.results.run_folder import TrialFolder
from helpers.tiny_models import noise_batch, tiny_config, tiny_sampler

TRAINED = [name for name in METHODS.names() if METHODS.get(name).reference is None]


def stepped(name, dtype=torch.float64, steps=2, **settings):
    """The losses and weights of a method after a few steps, dropout left out: its mask follows the order in memory."""
    config = tiny_config(**settings)
    model = Model(METHODS.get(name), config, 0, scorer=build_network(config.classes, 2))
    for network in model.networks.values():
        network.to(dtype)
        for layer in network.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.p = 0.0
    batches = [noise_batch(config, dtype, step) for step in range(2)]
    model.precompute(lambda step: dict(batches[step]), batches=2)
    optimizers = make_optimizers(model, config)
    losses = [train_step(model, optimizers, dict(batch), step, 2e-4) for step, batch in enumerate(batches[:steps])]
    states = {net: model.networks[net].state_dict() for net in model.trained_networks}
    weights = {f"{net}.{key}": value for net, state in states.items() for key, value in state.items()}
    return losses[-1], weights


@pytest.mark.parametrize("name", TRAINED)
def test_layout_changes_no_method(name):
    losses, weights = stepped(name, memory_format="channels_last")
    plain_losses, plain_weights = stepped(name, memory_format="contiguous")
    assert any(not value.is_contiguous() for value in weights.values()), "nothing was laid out"
    for key, value in losses.items():
        torch.testing.assert_close(value, plain_losses[key], rtol=1e-9, atol=1e-12)
    for key, value in weights.items():
        torch.testing.assert_close(value, plain_weights[key], rtol=1e-6, atol=2e-7)  # Adam moves by 2e-4


@pytest.mark.parametrize("name", TRAINED)
def test_bf16_stays_close_and_keeps_float32(name):
    losses, weights = stepped(name, torch.float32, steps=1, precision="bf16")
    plain, _exact = stepped(name, torch.float32, steps=1)
    assert {value.dtype for value in weights.values()} <= {torch.float32, torch.int64}
    assert {value.dtype for value in losses.values()} == {torch.float32}
    assert any(value != plain[key] for key, value in losses.items()), "all was computed in float32"
    for key, value in losses.items():
        torch.testing.assert_close(value, plain[key], rtol=0.1, atol=0.02)


@pytest.mark.parametrize("name", ["cyclegan_identity", "cut", "cyclegan_wgangp"])
def test_gradients_in_bf16_point_where_those_of_float32_do(name):
    """A weight used by several applications, some of which do not train it, gets the gradient of those that do."""
    gradients = []
    for precision in ("bf16", "float32"):
        config = tiny_config(precision=precision, ngf=8, ndf=8)
        model = Model(METHODS.get(name), config, 0)
        train_step(model, make_optimizers(model, config), noise_batch(config, torch.float32), 0, 2e-4)
        named = {net: model.networks[net].named_parameters() for net in model.trained_networks}
        weights = {f"{net}.{key}": w for net, parameters in named.items() for key, w in parameters}
        gradients.append({key: w.grad for key, w in weights.items() if w.dim() > 1})
    short, exact = gradients
    assert short.keys() == exact.keys() and len(short) > 10
    for key, gradient in exact.items():
        assert (gradient is None) == (short[key] is None), key
        if gradient is not None:
            assert torch.cosine_similarity(gradient.flatten(), short[key].flatten(), dim=0) > 0.9, key


def test_a_resumed_trial_has_the_bits_of_one_that_was_not_stopped(tmp_path):
    """Moments lie in memory as their weights do, also after they come from a file, where all is contiguous."""
    config = tiny_config(steps=4, save_every=2)
    models = []
    for name, stops in (("whole", (4,)), ("stopped", (2, 4))):
        for stop in stops:
            model = Model(METHODS.get("cyclegan"), config, 0)
            folder = TrialFolder(tmp_path / name)
            folder.path.mkdir(exist_ok=True)
            train(model, tiny_sampler(config), config, 4, 1, folder, "digest", until=stop)
        models.append(model)
    whole, stopped = (model.state() for model in models)
    assert whole.keys() == stopped.keys()
    assert all(torch.equal(whole[key], stopped[key]) for key in whole)
    again = Model(METHODS.get("cyclegan"), config, 0)
    optimizers = make_optimizers(again, config)
    restore(again, optimizers, read_checkpoint(folder.checkpoint)[0], folder.checkpoint)
    for optimizer in optimizers.values():
        for row, state in optimizer.state.items():
            assert {state[key].shape for key in ("exp_avg", "exp_avg_sq")} == {row.shape}


def test_weights_as_they_lie_are_moved_where_they_are():
    """In a file a moment has the shape of its weight, whatever the order in memory."""
    weight = torch.arange(24.0).view(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    row = flat_view(weight)
    assert row.tolist() == weight.permute(0, 2, 3, 1).flatten().tolist() and row.is_contiguous()
    row += 1
    assert torch.equal(weight, torch.arange(1.0, 25).view(2, 3, 2, 2)) and torch.equal(view_as(row, weight), weight)
    other = torch.randn(2, 3, 2, 2)
    assert torch.equal(match_layout(weight, other), other) and match_layout(weight, other).stride() == weight.stride()
