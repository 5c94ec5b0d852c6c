"""UNIT and MUNIT: published sizes, normalisations and steps against hand-written formulas, styles, shared weights."""

from functools import partial

import pytest
import torch

from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train_step
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.autoencoder import StyledDecoder, adain
from cgbench.methods.blocks.multiscale import MultiScaleDiscriminator, max_scales
from cgbench.methods.blocks.norm import LayerNorm
from cgbench.methods.blocks.reflection_pad import ReflectionPad2d
from cgbench.methods.functional.losses import lsgan_generator, summed
from cgbench.methods.munit import munit, style_encoder
from cgbench.methods.unit import judge, unit, unit_tied
from cgbench.seeds import generator
from helpers.step_equivalence import assert_step, square_to
from helpers.tiny_models import double_model, noise_batch, tiny_config, tiny_model

DIRECTIONS = (("a", "b"), ("b", "a"))  # source and target domain
COUNTS = {
    unit: {"E": 5_385_856, "H": 5_754_627, "D": 8_271_171},
    munit: {"C": 5_385_856, "S": 2_764_936, "H": 5_754_627 + 1_120_768, "D": 8_271_171},
}


def noise(name, *shape):
    """Return the sample of the tensor `name` in the first training step."""
    return torch.from_numpy(generator(0, "noise", name, 0).standard_normal(shape))


def log_odds_to(target, verdict):
    """Return the cross-entropy of a verdict's sigmoid with the target 1 or 0."""
    return torch.nn.functional.binary_cross_entropy(verdict.sigmoid(), torch.full_like(verdict, target))


def gan_by_hand(nets, batch, fakes, loss, weight):
    """Return the adversarial losses of generators and discriminators, summed over scales and domains."""
    generators, discriminators = 0, 0
    for side, fake in fakes.items():
        network = nets[f"D_{side}"]
        generators = generators + weight * sum(loss(1, verdict) for verdict in network(fake))
        discriminators = discriminators + weight * sum(loss(1, verdict) for verdict in network(batch[f"real_{side}"]))
        discriminators = discriminators + weight * sum(loss(0, verdict) for verdict in network(fake.detach()))
    return generators, discriminators


def unit_by_hand(nets, batch, tied, gan, near, kl):
    def encoded(side, image):
        maps = nets[f"E_{side}"](image)
        return nets["E_shared"](maps) if tied else maps

    def decoded(side, code):
        return nets[f"H_{side}"](nets["H_shared"](code) if tied else code)

    total, fakes = 0, {}
    for source, target in DIRECTIONS:
        real = batch[f"real_{source}"]
        mean = encoded(source, real)
        code = mean + noise(f"noise_{source}", *mean.shape)
        fake = fakes[target] = decoded(target, code)
        mean_fake = encoded(target, fake)
        cycle = decoded(source, mean_fake + noise(f"noise_fake_{target}", *mean.shape))
        total = total + near * (decoded(source, code) - real).abs().mean() + near * (cycle - real).abs().mean()
        mean_square = lambda maps, name: ((maps + tied * noise(name, *maps.shape)) ** 2).mean()  # noqa: E731
        total = total + kl * mean_square(mean, f"noise_{source}") + kl * mean_square(mean_fake, f"noise_fake_{target}")
    generators, discriminators = gan_by_hand(nets, batch, fakes, log_odds_to if tied else square_to, gan)
    names = ("E_a", "H_a", "E_b", "H_b", *(("E_shared", "H_shared") if tied else ()))
    return {"discriminators": (discriminators, ("D_a", "D_b")), "generators": (total + generators, names)}


def munit_by_hand(nets, batch):
    total, fakes = 0, {}
    for source, target in DIRECTIONS:
        real, random_style = batch[f"real_{source}"], noise(f"random_{target}", 2, 8)
        content, style = nets[f"C_{source}"](real), nets[f"S_{source}"](real)
        fake = fakes[target] = nets[f"H_{target}"](content, random_style)
        content_back = nets[f"C_{target}"](fake)
        total = total + 10 * (nets[f"H_{source}"](content, style) - real).abs().mean()
        total = total + 10 * (nets[f"H_{source}"](content_back, style) - real).abs().mean()
        total = total + (nets[f"S_{target}"](fake) - random_style).abs().mean() + (content_back - content).abs().mean()
    generators, discriminators = gan_by_hand(nets, batch, fakes, square_to, 1)
    names = ("C_a", "S_a", "H_a", "C_b", "S_b", "H_b")
    return {"discriminators": (discriminators, ("D_a", "D_b")), "generators": (total + generators, names)}


