"""Resizing of images of any number format to a shape."""

import numpy as np
from PIL import Image

from cgbench.errors import CgbenchError

MODES = ("squash", "crop", "keep", "none")


def resized(image: np.ndarray, shape: tuple[int, int], resize_mode: str, blend: bool) -> np.ndarray:
    """Return an image, (H, W, C) or (H, W), resized for a `shape` (height, width), with its type of numbers.

    `resize_mode="squash"` resizes both sides; `"crop"` takes the largest centre of the shape's ratio and resizes it;
    `"keep"` scales the short side to the shape's short side and keeps the ratio; `"none"` changes nothing. `blend`
    selects bicubic resampling with antialiasing, for photos; without it the nearest pixel is taken, for label colours
    and ids. Whole numbers are rounded, and stay between the smallest and the largest of their type.
    """
    if resize_mode not in MODES:
        raise CgbenchError(f"resize_mode '{resize_mode}' is not known: use {', '.join(MODES)}")
    height, width = image.shape[:2]
    box = (0.0, 0.0, float(width), float(height))
    shape = resized_shape((height, width), shape, resize_mode)
    if resize_mode == "crop":
        edge = min(height / shape[0], width / shape[1])  # pixels of the image per pixel of the result
        top, left = (height - edge * shape[0]) / 2, (width - edge * shape[1]) / 2
        box = (left, top, left + edge * shape[1], top + edge * shape[0])
    if (height, width) == shape:
        return image
    resampling = Image.Resampling.BICUBIC if blend else Image.Resampling.NEAREST
    if image.dtype == np.uint8 and (image.ndim == 2 or image.shape[2] == 3):
        return np.asarray(Image.fromarray(image).resize(shape[::-1], resampling, box=box))
    bands = image[..., None] if image.ndim == 2 else image
    resized_bands = [_resized_band(bands[..., band], shape, resampling, box) for band in range(bands.shape[2])]
    return np.stack(resized_bands, axis=-1).reshape(*shape, *image.shape[2:])


def resized_shape(size: tuple[int, int], shape: tuple[int, int], resize_mode: str) -> tuple[int, int]:
    """Return the height and width that `resized` gives an image of height and width `size`."""
    if resize_mode == "none":
        return size
    if resize_mode != "keep":
        return shape
    scale = min(shape) / min(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _resized_band(band: np.ndarray, shape: tuple[int, int], resampling: int, box: tuple) -> np.ndarray:
    """Return one band (H, W), computed in float32, which holds all whole numbers of 16 bits."""
    picture = Image.fromarray(np.ascontiguousarray(band, dtype=np.float32))
    numbers = np.asarray(picture.resize(shape[::-1], resampling, box=box))
    if band.dtype.kind == "f":
        return numbers.astype(band.dtype)
    limits = np.iinfo(band.dtype)
    return numbers.round().clip(limits.min, limits.max).astype(band.dtype)


def padded(array: np.ndarray, shape: tuple[int, int], fill: float) -> np.ndarray:
    """Return an array (H, W, …) in the upper left corner of one of `shape`, which is filled with `fill`; an array of
    that shape is returned as it is."""
    if array.shape[:2] == shape:
        return array
    whole = np.full((*shape, *array.shape[2:]), fill, array.dtype)
    whole[: array.shape[0], : array.shape[1]] = array
    return whole
