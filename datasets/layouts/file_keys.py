"""Common folder layouts: two folders per split, or pairs side by side in one file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cgbench.api.dataset import FileProblem
from cgbench.datasets.images.decoding import image_files, read_image
from cgbench.datasets.pairing.names import without_marker
from cgbench.errors import DataBroken
from cgbench.formatting import printable

FOLDERS = ("trainA", "trainB", "testA", "testB")
TEST_NAMES = ("test", "val")


def stem(path: Path) -> str:
    """Return the file's name without its extension; bytes that are not UTF-8 and control characters are escaped."""
    return printable(path.stem)


def pair_key(path: Path) -> str:
    """Return the file's stem without a trailing `_A` or `_B`: the key that the two images of a pair share."""
    return without_marker(stem(path))


def by_key(paths: Sequence[Path], key: Callable[[Path], str]) -> tuple[dict[str, Path], list[FileProblem]]:
    """Return the files by their keys, in the given order, and a problem for each file whose key is a duplicate."""
    files: dict[str, Path] = {}
    problems = []
    for path in paths:
        name = key(path)
        if name in files:
            problems.append(FileProblem(path, f"has the same name as {files[name].name}: rename or remove one of them"))
        else:
            files[name] = path
    return files, problems


def unmatched(first: dict[str, Path], second: dict[str, Path], names: tuple[str, str], fix: str) -> list[FileProblem]:
    """Return a problem for each file without a counterpart of the same key; `names` are the kinds of the files in
    `first` and `second`."""
    problems = [FileProblem(first[key], f"has no {names[1]}: {fix}") for key in first.keys() - second.keys()]
    problems += [FileProblem(second[key], f"has no {names[0]}: {fix}") for key in second.keys() - first.keys()]
    return sorted(problems, key=lambda problem: problem.file.name)


def side_by_side_test(root: Path) -> Path | None:
    """Return the test folder of a side-by-side layout in `root`, or None where there is none."""
    return next((root / name for name in TEST_NAMES if image_files(root / name)), None)


def halves(path: Path, read: Callable[[Path], np.ndarray] = read_image) -> tuple[np.ndarray, np.ndarray]:
    """Return the left and the right half of an image, (H, W / 2, C) each as `read` gives it, (H, W, C); an odd width
    raises `DataBroken`."""
    image = read(path)
    width = image.shape[1]
    if width % 2:
        raise DataBroken(f"{path}: {width} pixels wide, but two images side by side need an even width")
    return image[:, : width // 2], image[:, width // 2 :]
