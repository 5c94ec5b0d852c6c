"""Image files that keep every number: PNG for pictures and 16-bit grey, else TIFF."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cgbench.benchmarks.data.output_paths import all_or_none
from cgbench.files import write_bytes
from cgbench.pixel_format import PixelFormat
from cgbench.progress import ProgressCallback

PNG_FORMATS = ((1, "uint8"), (3, "uint8"), (1, "uint16"))  # bands and types; Pillow writes no 16-bit colours


def suffix(pixels: PixelFormat) -> str:
    """Return the extension of files that hold a format: ".png" or ".tif"."""
    return ".png" if (pixels.channels, pixels.dtype) in PNG_FORMATS else ".tif"


def encoded(image: np.ndarray, pixels: PixelFormat) -> bytes:
    """Return an image (H, W, C) of a format as the bytes of a file with its `suffix`; TIFF is contiguous and not
    compressed."""
    buffer = io.BytesIO()
    numbers = image[..., 0] if image.shape[2] == 1 else image
    if suffix(pixels) == ".png":
        Image.fromarray(numbers).save(buffer, format="PNG", compress_level=1)
    else:
        import tifffile

        tifffile.imwrite(
            buffer, numbers, photometric="minisblack", planarconfig=None if numbers.ndim == 2 else "contig"
        )
    return buffer.getvalue()


def write_all(
    batches: Iterable[np.ndarray], paths: Sequence[Path], pixels: PixelFormat, update: ProgressCallback
) -> None:
    """Write batches of images (n, H, W, C) to `paths` of one folder, all or none."""
    with all_or_none(paths) as parts:
        images = (image for batch in batches for image in batch)
        for number, (part, image) in enumerate(zip(parts, images, strict=True)):
            write_bytes(part, encoded(image, pixels))
            update(number + 1, len(paths))
