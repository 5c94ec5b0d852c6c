"""The yardstick of speed: its references compute what training does, its arithmetic is right. No time is asserted."""

import random

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cgbench import seeds
from cgbench.api.registry import METHODS
from cgbench.benchmarks.data.batches import BatchSampler
from cgbench.benchmarks.data.conversion import to_bytes, to_signed
from cgbench.benchmarks.data.loading import load_images
from cgbench.benchmarks.evaluation.synthetic_workload import synthetic_batch, timing_model
from cgbench.benchmarks.speed import data_loading, end_to_end
from cgbench.benchmarks.speed.inference import one_by_one, pictures
from cgbench.benchmarks.speed.measurements import SpeedOptions
from cgbench.benchmarks.speed.reference_cyclegan import WRITTEN, HandWrittenCycleGan
from cgbench.benchmarks.speed.reference_step import ReferencePool, ReferenceStep
from cgbench.benchmarks.speed.roofline import flop_of
from cgbench.benchmarks.speed.tables import number
from cgbench.benchmarks.speed.timing import (
    BLOCK_SECONDS,
    Budget,
    Summary,
    Variant,
    added,
    interleave,
    summary,
    times_as_fast,
)
from cgbench.benchmarks.speed.workload import configuration, read_methods, read_variants, reference_model
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train_step
from cgbench.datasets.folder import Folder
from cgbench.methods.blocks.norm import InstanceNorm2d
from cgbench.methods.cyclegan import cyclegan
from helpers.tiny_models import double_model, noise_batch, tiny_config

TRAINED = [name for name in METHODS.names() if METHODS.get(name).reference is None]


def trained(name, step_of, count=2):
    """The losses of each step, the gradients after the last and the weights, in float64."""
    config = tiny_config(**METHODS.get(name).defaults)
    model = double_model(METHODS.get(name), config)
    step, losses = step_of(model, config), []
    for number_ in range(count):  # few enough for the pool to hand back what it is given
        torch.manual_seed(number_)
        losses.append(step(noise_batch(config, step=number_), number_))
    weights = {key: w for player in model.live.players for key, w in model.parameters(player.name).items()}
    return losses, {key: w.grad for key, w in weights.items()}, {key: w.detach() for key, w in weights.items()}


def real(model, config):
    optimizers = make_optimizers(model, config)
    return lambda batch, number_: train_step(model, optimizers, batch, number_, config.learning_rate)


def plain(model, config):
    return ReferenceStep(model, config, lambda tensor, step: seeds.generator(model.seed, "noise", tensor, step))


def by_hand(model, config):
    step = HandWrittenCycleGan(model, config, WRITTEN[model.method.name])
    return lambda batch, number_: step(batch)


def assert_same(first, second):
    """Losses, gradients and weights agree to 1e-9 or so. Biases before a normalisation are left out: their gradient
    is rounding, and Adam makes a move of it."""
    for mine, theirs in zip(first[0], second[0], strict=True):
        assert set(mine) == set(theirs)
        for name, value in mine.items():
            torch.testing.assert_close(value, theirs[name], rtol=1e-9, atol=1e-12, msg=name)
    largest = max(gradient.abs().max().item() for gradient in first[1].values() if gradient is not None)
    for name, gradient in first[1].items():
        assert (gradient is None) == (second[1][name] is None), name
        if gradient is not None:
            torch.testing.assert_close(gradient, second[1][name], rtol=1e-8, atol=1e-12 * max(1.0, largest), msg=name)
            sure = gradient.abs() > 1e-7 * largest
            torch.testing.assert_close(first[2][name][sure], second[2][name][sure], rtol=1e-9, atol=1e-10, msg=name)


@pytest.mark.parametrize("name", TRAINED)
def test_the_plain_reference_trains_as_training_does(name):
    assert_same(trained(name, real), trained(name, plain))


@pytest.mark.parametrize("name", list(WRITTEN))
def test_the_step_by_hand_trains_as_training_and_reference_do(name):
    found = trained(name, by_hand)
    assert_same(trained(name, real), found)
    assert_same(trained(name, plain), found)


