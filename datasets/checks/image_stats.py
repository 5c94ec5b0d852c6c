"""Image statistics: whether an image can be used, and the numbers that all comparisons are based on."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cgbench.api.dataset import Dataset, Domain, Item
from cgbench.api.names import IGNORE, Split
from cgbench.datasets.checks.report import display_name
from cgbench.datasets.pairing.edge_likeness import EDGES, edge_map
from cgbench.errors import CgbenchError
from cgbench.formatting import plural, printable
from cgbench.pixel_format import PixelFormat, display_rgb, outside_counts
from cgbench.progress import ProgressCallback

MAX_PROCEDURAL_IMAGES = 100  # that are checked of a split and domain: the same code renders all of them
PROCEDURAL_SIDE = 64  # pixels at which procedural datasets are rendered
THUMB = 64  # side of the grey thumbnail
GRID_PIXELS = 512  # rows and columns in which the JPEG grid is looked for
GRID_SIDE = 64  # pixels of the smaller side, at least
# share of neighbours that differ; photos have 0.6 and more, and 0.17 at JPEG quality 5; label maps have 0.05 at most
GRID_TEXTURE = 0.1
SAME_COLOUR = 3  # levels by which the colours of one picture vary after compression or scaling
FLAT = 2  # levels by which an image of one colour may vary


@dataclass(frozen=True)
class LabelStats:
    """Statistics of a label map: height and width, the number of classes, and the largest id other than 255."""

    height: int
    width: int
    classes: int
    largest: int


@dataclass(frozen=True, eq=False)
class ImageStats:
    """Statistics of an image. `problem` is the reason why it cannot be used; the rest is then empty.

    Of other numbers than 8-bit RGB, `below` and `above` of the `numbers` lie outside of the window, and what follows is
    that of the picture that shows the window; `constant` and `digest` are those of the numbers themselves.
    `thumb` is grey, uint8 (64, 64); `edges` are the horizontal and vertical differences, uint8 (2, 48, 48); `colour`
    are features of colour and texture, float (11,); `brightest` is the highest level of any channel, and `block_grid`
    the strength of JPEG blocks in the pixels (`block_grid`), None of small images.
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
    numbers: int = 0
    below: int = 0
    above: int = 0
    digest: str = ""
    thumb: np.ndarray | None = None
    edges: np.ndarray | None = None
    colour: np.ndarray | None = None
    brightest: int = 0
    block_grid: float | None = None
    labels: LabelStats | None = None
    labels_problem: str = ""


@dataclass(frozen=True)
class StatsTask:
    """An image to compute statistics of, and whether also of its label map: each label file is read once."""

    split: str
    letter: str
    item: Item
    labels: bool


def stats_tasks(items_by_split: dict[tuple[str, str], Sequence[Item]]) -> list[StatsTask]:
    """Return the images to compute statistics of, each file once. Procedural `pairs` are left out: they repeat the
    training scenes."""
    tasks, images, labels = [], set(), set()
    for (split, letter), items in items_by_split.items():
        for item in items:
            if item.file is None:
                if split != Split.PAIRS:
                    tasks.append(StatsTask(split, letter, item, item.labels is not None))
                continue
            if (letter, item.file) in images:
                continue
            images.add((letter, item.file))
            with_labels = item.labels is not None and item.labels_file not in labels
            tasks.append(StatsTask(split, letter, item, with_labels))
            labels.add(item.labels_file)
    return tasks


def compute_all_stats(
    dataset: Dataset,
    tasks: Sequence[StatsTask],
    workers: int,
    update: ProgressCallback | None,
    formats: Mapping[str, PixelFormat],
) -> list[ImageStats]:
    """Return the statistics of all tasks, in their order.

    Args:
        dataset: what the images are of.
        tasks: the images.
        workers: how many threads read them.
        update: is called with the numbers of images done and of all.
        formats: the format of domain "A" and of "B", with a window.

    Returns:
        The statistics; those of an image that cannot be used hold its problem.
    """

    def of_task(task: StatsTask) -> ImageStats:
        return compute_stats(dataset, task, formats[task.letter])

    stats = []
    with ThreadPoolExecutor(workers) as pool:
        for done, result in enumerate(pool.map(of_task, tasks), 1):
            stats.append(result)
            if update:
                update(done, len(tasks))
    return stats


def compute_stats(dataset: Dataset, task: StatsTask, pixels: PixelFormat) -> ImageStats:
    """Decode one image of a format, and its label map if the task says so, and return the statistics."""
    item, domain = task.item, dataset.domains[task.letter == "B"]
    name = display_name(item.file, dataset.root) if item.file else f"{task.split} {task.letter} {printable(item.key)}"
    common: dict[str, Any] = dict(split=task.split, domain=domain, letter=task.letter, item=item, name=name)
    labels, labels_problem = None, ""
    if task.labels:
        labels, labels_problem = _attempt(lambda: _label_stats(item.labels(PROCEDURAL_SIDE)), item.labels_file)
    stats, problem = _attempt(lambda: _image_stats(item.image(PROCEDURAL_SIDE), pixels), item.file)
    return ImageStats(**common, problem=problem, labels=labels, labels_problem=labels_problem, **(stats or {}))


