"""Folders of images as other projects lay them out: two folders per split, or pairs side by side in one file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cgbench.datasets.images import image_files, read_image
from cgbench.errors import DataBroken

FOLDERS = ("trainA", "trainB", "testA", "testB")
TEST_NAMES = ("test", "val")


def pair_key(path: Path) -> str:
    """Return the file's stem without a trailing `_A` or `_B`, which the two images of a pair share."""
    stem = path.stem
    return stem[:-2] if stem.endswith(("_A", "_B")) and len(stem) > 2 else stem


def keyed(paths: Sequence[Path], key: Callable[[Path], str]) -> dict[str, Path]:
    """Return the files by their keys, in the given order; two files of one key raise `DataBroken`."""
    found: dict[str, Path] = {}
    for path in paths:
        name = key(path)
        if name in found:
            raise DataBroken(f"{path}: has the same name as {found[name].name}: rename or remove one of them")
        found[name] = path
    return found


def corresponding(first: Sequence[Path], second: Sequence[Path]) -> bool:
    """Return whether two sorted folders hold the same stems, after removing a trailing `_A` or `_B`."""
    keys = [sorted(pair_key(path) for path in paths) for paths in (first, second)]
    return bool(first) and keys[0] == keys[1] and len(set(keys[0])) == len(first)


def side_by_side_test(root: Path) -> Path | None:
    """Return the test folder of a side-by-side layout in `root`, or None where there is none."""
    return next((root / name for name in TEST_NAMES if image_files(root / name)), None)


def halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the left and the right half of an image, uint8 (H, W / 2, 3) each; an odd width raises `DataBroken`."""
    image = read_image(path)
    width = image.shape[1]
    if width % 2:
        raise DataBroken(f"{path}: {width} pixels wide, but two images side by side need an even width")
    return image[:, : width // 2], image[:, width // 2 :]