def test_the_reference_has_torchs_norm_and_order_and_translates_alike():
    config = configuration("32", cyclegan(), read_variants([])[0])
    fast, plain = timing_model(cyclegan(), config, "cpu"), reference_model(cyclegan(), config, "cpu")
    layers = {type(layer) for network in plain.networks.values() for layer in network.modules()}
    assert torch.nn.InstanceNorm2d in layers and InstanceNorm2d not in layers
    assert all(weight.is_contiguous() for network in plain.networks.values() for weight in network.parameters())
    assert not all(weight.is_contiguous() for weight in fast.networks["G_ab"].parameters())
    images = synthetic_batch(config, "cpu")["real_a"]
    translated, expected = (model.translate(images, "AtoB") for model in (fast, plain))
    torch.testing.assert_close(translated, expected, rtol=1e-4, atol=1e-5)


def test_the_comparison_would_notice_another_weight():
    def heavier(model, config):
        return real(double_model(model.method.weighted({"cycle_a": 11.0}), config), config)

    with pytest.raises(AssertionError):
        assert_same(trained("cyclegan", heavier), trained("cyclegan", plain))


def test_the_reference_calls_each_network_once_per_use_and_keeps_discriminators_silent():
    config = tiny_config()
    model = double_model(cyclegan(), config)
    seen = []
    for name, network in model.networks.items():
        network.register_forward_hook(
            lambda net, given, *_, name=name: seen.append((name, len(given[0]), next(net.parameters()).requires_grad))
        )
    ReferenceStep(model, config)(noise_batch(config))
    judged = [entry for entry in seen if entry[0].startswith("D")]
    assert {size for _, size, _ in seen} == {config.batch_size}
    assert [name for name, *_ in seen].count("G_ab") == 2 and len(judged) == 6
    assert [trains for *_, trains in judged] == [False] * 2 + [True] * 4
    assert all(weight.requires_grad for network in model.networks.values() for weight in network.parameters())


def test_the_plain_pool_keeps_exchanges_and_never_grows():
    pool, images = ReferencePool(3, random.Random(0)), torch.arange(40.0).reshape(20, 2, 1, 1, 1)
    answers = [pool.query(pair).flatten().tolist() for pair in images]
    assert answers[0] == [0, 1] and answers[1][0] == 2  # until it is full, what came goes out
    assert len(pool.images) == 3
    given, out = range(40), [value for pair in answers for value in pair]
    assert any(new != old for new, old in zip(given, out, strict=True)), "an earlier image comes back"
    assert all(old <= new for new, old in zip(given, out, strict=True))
    assert torch.equal(ReferencePool(0, random.Random(0)).query(images[0]), images[0])


class Clock:
    """A clock that only the arms move."""

    def __init__(self):
        self.now, self.order = 0.0, []

    def __call__(self):
        return self.now

    def arm(self, name, *seconds):
        steps = iter(seconds)

        def call():
            self.order.append(name)
            self.now += next(steps, seconds[-1])

        return Variant(name, call)


def test_arms_take_turns_and_warm_ups_do_not_count():
    clock = Clock()
    arms = [clock.arm("A", 9, 9, 1, 2, 3), clock.arm("B", 9, 9, 4)]
    found = interleave(arms, Budget(rounds=3), clock=clock)
    assert "".join(clock.order) == "AABB" + "ABABAB"
    assert found == {"A": [1, 2, 3], "B": [4, 4, 4]}


def test_a_quick_arm_is_called_more_often_and_waiting_is_timed():
    clock = Clock()

    def wait():
        clock.now += 0.5

    quick, slow = clock.arm("q", BLOCK_SECONDS / 10), clock.arm("s", 2 * BLOCK_SECONDS)
    assert len(interleave([quick, slow], Budget(rounds=1), clock=clock)["q"]) == 1
    assert clock.order.count("q") == 2 + 10 and clock.order.count("s") == 2 + 1
    assert interleave([clock.arm("w", 1.0)], Budget(rounds=1), wait, clock)["w"] == [1.5]


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 3), (2.0, 3), (10.0, 7)])
def test_time_is_measured_per_arm_and_three_rounds_at_least(seconds, expected):
    clock = Clock()
    found = interleave([clock.arm("A", 1.0), clock.arm("B", 2.0)], Budget(seconds), clock=clock)
    assert len(found["A"]) == len(found["B"]) == expected  # 3 s a round; 10 s for each of two arms are seven rounds


