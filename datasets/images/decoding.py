"""Image files: decoding by fixed rules."""

import logging
import struct
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from cgbench.api.dataset import SemanticClass
from cgbench.datasets.images.file_access import cannot_open, ensure_image_file, fix, unreadable
from cgbench.datasets.images.pixel_formats import (
    alters_ids,
    is_lossy,
    jpeg_compression,
    late_metadata,
    refusal,
    refusal_of_unknown,
)
from cgbench.errors import IMAGE_ERRORS, DataBroken

# the modules that decide the pixels of a picture
PICTURE_MODULES = tuple(f"cgbench.datasets.images.{name}" for name in ("decoding", "file_access", "pixel_formats"))
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
UNREAD_EXTENSIONS = (
    ".gif", ".avif", ".heic", ".heif", ".jp2", ".jxl", ".jfif", ".pgm", ".ppm", ".tga", ".exr", ".hdr", ".dcm", ".nii",
    ".nii.gz",
)  # fmt: skip
FORMATS = {"JPEG": (".jpg", ".jpeg"), "MPO": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",),
           "TIFF": (".tif", ".tiff"), "BMP": (".bmp",)}  # fmt: skip
PIXEL_LIMIT = 80_000_000  # width × height above which a file is rejected before it is decoded
SINGLE_PIXEL = "a single pixel is no picture: replace it"
SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L")  # Pillow 10 opens 16-bit PNG as "I"
SPREAD_LEVELS = "spread their levels over 0 to 65535 (12-bit data: times 16)"
BLACK_SET = (
    "arrives almost black, like every 16-bit picture of {} {}: no level reaches an eighth of 65535; " + SPREAD_LEVELS
)
DARK_LEVEL = 32  # of 256: what stays below it uses an eighth of the range, as 12-bit data in 16 bits do
ORIENTATION = 0x0112  # EXIF tag; 1 is upright
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else it prints beside the error that names the file
Result = TypeVar("Result")
_warning_filters = threading.Lock()  # they belong to the process, not to the thread


@dataclass(frozen=True)
class Header:
    """The header of an image file, read without decoding a pixel: the format by content, Pillow's mode, the size in
    pixels as stored, the EXIF orientation (1 is upright), the number of frames, whether it declares transparency and
    whether its compression is lossy; of JPEG the quality (1 to 100, estimated from the first quantisation table) and
    the chroma subsampling ("4:2:0")."""

    format: str
    mode: str
    width: int
    height: int
    orientation: int
    frames: int
    transparent: bool = False
    lossy: bool = False
    quality: int = 0  # 0: not JPEG
    subsampling: str = ""


def read_image(path: Path) -> np.ndarray:
    """Return an image as uint8 (H, W, 3), rotated by its EXIF orientation; the first of several frames.

    The format is that of the content, regardless of the file name. Grey becomes three equal channels, a palette its
    colours, CMYK becomes RGB; colour profiles are ignored. Declared transparency is composited over white. Unsigned
    16-bit grey is divided by 257, so that 0 to 65535 becomes 0 to 255 whatever the image's own range. Raises
    `DataBroken`, which names the file and the fix, for files that are not regular, truncated, empty, of another format
    than `FORMATS`, and, known from the header before anything is decoded, of a single pixel, above `PIXEL_LIMIT` pixels
    or of a pixel format that would be changed silently (`pixel_formats`): 16-bit colours, signed, floating-point or
    32-bit numbers, bands beyond colours and transparency.
    """
    return np.asarray(_load(path, _as_rgb))


def header(path: Path, refused: Callable[[Image.Image], str] = refusal) -> Header:
    """Return the header of an image file; raises `DataBroken` for a file that is rejected before it is decoded.
    `refused` returns why the pixel format of an open file is, or ""."""
    with opened(path, refused) as image:
        try:
            orientation = _exif(image).get(ORIENTATION, 1)
        except (OSError, SyntaxError, ValueError, struct.error):  # a broken tag does not rotate when decoding either
            orientation = 1
        try:
            frames = getattr(image, "n_frames", 1)
        except IMAGE_ERRORS:  # a damaged second frame: the first may be sound
            frames = 1
        quality, subsampling = jpeg_compression(image)
        return Header(
            image.format, image.mode, image.width, image.height, orientation, frames, image.has_transparency_data,
            is_lossy(image, path), quality, subsampling,
        )  # fmt: skip


def _exif(image: Image.Image) -> Image.Exif:
    """Return the EXIF tags of an open file. For those of PNG Pillow would decode the pixels, after which they may be
    stored: that is done only where there is something."""
    if not isinstance(image, PngImageFile) or ("exif" not in image.info and late_metadata(image.fp)):
        return image.getexif()
    return Image.Image.getexif(image)


def arrive_black(brightest: Sequence[int], files: int) -> bool:
    """Return whether the 16-bit pictures of a set arrive almost black: they are at least half of its `files`, and none
    has a level of `DARK_LEVEL` or more. `brightest` are the highest levels, 0 to 255, of the 16-bit pictures.

    12-bit data in a 16-bit file look like this. A dark photo among others does not make its set dark.
    """
    return bool(brightest) and max(brightest) < DARK_LEVEL and 2 * len(brightest) >= files


