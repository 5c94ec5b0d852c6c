"""CUT and FastCUT: published sizes and unit values, resampling against loops, steps against hand-written losses."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train_step
from cgbench.config import TrialConfig
from cgbench.methods.blocks.antialiased_resampling import BlurDownsample, BlurUpsample
from cgbench.methods.blocks.patch_projection import PatchProjection
from cgbench.methods.blocks.patchgan import PatchDiscriminator
from cgbench.methods.blocks.resnet import ResnetGenerator, tap_widths
from cgbench.methods.cut import cut, fastcut, patch_nce, patch_positions, projection
from cgbench.seeds import generator
from helpers.step_equivalence import assert_step, square_to
from helpers.tiny_models import double_model, noise_batch, tiny_config

FLIPPED = 2  # a step in which seed 0 flips the inputs; in step 0 it does not


def count(module):
    return sum(weight.numel() for weight in module.parameters())


def test_published_sizes():
    with torch.device("meta"):
        network = ResnetGenerator(antialias=True)
        assert count(network) == 11_378_179
        assert count(PatchDiscriminator(antialias=True)) == 2_764_737
        assert count(projection(TrialConfig())) == 560_384
        assert [projection(TrialConfig(ngf=ngf)).layers[0][2].out_features for ngf in (16, 64, 128)] == [64, 256, 256]
        maps = network.features(torch.empty(1, 3, 256, 256))
        assert [tuple(m.shape[1:]) for m in maps] == [
            (3, 262, 262), (128, 256, 256), (256, 128, 128), (256, 64, 64), (256, 64, 64),
        ]  # fmt: skip
        assert PatchDiscriminator(antialias=True)(torch.empty(1, 3, 256, 256)).shape[2:] == (30, 30)


@pytest.mark.parametrize("blocks", [1, 2, 3, 9])
@pytest.mark.parametrize("antialias", [False, True])
def test_taps_are_the_maps_that_translation_passes(blocks, antialias):
    """The tapped block outputs are found in a translation; the published ones are the first and the fifth block's."""
    network = ResnetGenerator(ngf=2, blocks=blocks, antialias=antialias).eval()
    passed = []
    for block in network.blocks:
        block.register_forward_hook(lambda layer, inputs, output: passed.append(output))
    images = torch.rand(1, 3, 16, 16)
    network(images)
    taps = network.features(images)
    assert [tap.shape[1] for tap in taps] == tap_widths(2, blocks)
    assert torch.equal(taps[3], passed[0])
    assert blocks == 1 or torch.equal(taps[4], passed[min(5, blocks) - 1])
    expected = network.down1.conv(network.stem(images))
    assert torch.equal(taps[1], expected)


def halved_by_loops(image):
    """Each output pixel is the weighted mean of 3×3 pixels around every second one; the border is mirrored."""
    padded = np.pad(image, 1, mode="reflect")
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    side = image.shape[0] // 2
    return np.array([[(padded[2 * r : 2 * r + 3, 2 * c : 2 * c + 3] * kernel).sum() for c in range(side)]
                     for r in range(side)])  # fmt: skip


def doubled_by_loops(image):
    """Each direction: the two outputs of a pixel are ¾ of it and ¼ of its left, or right, neighbour."""

    def along(rows):
        padded = np.pad(rows, ((0, 0), (1, 1)), mode="edge")
        left, middle, right = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
        return np.stack([0.25 * left + 0.75 * middle, 0.75 * middle + 0.25 * right], axis=2).reshape(len(rows), -1)

    return along(along(image).T).T


@pytest.mark.parametrize(("layer", "loops"), [(BlurDownsample(), halved_by_loops), (BlurUpsample(), doubled_by_loops)])
def test_resampling_equals_plain_loops(layer, loops):
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    expected = np.array([[loops(channel) for channel in image] for image in images.numpy()])
    torch.testing.assert_close(layer.double()(images), torch.from_numpy(expected))
    assert torch.allclose(layer(torch.full((1, 2, 8, 8), 0.3, dtype=torch.float64)), torch.tensor(0.3).double())