BY_HAND = {
    unit: partial(unit_by_hand, tied=False, gan=1, near=10, kl=0.01),
    unit_tied: partial(unit_by_hand, tied=True, gan=10, near=100, kl=0.1),
    munit: munit_by_hand,
}


@pytest.mark.parametrize("blocks", [1, 4])
@pytest.mark.parametrize(("method", "by_hand"), BY_HAND.items(), ids=[method.__name__ for method in BY_HAND])
def test_a_step_has_the_gradients_of_the_formula(method, by_hand, blocks, monkeypatch):
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, maps: maps)  # its masks follow the order of the calls
    assert_step(method(), by_hand, blocks=blocks)


def counts(method):
    with torch.device("meta"):
        built = {name: network.build(TrialConfig()) for name, network in method.networks.items()}
    return {name: sum(weight.numel() for weight in module.parameters()) for name, module in built.items()}


@pytest.mark.parametrize("method", COUNTS, ids=[method.__name__ for method in COUNTS])
def test_the_networks_have_the_published_sizes(method):
    assert counts(method()) == {f"{kind}_{side}": count for kind, count in COUNTS[method].items() for side in "ab"}
    assert sum(COUNTS[method].values()) - 8_271_171 == (11_140_483 if method is unit else 15_026_187)


def test_tied_autoencoders_have_the_published_size():
    assert sum(count for name, count in counts(unit_tied()).items() if name[0] in "EH") == 18_017_286


@pytest.mark.parametrize("method", BY_HAND, ids=[method.__name__ for method in BY_HAND])
def test_shapes_at_256_pixels(method):
    with torch.device("meta"):
        nets = {name: network.build(TrialConfig()) for name, network in method().networks.items()}
        images = torch.empty(1, 3, 256, 256)
        assert [verdict.shape for verdict in nets["D_a"](images)] == [(1, 1, side, side) for side in (16, 8, 4)]
        maps = nets["C_a" if method is munit else "E_a"](images)
        assert maps.shape == (1, 256, 64, 64)
        styles = [torch.empty(1, 8)] if method is munit else []
        assert nets["H_a"](maps, *styles).shape == images.shape
        if method is munit:
            assert nets["S_a"](images).shape == (1, 8)


@pytest.mark.parametrize(
    ("side", "layers", "verdicts"),
    [(16, 1, [4, 2, 1]), (16, 2, [2, 1]), (32, 3, [2, 1]), (64, 4, [2, 1]), (64, 3, [4, 2, 1])],
)
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_every_image_size_fits(side, layers, verdicts, blocks):
    config = tiny_config(crop_size=side, load_size=side, discriminator_layers=layers, blocks=blocks)
    images = noise_batch(config, torch.float32)["real_a"]
    assert [verdict.shape[2] for verdict in judge(config)(images)] == verdicts
    for method in BY_HAND:
        model = tiny_model(method(), config)
        output, back = model.translate_and_reconstruct(images, "BtoA")
        assert output.shape == back.shape == images.shape


@pytest.mark.parametrize("side", [8, 12, 20, 36])
def test_styles_of_small_and_odd_sides(side):
    config = tiny_config(crop_size=side, load_size=side)
    assert style_encoder(config)(torch.zeros(2, 3, side, side)).shape == (2, 8)


def test_an_image_too_small_for_one_scale_is_refused():
    for attempt in (
        lambda: judge(tiny_config(discriminator_layers=4)),
        lambda: MultiScaleDiscriminator(ndf=2, layers=3, scales=2)(torch.zeros(1, 3, 14, 14)),
    ):
        with pytest.raises(CgbenchError, match=r"crop_size.*discriminator_layers"):
            attempt()
    assert max_scales(15, 3) == 2 and max_scales(14, 3) == 1
    assert len(MultiScaleDiscriminator(ndf=2, layers=3, scales=2)(torch.zeros(1, 3, 15, 15))) == 2


