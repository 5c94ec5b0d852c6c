"""ResNet generator of CycleGAN (Zhu et al. 2017, appendix 7.2, after Johnson et al. 2016)."""

from collections import OrderedDict

from torch import Tensor, nn

from cgbench.methods.blocks.antialiased_resampling import BlurDownsample, BlurUpsample
from cgbench.methods.blocks.layers import MIN_SIDE, bias_before, check_size_multiple, contiguous_layout, norm_layer
from cgbench.methods.blocks.narrow_conv import NarrowConv2d
from cgbench.methods.blocks.reflection_pad import ReflectionPad2d

TAPPED_BLOCK = 5  # the deepest residual block whose output CUT compares


class ResnetGenerator(nn.Module):
    """c7s1-64, d128, d256, R256 × `blocks`, u128, u64, c7s1-3 in the notation of the paper, for `ngf` = 64.

    Maps images (N, channels_in, H, W) in [-1, 1] to (N, channels_out, H, W) in [-1, 1]. H and W must be multiples of 4
    and at least 8, else `CgbenchError`. The paper uses 6 blocks for 128 pixels and 9 for 256, and no dropout. With
    `antialias`, down- and upsampling are antialiased, as in CUT; the number of weights is the same.
    """

    size_multiple = 4

    def __init__(
        self,
        channels_in: int = 3,
        channels_out: int = 3,
        ngf: int = 64,
        blocks: int = 9,
        norm: str = "instance",
        dropout: bool = False,
        antialias: bool = False,
    ) -> None:
        super().__init__()
        bias = bias_before(norm)
        self.stem = _with_norm(nn.Conv2d(channels_in, ngf, 7, bias=bias), norm, ngf, pad=3)
        self.down1 = _downsampling(ngf, norm, antialias)
        self.down2 = _downsampling(2 * ngf, norm, antialias)
        self.blocks = nn.Sequential(*(ResnetBlock(4 * ngf, norm, dropout) for _ in range(blocks)))
        self.up1 = _upsampling(4 * ngf, norm, antialias)
        self.up2 = _upsampling(2 * ngf, norm, antialias)
        self.output = nn.Sequential(
            OrderedDict(pad=ReflectionPad2d(3), conv=NarrowConv2d(ngf, channels_out, 7), tanh=nn.Tanh())
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the translations of `images` (N, channels_in, H, W), values in [-1, 1]."""
        check_size_multiple(images, self.size_multiple, MIN_SIDE, "the ResNet generator")
        maps = self.down2(self.down1(self.stem(contiguous_layout(images))))
        return self.output(self.up2(self.up1(self.blocks(maps))))

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return five maps of the encoder, the taps of CUT (Park et al. 2020, §3).

        The padded images, both downsampling convolutions before their normalisation, and the outputs of the first
        residual block and of the fifth, or of the last if there are fewer; with a single block, four maps.
        """
        check_size_multiple(images, self.size_multiple, MIN_SIDE, "the ResNet generator")
        maps = padded = self.stem.pad(contiguous_layout(images))
        for layer in list(self.stem)[1:]:
            maps = layer(maps)
        taps = [padded]
        for downsampling in (self.down1, self.down2):
            maps = downsampling.conv(maps)
            taps.append(maps)
            for layer in list(downsampling)[1:]:
                maps = layer(maps)
        for number, block in enumerate(self.blocks[:TAPPED_BLOCK], 1):
            maps = block(maps)
            if number in (1, TAPPED_BLOCK, len(self.blocks)):
                taps.append(maps)
        return tuple(taps)


def tap_widths(ngf: int, blocks: int, channels: int = 3) -> list[int]:
    """Return the channels of the maps of `ResnetGenerator.features` for images of `channels` channels."""
    return [channels, 2 * ngf, 4 * ngf, *[4 * ngf] * min(blocks, 2)]


class ResnetBlock(nn.Module):
    """A residual block (N, C, H, W) → same shape: two 3×3 convolutions, identity skip, no ReLU after the sum.

    Padding is by reflection, or with `zeros`; `dropout` of one half is between the convolutions, as in CycleGAN's
    public code.
    """

    def __init__(self, channels: int, norm: str, dropout: bool = False, zeros: bool = False) -> None:
        super().__init__()
        bias = bias_before(norm)
        pad = nn.ZeroPad2d if zeros else ReflectionPad2d
        layers = OrderedDict(
            pad1=pad(1),
            conv1=nn.Conv2d(channels, channels, 3, bias=bias),
            norm1=norm_layer(norm, channels),
            relu=nn.ReLU(inplace=True),
        )
        if dropout:
            layers["dropout"] = nn.Dropout(0.5)
        layers["pad2"] = pad(1)
        layers["conv2"] = nn.Conv2d(channels, channels, 3, bias=bias)
        layers["norm2"] = norm_layer(norm, channels)
        self.residual = nn.Sequential(layers)

    def forward(self, maps: Tensor) -> Tensor:
        """Return `maps` plus their residual."""
        return maps + self.residual(maps)


def _with_norm(conv: nn.Module, norm: str, channels: int, pad: int = 0) -> nn.Sequential:
    """Return reflection padding if `pad` is not 0, convolution, normalisation and ReLU."""
    layers = OrderedDict(pad=ReflectionPad2d(pad)) if pad else OrderedDict()
    layers.update(conv=conv, norm=norm_layer(norm, channels), relu=nn.ReLU(inplace=True))
    return nn.Sequential(layers)


def _downsampling(channels: int, norm: str, antialias: bool) -> nn.Sequential:
    """Return a 3×3 convolution to twice the channels and half the sides: strided or before antialiased downsampling."""
    stride = 1 if antialias else 2
    conv = nn.Conv2d(channels, 2 * channels, 3, stride=stride, padding=1, bias=bias_before(norm))
    layers = _with_norm(conv, norm, 2 * channels)
    if antialias:
        layers.add_module("blur", BlurDownsample())
    return layers


def _upsampling(channels: int, norm: str, antialias: bool) -> nn.Sequential:
    """Return a 3×3 convolution to half the channels and twice the sides: transposed or after antialiased upsampling."""
    bias, half = bias_before(norm), channels // 2
    if antialias:
        layers = _with_norm(nn.Conv2d(channels, half, 3, padding=1, bias=bias), norm, half)
        return nn.Sequential(OrderedDict(blur=BlurUpsample(), **dict(layers.named_children())))
    conv = nn.ConvTranspose2d(channels, half, 3, stride=2, padding=1, output_padding=1, bias=bias)
    return _with_norm(conv, norm, half)
