"""Networks of CoGAN (Liu and Tuzel 2016, appendix A): layers shared by both domains, and those of one domain."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class SharedGenerator(nn.Module):
    """Codes (N, code) to maps (N, widths[-1], H, W): maps of height and width `smallest`, then an upsampling per width.

    Transposed convolutions with batch norm (without weights) and PReLU. The paper's digits have the widths 1024, 512,
    256 and 128 and lead from 4 to 25 pixels; here each upsampling doubles both sides exactly.
    """

    def __init__(self, widths: Sequence[int], smallest: tuple[int, int], code: int) -> None:
        super().__init__()
        layers = _upsampling(nn.ConvTranspose2d(code, widths[0], smallest))
        for channels_in, channels_out in pairwise(widths):
            layers += _upsampling(nn.ConvTranspose2d(channels_in, channels_out, 3, 2, 1, output_padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the maps of `codes` (N, code)."""
        return self.layers(codes[:, :, None, None])


class SharedDiscriminator(nn.Module):
    """Maps (N, widths[0], H, W) to logits (N, outputs): a downsampling layer per further width, then a convolution of
    the whole map, of height and width `smallest`, with `hidden` channels.

    The paper's digits have the widths 20 and 50, hidden 500, and two outputs with a softmax; one logit is equivalent.
    """

    def __init__(self, widths: Sequence[int], hidden: int, smallest: tuple[int, int], outputs: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels_in, channels_out in pairwise(widths):
            layers += discriminator_layer(channels_in, channels_out)
        layers += [nn.Conv2d(widths[-1], hidden, smallest), nn.PReLU(), nn.Conv2d(hidden, outputs, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the logits of `maps`."""
        return self.layers(maps).flatten(1)


def generator_layer(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return a domain's last upsampling: (N, channels_in, H, W) to images (N, channels_out, 2 H, 2 W) in [-1, 1]."""
    return nn.Sequential(nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1), nn.Tanh())


def discriminator_layer(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return 5×5 convolution and 2×2 max pooling: (N, channels_in, H, W) to (N, channels_out, H / 2, W / 2)."""
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 5, padding=2), nn.MaxPool2d(2))


def _upsampling(layer: nn.ConvTranspose2d) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(layer.out_channels, affine=False), nn.PReLU()]