def test_coarser_scales_see_means_that_leave_the_padding_out():
    """A constant image stays constant at every scale; in others inner pixels are means of 3×3 pixels."""
    network = MultiScaleDiscriminator(ndf=2, layers=1, scales=2)
    assert torch.equal(network.halve(torch.ones(1, 3, 8, 8)), torch.ones(1, 3, 4, 4))
    image = torch.arange(64.0).view(1, 1, 8, 8)
    torch.testing.assert_close(network.halve(image)[0, 0, 1, 1], image[0, 0, 1:4, 1:4].mean())
    torch.testing.assert_close(network.halve(image)[0, 0, 0, 0], image[0, 0, :2, :2].mean())


def test_scales_are_judged_by_networks_of_their_own():
    network, images = MultiScaleDiscriminator(ndf=2, layers=1, scales=2), torch.rand(1, 3, 8, 8)
    fine, coarse = network(images)
    assert torch.equal(network.judges[0](images), fine)
    assert torch.equal(network.judges[1](network.halve(images)), coarse)


def test_least_squares_are_summed_over_scales():
    verdicts = tuple(torch.full((2, 1, side, side), 0.3) for side in (16, 8, 4))
    assert summed(lsgan_generator, verdicts).item() == pytest.approx(3 * 0.49)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_adain_is_equation_8():
    """With the moments of y as shift and scale, the result has the moments of y and the pattern of x."""
    x, y = random(2, 3, 4, 5), 3 * random(2, 3, 4, 5, seed=1) + 2
    result = adain(x, y.mean((2, 3)), y.std((2, 3), correction=0))
    for image in range(2):
        for channel in range(3):
            u, v = x[image, channel], y[image, channel]
            normalised = (u - u.mean()) / (((u - u.mean()) ** 2).mean() + 1e-5) ** 0.5
            expected = ((v - v.mean()) ** 2).mean() ** 0.5 * normalised + v.mean()
            torch.testing.assert_close(result[image, channel], expected, rtol=1e-12, atol=1e-12)


def test_layer_norm_is_of_one_image_with_a_scale_per_channel():
    x, layer = random(2, 3, 4, 5), LayerNorm(3).double()
    with torch.no_grad():
        layer.scale.copy_(torch.tensor([1.0, 2.0, 3.0]))
        layer.shift.copy_(torch.tensor([0.5, 0.0, -1.0]))
    for image in range(2):
        u = x[image]
        normalised = (u - u.mean()) / (((u - u.mean()) ** 2).mean() + 1e-5) ** 0.5
        expected = torch.stack([normalised[0] + 0.5, 2 * normalised[1], 3 * normalised[2] - 1])
        torch.testing.assert_close(layer(x)[image], expected, rtol=1e-12, atol=1e-12)


def test_a_style_sets_every_block():
    """The outputs of the last linear layer go to the blocks in order: shift, scale, shift, scale of each."""
    network = StyledDecoder(ngf=1, blocks=2, size=8).double()
    contents, styles = random(2, 4, 4, 4), random(2, 8, seed=1)
    numbers = network.mlp(styles).view(2, 2, 4, 4)  # image, block, which, channel
    maps = contents
    for block in range(2):
        layer, (shift1, scale1, shift2, scale2) = network.blocks[block], numbers[:, block].unbind(1)
        residual = adain(layer.conv1(layer.pad(maps)), shift1, scale1).relu()
        maps = maps + adain(layer.conv2(layer.pad(residual)), shift2, scale2)
    torch.testing.assert_close(network(contents, styles), network.painter(maps))


