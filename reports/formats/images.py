"""Image files as inline data URIs."""

import base64
import io
from pathlib import Path

from PIL import Image

from cgbench.files import read_bytes

QUALITY = 80  # of reduced images, as WebP


def data_uri(path: Path, side: int = 0, quality: int = QUALITY) -> str:
    """Return the image at `path` as a data URI: the PNG file itself, or with a `side` above 0 a WebP image of at most
    `side` pixels a side. An unreadable file raises OSError or SyntaxError, as Pillow does; a folder or
    a pipe raises `CgbenchError`."""
    content = read_bytes(path)
    with Image.open(io.BytesIO(content)) as image:
        image.load()  # a truncated file must not pass
        if not side:
            return f"data:image/png;base64,{base64.b64encode(content).decode()}"
        reduced = image.convert("RGB")
        reduced.thumbnail((side, side))
        buffer = io.BytesIO()
        reduced.save(buffer, "WEBP", quality=quality)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
