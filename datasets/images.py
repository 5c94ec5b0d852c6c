"""Reading image files by stated rules, and making squares of them."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from cgbench.dataset import SemanticClass
from cgbench.errors import CgbenchError, DataBroken

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
PIXEL_LIMIT = 80_000_000  # width × height above which a file is refused unread
FIXED_POINT_MODES = ("I", "I;16", "I;16B", "I;16L")


def read_image(path: Path) -> np.ndarray:
    """Return a picture as uint8 (H, W, 3), turned as its EXIF orientation says; of several frames the first.

    Grey becomes three equal channels, a palette its colours, CMYK becomes RGB. Transparency is laid over white.
    16-bit grey is divided by 257, so that 0 to 65535 becomes 0 to 255 whatever the picture's own range; wider integers
    are cut at 65535 first. Files that are truncated, empty, no image, of floating-point numbers or above `PIXEL_LIMIT`
    pixels raise `DataBroken`.
    """
    return np.asarray(_load(path, _as_rgb))


def whole_image(path: Path, side: int = 0) -> np.ndarray:
    """Return a file as an item's image, at its own size, uint8 (H, W, 3); `side` is not needed."""
    return read_image(path)


def read_labels(path: Path) -> np.ndarray:
    """Return an 8-bit map of class ids as uint8 (H, W): the stored numbers of a grey or palette file, not its colours.

    Any other kind of file raises `DataBroken`.
    """

    def ids(image: Image.Image) -> Image.Image:
        if image.mode not in ("L", "P"):
            raise DataBroken(f"{path}: a label map must be 8-bit grey or palette, not {image.mode}: store class ids")
        return image

    return np.asarray(_load(path, ids))


def square(image: np.ndarray, side: int, fit: str, blend: bool) -> np.ndarray:
    """Return `image`, uint8 (H, W, 3) or (H, W), as a square of `side` pixels.

    `fit="squash"` resizes both sides; `"crop"` scales the short side to `side` and takes the centre. `blend` resizes
    bicubically with antialiasing, for photos; without it each pixel is the nearest one, for label colours and ids.
    """
    if fit not in ("squash", "crop"):
        raise CgbenchError(f"fit '{fit}' is not known: use squash or crop")
    height, width = image.shape[:2]
    box = (0.0, 0.0, float(width), float(height))
    if fit == "crop":
        edge = min(height, width)
        left, top = (width - edge) / 2, (height - edge) / 2
        box = (left, top, left + edge, top + edge)
    if (height, width) == (side, side):
        return image
    how = Image.Resampling.BICUBIC if blend else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize((side, side), how, box=box))


def coloured(labels: np.ndarray, palette: Sequence[SemanticClass]) -> np.ndarray:
    """Return class ids, uint8 (H, W), in the colours of `palette`, uint8 (H, W, 3); ids beyond it become black."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    colours[: len(palette)] = [entry.colour for entry in palette]
    return colours[labels]


def image_files(folder: Path) -> list[Path]:
    """Return the image files in `folder`, sorted by name; hidden files and other kinds are left out."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and not path.name.startswith("."))
    return sorted((path for path in found if path.is_file()), key=lambda path: path.name)


def _load(path: Path, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return `convert(image)` of a fully decoded file; anything that goes wrong raises `DataBroken` naming it."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > PIXEL_LIMIT:
                raise DataBroken(
                    f"{path}: {image.width} × {image.height} is more than {PIXEL_LIMIT:,} pixels: shrink it"
                )
            image.load()
            return convert(image)
    except FileNotFoundError:
        raise DataBroken(f"{path}: the file is not there: restore it") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # a warning where warnings are errors
        raise DataBroken(f"{path}: more than {PIXEL_LIMIT:,} pixels: shrink it") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:  # bad files, in Pillow
        raise DataBroken(f"{path}: cannot be read as an image ({error}): replace it") from None


def _as_rgb(image: Image.Image) -> Image.Image:
    """Return a decoded image in mode RGB by the rules of `read_image`."""
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose range is not stated")
    if image.mode in FIXED_POINT_MODES:
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        image = Image.fromarray(((grey + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
