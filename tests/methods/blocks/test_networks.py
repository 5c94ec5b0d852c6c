"""Networks: published sizes, independent forward passes, float64 gradients, receptive fields, errors."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.builders import generator
from cgbench.methods.blocks.init import initialise, per_sample
from cgbench.methods.blocks.layers import norm_layer
from cgbench.methods.blocks.patchgan import PatchDiscriminator, PixelDiscriminator
from cgbench.methods.blocks.resnet import ResnetGenerator
from cgbench.methods.blocks.unet import UnetGenerator

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other
SMALL = {
    "resnet": lambda norm="instance": ResnetGenerator(ngf=4, blocks=2, norm=norm),
    "unet": lambda norm="instance": UnetGenerator(downs=5, ngf=4, norm=norm),
    "patch": lambda norm="instance": PatchDiscriminator(ndf=4, norm=norm),
    "resnet_antialias": lambda norm="instance": ResnetGenerator(ngf=4, blocks=2, norm=norm, antialias=True),
    "patch_antialias": lambda norm="instance": PatchDiscriminator(ndf=4, norm=norm, antialias=True),
    "pixel": lambda norm="instance": PixelDiscriminator(ndf=4, norm=norm),
}
# Computed by instantiating the public PyTorch code of CycleGAN and pix2pix.
PUBLISHED = [
    (11_378_179, lambda: ResnetGenerator()),
    (7_837_699, lambda: ResnetGenerator(blocks=6)),
    (11_383_427, lambda: ResnetGenerator(norm="batch")),
    (2_850_563, lambda: ResnetGenerator(ngf=32)),
    (715_651, lambda: ResnetGenerator(ngf=16)),
    (180_419, lambda: ResnetGenerator(ngf=8)),
    (45_859, lambda: ResnetGenerator(ngf=4)),
    (2_764_737, lambda: PatchDiscriminator()),
    (2_767_809, lambda: PatchDiscriminator(6)),
    (2_765_633, lambda: PatchDiscriminator(norm="batch")),
    (2_768_705, lambda: PatchDiscriminator(6, norm="batch")),
    (694_241, lambda: PatchDiscriminator(ndf=32)),
    (175_089, lambda: PatchDiscriminator(ndf=16)),
    (44_537, lambda: PatchDiscriminator(ndf=8)),
    (11_517, lambda: PatchDiscriminator(ndf=4)),
    (136_385, lambda: PatchDiscriminator(layers=1)),
    (662_977, lambda: PatchDiscriminator(layers=2)),
    (6_959_553, lambda: PatchDiscriminator(layers=4)),
    (11_154_369, lambda: PatchDiscriminator(layers=5)),
    (15_349_185, lambda: PatchDiscriminator(layers=6)),
    (8_705, lambda: PixelDiscriminator()),
    (54_413_955, lambda: UnetGenerator(downs=8, norm="batch")),
    (54_409_603, lambda: UnetGenerator(downs=8)),
    (41_828_995, lambda: UnetGenerator(downs=7, norm="batch")),
]


def _noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return random values in [-1, 1], the same for each type."""
    stream = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(shape, generator=stream) - 1).to(dtype)


