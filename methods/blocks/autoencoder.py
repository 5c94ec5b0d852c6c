"""Encoders and decoders of UNIT (Liu et al. 2017, arXiv 1703.00848) and MUNIT (Huang et al. 2018, arXiv 1804.04732).

Maps of the latent space have 4 ngf channels and a quarter of the image's side.
"""

from collections import OrderedDict

from torch import Tensor, nn

from cgbench.methods.blocks.layers import MIN_SIDE, check_size_multiple, contiguous_layout
from cgbench.methods.blocks.narrow_conv import NarrowConv2d
from cgbench.methods.blocks.norm import InstanceNorm2d, LayerNorm, instance_norm
from cgbench.methods.blocks.reflection_pad import ReflectionPad2d
from cgbench.methods.blocks.resnet import ResnetBlock


class ContentEncoder(nn.Module):
    """A 7×7 convolution with `ngf` channels, two strided convolutions, residual blocks; instance norm throughout.

    Maps images (N, channels, H, W) in [-1, 1] to (N, 4 ngf, H / 4, W / 4), of any range. H and W must be multiples of 4
    and at least 8, else `CgbenchError`. As in MUNIT's code: strided convolutions of 4 × 4, reflection padding. `first`
    is the form of UNIT's first code: 3 × 3, padding with zeros, dropout in the residual blocks.
    """

    size_multiple = 4

    def __init__(self, ngf: int = 64, blocks: int = 4, first: bool = False, channels: int = 3) -> None:
        super().__init__()
        kernel = 3 if first else 4
        self.stem = _with_norm(nn.Conv2d(channels, ngf, 7), pad=3, zeros=first)
        self.down1 = _with_norm(nn.Conv2d(ngf, 2 * ngf, kernel, stride=2), pad=1, zeros=first)
        self.down2 = _with_norm(nn.Conv2d(2 * ngf, 4 * ngf, kernel, stride=2), pad=1, zeros=first)
        self.blocks = residual_blocks(ngf, blocks, first)

    def forward(self, images: Tensor) -> Tensor:
        """Return the content of `images` (N, channels, H, W)."""
        check_size_multiple(images, self.size_multiple, MIN_SIDE, "the content encoder")
        return self.blocks(self.down2(self.down1(self.stem(contiguous_layout(images)))))


class StyleEncoder(nn.Module):
    """A 7×7 convolution, `halvings` 4×4 convolutions of stride 2, global mean, 1×1 convolution to `size` numbers.

    Maps images (N, channels, H, W) to (N, size). No normalisation: it would remove the means and deviations that make
    up the style. Widths are ngf, 2 ngf, then 4 ngf. Sides must be at least 2 ** halvings.
    """

    def __init__(self, ngf: int = 64, size: int = 8, halvings: int = 4, channels: int = 3) -> None:
        super().__init__()
        layers = [ReflectionPad2d(3), nn.Conv2d(channels, ngf, 7), nn.ReLU(inplace=True)]
        width = ngf
        for _ in range(halvings):
            next_width = min(2 * width, 4 * ngf)
            layers += [ReflectionPad2d(1), nn.Conv2d(width, next_width, 4, stride=2), nn.ReLU(inplace=True)]
            width = next_width
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, size, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the style codes of `images` (N, channels, H, W)."""
        return self.layers(contiguous_layout(images)).flatten(1)


class Decoder(nn.Module):
    """Residual blocks with instance norm, then `ImageDecoder`.

    Maps codes (N, 4 ngf, h, w) to images (N, channels, 4 h, 4 w) in [-1, 1].
    """

    def __init__(self, ngf: int = 64, blocks: int = 4, channels: int = 3) -> None:
        super().__init__()
        self.blocks = residual_blocks(ngf, blocks)
        self.painter = ImageDecoder(ngf, channels)  # the name is part of the keys of checkpoints

    def forward(self, codes: Tensor) -> Tensor:
        """Return the images, in [-1, 1], of `codes`."""
        return self.painter(self.blocks(codes))


class TransposedDecoder(nn.Module):
    """Residual blocks, two transposed convolutions 3×3, a 1×1 convolution: the decoder of UNIT's first code.

    Maps codes (N, 4 ngf, h, w) to images (N, channels, 4 h, 4 w) in [-1, 1].
    """

    def __init__(self, ngf: int = 64, blocks: int = 3, channels: int = 3) -> None:
        super().__init__()
        self.blocks = residual_blocks(ngf, blocks, first=True)
        self.up1 = _with_norm(nn.ConvTranspose2d(4 * ngf, 2 * ngf, 3, stride=2, padding=1, output_padding=1))
        self.up2 = _with_norm(nn.ConvTranspose2d(2 * ngf, ngf, 3, stride=2, padding=1, output_padding=1))
        self.output = nn.Sequential(OrderedDict(conv=nn.Conv2d(ngf, channels, 1), tanh=nn.Tanh()))

    def forward(self, codes: Tensor) -> Tensor:
        """Return the images, in [-1, 1], of `codes`."""
        return self.output(self.up2(self.up1(self.blocks(codes))))


class StyledDecoder(nn.Module):
    """Residual blocks with adaptive instance norm, then `ImageDecoder` (Huang et al. 2018).

    Maps contents (N, 4 ngf, h, w) and styles (N, size) to images (N, channels, 4 h, 4 w) in [-1, 1]. `mlp` computes
    shift, scale, shift and scale of every block, each of 4 ngf numbers.
    """

    def __init__(self, ngf: int = 64, blocks: int = 4, size: int = 8, channels: int = 3) -> None:
        super().__init__()
        width = 4 * ngf
        self.mlp = nn.Sequential(
            nn.Linear(size, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, 4 * width * blocks),
        )
        self.blocks = nn.ModuleList(StyledBlock(width) for _ in range(blocks))
        self.painter = ImageDecoder(ngf, channels)  # the name is part of the keys of checkpoints

    def forward(self, contents: Tensor, styles: Tensor) -> Tensor:
        """Return the images of `contents` in `styles`."""
        maps = contents
        for block, affine in zip(self.blocks, self.mlp(styles).chunk(len(self.blocks), dim=1), strict=True):
            maps = block(maps, *affine.chunk(4, dim=1))
        return self.painter(maps)


class StyledBlock(nn.Module):
    """A residual block (N, C, H, W) → same shape with two 3×3 convolutions, each followed by `adain`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = ReflectionPad2d(1)
        self.conv1 = nn.Conv2d(channels, channels, 3)
        self.conv2 = nn.Conv2d(channels, channels, 3)

    def forward(self, maps: Tensor, shift1: Tensor, scale1: Tensor, shift2: Tensor, scale2: Tensor) -> Tensor:
        """Return `maps` plus their residual; shifts and scales are (N, C)."""
        residual = adain(self.conv1(self.pad(maps)), shift1, scale1).relu()
        return maps + adain(self.conv2(self.pad(residual)), shift2, scale2)


