"""Images as they are stored: pictures in 8-bit RGB, and files of other numbers (TIFF, 16-bit PNG, NumPy's) unchanged.

A picture is what `decoding.read_image` reads without reducing it: grey, RGB, palette and CMYK of at most 8 bits.
"""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL.PngImagePlugin import PngImageFile

from cgbench.datasets.images import decoding
from cgbench.datasets.images.decoding import Header, attempted, header, image_files, loaded, opened, read_image
from cgbench.datasets.images.file_access import cannot_open, ensure_image_file, unreadable
from cgbench.datasets.images.npy_files import npy_header, read_npy
from cgbench.datasets.images.number_types import StoredHeader, upright
from cgbench.datasets.images.pixel_formats import (
    NPY_MAGIC,
    PNG_MAGIC,
    holds_picture,
    refusal_of_numbers,
)
from cgbench.datasets.images.tiff_files import open_tiff, read_tiff, tiff_header
from cgbench.errors import CgbenchError, DataBroken
from cgbench.files import open_file
from cgbench.pixel_format import PERCENTILES, RGB8, PixelFormat, display_rgb

# the modules that decide the numbers of a file
STORED_MODULES = (
    *decoding.PICTURE_MODULES,
    *(f"cgbench.datasets.images.{name}" for name in ("stored", "npy_files", "number_types", "tiff_files")),
    "cgbench.pixel_format",
)
EXTENSIONS = (*decoding.EXTENSIONS, ".npy")
FORMATS = {**decoding.FORMATS, "NPY": (".npy",)}
# of a PNG of 16-bit colours Pillow keeps one byte of two: the first in this byte order, the second in the other one
FIRST_BYTES, SECOND_BYTES = "RGB;16B", "RGB;16L"

Result = TypeVar("Result")


def stored_files(folder: Path) -> list[Path]:
    """Return the files of pictures and numbers in `folder`, sorted by name, as `image_files` does."""
    return image_files(folder, EXTENSIONS)


def is_picture(path: Path) -> bool:
    """Return whether a file is read as a picture; raises `DataBroken` where it cannot be opened."""
    return _with_file(path, lambda file: attempted(lambda: holds_picture(file), True))


def stored_format(path: Path) -> tuple[int, str]:
    """Return the number of bands and the type ("uint8", "uint16", "int16", "float32") of what `read_stored` returns,
    by the header alone. A file that it refuses by its header raises `DataBroken`."""
    if is_picture(path):
        return RGB8.channels, RGB8.dtype
    found = _number_header(path)
    return found.channels, found.dtype


def pixel_format(path: Path) -> PixelFormat:
    """Return the format of a file by its header: that of pictures, or one whose window is to be measured."""
    return RGB8 if is_picture(path) else PixelFormat(*stored_format(path), window=None)


def stored_header(path: Path) -> Header:
    """Return the header of a picture or of a file of numbers; raises `DataBroken` for a file that is refused by it."""
    if is_picture(path):
        return header(path)
    found = _number_header(path)
    return Header(found.format, f"{found.channels} × {found.dtype}", found.width, found.height, found.orientation, 1)


def read_stored(path: Path) -> np.ndarray:
    """Return the numbers of an image file, (H, W, C) of type uint8, uint16, int16 or float32, upright by its EXIF
    orientation; of a picture what `read_image` returns.

    Read are TIFF of 1 to 64 bands, contiguous or planar, in strips or tiles, of either byte order, uncompressed or by
    Deflate, LZW, PackBits or Zstandard; PNG of 16-bit grey or RGB; and `.npy` of (H, W) or (H, W, C). Raises
    `DataBroken`, which names the file and the fix, for all that would be lost or changed: other types, transparency
    beside numbers, more than one page; for a file that is no regular one, truncated, empty or larger than
    `NUMBER_LIMIT`, by its header; and for numbers that are NaN or infinite.
    """
    if is_picture(path):
        return read_image(path)
    found = _number_header(path)
    if found.format == "PNG":
        image = _png_numbers(path, found)
    else:
        image = _with_file(path, read_npy if found.format == "NPY" else _tiff_numbers)
    if image.dtype.kind == "f" and (count := image.size - int(np.isfinite(image).sum())):
        what = f"{count:,} of {image.size:,} numbers are NaN or infinite"
        raise DataBroken(f"{path}: {what}: replace them by a number, or crop the image")
    return np.ascontiguousarray(upright(image, found.orientation))


def stored_image(path: Path, side: int = 0) -> np.ndarray:
    """Return what `read_stored` does, as `Item.image` does; `side` is ignored."""
    return read_stored(path)


def look_at(path: Path) -> np.ndarray:
    """Return a picture of an image file to look at, uint8 (H, W, 3): of other numbers with their own range as black to
    white."""
    image = read_stored(path)
    if is_picture(path):
        return image
    low, high = (float(end) for end in np.percentile(image, PERCENTILES))
    pixels = PixelFormat(image.shape[2], image.dtype.name, window=None)
    return display_rgb(image[None], pixels, (low, high if high > low else low + 1))[0]


def _with_file(path: Path, use: Callable[[BinaryIO], Result]) -> Result:
    """Return `use(file)` of the open file; any error raises `DataBroken`, which names it."""
    try:
        ensure_image_file(path)
        with open_file(path) as file:
            return use(file)
    except DataBroken:
        raise
    except CgbenchError as error:
        raise DataBroken(str(error)) from None
    except OSError as error:
        raise (unreadable(path, error) if error.errno is None else cannot_open(path, error)) from None
    except Exception as error:  # of a damaged file the libraries raise anything
        raise unreadable(path, error) from None


def _number_header(path: Path) -> StoredHeader:
    """Return the header of a file of numbers; one that is refused raises `DataBroken`."""
    start = _with_file(path, lambda file: file.read(8))
    if start.startswith(PNG_MAGIC):
        found = header(path, refusal_of_numbers)
        channels = 3 if found.mode == "RGB" else 1
        numbers = StoredHeader("PNG", channels, "uint16", found.height, found.width, found.orientation)
        reason = numbers.refusal()
    else:
        numbers, reason = _with_file(path, npy_header if start.startswith(NPY_MAGIC) else _tiff_header)
    if reason:
        raise DataBroken(f"{path}: {reason}")
    return numbers


def _png_numbers(path: Path, found: StoredHeader) -> np.ndarray:
    """Return the numbers of a PNG file of 16 bits, uint16 (H, W, 1) or (H, W, 3)."""
    if found.channels == 1:
        with opened(path, refusal_of_numbers) as image:
            return np.asarray(loaded(path, image)).astype(np.uint16)[..., None]
    first, second = (_png_bytes(path, order) for order in (FIRST_BYTES, SECOND_BYTES))
    return first * np.uint16(256) + second


def _png_bytes(path: Path, order: str) -> np.ndarray:
    """Return one byte of each number in a PNG file of 16-bit RGB, uint16 (H, W, 3)."""
    with opened(path, refusal_of_numbers) as image:
        assert isinstance(image, PngImageFile)
        image.tile = [tile._replace(args=order) for tile in image.tile]
        return np.asarray(loaded(path, image)).astype(np.uint16)


def _tiff_header(file: BinaryIO) -> tuple[StoredHeader, str]:
    size = file.seek(0, 2)
    file.seek(0)
    with open_tiff(file) as tiff:
        return tiff_header(tiff, size)


def _tiff_numbers(file: BinaryIO) -> np.ndarray:
    with open_tiff(file) as tiff:
        return read_tiff(tiff, file)
