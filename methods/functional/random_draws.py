"""Random numbers that a graph can draw: functions of a NumPy generator and tensors, for `Draw` nodes.

They are drawn on the host, so that all devices and all methods with one seed see the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgbench.methods.functional.tensors import sent

if TYPE_CHECKING:
    from torch import Tensor


def uniform(rng: np.random.Generator, like: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return numbers of [0, 1), shape (N, *size), N being the batch of `like`, in its type and on its device."""
    return _as(rng.random((len(like), *size)), like)


def normal(rng: np.random.Generator, like: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return standard normal numbers, shape (N, *size), N being the batch of `like`, in its type and on its device."""
    return _as(rng.standard_normal((len(like), *size)), like)


def normal_like(rng: np.random.Generator, like: Tensor) -> Tensor:
    """Return standard normal numbers in the shape of `like`, in its type and on its device."""
    return _as(rng.standard_normal(tuple(like.shape)), like)


def _as(numbers: np.ndarray, like: Tensor) -> Tensor:
    import torch

    return sent(torch.from_numpy(numbers).to(like.dtype), like.device)