def same_colours(first: ImageStats, second: ImageStats) -> bool:
    """Return whether two images have the same mean and spread of red, green and blue, and the same saturation."""
    assert first.colour is not None and second.colour is not None
    return bool(np.abs(first.colour[:7] - second.colour[:7]).max() <= SAME_COLOUR)


def _attempt(compute: Callable, file: Path | None) -> tuple:
    """Return (result, "") or (None, error message without the file's name)."""
    try:
        return compute(), ""
    except CgbenchError as error:
        return None, str(error).removeprefix(f"{printable(str(file))}: ")
    except Exception as error:  # a plug-in may raise anything: the other images are still checked
        return None, printable(f"{type(error).__name__}: {error}")


def _label_stats(ids: np.ndarray) -> LabelStats:
    _ensure(ids, "uint8", None)
    counts = np.bincount(ids.ravel(), minlength=256)
    used = np.flatnonzero(counts[:IGNORE])
    height, width = ids.shape
    return LabelStats(height, width, classes=len(used), largest=int(used[-1]) if len(used) else -1)


def _image_stats(image: np.ndarray, pixels: PixelFormat) -> dict[str, Any]:
    _ensure(image, pixels.dtype, pixels.channels)
    if pixels.dtype == "float32" and (count := image.size - int(np.isfinite(image).sum())):
        raise CgbenchError(f"{count:,} of {image.size:,} numbers are NaN or infinite")
    picture = display_rgb(image[None], pixels)[0]
    pillow_image = Image.fromarray(picture)
    extrema: Any = pillow_image.getextrema()  # of three channels: three pairs
    constant = all(high - low <= FLAT for low, high in extrema)
    below, above = (0, 0) if pixels.is_rgb8 else outside_counts(image, pixels)
    small = np.asarray(pillow_image.resize((EDGES, EDGES), Image.Resampling.BOX, reducing_gap=2.0))
    grey = pillow_image.convert("L")
    thumb = np.asarray(grey.resize((THUMB, THUMB), Image.Resampling.BOX))
    return {
        "height": image.shape[0],
        "width": image.shape[1],
        "constant": constant if pixels.is_rgb8 else bool((image == image[:1, :1]).all()),
        "numbers": image.size,
        "below": below,
        "above": above,
        "digest": hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest() + f"{image.shape}",
        "thumb": thumb,
        "edges": edge_map(pillow_image),
        "colour": _colours(small.astype(np.float32), picture),
        "brightest": max(high for _, high in extrema),
        "block_grid": block_grid(np.asarray(grey)[:GRID_PIXELS, :GRID_PIXELS]),
    }


def _colours(small: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return float (11,): mean and standard deviation of red, green and blue, the mean saturation, and the mean
    differences of neighbours across and down, of the small image; of the image itself, times 255, the share of
    neighbours that are equal within 4 levels; and the share of middle levels in the small image, times 255."""
    saturation = (small.max(axis=2) - small.min(axis=2)).mean()
    differences = [np.abs(np.diff(small, axis=axis)).mean() for axis in (0, 1)]
    rows = image[:: max(1, image.shape[0] // 64)].astype(np.int16)
    flat = (np.abs(np.diff(rows, axis=1)).max(axis=2) <= 4).mean() if image.shape[1] > 1 else 1.0
    middle = ((small > 64) & (small < 192)).mean()
    channels = (*small.mean(axis=(0, 1)), *small.std(axis=(0, 1)))
    return np.array([*channels, saturation, *differences, 255 * flat, 255 * middle])


def _ensure(array: Any, dtype: str, channels: int | None) -> None:
    """Raise where an item's array is not of this type and (H, W, channels), or (H, W) for None."""
    dimensions = 2 if channels is None else 3
    expected = f"{dtype} (H, W)" if channels is None else f"{dtype} (H, W, {channels})"
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != dimensions or 0 in array.shape:
        raise CgbenchError(
            f"gave {getattr(array, 'dtype', type(array).__name__)} {np.shape(array)} instead of {expected}"
        )
    if channels is not None and array.shape[2] != channels:
        raise CgbenchError(f"gave {plural(array.shape[2], 'channel')} instead of {channels}")


def block_grid(grey: np.ndarray) -> float | None:
    """Return how much an image, uint8 (H, W), looks like one made of blocks of 8 × 8 pixels: 0 to 1; None if a side is
    below `GRID_SIDE` pixels, or if it is flat like a label map, whose few edges may lie anywhere.

    A step between neighbouring pixels is a peak where it is larger than both steps beside it. Of the eight places that
    a step can have in a block, the share of peaks at the one with most of them is taken, less that at the next: without
    blocks all places are alike, and in an image enlarged by 2 or 4 several are. It is the mean of both directions.
    """
    if min(grey.shape) < GRID_SIDE:
        return None
    excess = []
    for lines in (grey, grey.T):
        steps = np.abs(np.diff(lines.astype(np.int16), axis=1))
        if (steps > 0).mean() < GRID_TEXTURE:
            return None
        peaks = (steps[:, 1:-1] > np.maximum(steps[:, :-2], steps[:, 2:])).mean(axis=0)
        places = np.sort(peaks[: len(peaks) // 8 * 8].reshape(-1, 8).mean(axis=0))
        excess.append(places[-1] - places[-2])
    return float(np.mean(excess))
