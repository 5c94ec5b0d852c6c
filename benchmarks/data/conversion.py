"""Conversion between stored images, arrays of numbers and float tensors in [-1, 1]."""

import warnings

import numpy as np
import torch
from torch import Tensor

from cgbench.pixel_format import RGB8, PixelFormat


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


def to_signed(images: Tensor, pixels: PixelFormat = RGB8) -> Tensor:
    """Return stored images as float32 in [-1, 1]: -1 and 1 are the ends of the window, and what lies outside."""
    numbers = images.to(torch.float32, copy=True)
    if pixels.is_rgb8:
        return numbers.div_(127.5).sub_(1)
    low, high = pixels.ends
    return numbers.sub_(low).mul_(2 / (high - low)).sub_(1).clamp_(-1, 1)


def to_bytes(images: Tensor) -> np.ndarray:
    """Return float images (N, 3, H, W) in [-1, 1] as uint8 (N, H, W, 3), rounded to the nearest level; NaN is 0."""
    levels = ((images.float() + 1) * 127.5).round().clamp(0, 255).nan_to_num()
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_stored(images: Tensor, pixels: PixelFormat = RGB8) -> np.ndarray:
    """Return float images (N, C, H, W) in [-1, 1] as (N, H, W, C) in a format, rounded to its numbers; NaN is the lower
    end of the window."""
    if pixels.is_rgb8:
        return to_bytes(images)
    low, high = pixels.ends
    signed = images.detach().permute(0, 2, 3, 1).cpu().double().numpy()
    numbers = np.clip(
        np.nan_to_num((signed + 1) * ((high - low) / 2) + low, nan=low, posinf=high, neginf=low), low, high
    )
    dtype = np.dtype(pixels.dtype)
    if dtype.kind == "f":
        return numbers.astype(dtype)
    limits = np.iinfo(dtype)
    return numbers.round().clip(limits.min, limits.max).astype(dtype)


def signed_batch(images: np.ndarray, pixels: PixelFormat, device: torch.device) -> Tensor:
    """Return stored images (N, H, W, C) as networks see them: (N, C, H, W) in [-1, 1] on a device."""
    numbers = images.astype(np.int32) if images.dtype == np.uint16 else images  # of which torch can do little on a GPU
    return to_signed(as_tensor(numbers).to(device).permute(0, 3, 1, 2).contiguous(), pixels)


def shown_to_signed(images: np.ndarray, pixels: PixelFormat) -> Tensor:
    """Return 8-bit pictures of a format, (N, H, W, 3) as `display_rgb` makes them, as float (N, C, H, W) in [-1, 1];
    the format must fit in pictures."""
    return to_signed(as_tensor(images[..., : pixels.channels]).permute(0, 3, 1, 2))
