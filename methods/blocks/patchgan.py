"""PatchGAN and PixelGAN discriminators (Isola et al. 2017, appendix 6.1.2; CycleGAN uses the PatchGAN of 70 pixels)."""

from collections import OrderedDict

from torch import Tensor, nn

from cgbench.errors import CgbenchError
from cgbench.methods.blocks.antialiased_resampling import BlurDownsample
from cgbench.methods.blocks.layers import bias_before, check_min_size, contiguous_layout, norm_layer


class PatchDiscriminator(nn.Module):
    """The PatchGAN: C64-C128-C256-C512 and one verdict per patch, for `ndf` = 64 and `layers` = 3 strided layers.

    Maps images (N, channels, H, W) in [-1, 1] to raw verdicts (N, 1, h, w), without a sigmoid; h = H / 2 ** layers - 2
    (256 → 30, 128 → 14). Each verdict sees 70×70 pixels with 3 strided layers (16, 34, 70, 142, 286, 574 with 1 to 6).
    Sides shorter than 3 · 2 ** layers raise `CgbenchError`. `antialias` selects antialiased downsampling, as in CUT.
    """

    def __init__(
        self, channels: int = 3, ndf: int = 64, layers: int = 3, norm: str = "instance", antialias: bool = False
    ) -> None:
        super().__init__()
        if layers < 1:
            raise CgbenchError(f"a PatchGAN needs at least one strided layer, not {layers}: see discriminator_layers")
        self.layers = layers
        widths = [ndf * min(2**depth, 8) for depth in range(layers + 1)]
        self.first = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(channels, ndf, 4, stride=1 if antialias else 2, padding=1),
                relu=nn.LeakyReLU(0.2, inplace=True),
                **_blur_layer(antialias),
            )
        )
        self.strided = nn.Sequential(
            *(_with_norm(widths[depth - 1], widths[depth], norm, 2, antialias) for depth in range(1, layers))
        )
        self.last = _with_norm(widths[layers - 1], widths[layers], norm, stride=1)
        self.verdict = nn.Conv2d(widths[layers], 1, 4, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return one raw verdict per patch of `images` (N, channels, H, W)."""
        check_min_size(
            images,
            3 * 2**self.layers,
            f"the PatchGAN with {self.layers} strided layers",
            "choose a larger crop_size or fewer discriminator_layers",
        )
        return self.verdict(self.last(self.strided(self.first(contiguous_layout(images)))))


class PixelDiscriminator(nn.Module):
    """The PixelGAN, a 1×1 PatchGAN: C64-C128 of 1×1 convolutions and one raw verdict per pixel.

    Maps images (N, channels, H, W) in [-1, 1] to (N, 1, H, W). Sides shorter than 2 raise `CgbenchError`. With batch
    norm the last convolution has no bias, as in the public code, although no norm follows it.
    """

    def __init__(self, channels: int = 3, ndf: int = 64, norm: str = "instance") -> None:
        super().__init__()
        self.first = nn.Sequential(OrderedDict(conv=nn.Conv2d(channels, ndf, 1), relu=nn.LeakyReLU(0.2, inplace=True)))
        self.second = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(ndf, 2 * ndf, 1, bias=bias_before(norm)),
                norm=norm_layer(norm, 2 * ndf),
                relu=nn.LeakyReLU(0.2, inplace=True),
            )
        )
        self.verdict = nn.Conv2d(2 * ndf, 1, 1, bias=bias_before(norm))

    def forward(self, images: Tensor) -> Tensor:
        """Return one raw verdict per pixel of `images` (N, channels, H, W)."""
        check_min_size(images, 2, "the PixelGAN", "choose a larger crop_size")
        return self.verdict(self.second(self.first(contiguous_layout(images))))


def _blur_layer(antialias: bool) -> dict[str, nn.Module]:
    return {"blur": BlurDownsample()} if antialias else {}


def _with_norm(channels_in: int, channels_out: int, norm: str, stride: int, antialias: bool = False) -> nn.Sequential:
    """Return 4×4 convolution, normalisation and LeakyReLU; with `antialias` a strided blur follows."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(
                channels_in, channels_out, 4, stride=1 if antialias else stride, padding=1, bias=bias_before(norm)
            ),
            norm=norm_layer(norm, channels_out),
            relu=nn.LeakyReLU(0.2, inplace=True),
            **_blur_layer(antialias),
        )
    )
