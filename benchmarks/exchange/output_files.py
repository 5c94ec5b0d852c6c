"""Files of another program's outputs: found, matched to test images, checked and decoded."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.exchange.output_names import MatchedNames, match_names
from cgbench.benchmarks.execution.saved_outputs import on_canvas
from cgbench.datasets.images import decoding, stored
from cgbench.datasets.images.decoding import Header
from cgbench.errors import CgbenchError, DataBroken
from cgbench.formatting import plural, printable, shortened
from cgbench.pixel_format import PixelFormat
from cgbench.progress import ProgressCallback

PAGE_FOLDER = "images"  # where the CycleGAN and pix2pix repository in PyTorch puts the files of a results page
UPRIGHT = 4  # EXIF orientations above it exchange height and width


@dataclass(frozen=True)
class OutputFiles:
    """The decoded translations of all test images, (N, H, W, D) in the target's format, and where they come from as
    text: folder, formats, and whether one was compressed with loss."""

    outputs: np.ndarray
    origin: str


def read_outputs(
    folder: Path, sources: ImageSet, pixels: PixelFormat, direction: str, update: ProgressCallback
) -> OutputFiles:
    """Return the outputs that a folder holds of the test images of a direction.

    Files are those of the folder itself, or of its folder `images` where it holds no image; hidden files, folders and
    other kinds of files are left out. They are matched as `match_names` says. All names and sizes are checked before
    the first image is decoded.

    Args:
        folder: The folder of images.
        sources: The test images that were translated.
        pixels: The format of the target domain.
        direction: "AtoB" or "BtoA".
        update: Called after each image with (done, total).

    Returns:
        The outputs in the order of the test images.

    Raises:
        CgbenchError: A test image has no file or several, a file belongs to none, has another size, bands or type than
            the run's test images, leads out of the folder, or cannot be read.
    """
    place, paths = _image_paths(folder, decoding.EXTENSIONS if pixels.is_rgb8 else stored.EXTENSIONS)
    matched = match_names([path.name for path in paths], sources.keys, direction)
    chosen = [place / name for name in matched.names]
    for path in chosen:
        _ensure_inside(path, place)
    headers = [decoding.header(path) if pixels.is_rgb8 else stored.stored_header(path) for path in chosen]
    _ensure_sizes(chosen, headers, sources)
    images = []
    for number, path in enumerate(chosen):
        images.append(_read(path, pixels))
        update(number + 1, len(chosen))
    return OutputFiles(on_canvas(images, sources, pixels), _origin(place, headers, matched))


def _origin(folder: Path, headers: list[Header], matched: MatchedNames) -> str:
    """Return where outputs come from as text: "folder images (12 PNG, named KEY_fake_B; 24 beside them left out)"."""
    formats = ", ".join(f"{count:,} {name}" for name, count in Counter(found.format for found in headers).most_common())
    loss = ", compressed with loss" if any(found.lossy for found in headers) else ""
    named = f", named KEY{matched.ending}" if matched.ending else ""
    beside = f"; {matched.companions:,} beside them left out" if matched.companions else ""
    return f"folder {shortened(printable(folder.name))} ({formats}{loss}{named}{beside})"


def _image_paths(folder: Path, extensions: Sequence[str]) -> tuple[Path, list[Path]]:
    """Return the folder that holds the images, and these; none raises `CgbenchError`."""
    if not folder.is_dir():
        problem = "it is no folder" if folder.exists() else "it is not there"
        raise CgbenchError(f"{folder}: {problem}: name the folder of the images")
    folder = folder.resolve()
    for place in (folder, folder / PAGE_FOLDER):
        if paths := decoding.image_files(place, extensions):
            return place, paths
    raise CgbenchError(f"{folder} holds no image file ({', '.join(extensions)})")


def _ensure_inside(path: Path, folder: Path) -> None:
    """Raise where a file is a symbolic link that leads out of its folder."""
    if path.is_symlink() and not path.resolve().is_relative_to(folder):
        raise CgbenchError(f"{path} is a symbolic link that leads out of its folder: put the file itself there")


def _ensure_sizes(paths: list[Path], headers: list[Header], sources: ImageSet) -> None:
    """Raise where an output has another size than its test image has in the run."""
    wrong = []
    for index, (path, found) in enumerate(zip(paths, headers, strict=True)):
        size = (found.width, found.height) if found.orientation > UPRIGHT else (found.height, found.width)
        if size != sources.size(index):
            wrong.append((path, size, sources.size(index)))
    if wrong:
        path, size, expected = wrong[0]
        raise CgbenchError(
            f"{path} is {_text(size)} pixels, and the run measures at {_text(expected)} ({len(wrong)} of "
            f"{plural(len(paths), 'file')} differ): outputs are not resized here, for that would be a part of the "
            "result; let the program write that size, or resize them and say so in --training"
        )


def _text(size: tuple[int, int]) -> str:
    return f"{size[1]} × {size[0]}"


def _read(path: Path, pixels: PixelFormat) -> np.ndarray:
    """Return an output (H, W, D) in the target's format."""
    image = decoding.read_image(path) if pixels.is_rgb8 else stored.read_stored(path)
    if (image.shape[2], image.dtype.name) != (pixels.channels, pixels.dtype):
        found = f"{plural(image.shape[2], 'band')} of {image.dtype}"
        expected = f"{plural(pixels.channels, 'band')} of {pixels.dtype}"
        raise DataBroken(f"{path}: holds {found}, but the target domain has {expected}: convert it")
    return image
