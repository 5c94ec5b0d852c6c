"""One look at every image: whether it can be used, and the few numbers that all comparisons are made of."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cgbench.api.dataset import IGNORE, Dataset, Domain, Item
from cgbench.datasets.checks.report import shown
from cgbench.errors import CgbenchError
from cgbench.formatting import printable

DRAWN_MOST = 100  # drawn images of a split and domain that are looked at: the code that draws them is one
DRAWN_SIDE = 64  # pixels at which drawn datasets are looked at
THUMB = 64  # side of the grey thumbnail
OUTLINE = 48  # side of the two edge maps
FLAT = 2  # levels that a picture of one colour may vary by


@dataclass(frozen=True)
class Maps:
    """What a label map holds: its height and width, how many classes it shows, and its largest id but 255."""

    height: int
    width: int
    classes: int
    largest: int


@dataclass(frozen=True, eq=False)
class ImageStats:
    """An image after the look. `problem` is why it cannot be used; the rest is then empty.

    `thumb` is grey, uint8 (64, 64); `edges` are the horizontal and vertical steps, uint8 (2, 48, 48); `colour` are
    features of colour and texture, float (11,).
    """

    split: str
    domain: Domain
    letter: str
    item: Item
    name: str
    problem: str = ""
    height: int = 0
    width: int = 0
    constant: bool = False
    digest: str = ""
    thumb: np.ndarray | None = None
    edges: np.ndarray | None = None
    colour: np.ndarray | None = None
    maps: Maps | None = None
    maps_problem: str = ""


@dataclass(frozen=True)
class Task:
    """An image to look at, and whether its label map is looked at as well: each file of labels is read once."""

    split: str
    letter: str
    item: Item
    labels: bool


def tasks(dataset: Dataset, listed: dict[tuple[str, str], Sequence[Item]]) -> list[Task]:
    """Return what has to be looked at, each file once. Drawn `pairs` repeat the training scenes: they are left out."""
    found, images, labels = [], set(), set()
    for (split, letter), items in listed.items():
        for item in items:
            if item.file is None:
                if split != "pairs":
                    found.append(Task(split, letter, item, item.labels is not None))
                continue
            if (letter, item.file) in images:
                continue
            images.add((letter, item.file))
            found.append(Task(split, letter, item, item.labels is not None and item.labels_file not in labels))
            labels.add(item.labels_file)
    return found


def compute_all_stats(
    dataset: Dataset, todo: Sequence[Task], workers: int, update: Callable[[int, int], None] | None
) -> list[ImageStats]:
    """Return what was seen, in the order of the tasks."""
    seen = []
    with ThreadPoolExecutor(workers) as pool:
        for done, result in enumerate(pool.map(lambda task: compute_stats(dataset, task), todo), 1):
            seen.append(result)
            if update:
                update(done, len(todo))
    return seen


def compute_stats(dataset: Dataset, task: Task) -> ImageStats:
    """Decode one image, and its label map if asked for, and return what comparisons need of it."""
    item, domain = task.item, dataset.domains[task.letter == "B"]
    name = shown(item.file, dataset.root) if item.file else f"{task.split} {task.letter} {printable(item.key)}"
    common = dict(split=task.split, domain=domain, letter=task.letter, item=item, name=name)
    maps, maps_problem = None, ""
    if task.labels:
        maps, maps_problem = _attempt(lambda: _look_at_labels(item.labels(DRAWN_SIDE)), item.labels_file)
    facts, problem = _attempt(lambda: _look_at_image(item.image(DRAWN_SIDE)), item.file)
    return ImageStats(**common, problem=problem, maps=maps, maps_problem=maps_problem, **(facts or {}))


def _attempt(what: Callable, file: Path | None) -> tuple:
    """Return (result, "") or (None, why it failed, without the file's name)."""
    try:
        return what(), ""
    except CgbenchError as error:
        return None, str(error).removeprefix(f"{printable(str(file))}: ")
    except Exception as error:  # a dataset of other people's may raise anything: the others are still looked at
        return None, printable(f"{type(error).__name__}: {error}")


def _look_at_labels(ids: np.ndarray) -> Maps:
    counts = np.bincount(_checked(ids, 2).ravel(), minlength=256)
    used = np.flatnonzero(counts[:IGNORE])
    return Maps(*ids.shape, classes=len(used), largest=int(used[-1]) if len(used) else -1)


def _look_at_image(image: np.ndarray) -> dict:
    picture = Image.fromarray(_checked(image, 3))
    small = np.asarray(picture.resize((OUTLINE, OUTLINE), Image.Resampling.BOX, reducing_gap=2.0))
    thumb = np.asarray(picture.convert("L").resize((THUMB, THUMB), Image.Resampling.BOX))
    return {
        "height": image.shape[0],
        "width": image.shape[1],
        "constant": all(high - low <= FLAT for low, high in picture.getextrema()),
        "digest": hashlib.blake2b(np.ascontiguousarray(image), digest_size=16).hexdigest() + f"{image.shape}",
        "thumb": thumb,
        "edges": _edges(small.astype(np.int16)),
        "colour": _colours(small.astype(np.float32), image),
    }


def _edges(small: np.ndarray) -> np.ndarray:
    """Return the steps between neighbours, across and down, the largest over the channels: uint8 (2, S, S)."""
    across = np.abs(np.diff(small, axis=1, prepend=small[:, :1])).max(axis=2)
    down = np.abs(np.diff(small, axis=0, prepend=small[:1])).max(axis=2)
    return np.stack([across, down]).astype(np.uint8)


def _colours(small: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return mean and spread of red, green, blue; saturation; mean steps of the small picture; and of the picture
    itself the share of neighbours that are equal within 4 levels, and of middle greys: float (11,)."""
    saturation = (small.max(axis=2) - small.min(axis=2)).mean()
    steps = [np.abs(np.diff(small, axis=axis)).mean() for axis in (0, 1)]
    rows = image[:: max(1, image.shape[0] // 64)].astype(np.int16)
    flat = (np.abs(np.diff(rows, axis=1)).max(axis=2) <= 4).mean() if image.shape[1] > 1 else 1.0
    middle = ((small > 64) & (small < 192)).mean()
    return np.array([*small.mean(axis=(0, 1)), *small.std(axis=(0, 1)), saturation, *steps, 255 * flat, 255 * middle])


def _checked(array: np.ndarray, dimensions: int) -> np.ndarray:
    """Return an item's array if it is what the interface asks for."""
    wanted = "uint8 (H, W, 3)" if dimensions == 3 else "uint8 (H, W)"
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != dimensions or 0 in array.shape:
        raise CgbenchError(
            f"gave {getattr(array, 'dtype', type(array).__name__)} {np.shape(array)} instead of {wanted}"
        )
    if dimensions == 3 and array.shape[2] != 3:
        raise CgbenchError(f"gave {array.shape[2]} channels instead of 3")
    return array
