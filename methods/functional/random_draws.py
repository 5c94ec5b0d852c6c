"""Random draws: functions of a NumPy generator and tensors, for `Sample` nodes.

The numbers are drawn on the host, so that they are the same on all devices and for all methods with one seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgbench.methods.functional.tensors import to_device

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def uniform(rng: np.random.Generator, like: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return uniform numbers in [0, 1), shape (N, *size), with the batch size N, the type and the device of `like`."""
    return _to_tensor(rng.random((len(like), *size)), like)


def normal(rng: np.random.Generator, like: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return standard normal numbers, shape (N, *size), with the batch size N, the type and the device of `like`."""
    return _to_tensor(rng.standard_normal((len(like), *size)), like)


def normal_like(rng: np.random.Generator, like: Tensor) -> Tensor:
    """Return standard normal numbers of the shape, the type and the device of `like`."""
    return _to_tensor(rng.standard_normal(tuple(like.shape)), like)


def _to_tensor(numbers: np.ndarray, like: Tensor) -> Tensor:
    import torch

    return to_device(torch.from_numpy(numbers).to(like.dtype), like.device)
