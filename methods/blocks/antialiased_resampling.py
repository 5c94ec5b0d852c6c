"""Antialiased down- and upsampling of feature maps by a factor of 2 (Zhang 2019, arXiv 1904.11486).

CUT uses them in both networks in place of strided and transposed convolutions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class BlurDownsample(nn.Module):
    """Maps (N, C, H, W) to (N, C, ⌈H / 2⌉, ⌈W / 2⌉): reflection padding, separable blur [1, 2, 1] / 4, stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _outer(torch.tensor([1.0, 2.0, 1.0]) / 4), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the downsampled maps."""
        channels = maps.shape[1]
        padded = functional.pad(maps, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(padded, self.kernel.expand(channels, 1, 3, 3), stride=2, groups=channels)


class BlurUpsample(nn.Module):
    """Maps (N, C, H, W) to (N, C, 2 H, 2 W): replicated border, zero insertion, separable blur [1, 3, 3, 1] / 4."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _outer(torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the upsampled maps."""
        channels = maps.shape[1]
        padded = functional.pad(maps, (1, 1, 1, 1), mode="replicate")
        kernel = self.kernel.expand(channels, 1, 4, 4)
        upsampled = functional.conv_transpose2d(padded, kernel, stride=2, padding=2, groups=channels)
        return upsampled[:, :, 1:-1, 1:-1]


def _outer(row: Tensor) -> Tensor:
    return torch.outer(row, row)[None, None]
