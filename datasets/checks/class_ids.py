"""The check for photos that hold class ids: grey files of a few low levels in flat areas, almost black as photos."""

from collections.abc import Mapping, Sequence

import numpy as np

from cgbench.api.dataset import Dataset, Item
from cgbench.api.names import IGNORE
from cgbench.datasets.checks.file_checks import Headers
from cgbench.datasets.checks.report import Issue, display_name
from cgbench.datasets.images.decoding import read_image
from cgbench.errors import CgbenchError
from cgbench.selection import evenly_spaced

MOST_READ = 8  # files of a split and domain, evenly spaced
HIGHEST_ID = 39  # Cityscapes has ids to 33, and few label sets have more; a photo this dark is almost black
MIN_FLAT = 0.7  # of the neighbours off the most frequent level that are equal; the noise of dark photos leaves 0.2
FIX = (
    "colour them by a palette, a colour per class, or use a dataset that reads label ids, such as cityscapes or "
    "camvid; if they are photos, spread their levels over 0 to 255"
)


def check_class_ids(
    dataset: Dataset, listed: Mapping[tuple[str, str], Sequence[Item]], headers: Headers
) -> list[Issue]:
    """Return an error per split and domain of photos whose files are 8-bit grey and hold class ids instead of colours,
    as far as a few of them show. Files are decoded only where all headers of a set say 8-bit grey."""
    issues = []
    for (split, letter), items in listed.items():
        files = list(dict.fromkeys(item.file for item in items if item.file in headers.by_file))
        grey = files and all(headers.by_file[file].mode == "L" for file in files)
        if not grey or dataset.domains[letter == "B"].kind != "photo":
            continue
        chosen = [files[index] for index in evenly_spaced(len(files), MOST_READ)]
        try:
            highest = [highest_id(read_image(file)[..., 0]) for file in chosen]
        except CgbenchError:  # a file that cannot be decoded: training and the full check name it
            continue
        ids = [found for found in highest if found is not None]
        if ids and len(ids) == len(highest) and max(ids) > 0:
            names = tuple(display_name(file, dataset.root) for file in chosen)
            text = (
                f"{split} {letter} holds class ids, 0 to {max(ids)} in flat areas: read as photos they are almost black"
            )
            issues.append(Issue("class-ids", "error", text, FIX, names))
    return issues


def highest_id(grey: np.ndarray) -> int | None:
    """Return the highest level of a picture, uint8 (H, W), that looks like a map of class ids, 255 left out; None for
    one that does not: it has levels beyond `HIGHEST_ID`, or its neighbours differ as those of photos do."""
    ids = grey[grey != IGNORE]
    if ids.size == 0:
        return 0
    if ids.max() > HIGHEST_ID:
        return None
    left, right = grey[:, :-1], grey[:, 1:]
    background = np.bincount(ids, minlength=1).argmax()
    off = (left != background) | (right != background)
    flat = float((left == right)[off].mean()) if off.any() else 1.0
    return int(ids.max()) if flat >= MIN_FLAT else None