def is_sixteen_bit(path: Path | None) -> bool:
    """Return whether there is a file, and it is 16-bit grey by its header."""
    return path is not None and header(path).mode in SIXTEEN_BIT_MODES


def whole_image(path: Path, side: int = 0) -> np.ndarray:
    """Return an image file at its own size, uint8 (H, W, 3), as `Item.image` does; `side` is ignored."""
    return read_image(path)


def read_labels(path: Path) -> np.ndarray:
    """Return an 8-bit map of class ids as uint8 (H, W): the stored values of a grey or palette file, not its colours.

    It is rotated by its own EXIF orientation, as a photo is by its own. Any other kind of file raises `DataBroken`.
    """

    def ids(image: Image.Image) -> Image.Image:
        if image.mode not in ("L", "P"):
            raise DataBroken(f"{path}: a label map must be 8-bit grey or palette, not {image.mode}: store class ids")
        if other := alters_ids(image, path):
            raise DataBroken(f"{path}: a label map must be 8-bit grey or palette, not {other}: store class ids")
        return ImageOps.exif_transpose(image)

    return np.asarray(_load(path, ids))


def same_shape(height: int, width: int, other_height: int, other_width: int) -> bool:
    """Return whether two sizes have the same aspect ratio, within a pixel of rounding."""
    scale = max(other_height / height, other_width / width)
    slack = max(1.0, scale)
    return abs(height * scale - other_height) <= slack and abs(width * scale - other_width) <= slack


def coloured(labels: np.ndarray, palette: Sequence[SemanticClass]) -> np.ndarray:
    """Return class ids, uint8 (H, W), in the colours of `palette`, uint8 (H, W, 3); ids beyond it are black."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    colours[: len(palette)] = [entry.colour for entry in palette]
    return colours[labels]


def unread_extension(path: Path) -> str:
    """Return the extension of an image format that is not read, or "" for any other file."""
    return next((extension for extension in UNREAD_EXTENSIONS if path.name.lower().endswith(extension)), "")


def image_files(folder: Path, extensions: Sequence[str] = EXTENSIONS) -> list[Path]:
    """Return the image files in `folder`, sorted by name; hidden files, folders and other kinds are left out.

    A dangling link is included: it stands for an image that should be there, and reading it raises.
    """
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in extensions and path.name[0] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataBroken(f"{folder}: cannot be listed ({error.strerror}): {fix(error)}") from None
    return sorted((path for path in paths if not path.is_dir()), key=lambda path: path.name)


def opened(path: Path, refused: Callable[[Image.Image], str] = refusal) -> Image.Image:
    """Return the open image of a file, with its header read and its size within bounds; otherwise raises `DataBroken`,
    also where `refused` says why its pixel format is. The caller closes it, for example by `with`."""
    try:
        ensure_image_file(path)
        with _warning_filters, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path, formats=[name for name in FORMATS if name != "MPO"])  # "JPEG" opens it
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataBroken(f"{path}: more than {PIXEL_LIMIT:,} pixels: shrink it") from None
    except UnidentifiedImageError:
        damaged = "is no JPEG, PNG, WebP, TIFF or BMP image, or its beginning is damaged: replace it"
        raise DataBroken(f"{path}: {attempted(lambda: refusal_of_unknown(path), '') or damaged}") from None
    except OSError as error:
        raise (unreadable(path, error) if error.errno is None else cannot_open(path, error)) from None
    except IMAGE_ERRORS as error:
        raise unreadable(path, error) from None
    if image.width * image.height > PIXEL_LIMIT:
        image.close()
        raise DataBroken(f"{path}: {image.width} × {image.height} is more than {PIXEL_LIMIT:,} pixels: shrink it")
    try:
        reason = SINGLE_PIXEL if image.width * image.height == 1 else refused(image)
    except IMAGE_ERRORS as error:
        image.close()
        raise unreadable(path, error) from None
    if reason:
        image.close()
        raise DataBroken(f"{path}: {reason}")
    return image


def attempted(read: Callable[[], Result], otherwise: Result) -> Result:
    """Return what `read` does, or `otherwise` where a header is too damaged to read."""
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read()
        except IMAGE_ERRORS:
            return otherwise


def _load(path: Path, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return `convert(image)` of a fully decoded file; any error raises `DataBroken`, which names the file."""
    with opened(path) as image:
        loaded(path, image)
        try:
            return convert(image)
        except DataBroken:
            raise
        except (MemoryError, *IMAGE_ERRORS) as error:
            raise unreadable(path, error) from None


def loaded(path: Path, image: Image.Image) -> Image.Image:
    """Return the open image of a file, decoded; a damaged one raises `DataBroken`."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # another package may have set it: half of a truncated image would be grey
    try:
        image.load()
    except (MemoryError, *IMAGE_ERRORS) as error:
        raise unreadable(path, error) from None
    return image


def _as_rgb(image: Image.Image) -> Image.Image:
    """Return a decoded image in mode RGB by the rules of `read_image`."""
    image = ImageOps.exif_transpose(image)
    if image.mode in SIXTEEN_BIT_MODES:
        return _grey_from_16_bit(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _grey_from_16_bit(image: Image.Image) -> Image.Image:
    """Return grey of 0 to 65535 as grey of 0 to 255."""
    grey = np.asarray(image).astype(np.int64)
    return Image.fromarray(((grey + 128) // 257).astype(np.uint8))
