"""Projection networks of CUT (Park et al. 2020, arXiv 2007.15651, §3)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class PatchProjection(nn.Module):
    """Feature maps and patch positions to unit vectors: Linear, ReLU, Linear with `width` channels, one pair per map.

    Maps are a tuple of (N, C, H, W) with the channels `channels`, positions a tuple of int64 (N, P) in row-major
    order; the result is a tuple of (N, P, width).
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(ins, width), nn.ReLU(), nn.Linear(width, width)) for ins in channels
        )

    def forward(self, maps: tuple[Tensor, ...], positions: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the projected patches of each map."""
        projected = []
        for layer, features, indices in zip(self.layers, maps, positions, strict=True):
            rows = features.flatten(2).transpose(1, 2)  # (N, H W, C)
            index = indices[:, :, None].expand(-1, -1, rows.shape[2])
            projected.append(functional.normalize(layer(torch.gather(rows, 1, index)), dim=2, eps=1e-7))
        return tuple(projected)
