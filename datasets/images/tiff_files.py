"""TIFF files of numbers: bands contiguous or planar, in strips or tiles, of either byte order, without loss.

Read by `tifffile`; the compressions that it cannot undo itself need `imagecodecs` (`pip install 'cgbench[bands]'`).
"""

import logging
import zlib
from collections.abc import Sequence
from importlib.util import find_spec
from math import prod
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from cgbench.datasets.images.number_types import StoredHeader

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

DEFLATE = (8, 32946)
COMPRESSIONS = {1: "none", 5: "LZW", 8: "Deflate", 32946: "Deflate", 32773: "PackBits", 50000: "Zstandard"}
NEED_CODECS = (5, 50000)
FLOAT_PREDICTOR = 3
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2  # photometric interpretations
PHOTOMETRICS = {
    3: "a palette",
    4: "a mask",
    5: "CMYK",
    6: "YCbCr",
    8: "L*a*b*",
    32803: "a mosaic of a sensor's filters",
}
EXPANSION = 1032  # bytes that a byte of Deflate may become
HARMLESS = 1 << 26  # bytes that a segment may become without being measured first
CODECS = "pip install 'cgbench[bands]'"
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else it prints beside the error that names the file


def open_tiff(file: BinaryIO) -> "TiffFile":
    """Return an open TIFF file as `tifffile` reads it; the caller closes it."""
    from tifffile import TiffFile

    return TiffFile(file, name="image")


def tiff_header(tiff: "TiffFile", size: int) -> tuple[StoredHeader, str]:
    """Return the header of the first page of an open file of `size` bytes, and why it is refused, or ""."""
    page = tiff.pages.first
    name = page.dtype.name if page.dtype is not None else "numbers of an unknown type"
    found = StoredHeader("TIFF", page.samplesperpixel, name, page.imagelength, page.imagewidth, _orientation(page))
    reason = found.refusal() or _meaning(page) or _coding(page) or _incomplete(page, size) or _pages(tiff)
    return found, reason


def read_tiff(tiff: "TiffFile", file: BinaryIO) -> np.ndarray:
    """Return the numbers of the first page of an open file whose header was not refused, (H, W, C)."""
    page = tiff.pages.first
    if page.compression in DEFLATE:
        _ensure_no_bomb(page, file)
    samples, _, height, width, contiguous = page.shaped
    array = page.asarray(squeeze=False, maxworkers=1).reshape(samples, height, width, contiguous)
    array = np.moveaxis(array[..., 0], 0, 2) if samples > 1 else array[0]
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _orientation(page: "TiffPage") -> int:
    found = page.tags.valueof(274, 1)
    return found if found in range(1, 9) else 1


def _meaning(page: "TiffPage") -> str:
    """Return why the bands are no plain numbers, or "": colours beside which something is lost, and transparency."""
    bits = page.bitspersample
    if page.dtype is not None and bits != 8 * page.dtype.itemsize:
        return f"its numbers have {bits} bits each: store them in 8 or 16 bits"
    if page.photometric == WHITE_IS_ZERO:
        return "its 0 is white, and would arrive inverted: store it with 0 as black"
    if page.photometric not in (BLACK_IS_ZERO, RGB):
        kind = PHOTOMETRICS.get(int(page.photometric), f"of photometric interpretation {int(page.photometric)}")
        return f"its numbers are {kind} of {bits} bits: convert them to grey, RGB or plain bands"
    if any(extra in (1, 2, 999) for extra in page.extrasamples):
        return "one of its bands is transparency, beside numbers that are read as they are: store it without that band"
    if page.imagedepth > 1:
        return f"it holds a volume of {page.imagedepth} slices: store a file for each slice"
    return ""


def _coding(page: "TiffPage") -> str:
    """Return why the pixels cannot be decoded here, or ""."""
    if page.compression not in COMPRESSIONS:
        name = getattr(page.compression, "name", str(page.compression))
        return f"it is compressed by {name}, which is not read: store it with Deflate or LZW"
    if page.predictor not in (1, 2, FLOAT_PREDICTOR):
        return f"its predictor is {int(page.predictor)}, which is not read: store it with Deflate and no predictor"
    needed = page.compression in NEED_CODECS or page.predictor == FLOAT_PREDICTOR or page.fillorder == 2
    if needed and find_spec("imagecodecs") is None:
        kind = "" if page.predictor == 1 else f" with predictor {int(page.predictor)}"
        return f"it is compressed by {COMPRESSIONS[page.compression]}{kind}, which needs one more package: {CODECS}"
    return ""


def _incomplete(page: "TiffPage", size: int) -> str:
    """Return what is missing of the pixels in a file of `size` bytes, or ""."""
    offsets, counts = page.dataoffsets, page.databytecounts
    expected = prod(page.chunked)
    if len(offsets) < expected or len(counts) < expected:
        return f"its pixels are not all there: {min(len(offsets), len(counts))} of {expected} parts: replace it"
    if not all(map(_positive, offsets, counts)):
        return "some of its strips or tiles are left out, whose numbers would be made up: store all of them"
    if any(offset + count > size for offset, count in zip(offsets, counts, strict=False)):
        return "it is truncated: its pixels end beyond the file: replace it"
    if page.compression == 1 and sum(counts[:expected]) < page.nbytes:
        return "its pixels are not all there: replace it"
    return ""


def _positive(offset: int, count: int) -> bool:
    return offset > 0 and count > 0


def _pages(tiff: "TiffFile") -> str:
    """Return that there are more pages than one, or "". Smaller copies of the image and masks do not count."""
    for number in range(1, len(tiff.pages)):
        page = tiff.pages.get(number, aspage=True)
        if not (page.is_reduced or page.is_mask):
            return (
                f"it holds {len(tiff.pages)} pages, of which one would be read: store bands as bands, else a file each"
            )
    return ""


def _ensure_no_bomb(page: "TiffPage", file: BinaryIO) -> None:
    """Raise ValueError where a strip or tile becomes more bytes than the image has."""
    most = max(page.nbytes, _segment_bytes(page))
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if count * EXPANSION > max(HARMLESS, most):
            file.seek(offset)
            if len(zlib.decompressobj().decompress(file.read(count), most + 1)) > most:
                raise ValueError(f"a part of it becomes more than the {most:,} bytes of the image")


def _segment_bytes(page: "TiffPage") -> int:
    sizes: Sequence[int] = page.chunks
    return prod(sizes) * page.dtype.itemsize
