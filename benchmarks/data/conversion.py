"""Conversion between uint8 images, arrays of numbers and float tensors in [-1, 1]."""

import warnings

import numpy as np
import torch
from torch import Tensor


def as_tensor(array: np.ndarray) -> Tensor:
    """Return an array as a tensor without a copy. It must not be written to: it may be a read-only file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a view of an array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def as_numbers(name: str, value: object, shape: tuple[int, ...]) -> np.ndarray:
    """Return `value` as an array of numbers of this shape; another shape and what is no number raise."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"'{name}' is no number: {type(value).__name__}")
    if array.shape != shape:
        raise ValueError(f"'{name}' has the shape {array.shape}, not {shape}")
    return array


def to_signed(images: Tensor) -> Tensor:
    """Return uint8 images as float in [-1, 1]."""
    return images.to(torch.float32, copy=True).div_(127.5).sub_(1)


def to_bytes(images: Tensor) -> np.ndarray:
    """Return float images (N, 3, S, S) in [-1, 1] as uint8 (N, S, S, 3), rounded to the nearest level; NaN is 0."""
    levels = ((images.float() + 1) * 127.5).round().clamp(0, 255).nan_to_num()
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
