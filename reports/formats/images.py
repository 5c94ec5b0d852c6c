"""Image files as inline data URIs."""

import base64
import io
from pathlib import Path

from PIL import Image

QUALITY = 80  # of reduced pictures, as WebP


def data_uri(path: Path, side: int = 0, quality: int = QUALITY) -> str:
    """Return the picture at `path` as a data URI: the PNG file itself, or with a `side` above 0 a WebP image of at most
    so many pixels a side. An unreadable file raises OSError or SyntaxError, as Pillow does."""
    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()  # a file cut short must not pass
        if not side:
            return f"data:image/png;base64,{base64.b64encode(content).decode()}"
        picture = picture.convert("RGB")
        picture.thumbnail((side, side))
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
