"""Reflection padding with a deterministic gradient on request."""

import torch
from torch import Tensor, nn


class ReflectionPad2d(nn.ReflectionPad2d):
    """torch's layer; its gradient on a GPU adds in no fixed order, so deterministic mode concatenates slices."""

    def forward(self, input: Tensor) -> Tensor:
        if input.is_cuda and torch.are_deterministic_algorithms_enabled():
            return reflection_pad(input, *self.padding)
        if input.dtype != torch.bfloat16:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):  # autocast would cast to float32 without need
            return super().forward(input)


def reflection_pad(image: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """Return an image with mirrored borders; the edge pixel itself is not repeated.

    Args:
        image: (N, C, H, W).
        left: Columns to add on the left.
        right: Columns to add on the right.
        top: Rows to add above.
        bottom: Rows to add below.

    Returns:
        (N, C, H + top + bottom, W + left + right).
    """
    return _pad_axis(_pad_axis(image, 3, left, right), 2, top, bottom)


def _pad_axis(image: Tensor, axis: int, before: int, after: int) -> Tensor:
    size = image.shape[axis]
    first = image.narrow(axis, 1, before).flip(axis)
    last = image.narrow(axis, size - 1 - after, after).flip(axis)
    return torch.cat([first, image, last], axis)
