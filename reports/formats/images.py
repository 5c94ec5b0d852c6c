"""Image files as inline data URIs."""

import base64
import io
import warnings
from pathlib import Path

from PIL import Image

from cgbench.errors import IMAGE_ERRORS, CgbenchError
from cgbench.files import read_bytes

QUALITY = 80  # of reduced images, as WebP
TOO_LARGE = (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning)


class UnreadableImage(CgbenchError):
    """An image of a run is damaged, too large, or no file at all."""


def read_png(path: Path) -> tuple[bytes, Image.Image]:
    """Return the content of a PNG file and the image, decoded. A missing file raises FileNotFoundError; a damaged or
    huge one, a folder, a pipe and a dangling link raise `UnreadableImage`, and are not waited for."""
    try:
        content = read_bytes(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=["PNG"])
        image.load()  # a truncated file must not pass
    except (CgbenchError, *IMAGE_ERRORS, *TOO_LARGE) as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            raise
        raise UnreadableImage(f"{path} is not a readable image; 'cgbench evaluate' writes it again") from None
    return content, image


def data_uri(path: Path, side: int = 0, quality: int = QUALITY) -> str:
    """Return the image at `path` as a data URI: the PNG file itself, or with a `side` above 0 a WebP image of at most
    `side` pixels a side. It raises as `read_png` does."""
    content, image = read_png(path)
    if not side:
        return f"data:image/png;base64,{base64.b64encode(content).decode()}"
    reduced = image.convert("RGB")
    reduced.thumbnail((side, side))
    buffer = io.BytesIO()
    reduced.save(buffer, "WEBP", quality=quality)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
