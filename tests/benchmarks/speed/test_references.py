"""Validation of the speed benchmark: its references compute what training does, and its arithmetic is right. No time is
asserted."""

import random

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cgbench import seeds
from cgbench.api.registry import METHODS
from cgbench.benchmarks.data.batches import BatchSampler
from cgbench.benchmarks.data.conversion import to_bytes, to_signed
from cgbench.benchmarks.data.geometry import square
from cgbench.benchmarks.data.loading import load_images
from cgbench.benchmarks.evaluation.synthetic_workload import synthetic_batch, timing_model
from cgbench.benchmarks.speed import data_loading, end_to_end
from cgbench.benchmarks.speed.inference import noise_images, reference_translation
from cgbench.benchmarks.speed.measurements import SpeedOptions
from cgbench.benchmarks.speed.reference_cyclegan import HAND_WRITTEN, HandWrittenCycleGan
from cgbench.benchmarks.speed.reference_step import ReferencePool, ReferenceStep
from cgbench.benchmarks.speed.roofline import flop_of
from cgbench.benchmarks.speed.tables import number
from cgbench.benchmarks.speed.timing import (
    BLOCK_SECONDS,
    Budget,
    Summary,
    Variant,
    interleave,
    sum_by_round,
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
    for step_number in range(count):  # few enough for the pool to return its inputs
        torch.manual_seed(step_number)
        losses.append(step(noise_batch(config, step=step_number), step_number))
    weights = {key: w for player in model.live_part.players for key, w in model.parameters(player.name).items()}
    return losses, {key: w.grad for key, w in weights.items()}, {key: w.detach() for key, w in weights.items()}


def cgbench_step(model, config):
    optimizers = make_optimizers(model, config)
    return lambda batch, step_number: train_step(model, optimizers, batch, step_number, config.learning_rate)


def reference(model, config):
    return ReferenceStep(model, config, lambda tensor, step: seeds.generator(model.seed, "noise", tensor, step))


def hand_written(model, config):
    step = HandWrittenCycleGan(model, config, HAND_WRITTEN[model.method.name])
    return lambda batch, step_number: step(batch)


def assert_same(first, second):
    """Losses, gradients and weights agree to 1e-9 or so. Biases before a normalisation are left out: their gradient is
    rounding, and Adam amplifies it to a full update."""
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
def test_the_reference_step_trains_as_training_does(name):
    assert_same(trained(name, cgbench_step), trained(name, reference))


@pytest.mark.parametrize("name", list(HAND_WRITTEN))
def test_the_hand_written_step_trains_as_training_and_reference_do(name):
    results = trained(name, hand_written)
    assert_same(trained(name, cgbench_step), results)
    assert_same(trained(name, reference), results)


def test_the_reference_has_torchs_norm_and_order_and_translates_alike():
    config = configuration("32", cyclegan(), read_variants([])[0])
    fast, reference = timing_model(cyclegan(), config, "cpu"), reference_model(cyclegan(), config, "cpu")
    layers = {type(layer) for network in reference.networks.values() for layer in network.modules()}
    assert torch.nn.InstanceNorm2d in layers and InstanceNorm2d not in layers
    assert all(weight.is_contiguous() for network in reference.networks.values() for weight in network.parameters())
    assert not all(weight.is_contiguous() for weight in fast.networks["G_ab"].parameters())
    images = synthetic_batch(config, "cpu")["real_a"]
    translated, expected = (model.translate(images, "AtoB") for model in (fast, reference))
    torch.testing.assert_close(translated, expected, rtol=1e-4, atol=1e-5)


def test_the_comparison_would_notice_another_weight():
    def heavier(model, config):
        return cgbench_step(double_model(model.method.weighted({"cycle_a": 11.0}), config), config)

    with pytest.raises(AssertionError):
        assert_same(trained("cyclegan", heavier), trained("cyclegan", reference))


def test_the_reference_calls_each_network_once_per_use_and_keeps_discriminators_silent():
    config = tiny_config()
    model = double_model(cyclegan(), config)
    calls = []
    for name, network in model.networks.items():
        network.register_forward_hook(
            lambda net, inputs, *_, name=name: calls.append(
                (name, len(inputs[0]), next(net.parameters()).requires_grad)
            )
        )
    ReferenceStep(model, config)(noise_batch(config))
    judged = [entry for entry in calls if entry[0].startswith("D")]
    assert {size for _, size, _ in calls} == {config.batch_size}
    assert [name for name, *_ in calls].count("G_ab") == 2 and len(judged) == 6
    assert [trains for *_, trains in judged] == [False] * 2 + [True] * 4
    assert all(weight.requires_grad for network in model.networks.values() for weight in network.parameters())


def test_the_reference_pool_keeps_exchanges_and_never_grows():
    pool, images = ReferencePool(3, random.Random(0)), torch.arange(40.0).reshape(20, 2, 1, 1, 1)
    answers = [pool.query(pair).flatten().tolist() for pair in images]
    assert answers[0] == [0, 1] and answers[1][0] == 2  # until it is full, inputs are returned
    assert len(pool.images) == 3
    passed, returned = range(40), [value for pair in answers for value in pair]
    assert any(new != old for new, old in zip(passed, returned, strict=True)), "an earlier image comes back"
    assert all(old <= new for new, old in zip(passed, returned, strict=True))
    assert torch.equal(ReferencePool(0, random.Random(0)).query(images[0]), images[0])


class Clock:
    """A clock that only the variants advance."""

    def __init__(self):
        self.now, self.order = 0.0, []

    def __call__(self):
        return self.now

    def variant(self, name, *seconds):
        steps = iter(seconds)

        def call():
            self.order.append(name)
            self.now += next(steps, seconds[-1])

        return Variant(name, call)


def test_variants_take_turns_and_warm_ups_do_not_count():
    clock = Clock()
    variants = [clock.variant("A", 9, 9, 1, 2, 3), clock.variant("B", 9, 9, 4)]
    seconds = interleave(variants, Budget(rounds=3), clock=clock)
    assert "".join(clock.order) == "AABB" + "ABABAB"
    assert seconds == {"A": [1, 2, 3], "B": [4, 4, 4]}


def test_a_quick_variant_is_called_more_often_and_waiting_is_timed():
    clock = Clock()

    def wait():
        clock.now += 0.5

    quick, slow = clock.variant("q", BLOCK_SECONDS / 10), clock.variant("s", 2 * BLOCK_SECONDS)
    assert len(interleave([quick, slow], Budget(rounds=1), clock=clock)["q"]) == 1
    assert clock.order.count("q") == 2 + 10 and clock.order.count("s") == 2 + 1
    assert interleave([clock.variant("w", 1.0)], Budget(rounds=1), wait, clock)["w"] == [1.5]


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 3), (2.0, 3), (10.0, 7)])
def test_time_is_measured_per_variant_and_three_rounds_at_least(seconds, expected):
    clock = Clock()
    times = interleave([clock.variant("A", 1.0), clock.variant("B", 2.0)], Budget(seconds), clock=clock)
    assert len(times["A"]) == len(times["B"]) == expected  # 3 s a round; 10 s for each of two variants are seven rounds


