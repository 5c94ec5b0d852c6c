"""NumPy's files of one array (`.npy`) as images: (H, W) or (H, W, C). Pickled objects are never loaded."""

import os
from typing import BinaryIO

import numpy as np

from cgbench.datasets.images.number_types import StoredHeader
from cgbench.pixel_format import MAX_CHANNELS

MAX_HEADER = 10_000  # bytes, as NumPy has it


def npy_header(file: BinaryIO) -> tuple[StoredHeader, str]:
    """Return the header of an open file, and why it is refused, or ""; the file is left at its first number."""
    file.seek(0)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=MAX_HEADER)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file, max_header_size=MAX_HEADER)
    else:
        return StoredHeader("NPY", 1, "", 0, 0), f"version {version[0]}.{version[1]} of .npy: save it with numpy.save"
    height, width, channels = (*shape, 1)[:3] if len(shape) in (2, 3) else (0, 0, 0)
    header = StoredHeader("NPY", channels, dtype.name, height, width)
    return header, _refusal(header, shape, dtype, os.fstat(file.fileno()).st_size - file.tell())


def read_npy(file: BinaryIO) -> np.ndarray:
    """Return the array of an open file whose header was not refused, (H, W, C) in the machine's byte order."""
    file.seek(0)
    array = np.load(file, allow_pickle=False)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array[..., None] if array.ndim == 2 else array


def _refusal(header: StoredHeader, shape: tuple[int, ...], dtype: np.dtype, left: int) -> str:
    """Return why an array is refused; `left` are the bytes after the header."""
    if dtype.hasobject:
        return "it holds Python objects, which could run code and are never loaded: save an array of numbers"
    if len(shape) not in (2, 3):
        return f"its shape is {shape}: save (H, W) or (H, W, bands)"
    if len(shape) == 3 and shape[0] <= MAX_CHANNELS and shape[2] > shape[0]:
        return f"its shape is {shape}, the bands first as it seems: save (H, W, bands), as numpy.moveaxis(x, 0, 2) is"
    if reason := header.refusal():
        return reason
    expected = header.height * header.width * header.channels * dtype.itemsize
    if left < expected:
        return f"it is truncated: {left:,} of {expected:,} bytes are there: replace it"
    return ""
