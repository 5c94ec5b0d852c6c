"""Windows of numbers, measured on images while they are read one after another."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from cgbench.errors import CgbenchError
from cgbench.pixel_format import PixelFormat, measured_window

NUMBERS = 1 << 24  # that are kept to measure a window, of all images together
LEAST = 1 << 10  # that are kept of an image, however many there are


def sampled_window(pixels: PixelFormat, images: Iterable[np.ndarray], count: int) -> tuple[PixelFormat, int]:
    """Return the format with the window of about `count` images, (H, W, C) each, and how many were read.

    Of each image evenly spaced numbers count, at most `NUMBERS` of all. A window that the format has already is kept,
    and nothing is read. Raises `CgbenchError` where there is no image, or all numbers are equal.
    """
    if pixels.window is not None:
        return pixels, 0
    share = max(LEAST, NUMBERS // max(1, count))
    parts = [image.reshape(-1)[:: max(1, -(-image.size // share))].copy() for image in images]
    if not parts:
        raise CgbenchError("no training image can be read, by which a window could be measured")
    return replace(pixels, window=measured_window(np.concatenate(parts))), len(parts)
