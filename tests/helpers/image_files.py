"""Image files of pixel formats that Pillow does not write, byte by byte."""

import struct
import zlib
from pathlib import Path

import numpy as np

GREY, RGB, CMYK, LAB = 1, 2, 5, 8  # TIFF photometric interpretations; 0 is grey whose 0 is white
PNG_GREY, PNG_RGB, PNG_GREY_ALPHA, PNG_RGBA = 0, 2, 4, 6


def write_tiff(path: Path, pixels: np.ndarray, photometric: int, extra=(), sample_format: int = 1, bits: int = 0):
    """Write pixels (H, W, bands) as an uncompressed TIFF file in one strip. `extra` are the kinds of its bands beyond
    colours (1 and 2: transparency); `bits` are those of its type unless given."""
    height, width, bands = pixels.shape
    data = pixels.tobytes()
    short, long = ("H", 3), ("I", 4)
    tags = [
        (256, long, (width,)), (257, long, (height,)), (258, short, (bits or 8 * pixels.itemsize,) * bands),
        (259, short, (1,)), (262, short, (photometric,)), (273, long, (0,)), (277, short, (bands,)),
        (278, long, (height,)), (279, long, (len(data),)), *([(338, short, extra)] if extra else []),
        (339, short, (sample_format,) * bands),
    ]  # fmt: skip
    start = 8 + 2 + 12 * len(tags) + 4
    beside = sum(size for _, (code, _), values in tags if (size := struct.calcsize(code) * len(values)) > 4)
    entries, values_beside = b"", b""
    for tag, (code, kind), values in tags:
        raw = struct.pack(f"<{len(values)}{code}", *((start + beside,) if tag == 273 else values))
        if len(raw) > 4:
            raw, values_beside = struct.pack("<I", start + len(values_beside)), values_beside + raw
        entries += struct.pack("<HHI", tag, kind, len(values)) + raw.ljust(4, b"\0")
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    path.write_bytes(header + entries + bytes(4) + values_beside + data)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(path: Path, rows: np.ndarray, colour: int, bits: int, width: int = 0, after: bytes = b""):
    """Write rows (H, W, bands), uint8 or uint16, as a PNG file of this colour type. `width` is that in pixels where
    bytes hold several of them; `after` are chunks that follow the pixels."""
    raw = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width or rows.shape[1], len(rows), bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + after + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