def test_unit_values_of_the_contrast():
    same = functional.normalize(torch.ones(2, 256, 8, dtype=torch.float64), dim=2)
    assert patch_nce((same,), (same,)).item() == pytest.approx(math.log(256))
    apart = torch.eye(256, dtype=torch.float64).expand(2, -1, -1)
    assert patch_nce((apart,), (apart,)).item() == pytest.approx(1.593e-4, rel=1e-3)


def test_negatives_are_patches_of_the_same_image():
    """Two images with the same patches: were the other image's patches negatives too, the loss would be ln 2 more."""
    apart = torch.eye(4, dtype=torch.float64)[None]
    single = patch_nce((apart,), (apart,))
    assert torch.allclose(patch_nce((apart.repeat(2, 1, 1),), (apart.repeat(2, 1, 1),)), single)


def test_positions_are_drawn_without_replacement():
    maps = (torch.zeros(2, 3, 20, 20), torch.zeros(2, 8, 4, 4))
    large, small = patch_positions(np.random.default_rng(0), maps)
    assert large.shape == (2, 256) and small.shape == (2, 16)
    assert all(len(set(row.tolist())) == 256 for row in large) and large.max() < 400
    assert sorted(small[0].tolist()) == list(range(16))
    assert not torch.equal(large[0], large[1])


def test_projected_patches_are_unit_vectors_of_their_own_pixels():
    torch.manual_seed(0)
    network = PatchProjection([3], width=4).double()
    maps = torch.rand(1, 3, 2, 2, dtype=torch.float64)
    (projected,) = network((maps,), (torch.tensor([[3, 0]]),))
    for place, pixel in enumerate([maps[0, :, 1, 1], maps[0, :, 0, 0]]):
        first, second = network.layers[0][0], network.layers[0][2]
        vector = second.weight @ (first.weight @ pixel + first.bias).clamp(min=0) + second.bias
        torch.testing.assert_close(projected[0, place], vector / vector.norm())


def nce_by_hand(nets, direction, queries, keys, positions):
    """Return the mean of -log softmax at the positive key, image by image and patch by patch."""
    layers, total, maps_seen = nets[f"F_{direction}"].layers, 0, 0
    for layer, query, key, places in zip(layers, queries, keys, positions, strict=True):
        losses = []
        for image in range(len(query)):
            q = layer(query[image].flatten(1).T[places[image]])
            k = layer(key[image].flatten(1).T[places[image]]).detach()
            q, k = (v / v.norm(dim=1, keepdim=True).clamp(min=1e-7) for v in (q, k))
            scores = q @ k.T / 0.07
            losses += [scores[i].logsumexp(0) - scores[i, i] for i in range(len(scores))]
        total, maps_seen = total + sum(losses) / len(losses), maps_seen + 1
    return total / maps_seen


def cut_by_hand(nets, batch, fast, step):
    generators, discriminators = 0, 0
    for side, source, direction in (("b", "a", "ab"), ("a", "b", "ba")):
        x, y, network = batch[f"real_{source}"], batch[f"real_{side}"], nets[f"G_{direction}"]
        flip = fast and generator(0, "noise", f"coin_{source}", step).random() < 0.5
        fake = network(x.flip(3) if flip else x)
        maps = network.features(x)
        queries = tuple(m.flip(3) if flip else m for m in network.features(fake))
        places = patch_positions(generator(0, "noise", f"patches_{side}", step), maps)
        generators = generators + square_to(1, nets[f"D_{side}"](fake))
        generators = generators + (10 if fast else 0.5) * nce_by_hand(nets, direction, queries, maps, places)
        if not fast:
            maps, queries = network.features(y), network.features(network(y))
            places = patch_positions(generator(0, "noise", f"patches_same_{side}", step), maps)
            generators = generators + 0.5 * nce_by_hand(nets, direction, queries, maps, places)
        discriminators = discriminators + square_to(1, nets[f"D_{side}"](y))
        discriminators = discriminators + square_to(0, nets[f"D_{side}"](fake.detach()))
    names = ("G_ab", "G_ba", "F_ab", "F_ba")
    return {"discriminators": (0.5 * discriminators, ("D_a", "D_b")), "generators": (generators, names)}


