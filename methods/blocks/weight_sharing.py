"""Networks of CoGAN (Liu and Tuzel 2016, appendix A): layers that two domains share, and those that each has alone."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class SharedRenderer(nn.Module):
    """Codes (N, code) to maps (N, widths[-1], side, side): one map of `smallest` pixels, then a doubling per width.

    Transposed convolutions with batch norm (without weights) and PReLU. The paper's digits have the widths 1024, 512,
    256 and 128 and lead from 4 to 25 pixels; doublings here are exact.
    """

    def __init__(self, widths: Sequence[int], smallest: int, code: int) -> None:
        super().__init__()
        layers = _rendered(nn.ConvTranspose2d(code, widths[0], smallest))
        for ins, outs in pairwise(widths):
            layers += _rendered(nn.ConvTranspose2d(ins, outs, 3, 2, 1, output_padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the maps of `codes` (N, code)."""
        return self.layers(codes[:, :, None, None])


class SharedJudge(nn.Module):
    """Maps (N, widths[0], H, W) to logits (N, outputs): a halving layer per further width, then one convolution of the
    whole map of `smallest` pixels with `hidden` channels.

    The paper's digits have the widths 20 and 50, hidden 500, and two outputs with a softmax; one logit says the same.
    """

    def __init__(self, widths: Sequence[int], hidden: int, smallest: int, outputs: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for ins, outs in pairwise(widths):
            layers += judging_layer(ins, outs)
        layers += [nn.Conv2d(widths[-1], hidden, smallest), nn.PReLU(), nn.Conv2d(hidden, outputs, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the logits of `maps`."""
        return self.layers(maps).flatten(1)


def rendering_layer(ins: int, channels: int) -> nn.Sequential:
    """Return a domain's last doubling: maps (N, ins, H, W) to images (N, channels, 2 H, 2 W) in [-1, 1]."""
    return nn.Sequential(nn.ConvTranspose2d(ins, channels, 4, 2, 1), nn.Tanh())


def judging_layer(ins: int, outs: int) -> nn.Sequential:
    """Return a 5×5 convolution and a 2×2 maximum: (N, ins, H, W) to (N, outs, H / 2, W / 2)."""
    return nn.Sequential(nn.Conv2d(ins, outs, 5, padding=2), nn.MaxPool2d(2))


def _rendered(layer: nn.ConvTranspose2d) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(layer.out_channels, affine=False), nn.PReLU()]
