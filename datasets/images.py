"""Reading image files by stated rules, and making squares of them."""

import errno
import os
import stat
import struct
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

from cgbench.api.dataset import SemanticClass
from cgbench.errors import CgbenchError, DataBroken

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
FORMATS = {"JPEG": (".jpg", ".jpeg"), "MPO": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",),
           "TIFF": (".tif", ".tiff"), "BMP": (".bmp",)}  # fmt: skip
PIXEL_LIMIT = 80_000_000  # width × height above which a file is refused unread
FIXED_POINT_MODES = ("I", "I;16", "I;16B", "I;16L")
ORIENTATION = 0x0112  # EXIF tag; 1 is upright
_opening = threading.Lock()  # the warning filters are the process's, not the thread's


@dataclass(frozen=True)
class Header:
    """What a file says of itself before a pixel is decoded: its format by content, Pillow's mode, its size in pixels
    as stored, its EXIF orientation (1 is upright) and its number of frames."""

    format: str
    mode: str
    width: int
    height: int
    orientation: int
    frames: int


def read_image(path: Path) -> np.ndarray:
    """Return a picture as uint8 (H, W, 3), turned as its EXIF orientation says; of several frames the first.

    The format is that of the content, whatever the file is called. Grey becomes three equal channels, a palette its
    colours, CMYK becomes RGB; colour profiles are ignored. Transparency is laid over white. 16-bit grey is divided by
    257, so that 0 to 65535 becomes 0 to 255 whatever the picture's own range; of 16-bit colours Pillow keeps the upper
    byte. Refused with `DataBroken`, which names the file and what to do: what is no regular file, truncated, empty, of
    another format than `FORMATS`, above `PIXEL_LIMIT` pixels (known from its header, nothing is decoded), a single
    pixel, of floating-point numbers, and integers outside 0 to 65535.
    """
    return np.asarray(_load(path, _as_rgb))


def header(path: Path) -> Header:
    """Return what a file says of itself; a file that is refused unread raises `DataBroken`."""
    with _open(path) as image:
        try:
            turned = image.getexif().get(ORIENTATION, 1)
        except (OSError, SyntaxError, ValueError, struct.error):  # a broken tag turns nothing when decoding either
            turned = 1
        return Header(image.format, image.mode, image.width, image.height, turned, getattr(image, "n_frames", 1))


def whole_image(path: Path, side: int = 0) -> np.ndarray:
    """Return a file as an item's image, at its own size, uint8 (H, W, 3); `side` is not needed."""
    return read_image(path)


def read_labels(path: Path) -> np.ndarray:
    """Return an 8-bit map of class ids as uint8 (H, W): the stored numbers of a grey or palette file, not its colours.

    It is turned by its own EXIF orientation, as a photo is by its own. Any other kind of file raises `DataBroken`.
    """

    def ids(image: Image.Image) -> Image.Image:
        if image.mode not in ("L", "P"):
            raise DataBroken(f"{path}: a label map must be 8-bit grey or palette, not {image.mode}: store class ids")
        return ImageOps.exif_transpose(image)

    return np.asarray(_load(path, ids))


def square(image: np.ndarray, side: int, resize_mode: str, blend: bool) -> np.ndarray:
    """Return `image`, uint8 (H, W, 3) or (H, W), as a square of `side` pixels.

    `resize_mode="squash"` resizes both sides; `"crop"` scales the short side to `side` and takes the centre. `blend`
    resizes bicubically with antialiasing, for photos; without it each pixel is the nearest one, for label colours and
    ids.
    """
    if resize_mode not in ("squash", "crop"):
        raise CgbenchError(f"resize_mode '{resize_mode}' is not known: use squash or crop")
    height, width = image.shape[:2]
    box = (0.0, 0.0, float(width), float(height))
    if resize_mode == "crop":
        edge = min(height, width)
        left, top = (width - edge) / 2, (height - edge) / 2
        box = (left, top, left + edge, top + edge)
    if (height, width) == (side, side):
        return image
    how = Image.Resampling.BICUBIC if blend else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize((side, side), how, box=box))


def same_shape(height: int, width: int, other_height: int, other_width: int) -> bool:
    """Return whether two sizes are the same picture at different scales, within a pixel of rounding."""
    scale = max(other_height / height, other_width / width)
    slack = max(1.0, scale)
    return abs(height * scale - other_height) <= slack and abs(width * scale - other_width) <= slack


