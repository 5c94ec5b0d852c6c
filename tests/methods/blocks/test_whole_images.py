"""Images at their own size: padding, tiles whose weights sum to 1, and what a tile may see of its image."""

import pytest
import torch
from torch import nn

from cgbench.api.registry import METHODS
from cgbench.benchmarks.exchange.translate_files import translating_model
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config_layers import Resolved
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.autoencoder import ContentEncoder, StyledDecoder
from cgbench.methods.blocks.init import initialise
from cgbench.methods.blocks.resnet import ResnetGenerator
from cgbench.methods.blocks.tiles import smallest_tile, spans
from cgbench.methods.blocks.unet import UnetGenerator
from cgbench.methods.blocks.whole_images import MARGIN, pad_to_multiple, size_multiple, translate_whole
from helpers.tiny_models import tiny_config, tiny_model

SIZES = [(1, 1), (1, 9), (7, 5), (33, 250), (360, 640)]


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def initialised(network, std=0.05):
    initialise(network, 0, "G", std=std)
    return network.eval()


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("multiple", [4, 32])
def test_padding_reaches_the_multiple_and_is_cut_off_again(height, width, multiple):
    given, seen = images(2, 3, height, width), []

    def identity(batch):
        seen.append(batch.shape[2:])
        return batch

    assert torch.equal(translate_whole(identity, given, multiple), given)
    smallest = max(multiple, 8)
    assert seen == [tuple(max(-(-size // multiple) * multiple, smallest) for size in (height, width))]


def test_padding_is_a_mirror_image_or_the_last_pixel_of_what_is_too_small():
    row = torch.arange(5.0).expand(1, 1, 8, 5)
    assert pad_to_multiple(row, 4)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert pad_to_multiple(row[..., :2], 4)[0, 0, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    assert pad_to_multiple(row.mT, 4)[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]


@pytest.mark.parametrize("size", [96, 100, 128, 196, 1000])
@pytest.mark.parametrize(("length", "multiple", "margin", "ramp"), [(96, 4, 8, 8), (96, 4, 0, 48), (96, 32, 4, 20)])
def test_weights_sum_to_one_and_cores_cover_once(size, length, multiple, margin, ramp):
    size = -(-size // multiple) * multiple
    weight, owners = torch.zeros(size), torch.zeros(size)
    tiles = spans(size, length, multiple, margin, ramp)
    for tile in tiles:
        assert tile.start % multiple == 0 and tile.start + tile.length <= size
        weight[tile.slice] += tile.weights
        owners[tile.core[0] : tile.core[1]] += 1
        assert tile.core_of(tile.length) == slice(tile.core[0] - tile.start, tile.core[1] - tile.start)
        for edge, border in ((tile.start, 0), (tile.start + tile.length, size)):
            near = slice(0, margin) if edge == tile.start else slice(tile.length - margin, None)
            assert border == edge or not tile.weights[near].any()
    assert torch.all(owners == 1)
    torch.testing.assert_close(weight, torch.ones(size), rtol=0, atol=1e-6)
    assert max(tile.weights.diff().abs().max() for tile in tiles) < 4 / ramp  # smooth: no step


@pytest.mark.parametrize(("height", "width"), [(128, 128), (130, 61), (40, 700), (700, 33)])
@pytest.mark.parametrize("count", [1, 2])
def test_the_network_never_sees_more_pixels_than_allowed(height, width, count):
    given, seen = images(count, 2, height, width), []

    def identity(batch):
        seen.append(batch.shape[0] * batch.shape[2] * batch.shape[3])
        return batch

    result = translate_whole(identity, given, 4, max_pixels=7000, margin=4, ramp=8)
    assert max(seen) <= 7000 and len(seen) > 1
    torch.testing.assert_close(result, given, rtol=0, atol=1e-6)


def test_too_few_pixels_for_a_tile_are_refused():
    with pytest.raises(CgbenchError, match=r"tiles of 900 pixels are too small .* allow 1,024 or more"):
        translate_whole(lambda batch: batch, images(1, 3, 64, 64), 4, max_pixels=900, margin=4, ramp=8)
    assert smallest_tile(4, 4, 8) == 32


def test_a_network_that_changes_the_size_is_named():
    with pytest.raises(CgbenchError, match="8×12 in, 8×8 out"):
        translate_whole(lambda batch: batch[..., :8], images(1, 3, 8, 12), 4)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_exact_tiles_equal_the_whole_image(norm):
    network = initialised(ResnetGenerator(ngf=4, blocks=1, norm=norm))
    given = images(2, 3, 150, 203) * torch.linspace(0, 1, 203)  # its parts differ
    whole = translate_whole(network, given, 4)
    tiled, own = (
        translate_whole(network, given, 4, max_pixels=2 * 112 * 112, margin=24, ramp=8, exact=exact)
        for exact in (True, False)
    )
    torch.testing.assert_close(tiled, whole, rtol=0, atol=2e-5)
    difference = (own - whole).abs().max()
    assert difference > 0.01 if norm == "instance" else torch.equal(own, tiled)


def test_exact_tiles_equal_the_whole_image_through_layer_norm_and_adaptive_instance_norm():
    encoder, decoder = initialised(ContentEncoder(ngf=4, blocks=1)), initialised(StyledDecoder(ngf=4, blocks=1))
    style, given = torch.randn(1, 8, generator=torch.Generator().manual_seed(1)), images(1, 3, 32, 260)

    def translate(batch):
        return decoder(encoder(batch), style)

    whole = translate_whole(translate, given, 4)
    tiled = translate_whole(translate, given, 4, max_pixels=32 * 208, margin=48, ramp=8)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=2e-5)


def test_the_margin_is_wider_than_what_the_published_resnet_sees():
    network = ResnetGenerator(ngf=1, blocks=9).double()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if "pad" not in name and not list(child.parameters()) and not list(child.children()):
                setattr(module, name, nn.Identity())  # without norms, which see everything, and nonlinearities
    for weight in network.parameters():
        nn.init.uniform_(weight, 0, 0.1)
    plain = torch.zeros(1, 3, 8, 400).double()
    dotted = plain.clone()
    dotted[..., 200] = 1
    with torch.no_grad():
        changed = (network(dotted) - network(plain)).abs().amax((0, 1, 2)).nonzero().flatten()
    assert 80 < max(200 - int(changed[0]), int(changed[-1]) - 200) <= MARGIN


def model_of(name, **settings):
    trial = Trial(METHODS.get(name), 0, "smoke", Resolved(tiny_config(**settings), {}, {}))
    return translating_model(trial, trial.method.directions[0], "cpu"), trial.method.directions[0]


TRAINED = [name for name in METHODS.names() if METHODS.get(name).reference is None]


@pytest.mark.parametrize("name", TRAINED)
def test_every_method_translates_an_odd_size_or_says_that_it_cannot(name):
    model, direction = model_of(name)
    multiple = size_multiple(model, direction)
    if multiple is None:
        assert name.startswith("cogan")
        return
    given = images(1, 3, 21, 13)
    output = translate_whole(lambda batch: model.translate(batch, direction), given, multiple)
    assert output.shape == given.shape and output.isfinite().all()
    assert not model.networks or model.training  # as it was


@pytest.mark.parametrize(("settings", "multiple"), [({}, 4), ({"generator": "unet"}, 16)])
def test_the_multiple_is_that_of_the_generator(settings, multiple):
    model, direction = model_of("cyclegan", **settings)
    assert size_multiple(model, direction) == multiple
    assert UnetGenerator(downs=3, ngf=2).size_multiple == 8


def test_a_tile_that_ends_early_leaves_the_model_as_it_was():
    model, direction = tiny_model(METHODS.get("cyclegan"), tiny_config()), "AtoB"
    before = {name: weight.requires_grad for name, weight in model.networks["G_ab"].named_parameters()}
    given = images(1, 3, 100, 100)
    tiled = translate_whole(
        lambda batch: model.translate(batch, direction), given, 4, max_pixels=64 * 64, margin=8, ramp=8
    )
    assert tiled.shape == given.shape and model.training
    assert {name: weight.requires_grad for name, weight in model.networks["G_ab"].named_parameters()} == before


def test_translation_and_reconstruction_in_one_call():
    model, given = tiny_model(METHODS.get("cyclegan"), tiny_config()), images(2, 3, 18, 29)
    both = translate_whole(lambda batch: torch.cat(model.translate_and_reconstruct(batch, "AtoB"), 1), given, 4)
    one_by_one = [translate_whole(lambda batch, do=do: do(batch, "AtoB"), given, 4)
                  for do in (model.translate, model.reconstruct)]  # fmt: skip
    assert torch.equal(both, torch.cat(one_by_one, 1))