def test_tied_weights_are_shared():
    """Both directions use the shared blocks: changing them changes both translations; E_a belongs to one alone."""
    model = double_model(unit_tied(), tiny_config(blocks=4))
    images = noise_batch(tiny_config())["real_a"]
    for network, changed in (("E_shared", "both"), ("H_shared", "both"), ("E_a", "AtoB"), ("H_a", "BtoA")):
        before = {direction: model.translate(images, direction) for direction in ("AtoB", "BtoA")}
        with torch.no_grad():
            next(weight for weight in model.networks[network].parameters() if weight.dim() == 4).mul_(-1)
        for direction, old in before.items():
            unchanged = torch.equal(model.translate(images, direction), old)
            assert unchanged == (changed not in ("both", direction)), (network, direction)


def test_unit_translates_without_noise():
    model = double_model(unit(), tiny_config())
    images, nets = noise_batch(tiny_config())["real_a"], model.networks
    assert torch.equal(model.translate(images, "AtoB"), nets["H_b"](nets["E_a"](images)))
    assert torch.equal(model.translate(images, "AtoB", style_index=1), model.translate(images, "AtoB"))
    translation = model.translate(images, "AtoB")
    torch.testing.assert_close(model.reconstruct(images, "AtoB"), nets["H_a"](nets["E_b"](translation)))


def test_munit_translates_in_many_styles_and_comes_back_in_its_own():
    model = double_model(munit(), tiny_config())
    images, nets = noise_batch(tiny_config())["real_a"], model.networks
    first, again, second = (model.translate(images, "AtoB", style_index=style) for style in (0, 0, 1))
    assert torch.equal(first, again) and (first - second).abs().mean() > 1e-3
    expected = nets["H_a"](nets["C_b"](first), nets["S_a"](images))
    torch.testing.assert_close(model.reconstruct(images, "AtoB"), expected)


@pytest.mark.parametrize("method", BY_HAND, ids=[method.__name__ for method in BY_HAND])
def test_discriminators_move_first_and_judge_what_they_are_shown(method, monkeypatch):
    """The generators' verdicts come from discriminators that were updated on the same fakes."""
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, maps: maps)
    config = tiny_config()
    model, untouched = double_model(method(), config), double_model(method(), config)
    batch = noise_batch(config)
    losses = train_step(model, make_optimizers(model, config), batch, 0, 1e-3)
    before = dict(batch)
    untouched.evaluate(before, ["fake_b", "verdict_fake_b"])
    loss = next(term.function for term in method().terms if term.name == "adversarial_b")
    moved = model.networks["D_b"](before["fake_b"])
    torch.testing.assert_close(losses["adversarial_b"], loss(moved).detach(), rtol=1e-9, atol=0)
    assert (losses["adversarial_b"] - loss(before["verdict_fake_b"])).abs() > 1e-6


@pytest.mark.parametrize("method", [unit, munit], ids=["unit", "munit"])
def test_the_scales_of_layer_norms_start_in_zero_to_one(method):
    model = tiny_model(method(), tiny_config(ngf=16))
    layers = [layer for layer in model.networks["H_a"].modules() if isinstance(layer, LayerNorm)]
    scales = torch.cat([layer.scale.detach() for layer in layers])
    assert len(layers) == 2 and (scales >= 0).all() and (scales <= 1).all()
    assert 0.3 < scales.mean() < 0.7 and scales.std() > 0.15 and not any(layer.shift.any() for layer in layers)


def test_the_tied_form_is_that_of_the_first_code():
    """Zero padding, dropout ½ in residual blocks, weights N(0, .02), biases uniform within 1 / √(fan in)."""
    model = tiny_model(unit_tied(), tiny_config(ngf=16, blocks=4))
    for name in ("E_a", "H_a", "E_shared", "H_shared"):
        layers = list(model.networks[name].modules())
        assert not [layer for layer in layers if isinstance(layer, ReflectionPad2d)]
        drops = [layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)]
        assert drops and set(drops) == {0.5}
        for layer in layers:
            if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d) and layer.weight.numel() > 2000:
                bound = torch.nn.init._calculate_fan_in_and_fan_out(layer.weight)[0] ** -0.5
                assert abs(layer.weight.std() / 0.02 - 1) < 0.1 and layer.bias.abs().max() <= bound
                assert layer.bias.std() > 0.3 * bound
    assert not [layer for layer in model.networks["D_a"].modules() if isinstance(layer, torch.nn.Dropout)]
