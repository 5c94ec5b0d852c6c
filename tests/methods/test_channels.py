"""Methods on other channels than RGB and on rectangles: a step and its outputs, or one line that says why not."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from cgbench.api.dataset import Domain, SemanticClass
from cgbench.api.declarations import is_line
from cgbench.api.graph_analysis import unequal_channels
from cgbench.api.graph_nodes import Apply, Compute, Network
from cgbench.api.method import Term
from cgbench.api.method_description import describe, network_text, trained_part
from cgbench.api.registry import METHODS
from cgbench.benchmarks.evaluation.synthetic_workload import synthetic_batch
from cgbench.benchmarks.testing import method_checks
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train_step
from cgbench.benchmarks.trials.trial import why_not_applicable
from cgbench.methods.bigan import bigan
from cgbench.methods.blocks.builders import discriminator, generator, stack
from cgbench.methods.blocks.features import as_rgb
from cgbench.methods.cyclegan import cyclegan
from cgbench.methods.functional.losses import l1
from cgbench.methods.simgan import simgan
from cgbench.pixel_format import PixelFormat
from helpers.tiny_models import noise_batch, tiny_config, tiny_model

TRAINED = [name for name in METHODS.names() if METHODS.get(name).reference is None]
EQUAL = {"cut", "cyclegan_identity", "fastcut", "gcgan", "gcgan_vflip", "simgan"}  # compare images across domains
SQUARE, WIDE = (32, 32), (32, 48)
REFUSED = {
    (1, 1, SQUARE): set(),
    (3, 1, SQUARE): EQUAL,
    (1, 3, SQUARE): EQUAL,
    (4, 4, SQUARE): {"feature_loss_gan"},
    (1, 1, WIDE): {"pix2pix_unet"},
}  # channels of A and B, height and width: methods that cannot be trained with them


def config_of(method, a=3, b=3, shape=SQUARE):
    height, width = shape
    sizes = {"crop_size": height, "crop_width": width, "load_size": height, "load_width": width}
    return tiny_config(**method.defaults, **sizes, channels_a=a, channels_b=b)


def dataset_of(config):
    """What `why_not_applicable` reads of a dataset: pairs, classes, and the channels of a configuration."""
    domains = tuple(Domain(name, pixels=PixelFormat(config.channels(name))) for name in "ab")
    palette = tuple(SemanticClass(name, (0, 0, 0)) for name in "xyz")
    return SimpleNamespace(label="own", splits=["pairs"], palette=palette, domains=domains, items=lambda *_: [])


@pytest.mark.parametrize("case", REFUSED, ids=str)
@pytest.mark.parametrize("name", TRAINED)
def test_a_method_is_trained_or_says_in_one_line_why_not(name, case):
    method = METHODS.get(name)
    config = config_of(method, *case)
    reason = why_not_applicable(method, config, dataset_of(config))
    assert (reason is not None) == (name in REFUSED[case]), reason
    if reason is not None:
        assert is_line(reason)
        return
    model, batch = tiny_model(method, config), noise_batch(config, torch.float32)
    losses = train_step(model, make_optimizers(model, config), batch, 0, config.learning_rate)
    assert all(loss.isfinite() for loss in losses.values())
    for direction in method.directions:
        source, target = ("real_a", "real_b") if direction == "AtoB" else ("real_b", "real_a")
        output, back = model.translate_and_reconstruct(batch[source], direction)
        assert output.shape == batch[target].shape and output.isfinite().all()
        assert back is None or back.shape == batch[source].shape


@pytest.mark.parametrize(
    "name, reason",
    [
        ("simgan", "needs as many channels in A as in B: its term self_a compares fake_a with real_b"),
        ("cyclegan_identity", "needs as many channels in A as in B: it applies G_ba, made for 3 channels, to real_a"),
        ("cut", "it applies G_ab, made for 1 channel, to "),
    ],
)
def test_the_reason_names_what_compares_the_domains(name, reason):
    assert reason in unequal_channels(METHODS.get(name), {"a": 1, "b": 3})
    assert unequal_channels(METHODS.get(name), {"a": 4, "b": 4}) is None


def test_what_no_live_term_reads_needs_no_equal_channels():
    """CycleGAN declares `same_b = G_ab(real_b)` for its variant with identity terms, and does not compute it."""
    assert "same_b" in cyclegan().graph
    assert unequal_channels(cyclegan(), {"a": 1, "b": 3}) is None
    assert unequal_channels(simgan().weighted({"self_a": 0, "self_b": 0}), {"a": 1, "b": 3}) is None


def test_a_stack_of_images_has_the_channels_of_all():
    assert unequal_channels(bigan(), {"a": 1, "b": 3}) is None
    alone = bigan().but("alone", networks={"D_pair": Network(partial(discriminator, source="b"))})
    assert "it applies D_pair, made for 3 channels, to pair_ab" in unequal_channels(alone, {"a": 1, "b": 3})
    twice = cyclegan().but(
        "twice",
        networks={"D_b": Network(partial(discriminator, source="bb"))},
        graph={f"verdict_{image}": Apply("D_b", f"twice_{image}") for image in ("fake_b", "real_b", "pool_b")}
        | {f"twice_{image}": Compute(stack, image, image) for image in ("fake_b", "real_b", "pool_b")},
    )
    assert unequal_channels(twice, {"a": 1, "b": 3}) is None


def test_what_a_function_makes_of_images_may_be_compared():
    means = {f"mean_{image}": Compute(lambda x: x.mean(dim=(1, 2, 3)), image) for image in ("fake_b", "real_a")}
    compared = cyclegan().but(
        "compared", graph=means, add={"generators": [Term("mean", l1, ("mean_fake_b", "mean_real_a"))]}
    )
    assert unequal_channels(compared, {"a": 1, "b": 3}) is None


def test_a_builder_without_domains_goes_on_working_for_equal_channels():
    """As plug-ins of before declare them: `Network(generator)`. Weights depend on seed and name alone."""
    plain = dict.fromkeys(["G_ab", "G_ba"], Network(generator)) | dict.fromkeys(["D_a", "D_b"], Network(discriminator))
    former = cyclegan().but("former", networks=plain)
    for count in (3, 4):
        config = config_of(former, count, count)
        states = [tiny_model(method, config).state() for method in (former, cyclegan())]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert "it applies G_ba, made for 1 channel, to " in unequal_channels(former, {"a": 1, "b": 3})

    def opaque(config):
        return generator(config)

    assert (Network(opaque).source, Network(opaque).target) == ("", "")
    undeclared = cyclegan().but("undeclared", networks={"G_ab": Network(opaque), "G_ba": Network(opaque)})
    assert unequal_channels(undeclared, {"a": 1, "b": 3}) is None  # nothing is known of it


def test_domains_are_no_part_of_what_identifies_a_method():
    """Records of before name no domains, and the discriminator of a pair by its six channels."""
    assert network_text(Network(partial(generator, source="b", target="a", dropout=True))) == "generator(dropout=True)"
    assert network_text(Network(partial(generator, source="b", target="a"))) == network_text(Network(generator))
    record = describe(bigan())
    assert record["networks"]["D_pair"] == "discriminator"
    former = record | {"networks": {**record["networks"], "D_pair": "discriminator(channels=6)"}}
    assert trained_part(former) == trained_part(record)
    other = record | {"networks": {**record["networks"], "D_pair": "discriminator(antialias=True)"}}
    assert trained_part(other) != trained_part(record)


@pytest.mark.parametrize("name", ["cyclegan", "munit"])
def test_a_training_on_other_channels_that_was_stopped_ends_with_the_same_bits(name):
    method_checks.check_resumption(METHODS.get(name), channels_a=1, channels_b=4)


def test_the_kit_checks_translations_between_domains_of_other_channels():
    method_checks.check_translation(cyclegan(), channels_a=1, channels_b=4)
    wrong = cyclegan().but("wrong", translates={"AtoB": "cycle_a", "BtoA": "fake_a"})
    with pytest.raises(AssertionError, match=r"AtoB: the output has the shape \(2, 1, 16, 16\), not \(2, 4, 16, 16\)"):
        method_checks.check_translation(wrong, channels_a=1, channels_b=4)


def test_batches_of_noise_have_the_channels_and_the_shape_of_the_configuration():
    config = config_of(cyclegan(), 1, 4, WIDE)
    for batch in (noise_batch(config), synthetic_batch(config, "cpu")):
        assert batch["real_a"].shape == (2, 1, 32, 48) and batch["real_b"].shape == (2, 4, 32, 48)
        assert batch["labels_a"].shape == batch["labels_b"].shape == (2, 32, 48)


def test_features_of_grey_are_those_of_its_three_equal_bands():
    grey = torch.rand(2, 1, 8, 12)
    assert torch.equal(as_rgb(grey), torch.cat([grey] * 3, dim=1))
    colour = torch.rand(2, 3, 8, 12)
    assert torch.equal(as_rgb(colour), colour)


def test_a_unet_takes_rectangles_whose_shorter_side_is_reached_by_halving():
    config = tiny_config(generator="unet", crop_size=32, crop_width=64, load_size=32, load_width=64)
    assert generator(config)(torch.zeros(1, 3, 32, 64)).shape == (1, 3, 32, 64)
    assert len(generator(config).down) == 5  # to 1 x 2 pixels
