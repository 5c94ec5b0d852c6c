"""Reflection padding that can also repeat its gradients bit for bit."""

import torch
from torch import Tensor, nn


class ReflectionPad2d(nn.ReflectionPad2d):
    """As torch's. Its gradient on a GPU adds in no fixed order; where determinism is asked for, parts are joined."""

    def forward(self, input: Tensor) -> Tensor:
        if input.is_cuda and torch.are_deterministic_algorithms_enabled():
            return reflected(input, *self.padding)
        if input.dtype != torch.bfloat16:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):  # it would make float32 of what pads as well as it is
            return super().forward(input)


def reflected(image: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """Return `image` (N, C, H, W) with mirrored borders; the edge itself is not repeated."""
    return _mirrored(_mirrored(image, 3, left, right), 2, top, bottom)


def _mirrored(image: Tensor, axis: int, before: int, after: int) -> Tensor:
    size = image.shape[axis]
    first = image.narrow(axis, 1, before).flip(axis)
    last = image.narrow(axis, size - 1 - after, after).flip(axis)
    return torch.cat([first, image, last], axis)
