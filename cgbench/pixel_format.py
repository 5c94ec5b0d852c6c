"""The number format of a domain's images: bands, stored type, unit, and the window that becomes [-1, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from cgbench.errors import CgbenchError
from cgbench.formatting import plural, shortened

if TYPE_CHECKING:
    import numpy as np

DTYPES = ("uint8", "uint16", "int16", "float32")
MAX_CHANNELS = 64
MEASURED = "measured"  # the setting of a window that is measured on the training images
PERCENTILES = (0.5, 99.5)  # of the training images' numbers, the ends of a measured window


@dataclass(frozen=True)
class PixelFormat:
    """How the numbers of a domain's images are stored, and which of them networks see.

    An image has `channels` bands of the type `dtype`, in `unit` ("HU", "reflectance"; "" for none). `window` holds the
    two numbers that become -1 and 1; networks see what lies outside as its nearer end. None: it is measured on the
    training images, before anything is trained. Pictures show the window; `display` is another range that the report
    page offers, such as that of soft tissue.
    """

    channels: int = 3
    dtype: str = "uint8"
    window: tuple[float, float] | None = (0.0, 255.0)
    unit: str = ""
    display: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise CgbenchError(f"pixel format: the type is {shortened(str(self.dtype))}: use {', '.join(DTYPES)}")
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise CgbenchError(f"pixel format: {self.channels} bands: use 1 to {MAX_CHANNELS}")
        for ends in (self.window, self.display):
            if ends is not None and not -1e30 < ends[0] < ends[1] < 1e30:
                raise CgbenchError(f"pixel format: a window from {ends[0]:g} to {ends[1]:g} is none: low before high")

    @property
    def is_rgb8(self) -> bool:
        """Whether this is the format of ordinary pictures, 8-bit RGB whose whole range networks see."""
        return (self.channels, self.dtype, self.window) == (3, "uint8", (0.0, 255.0))

    @property
    def fits_in_pictures(self) -> bool:
        """Whether 8-bit pictures of the format show all of its bands."""
        return self.channels in (1, 3)

    @property
    def ends(self) -> tuple[float, float]:
        """The window; it must have been measured."""
        if self.window is None:
            raise CgbenchError("the window of a domain is not measured yet: it needs the training images")
        return self.window

    def described(self) -> str:
        """Return the format in words: "1 band of int16, window -1000 to 2000 HU"."""
        bands = plural(self.channels, "band")
        if self.window is None:
            return f"{bands} of {self.dtype}, window measured on the training images"
        unit = f" {self.unit}" if self.unit else ""
        return f"{bands} of {self.dtype}, window {self.window[0]:g} to {self.window[1]:g}{unit}"

    def record(self) -> dict[str, Any]:
        """Return the format as JSON-able data."""
        ends = {name: list(value) for name in ("window", "display") if (value := getattr(self, name)) is not None}
        return {**asdict(self), "window": None, "display": None, **ends}


RGB8 = PixelFormat()


def recorded_format(record: Mapping[str, Any] | None) -> PixelFormat:
    """Return the format of a record; 8-bit RGB where there is none, as before formats were recorded."""
    if record is None:
        return RGB8
    window, display = (tuple(ends) if (ends := record.get(name)) else None for name in ("window", "display"))
    channels, dtype = record.get("channels", RGB8.channels), record.get("dtype", RGB8.dtype)
    return PixelFormat(channels, dtype, window, record.get("unit", ""), display)


def with_window(pixels: PixelFormat, setting: str, name: str) -> PixelFormat:
    """Return the format with the window of a setting: "LOW:HIGH", "measured", or "" for its own; `name` begins the line
    of an error."""
    if not setting:
        return pixels
    if setting == MEASURED:
        return replace(pixels, window=None)
    try:
        low, high = (float(part) for part in setting.split(":"))
        return replace(pixels, window=(low, high))
    except (ValueError, CgbenchError):
        message = f"{name}={shortened(setting)}: write LOW:HIGH in stored numbers, such as -1000:2000, or {MEASURED}"
        raise CgbenchError(message) from None


def measured_window(numbers: np.ndarray) -> tuple[float, float]:
    """Return the percentiles 0.5 and 99.5 of an array of any shape; an array of one number raises `CgbenchError`."""
    import numpy as np

    low, high = (float(end) for end in np.percentile(numbers, PERCENTILES, method="nearest"))
    if low == high:
        low, high = float(numbers.min()), float(numbers.max())
    if not low < high:
        raise CgbenchError(f"all numbers of the training images are {low:g}: no window can be measured")
    return low, high


def display_rgb(images: np.ndarray, pixels: PixelFormat, window: tuple[float, float] | None = None) -> np.ndarray:
    """Return images (N, H, W, C) as 8-bit RGB (N, H, W, 3), with `window`, by default the format's, as 0 to 255.

    8-bit RGB is returned as it is. One or two bands become grey of the first, more become RGB of the first three.
    """
    import numpy as np

    if pixels.is_rgb8 and window is None:
        return images
    low, high = window or pixels.ends
    bands = images[..., :3] if pixels.channels >= 3 else images[..., :1]
    out = np.empty((*images.shape[:-1], 3), np.uint8)
    for number, image in enumerate(bands):  # one after another: float copies of a whole set would be large
        scaled = (image.astype(np.float64) - low) * (255 / (high - low))
        out[number] = np.nan_to_num(scaled.round().clip(0, 255)).astype(np.uint8)
    return out


def outside_counts(images: np.ndarray, pixels: PixelFormat) -> tuple[int, int]:
    """Return how many numbers of the images lie below and above the window."""
    low, high = pixels.ends
    return int((images < low).sum()), int((images > high).sum())
