"""Overlapping tiles of an image: their places, the weights of their blending, and the parts that are theirs alone."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from cgbench.errors import CgbenchError


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels: from `start`, of `length`; `core` begins and ends in the image, and the cores
    of all tiles cover it exactly once. `weights` (length) blend it with its neighbours: they sum to 1 at every pixel.
    """

    start: int
    length: int
    core: tuple[int, int]
    weights: Tensor

    @property
    def slice(self) -> slice:
        """The tile's pixels of the image."""
        return slice(self.start, self.start + self.length)

    def core_of(self, size: int) -> slice:
        """Return the core in a feature map of the tile that has `size` rows or columns."""
        first, last = ((edge - self.start) * size // self.length for edge in self.core)
        return slice(first, last)


def spans(size: int, length: int, multiple: int, margin: int, ramp: int) -> list[Span]:
    """Return tiles of equal length that cover an axis, evenly spread; starts and cores lie at multiples of `multiple`.

    Neighbours overlap by 2 `margin` + `ramp` pixels at least. A tile has the weight 0 within `margin` of a border that
    is none of the image, then the weight rises along half a cosine.

    Args:
        size: Pixels of the axis, a multiple of `multiple`.
        length: Pixels of a tile, a multiple of `multiple`.
        multiple: What the network divides a side by.
        margin: Pixels next to a tile's border that are not used.
        ramp: Pixels over which two tiles are blended, at least.

    Returns:
        The tiles from the first to the last; one where `length` reaches `size`.

    Raises:
        CgbenchError: Where the overlaps of a tile leave nothing between them.
    """
    if length >= size:
        return [Span(0, size, (0, size), torch.ones(size))]
    overlap = smallest_tile(multiple, margin, ramp) // 2
    if length < 2 * overlap:
        raise CgbenchError(f"tiles of {length} pixels are too small: use {2 * overlap} pixels at least")
    total, tile, step = size // multiple, length // multiple, (length - overlap) // multiple
    last = -(-(total - tile) // step)  # number of the last tile
    starts = [number * (total - tile) // last * multiple for number in range(last + 1)]
    weights = torch.stack([_window(length, margin, ramp, at > 0, at < last) for at in range(last + 1)])
    total_weight = torch.zeros(size)
    for start, window in zip(starts, weights, strict=True):
        total_weight[start : start + length] += window
    inner = [(left + length + right) // (2 * multiple) * multiple for left, right in pairwise(starts)]
    edges = list(pairwise([0, *inner, size]))
    return [
        Span(start, length, edge, window / total_weight[start : start + length])
        for start, edge, window in zip(starts, edges, weights, strict=True)
    ]


def smallest_tile(multiple: int, margin: int, ramp: int) -> int:
    """Return the shortest side of a tile, in pixels: twice the overlap, which is rounded up to a `multiple`."""
    return 2 * (-(-(2 * margin + max(ramp, 1)) // multiple) * multiple)


def _window(length: int, margin: int, ramp: int, left: bool, right: bool) -> Tensor:
    """Return weights (length): 0 within `margin` of the borders `left` and `right`, where there are such, then half a
    cosine from 0 to 1 over `ramp` pixels."""
    distance = torch.arange(length) + 0.5 - margin
    rise = 0.5 - 0.5 * torch.cos(torch.pi * (distance / max(ramp, 1)).clamp(0, 1))
    ones = torch.ones(length)
    return (rise if left else ones) * (rise.flip(0) if right else ones)
