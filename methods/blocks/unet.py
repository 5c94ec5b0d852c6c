"""U-Net generator of pix2pix (Isola et al. 2017, appendix 6.1.1)."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from cgbench.errors import CgbenchError
from cgbench.methods.blocks.layers import bias_before, check_size_multiple, contiguous_layout, norm_layer


class UnetGenerator(nn.Module):
    """`downs` downsampling layers to a bottleneck and as many upsampling layers, with a skip connection at each size.

    Published: 8 for 256 pixels, 7 for 128.

    Maps images (N, channels_in, H, W) in [-1, 1] to (N, channels_out, H, W) in [-1, 1]. H and W must be multiples of
    2 ** downs, else `CgbenchError`. Maps have ngf, 2 ngf, 4 ngf, then 8 ngf channels. `dropout` adds
    dropout of 0.5 after each upsampling from 8 ngf to 8 ngf channels, except the innermost.
    """

    def __init__(
        self,
        channels_in: int = 3,
        channels_out: int = 3,
        downs: int = 8,
        ngf: int = 64,
        norm: str = "instance",
        dropout: bool = False,
    ) -> None:
        super().__init__()
        if downs < 1:
            raise CgbenchError(f"a U-Net needs at least one halving, not {downs}")
        self.size_multiple = 2**downs
        widths = [ngf * min(2**depth, 8) for depth in range(downs)]
        innermost = downs - 1
        self.down = nn.ModuleList(
            _down(
                widths[depth - 1] if depth else channels_in,
                widths[depth],
                bias_before(norm),
                outermost=depth == 0,
                # the innermost map can be a single pixel, which has no variance to divide by
                norm=norm if 0 < depth < innermost else None,
            )
            for depth in range(downs)
        )
        self.up = nn.ModuleList(
            _up(
                widths[depth] * (1 if depth == innermost else 2),
                widths[depth - 1],
                norm,
                dropout=dropout and depth < innermost and widths[depth - 1] == 8 * ngf,
            )
            for depth in range(innermost, 0, -1)
        )
        self.output = nn.Sequential(
            OrderedDict(
                relu=nn.ReLU(),
                conv=nn.ConvTranspose2d(widths[0] * (1 if downs == 1 else 2), channels_out, 4, stride=2, padding=1),
                tanh=nn.Tanh(),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the translations of `images` (N, channels_in, H, W), values in [-1, 1]."""
        check_size_multiple(images, self.size_multiple, self.size_multiple, "the U-Net generator")
        maps = contiguous_layout(images)
        skips = []
        for down in self.down:
            maps = down(maps)
            skips.append(maps)
        skips.pop()  # the bottleneck itself is no skip
        for up in self.up:
            maps = torch.cat([skips.pop(), up(maps)], dim=1)
        return self.output(maps)


def _down(channels_in: int, channels_out: int, bias: bool, outermost: bool, norm: str | None) -> nn.Sequential:
    """Return one downsampling: LeakyReLU (not on the image itself), 4×4 convolution, optional normalisation."""
    layers = OrderedDict() if outermost else OrderedDict(relu=nn.LeakyReLU(0.2))
    layers["conv"] = nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1, bias=bias)
    if norm is not None:
        layers["norm"] = norm_layer(norm, channels_out)
    return nn.Sequential(layers)


def _up(channels_in: int, channels_out: int, norm: str, dropout: bool) -> nn.Sequential:
    """Return one upsampling: ReLU, transposed 4×4 convolution, normalisation, optional dropout."""
    layers = OrderedDict(
        relu=nn.ReLU(),
        conv=nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=bias_before(norm)),
        norm=norm_layer(norm, channels_out),
    )
    if dropout:
        layers["dropout"] = nn.Dropout(0.5)
    return nn.Sequential(layers)
