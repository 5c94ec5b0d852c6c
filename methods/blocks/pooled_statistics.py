"""Means and variances of a whole image's feature maps, gathered from its tiles, layer by layer."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cgbench.methods.blocks.norm import EPSILON, Normalise
from cgbench.methods.blocks.tiles import Span

Moments = tuple[Tensor, Tensor]  # mean and variance, each of the shape of maps with 1 along the normalised axes


class LayerReached(Exception):
    """A tile reached the layer whose statistics are gathered: what follows is not computed."""


class PooledStatistics:
    """The statistics of one pass over the tiles of an image.

    Normalisations are counted in the order in which a tile goes through them. Those of which `known` has the statistics
    use these; the next one adds those of the tile's core, the part that no other tile has, and ends the tile by
    `LayerReached`.
    """

    def __init__(self, known: Sequence[Moments]) -> None:
        self.known = known
        self.count, self.mean, self.squares = 0.0, torch.zeros(()), torch.zeros(())

    def of_tile(self, rows: Span, columns: Span) -> Normalise:
        """Return the normalisation of a tile's maps; each tile needs a new one."""
        reached = 0

        def normalise(maps: Tensor, axes: tuple[int, ...]) -> Tensor:
            nonlocal reached
            layer, reached = reached, reached + 1
            if layer == len(self.known):
                self._add(maps[:, :, rows.core_of(maps.shape[2]), columns.core_of(maps.shape[3])], axes)
                raise LayerReached
            upcast = _upcast(maps)
            mean, variance = (moment.to(upcast) for moment in self.known[layer])
            return (upcast - mean).mul_((variance + EPSILON).rsqrt()).to(maps.dtype)

        return normalise

    def pooled(self) -> Moments:
        """Return mean and variance over the cores of all tiles."""
        return self.mean, self.squares / self.count

    def _add(self, maps: Tensor, axes: tuple[int, ...]) -> None:
        """Add a part of the maps, by the parallel formula of Chan et al. 1983, in float64."""
        mean, variance = (moment.double() for moment in _moments(maps, axes))
        added = float(maps[0].numel() // mean[0].numel())
        total, difference = self.count + added, mean - self.mean.to(mean)
        self.squares = self.squares.to(mean) + variance * added + difference.square() * (self.count * added / total)
        self.mean = self.mean.to(mean) + difference * (added / total)
        self.count = total


def _moments(maps: Tensor, axes: tuple[int, ...]) -> Moments:
    variance, mean = torch.var_mean(_upcast(maps), axes, correction=0, keepdim=True)
    return mean, variance


def _upcast(maps: Tensor) -> Tensor:
    """Return maps in float32 at least."""
    return maps.to(torch.promote_types(maps.dtype, torch.float32))