def _small_network(name: str, norm: str = "instance", dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a small network with weights large enough that every layer matters."""
    module = SMALL[name](norm).to(dtype)
    initialise(module, 0, name, std=0.1)
    return module


@pytest.mark.parametrize(("count", "build"), PUBLISHED, ids=[f"{count}" for count, _ in PUBLISHED])
def test_published_parameter_counts(count, build):
    with torch.device("meta"):
        assert sum(weight.numel() for weight in build().parameters()) == count


@pytest.mark.parametrize("name", ["resnet", "resnet_antialias", "unet"])
@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (2, 3, 64, 96)])
def test_generators_keep_shape_and_range(name, shape):
    out = _small_network(name)(_noise(*shape))
    assert out.shape == shape and out.abs().max() <= 1


@pytest.mark.parametrize(("side", "verdicts"), [(256, 30), (128, 14), (64, 6), (24, 1)])
@pytest.mark.parametrize("name", ["patch", "patch_antialias"])
def test_patch_verdicts(name, side, verdicts):
    module = _small_network(name)
    assert module(_noise(1, 3, side, side)).shape == (1, 1, verdicts, verdicts)


def test_pixel_verdicts():
    assert _small_network("pixel")(_noise(2, 3, 20, 28)).shape == (2, 1, 20, 28)


@pytest.mark.parametrize("name", ["patch", "pixel"])
def test_verdicts_are_not_squashed(name):
    module = _small_network(name)
    nn.init.constant_(module.verdict.bias, 5.0)
    assert module(_noise(1, 3, 32, 32)).max() > 2


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_receptive_field(layers, field):
    """Exactly field × field pixels change a verdict. With batch norm, for instance norm reads the whole image."""
    module = PatchDiscriminator(ndf=2, layers=layers, norm="batch").double().eval()
    images = _noise(1, 3, 256, 256, dtype=torch.float64).requires_grad_()
    verdicts = module(images)
    middle = verdicts.shape[-1] // 2
    verdicts[0, 0, middle, middle].backward()
    rows, columns = (images.grad[0].abs().sum(0) > 0).nonzero().T
    assert rows.max() - rows.min() + 1 == field and columns.max() - columns.min() + 1 == field


def test_pixel_verdict_sees_one_pixel():
    module = PixelDiscriminator(ndf=4, norm="batch").eval()
    images = _noise(1, 3, 8, 8).requires_grad_()
    module(images)[0, 0, 3, 5].backward()
    assert (images.grad[0].abs().sum(0) > 0).nonzero().tolist() == [[3, 5]]


def _reference_norm(maps: torch.Tensor) -> torch.Tensor:
    variance, mean = torch.var_mean(maps, dim=(2, 3), keepdim=True, correction=0)
    return (maps - mean) / (variance + 1e-5).sqrt()


def _reference_downsampling(x: torch.Tensor) -> torch.Tensor:
    """Return weighted means (1, 2, 1) around every second pixel, mirrored at the border, along rows and columns."""
    x = F.pad(x, [1] * 4, "reflect")
    x = (x[..., :-2:2] + 2 * x[..., 1:-1:2] + x[..., 2::2]) / 4
    return (x[..., :-2:2, :] + 2 * x[..., 1:-1:2, :] + x[..., 2::2, :]) / 4


def _reference_resnet(weights: list[torch.Tensor], x: torch.Tensor, blocks: int, blur: bool = False) -> torch.Tensor:
    """Return the output of CycleGAN's generator (appendix 7.2) for weights and biases in order; with `blur` of CUT's,
    in which upsampling by [1, 3, 3, 1] with a replicated border is bilinear interpolation."""
    w = iter(zip(weights[::2], weights[1::2], strict=True))
    x = F.relu(_reference_norm(F.conv2d(F.pad(x, [3] * 4, "reflect"), *next(w))))
    for _ in range(2):
        x = F.relu(_reference_norm(F.conv2d(x, *next(w), stride=1 if blur else 2, padding=1)))
        x = _reference_downsampling(x) if blur else x
    for _ in range(blocks):
        y = F.relu(_reference_norm(F.conv2d(F.pad(x, [1] * 4, "reflect"), *next(w))))
        x = x + _reference_norm(F.conv2d(F.pad(y, [1] * 4, "reflect"), *next(w)))
    for _ in range(2):
        if blur:
            x = F.conv2d(F.interpolate(x, scale_factor=2, mode="bilinear"), *next(w), padding=1)
        else:
            x = F.conv_transpose2d(x, *next(w), stride=2, padding=1, output_padding=1)
        x = F.relu(_reference_norm(x))
    return torch.tanh(F.conv2d(F.pad(x, [3] * 4, "reflect"), *next(w)))


def _reference_unet(weights: list[torch.Tensor], x: torch.Tensor, downs: int) -> torch.Tensor:
    """Return the output of pix2pix's generator (appendix 6.1.1), by recursion from the outermost layer."""
    w = list(zip(weights[::2], weights[1::2], strict=True))

    def level(x: torch.Tensor, depth: int) -> torch.Tensor:
        y = F.conv2d(x if depth == 0 else F.leaky_relu(x, 0.2), *w[depth], stride=2, padding=1)
        if depth < downs - 1:
            if depth > 0:
                y = _reference_norm(y)
            y = level(y, depth + 1)
        y = F.conv_transpose2d(F.relu(y), *w[2 * downs - 1 - depth], stride=2, padding=1)
        return torch.tanh(y) if depth == 0 else torch.cat([x, _reference_norm(y)], 1)

    return level(x, 0)


def _reference_patch(weights: list[torch.Tensor], x: torch.Tensor, layers: int, blur: bool = False) -> torch.Tensor:
    """Return the output of pix2pix's discriminator (appendix 6.1.2); with `blur` of CUT's, with a strided blur."""
    w, stride = list(zip(weights[::2], weights[1::2], strict=True)), 1 if blur else 2
    x = F.leaky_relu(F.conv2d(x, *w[0], stride=stride, padding=1), 0.2)
    for depth in range(1, layers + 1):
        x = _reference_downsampling(x) if blur else x
        x = F.conv2d(x, *w[depth], stride=stride if depth < layers else 1, padding=1)
        x = F.leaky_relu(_reference_norm(x), 0.2)
    return F.conv2d(x, *w[layers + 1], padding=1)


def _reference_pixel(weights: list[torch.Tensor], x: torch.Tensor, layers: int) -> torch.Tensor:
    x = F.leaky_relu(F.conv2d(x, *weights[:2]), 0.2)
    return F.conv2d(F.leaky_relu(_reference_norm(F.conv2d(x, *weights[2:4])), 0.2), *weights[4:])


@pytest.mark.parametrize(
    ("name", "plain", "depth"),
    [
        ("resnet", _reference_resnet, 2),
        ("resnet_antialias", partial(_reference_resnet, blur=True), 2),
        ("unet", _reference_unet, 5),
        ("patch", _reference_patch, 3),
        ("patch_antialias", partial(_reference_patch, blur=True), 3),
        ("pixel", _reference_pixel, 2),
    ],
)
def test_equal_to_a_reference_forward_pass(name, plain, depth):
    module = _small_network(name, dtype=torch.float64)
    for weight in module.parameters():
        nn.init.normal_(weight, 0, 0.1)  # biases too
    images = _noise(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(module(images), plain(list(module.parameters()), images, depth), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["resnet", "patch"])
def test_antialiasing_adds_nothing_to_what_is_saved(name):
    """The kernels of the blurs are constants: a checkpoint has the same keys with and without them."""
    assert list(_small_network(f"{name}_antialias").state_dict()) == list(_small_network(name).state_dict())


def _gradients(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return all gradients of a weighted sum of the output as one vector, that of the images first."""
    images = images.clone(memory_format=torch.preserve_format).requires_grad_()
    out = module(images)
    loss = (out * _noise(*out.shape, seed=1, dtype=out.dtype)).sum()
    grads = torch.autograd.grad(loss, [images, *module.parameters()])
    return torch.cat([grad.flatten() for grad in grads])


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("name", list(SMALL))
def test_gradients_in_float32_are_right(name, batch):
    """Against float64. With a batch of one, torch's channels-last instance norm has a relative error of 1."""
    images = _noise(batch, 3, 32, 32, dtype=torch.float64)
    exact = _gradients(_small_network(name, dtype=torch.float64), images)
    single = _gradients(_small_network(name), images.float()).double()
    assert (single - exact).norm() < 1e-4 * exact.norm()


@pytest.mark.parametrize("name", list(SMALL))
def test_layout_of_the_images_changes_no_bit(name):
    images = _noise(1, 3, 32, 32)
    permuted = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    module = _small_network(name)
    assert not permuted.is_contiguous()
    assert torch.equal(module(images), module(permuted))
    assert torch.equal(_gradients(module, images), _gradients(module, permuted))


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("name", list(SMALL))
def test_per_sample_says_what_is_true(name, norm):
    """With instance norm an output does not depend on the rest of the batch, with batch norm it does."""
    module = _small_network(name, norm, torch.float64)
    image, second_image = _noise(2, 1, 3, 32, 32, dtype=torch.float64)
    batches = torch.cat([image, image]), torch.cat([image, second_image])
    first, second = (module(batch)[0] for batch in batches)
    assert per_sample(module) == torch.allclose(first, second, rtol=1e-12, atol=1e-12) == (norm == "instance")


def test_dropout_is_not_per_sample():
    assert not per_sample(ResnetGenerator(ngf=2, blocks=1, dropout=True))
    assert not per_sample(UnetGenerator(downs=5, ngf=2, dropout=False, norm="batch"))
    assert per_sample(nn.Sequential(nn.Dropout(0.0)))


def _dropouts(module: nn.Module) -> list[str]:
    return [key for key, layer in module.named_modules() if isinstance(layer, nn.Dropout)]


def test_dropout_in_the_published_places():
    """pix2pix: after the three upsamplings above the innermost one (two for 128 pixels); ResNet: once in each block."""
    with torch.device("meta"):
        assert _dropouts(UnetGenerator(downs=8, ngf=2, dropout=True)) == [
            "up.1.dropout",
            "up.2.dropout",
            "up.3.dropout",
        ]
        assert _dropouts(UnetGenerator(downs=7, ngf=2, dropout=True)) == ["up.1.dropout", "up.2.dropout"]
        assert len(_dropouts(ResnetGenerator(ngf=2, blocks=6, dropout=True))) == 6
        assert not _dropouts(ResnetGenerator(ngf=2)) + _dropouts(UnetGenerator(ngf=2))


@pytest.mark.parametrize("downs", [1, 2, 3])
def test_shallow_unets(downs):
    side = 2**downs
    assert UnetGenerator(downs=downs, ngf=2)(_noise(1, 3, side, 3 * side)).shape == (1, 3, side, 3 * side)


@pytest.mark.parametrize(
    ("build", "shape", "message"),
    [
        (SMALL["resnet"], (1, 3, 32, 30), "multiples of 4.*not 32×30.*crop_size"),
        (SMALL["resnet"], (1, 3, 4, 4), "at least 8 pixels.*not 4×4"),
        (SMALL["resnet"], (3, 32, 32), r"\(N, C, H, W\), not \(3, 32, 32\)"),
        (SMALL["unet"], (1, 3, 48, 32), "multiples of 32.*not 48×32"),
        (SMALL["unet"], (1, 3, 16, 16), "multiples of 32.*not 16×16"),
        (SMALL["patch"], (1, 3, 64, 23), "3 strided layers.*at least 24×24.*not 64×23.*discriminator_layers"),
        (SMALL["pixel"], (1, 3, 1, 1), "at least 2×2.*not 1×1"),
    ],
)
def test_unfit_images_are_refused(build, shape, message):
    with pytest.raises(CgbenchError, match=message):
        build()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: norm_layer("instanse", 4), "did you mean 'instance'"),  # codespell:ignore instanse
        (lambda: UnetGenerator(downs=0), "at least one halving"),
        (lambda: PatchDiscriminator(layers=0), "at least one strided layer"),
        (lambda: generator(TrialConfig(generator="unet"), antialias=True), "generator=resnet, not unet"),
        (lambda: generator(TrialConfig(generator="unet", crop_size=96)), "power of two, not 96: set it to 64 or 128"),
    ],
)
def test_unfit_choices_are_refused(build, message):
    with pytest.raises(CgbenchError, match=message):
        build()


@pytest.mark.parametrize("name", list(SMALL))
def test_smallest_images_work(name):
    side = {"resnet": 8, "unet": 32, "patch": 24, "pixel": 2}[name.removesuffix("_antialias")]
    assert _gradients(_small_network(name), _noise(1, 3, side, side)).isfinite().all()