@pytest.mark.parametrize(("method", "step"), [(cut, 0), (fastcut, 0), (fastcut, FLIPPED)])
def test_a_step_has_the_gradients_of_the_formula(method, step):
    fast = method is fastcut
    assert_step(method(), lambda nets, batch: cut_by_hand(nets, batch, fast, step), step, blocks=2)


def test_the_steps_by_hand_see_both_sides_of_the_coin():
    throws = {generator(0, "noise", "coin_a", step).random() < 0.5 for step in (0, FLIPPED)}
    assert throws == {True, False}


def test_keys_pass_no_gradient():
    model = double_model(cut(), tiny_config())
    values = noise_batch(tiny_config())
    model.evaluate(values, ["keys_b", "keys_same_b"])
    assert not any(key.requires_grad for name in ("keys_b", "keys_same_b") for key in values[name])


def test_the_projection_learns_from_the_first_step():
    config = tiny_config()
    model = double_model(cut(), config)
    before = {name: weight.clone() for name, weight in model.networks["F_ab"].state_dict().items()}
    train_step(model, make_optimizers(model, config), noise_batch(config), 0, 1e-3)
    after = model.networks["F_ab"].state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before if "weight" in name)


@pytest.mark.parametrize(("direction", "network"), [("AtoB", "G_ab"), ("BtoA", "G_ba")])
@pytest.mark.parametrize("method", [cut, fastcut])
def test_images_are_translated_as_they_are_and_there_is_no_way_back(method, direction, network):
    model = double_model(method(), tiny_config())
    images = noise_batch(tiny_config())["real_a"]
    # eight images have eight coin tosses: if translation flipped its inputs, some of these would be flipped
    images = torch.cat([images] * 4)
    expected = model.networks[network](images).detach()
    torch.testing.assert_close(model.translate(images, direction), expected, rtol=0, atol=1e-12)
    assert not model.is_stochastic(direction) and model.reconstruct(images, direction) is None


@pytest.mark.parametrize("method", [cut, fastcut])
def test_the_networks_are_as_published(method):
    """Blurs in all generators and discriminators, no image pool, and Xavier's spread with gain 0.02 everywhere."""
    model = double_model(method(), tiny_config(discriminator_layers=2))
    assert not model.pools
    for name, network in model.networks.items():
        kinds = [type(part) for part in network.modules()]
        blurs = {"G": (2, 2), "D": (2, 0), "F": (0, 0)}[name[0]]
        assert (kinds.count(BlurDownsample), kinds.count(BlurUpsample)) == blurs, name
        weights = [weight for weight in network.parameters() if weight.dim() > 1 and weight.numel() >= 250]
        assert weights, name
        for weight in weights:
            fans = (weight.shape[0] + weight.shape[1]) * math.prod(weight.shape[2:])
            assert weight.std().item() == pytest.approx(0.02 * math.sqrt(2 / fans), rel=0.2), name


def test_the_generator_faces_the_discriminator_that_has_just_moved():
    config = tiny_config()
    model = double_model(cut(), config)
    batch = noise_batch(config)
    fake = model.networks["G_ab"](batch["real_a"]).detach()
    before = square_to(1, model.networks["D_b"](fake)).item()
    losses = train_step(model, make_optimizers(model, config), batch, 0, rate=1e-3)
    moved = square_to(1, model.networks["D_b"](fake)).item()
    assert losses["adversarial_b"].item() == pytest.approx(moved, rel=1e-9) and abs(moved - before) > 1e-6