def coloured(labels: np.ndarray, palette: Sequence[SemanticClass]) -> np.ndarray:
    """Return class ids, uint8 (H, W), in the colours of `palette`, uint8 (H, W, 3); ids beyond it become black."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    colours[: len(palette)] = [entry.colour for entry in palette]
    return colours[labels]


def image_files(folder: Path) -> list[Path]:
    """Return the image files in `folder`, sorted by name; hidden files, folders and other kinds are left out.

    A link that leads nowhere counts: it stands for an image that should be there, and is refused when it is read.
    """
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.name[0] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataBroken(f"{folder}: cannot be listed ({error.strerror}): {_remedy(error)}") from None
    return sorted((path for path in found if not path.is_dir()), key=lambda path: path.name)


def _open(path: Path) -> Image.Image:
    """Return a file's image with its header read and its size within bounds; anything else raises `DataBroken`.

    The open image may be closed by the caller's `with`.
    """
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for without end
            raise DataBroken(f"{path}: is no file but a {_kind(found.st_mode)}: remove it")
        if not found.st_size:
            raise DataBroken(f"{path}: is empty (0 bytes): replace it")
        with _opening, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path, formats=[name for name in FORMATS if name != "MPO"])  # "JPEG" opens it
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataBroken(f"{path}: more than {PIXEL_LIMIT:,} pixels: shrink it") from None
    except Image.UnidentifiedImageError:
        raise DataBroken(
            f"{path}: is no JPEG, PNG, WebP, TIFF or BMP image, or its beginning is damaged: replace it"
        ) from None
    except OSError as error:
        if error.errno is not None:
            raise DataBroken(f"{path}: cannot be opened ({error.strerror}): {_remedy(error, path)}") from None
        raise _unreadable(path, error) from None
    except BROKEN as error:
        raise _unreadable(path, error) from None
    if image.width * image.height > PIXEL_LIMIT:
        image.close()
        raise DataBroken(f"{path}: {image.width} × {image.height} is more than {PIXEL_LIMIT:,} pixels: shrink it")
    return image


def _load(path: Path, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return `convert(image)` of a fully decoded file; anything that goes wrong raises `DataBroken` naming it."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # another package may have switched it on: half an image would be grey
    with _open(path) as image:
        try:
            image.load()
            return convert(image)
        except DataBroken:
            raise
        except (MemoryError, *BROKEN) as error:
            raise _unreadable(path, error) from None


# what Pillow raises for bad files
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, struct.error)


def _unreadable(path: Path, error: BaseException) -> DataBroken:
    return DataBroken(f"{path}: cannot be read as an image ({error or type(error).__name__}): replace it")


def _remedy(error: OSError, path: Path | None = None) -> str:
    """Return what to do about a file that the system does not open."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "allow yourself to read it (chmod u+r)"
    if error.errno == errno.ELOOP:
        return "its symbolic link leads back to itself: remove it"
    if error.errno == errno.ENOENT and path is not None and path.is_symlink():
        return f"its symbolic link leads to {os.readlink(path)}, which is not there: mend or remove it"
    return "restore it"


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFDIR: "folder"}
    return kinds.get(stat.S_IFMT(mode), "device")


def _as_rgb(image: Image.Image) -> Image.Image:
    """Return a decoded image in mode RGB by the rules of `read_image`."""
    if image.width * image.height == 1:
        raise ValueError("a single pixel is no picture")
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose range is not stated: store 8 or 16 bits")
    if image.mode in FIXED_POINT_MODES:
        return _from_16_bit(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Return grey of 0 to 65535 as grey of 0 to 255; wider numbers raise `ValueError`, for cutting them hides them."""
    grey = np.asarray(image).astype(np.int64)
    if grey.min() < 0 or grey.max() > 65535:
        raise ValueError(f"its numbers go from {grey.min()} to {grey.max()}, beyond 16 bits: store 8 or 16 bits")
    if "transparency" in image.info:
        raise ValueError("16-bit grey with a transparent level: save it without transparency")
    return Image.fromarray(((grey + 128) // 257).astype(np.uint8))
