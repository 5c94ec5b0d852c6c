"""Segmentation network, of the scorer and of methods with a segmentor."""

import torch
from torch import nn


def _layer(channels_in: int, channels_out: int) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class SegmentationNet(nn.Module):
    """Images, float (N, channels, H, W) in [-1, 1], to logits (N, classes, H, W); H and W are multiples of 8.

    A small U-Net (Ronneberger et al. 2015) with batch normalisation: four levels with `width`, 2, 4 and 8 times as
    many channels; 3×3 convolutions, two per level down (one at full size) and one per level up.
    """

    def __init__(self, classes: int, width: int, channels: int = 3) -> None:
        super().__init__()
        w1, w2, w3, w4 = width, 2 * width, 4 * width, 8 * width
        pairs = [(w1, w2), (w2, w3), (w3, w4)]
        halve = (nn.Sequential(nn.MaxPool2d(2), _layer(upper, lower), _layer(lower, lower)) for upper, lower in pairs)
        self.down = nn.ModuleList([_layer(channels, w1), *halve])
        pairs.reverse()
        self.rise = nn.ModuleList(nn.ConvTranspose2d(lower, upper, 2, stride=2) for upper, lower in pairs)
        self.up = nn.ModuleList(_layer(2 * upper, upper) for upper, _ in pairs)
        self.head = nn.Conv2d(width, classes, 1)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the deepest feature maps (N, 8 width, H / 8, W / 8), which feature losses compare."""
        for block in self.down:
            x = block(x)
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        for rise, block, skip in zip(self.rise, self.up, reversed(skips[:-1]), strict=True):
            x = block(torch.cat([rise(x), skip], dim=1))
        return self.head(x)