def test_statistics():
    assert summary([4, 1, 3, 2, 5]) == Summary(3, 2, 4, 5)
    assert times_as_fast([2, 4, 9], [1, 2, 3]) == Summary(2, 2, 2.5, 3)
    assert sum_by_round({"A": [1, 2], "B": [10, 20], "C": [5, 5]}, ["A", "B"]) == [11, 22]
    assert [number(value) for value in (0.0123, 4.561, 999.9, 1.07e9, 3e-6, 0.0)] == [
        "12.3 m", "4.56", "1.00 k", "1.07 G", "3.00 µ", "0",
    ]  # fmt: skip
    spent = end_to_end.RunTime(wall=10, training=8, steps=6)
    assert [value for value, _ in spent.parts.values()] == [10, 2, 0.4, 0.25]


def test_operations_are_counted_as_torch_counts_them():
    (method,), (variant,) = read_methods("cyclegan"), read_variants([])
    config = configuration("32", method, variant)
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
    (method,), (variant,) = read_methods(name), read_variants([])
    model, images = timing_model(method, configuration("32", method, variant), "cpu"), noise_images("32", 3)
    alone = np.concatenate(reference_translation(model, images, "AtoB")())
    together = to_bytes(model.translate(to_signed(torch.from_numpy(images).permute(0, 3, 1, 2)), "AtoB"))
    assert np.abs(alone.astype(int) - together).max() <= 1


def test_a_method_that_draws_its_outputs_has_no_reference_translation():
    (method,), (variant,) = read_methods("munit"), read_variants([])
    model = timing_model(method, configuration("32", method, variant), "cpu")
    assert reference_translation(model, noise_images("32", 1), "AtoB") is None


def test_the_reference_loader_gives_batches_like_a_sampler(tmp_path):
    data_loading.write_jpeg_files(tmp_path, count=2, side=40)
    config = configuration("32", None, read_variants([])[0])
    batch = data_loading.ReferenceLoader(tmp_path, config, "cpu").batch()
    sets = [load_images(Folder(tmp_path), "train", domain, square(config.load_size)) for domain in "AB"]
    sampled = BatchSampler(*sets, config, 0).batch(0)
    assert {name: value.shape for name, value in batch.items()} == {
        name: value.shape for name, value in sampled.items()
    }
    reference, (path, *_) = batch["real_b"], sorted((tmp_path / "trainB").iterdir())
    assert reference.dtype == torch.float32 and -1 <= reference.min() < reference.max() <= 1
    assert np.array_equal(data_loading.reference_decode(path, config.load_size), sets[1].images[0])


def test_growing_data_is_opened_and_read_over_again(tmp_path):
    options = SpeedOptions((), ("32",), read_variants([]), Budget(rounds=1), "cpu")
    entries = list(data_loading.growth(tmp_path, (5, 50), options))
    assert [entry.name for entry in entries] == [
        f"{name}, {count} images" for count in (5, 50) for name in ("opening", "batch", "first batch of an epoch")
    ]
    assert all(entry.value.median > 0 for entry in entries) and "memory_bytes" in entries[0].details
