"""Number types and sizes of images that are read as they are stored: what is read, and why the rest is refused."""

from dataclasses import dataclass

import numpy as np

from cgbench.datasets.images.decoding import PIXEL_LIMIT, SINGLE_PIXEL
from cgbench.pixel_format import DTYPES, MAX_CHANNELS

NUMBER_LIMIT = 4 * PIXEL_LIMIT  # width × height × bands
# the type that holds the numbers of one that is not read, by its name without the bits
HOLDS = {"float": "float32", "uint": "uint16, or float32", "int": "int16, or float32", "bool": "uint8"}


@dataclass(frozen=True)
class StoredHeader:
    """What the header of a file of numbers says: the format by content, the numbers of bands, rows and columns as
    stored, their type, and the EXIF orientation (1 is upright)."""

    format: str
    channels: int
    dtype: str
    height: int
    width: int
    orientation: int = 1

    def refusal(self) -> str:
        """Return why the numbers are not read and what to do, or ""."""
        return type_refusal(self.dtype) or size_refusal(self.height, self.width, self.channels)


def type_refusal(name: str) -> str:
    """Return why numbers of a type are not read, by its name in NumPy, and what to do; "" where they are."""
    if name in DTYPES:
        return ""
    if name.startswith("complex"):
        return f"its numbers are {name}: store two bands of float32, such as magnitude and phase"
    if instead := HOLDS.get(name.rstrip("0123456789")):
        even = ", and are refused even where all would fit another type" if name != "bool" else ""
        return f"its numbers are {name}{even}: store {instead}"
    return f"it holds {name}, not numbers: store {', '.join(DTYPES)}"


def size_refusal(height: int, width: int, channels: int) -> str:
    """Return why an image of this size is not read and what to do, or ""."""
    if channels > MAX_CHANNELS:
        return f"it has {channels} bands, more than {MAX_CHANNELS}: store those that matter"
    if min(height, width, channels) < 1:
        return f"it holds nothing ({width} × {height}): replace it"
    if height * width == 1:
        return SINGLE_PIXEL
    if height * width > PIXEL_LIMIT:
        return f"{width} × {height} is more than {PIXEL_LIMIT:,} pixels: shrink it"
    if height * width * channels > NUMBER_LIMIT:
        return f"{width} × {height} × {channels} bands are more than {NUMBER_LIMIT:,} numbers: shrink it"
    return ""


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Return an image, (H, W, C), turned and mirrored as its EXIF orientation, 1 to 8, says."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image