def test_statistics():
    assert summary([4, 1, 3, 2, 5]) == Summary(3, 2, 4, 5)
    assert times_as_fast([2, 4, 9], [1, 2, 3]) == Summary(2, 2, 2.5, 3)
    assert added({"A": [1, 2], "B": [10, 20], "C": [5, 5]}, ["A", "B"]) == [11, 22]
    assert [number(value) for value in (0.0123, 4.561, 999.9, 1.07e9, 3e-6, 0.0)] == [
        "12.3 m", "4.56", "1.00 k", "1.07 G", "3.00 µ", "0",
    ]  # fmt: skip
    spent = end_to_end.Spent(wall=10, training=8, steps=6)
    assert [value for value, _ in spent.parts.values()] == [10, 2, 0.4, 0.25]


def test_operations_are_counted_as_torch_counts_them():
    (method,), (arm,) = read_methods("cyclegan"), read_variants([])
    config = configuration("32", method, arm)
    step, batch = ReferenceStep(timing_model(method, config, "cpu"), config), synthetic_batch(config, "cpu")
    with FlopCounterMode(display=False) as theirs:
        step(batch)
    assert flop_of(lambda: step(batch)) == theirs.get_total_flops() > 0


def test_a_gradients_gradient_is_counted_too():
    x = torch.randn(4, 4, requires_grad=True)

    def call():
        (slope,) = torch.autograd.grad((x @ x).sum(), x, create_graph=True)
        slope.square().sum().backward()

    assert flop_of(call) >= 5 * 2 * 4**3


@pytest.mark.parametrize("name", ["cyclegan", "unit"])
def test_images_one_by_one_are_translated_alike(name):
    (method,), (arm,) = read_methods(name), read_variants([])
    model, images = timing_model(method, configuration("32", method, arm), "cpu"), pictures("32", 3)
    alone = np.concatenate(one_by_one(model, images, "AtoB")())
    together = to_bytes(model.translate(to_signed(torch.from_numpy(images).permute(0, 3, 1, 2)), "AtoB"))
    assert np.abs(alone.astype(int) - together).max() <= 1


def test_a_method_that_draws_its_outputs_has_no_plain_translation():
    (method,), (arm,) = read_methods("munit"), read_variants([])
    model = timing_model(method, configuration("32", method, arm), "cpu")
    assert one_by_one(model, pictures("32", 1), "AtoB") is None


def test_the_plain_loader_gives_batches_like_a_feed(tmp_path):
    data_loading.draw_files(tmp_path, count=2, side=40)
    config = configuration("32", None, read_variants([])[0])
    batch = data_loading.ReferenceLoader(tmp_path, config, "cpu").batch()
    sets = [load_images(Folder(tmp_path), "train", domain, config.load_size, config) for domain in "AB"]
    fed = BatchSampler(*sets, config, 0).batch(0)
    assert {name: value.shape for name, value in batch.items()} == {name: value.shape for name, value in fed.items()}
    plain, (path, *_) = batch["real_b"], sorted((tmp_path / "trainB").iterdir())
    assert plain.dtype == torch.float32 and -1 <= plain.min() < plain.max() <= 1
    assert np.array_equal(data_loading.reference_decode(path, config.load_size), sets[1].images[0])


def test_growing_data_is_opened_and_read_over_again(tmp_path):
    plan = SpeedOptions((), ("32",), read_variants([]), Budget(rounds=1), "cpu")
    entries = list(data_loading.growth(tmp_path, (5, 50), plan))
    assert [entry.name for entry in entries] == [
        f"{what}, {count} images" for count in (5, 50) for what in ("opening", "batch", "first batch of an epoch")
    ]
    assert all(entry.value.median > 0 for entry in entries) and "memory_bytes" in entries[0].details