class ImageDecoder(nn.Module):
    """Maps (N, 4 ngf, h, w) to images (N, channels, 4 h, 4 w) in [-1, 1].

    Twice: nearest-neighbour upsampling, 5×5 convolution to half the channels, `LayerNorm`, ReLU; then 7×7 and tanh.
    """

    def __init__(self, ngf: int, channels: int = 3) -> None:
        super().__init__()
        self.up1 = _upsampling(4 * ngf)
        self.up2 = _upsampling(2 * ngf)
        self.output = nn.Sequential(
            OrderedDict(pad=ReflectionPad2d(3), conv=NarrowConv2d(ngf, channels, 7), tanh=nn.Tanh())
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return the images of `maps`."""
        return self.output(self.up2(self.up1(maps)))


def adain(maps: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Return scale · (x - mean(x)) / std(x) + shift of maps x (N, C, H, W), for each image and channel separately.

    Huang and Belongie 2017, equation 8; `shift` and `scale` (N, C) stand for mean and deviation of the style.
    """
    return instance_norm(maps) * scale[:, :, None, None] + shift[:, :, None, None]


def residual_blocks(ngf: int, count: int, first: bool = False) -> nn.Sequential:
    """Return `count` residual blocks with instance norm, of 4 ngf channels; a count of 0 gives the identity. `first` is
    the form of UNIT's first code: padding with zeros, and dropout of one half."""
    return nn.Sequential(*(ResnetBlock(4 * ngf, "instance", dropout=first, zeros=first) for _ in range(count)))


def _with_norm(conv: nn.Conv2d | nn.ConvTranspose2d, pad: int = 0, zeros: bool = False) -> nn.Sequential:
    """Return padding by reflection or with `zeros` if `pad` is not 0, convolution, instance norm and ReLU."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if pad:
        layers["pad"] = nn.ZeroPad2d(pad) if zeros else ReflectionPad2d(pad)
    layers.update(conv=conv, norm=InstanceNorm2d(conv.out_channels), relu=nn.ReLU(inplace=True))
    return nn.Sequential(layers)


def _upsampling(channels: int) -> nn.Sequential:
    """Return nearest-neighbour upsampling, 5×5 convolution to half the channels, `LayerNorm` and ReLU."""
    half = channels // 2
    return nn.Sequential(
        OrderedDict(
            twice=nn.Upsample(scale_factor=2, mode="nearest"),
            pad=ReflectionPad2d(2),
            conv=nn.Conv2d(channels, half, 5),
            norm=LayerNorm(half),
            relu=nn.ReLU(inplace=True),
        )
    )
