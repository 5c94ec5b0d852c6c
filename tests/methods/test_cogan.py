"""CoGAN: published sizes, a step against hand-written losses, and the latent search."""

import torch
from torch import nn

from cgbench.config import TrialConfig
from cgbench.methods.blocks.latent_search import nearest_code
from cgbench.methods.blocks.weight_sharing import SharedDiscriminator, SharedGenerator, discriminator_layer
from cgbench.methods.cogan import cogan, generator_widths, judge, last_layer, renderer, smallest_maps
from cgbench.seeds import generator
from helpers.step_equivalence import assert_step
from helpers.tiny_models import double_model, noise_batch, tiny_config, tiny_model


def count(*modules):
    return sum(weight.numel() for module in modules for weight in module.parameters())


def by_hand(nets, batch):
    """The means over the domains; each player has a code of its own."""
    code, shown = (
        torch.from_numpy(generator(0, "noise", name, 0).standard_normal((len(batch["real_a"]), 100)))
        for name in ("code", "shown_code")
    )
    generators, discriminators = 0, 0
    for side in "ab":
        image, seen = (nets[f"G_{side}"](nets["G_shared"](each)) for each in (code, shown))
        verdict = lambda images, side=side: nets["D_shared"](nets[f"D_{side}"](images)).sigmoid()  # noqa: E731
        generators = generators - verdict(image).log().mean() / 2
        for_real, for_seen = verdict(batch[f"real_{side}"]).log().mean(), (1 - verdict(seen.detach())).log().mean()
        discriminators = discriminators - (for_real + for_seen) / 2
    return {
        "discriminators": (discriminators, ("D_a", "D_b", "D_shared")),
        "generators": (generators, ("G_a", "G_b", "G_shared")),
    }


def test_a_step_has_the_gradients_of_the_formula():
    assert_step(cogan(), by_hand)


def test_the_digit_networks_have_the_published_sizes():
    with torch.device("meta"):
        shared = SharedGenerator((1024, 512, 256, 128), smallest=(4, 4), code=100)
        last = [nn.ConvTranspose2d(128, 1, 6, 1, 1) for _ in "ab"]  # 25 to 28 pixels: for digits only
        assert count(shared, *last) == 7_842_694
        discriminators = SharedDiscriminator((20, 50), hidden=500, smallest=(4, 4), outputs=2)
        classes = nn.Conv2d(500, 10, 1)  # the digit classifier, not part of translation
        assert count(discriminators, discriminator_layer(1, 20), discriminator_layer(1, 20), classes) == 432_603


def test_the_renderer_of_64_pixels_has_the_published_widths():
    config = TrialConfig(crop_size=64)
    assert smallest_maps(config) == ((4, 4), 4) and generator_widths(config) == [1024, 512, 256, 128]


def test_it_reaches_any_image_size():
    for height, width in ((16, 16), (36, 36), (64, 64), (72, 72), (32, 48), (40, 16)):
        config = tiny_config(crop_size=height, crop_width=width, load_size=height, load_width=width)
        maps = renderer(config)(torch.zeros(2, 100))
        assert last_layer(config)(maps).shape == (2, 3, height, width)
        assert judge(config)(torch.zeros(2, config.ndf, height // 2, width // 2)).shape == (2, 1)


def test_the_search_finds_the_least_squares_code():
    """A linear renderer has a closed-form solution, which the search approaches."""
    stream = torch.Generator().manual_seed(0)
    matrix = torch.randn(4, 12, generator=stream, dtype=torch.float64)
    target = torch.randn(3, 12, generator=stream, dtype=torch.float64)
    first = torch.randn(3, 4, generator=stream, dtype=torch.float64)
    expected = torch.linalg.lstsq(matrix.T, target.T).solution.T
    code = nearest_code(lambda code: code @ matrix, first, target, steps=400)
    torch.testing.assert_close(code, expected, rtol=0, atol=1e-2)
    assert not code.requires_grad


def test_more_steps_find_nearer_images():
    errors = []
    for steps in (1, 40):
        model = tiny_model(cogan(), tiny_config(search_steps=steps))
        images = noise_batch(tiny_config(), torch.float32)["real_a"]
        errors.append((model.reconstruct(images, "AtoB") - images).square().mean().item())
    assert errors[1] < errors[0]


def test_the_search_depends_on_its_own_image_alone():
    model = double_model(cogan(), tiny_config())
    images = noise_batch(tiny_config())["real_a"]
    together = model.translate(images, "AtoB")
    alone = torch.cat([model.translate(image[None], "AtoB", first_image=row) for row, image in enumerate(images)])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)
    assert not torch.equal(model.translate(images, "AtoB", style_index=1), together)


def test_weights_start_as_published():
    """Glorot's uniform distribution with gain √2, biases 0.1."""
    model = tiny_model(cogan(), tiny_config(**cogan().defaults, ngf=8, ndf=8))
    for network in ("G_shared", "D_shared", "D_a"):
        for layer in model.networks[network].modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
                bound = 2**0.5 * (6 / (fan_in + fan_out)) ** 0.5
                assert layer.weight.abs().max() <= bound and (layer.bias == torch.tensor(0.1)).all()
                if layer.weight.numel() > 1000:
                    assert layer.weight.abs().max() > 0.98 * bound
                    assert abs(layer.weight.std() / (bound / 3**0.5) - 1) < 0.1
