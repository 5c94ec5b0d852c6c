"""Decoding of a dataset's items into square uint8 images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cgbench.api.dataset import IGNORE, Dataset, Item
from cgbench.benchmarks.data.image_set import ImageSet, ProgressCallback
from cgbench.datasets.images import same_shape, square
from cgbench.errors import DataBroken


@dataclass(frozen=True)
class ImageSetSpec:
    """A set of squares that is asked for: items of a domain and split, the `side` in pixels, and how a rectangle is
    made square (`resize_mode`). Class ids are part of it if `labels` are asked for and every item has them."""

    dataset: Dataset
    split: str
    domain: str
    items: Sequence[Item]
    side: int
    resize_mode: str
    labels: bool = False

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(item.key for item in self.items)

    @property
    def blend(self) -> bool:
        """Whether resizing may mix neighbouring pixels: those of photos, not those of label images."""
        return self.dataset.domains[0 if self.domain == "A" else 1].kind == "photo"

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the arrays, uint8, by name: `images`, and `labels` where they are part of it."""
        maps = (len(self.items), self.side, self.side)
        labelled = self.labels and all(item.labels is not None for item in self.items)
        return {"images": (*maps, 3), **({"labels": maps} if labelled else {})}

    @property
    def bytes(self) -> int:
        return sum(int(np.prod(shape, dtype=np.int64)) for shape in self.shapes.values())


class RowWriter(Protocol):
    """Where decoded squares go, one after another."""

    def add(self, rows: dict[str, np.ndarray]) -> None:
        """Take the next item's square of each array."""


class MemoryWriter:
    """The arrays of a set, filled row by row."""

    def __init__(self, wanted: ImageSetSpec) -> None:
        self.keys, self.count = wanted.keys, 0
        self.arrays = {name: np.empty(shape, np.uint8) for name, shape in wanted.shapes.items()}

    def add(self, rows: dict[str, np.ndarray]) -> None:
        """Take the next item's squares."""
        for name, array in self.arrays.items():
            array[self.count] = rows[name]
        self.count += 1

    def whole(self) -> ImageSet:
        """Return the set, all of whose rows were added."""
        return ImageSet(self.keys, **self.arrays)


def decode(wanted: ImageSetSpec, rows: RowWriter, progress: ProgressCallback | None = None) -> None:
    """Hand every item's squares to `rows`. A file that cannot be used, ids beyond the palette, labels of another shape
    than their image, and pixels that are not uint8 raise `DataBroken`."""
    for number, item in enumerate(wanted.items, 1):
        image = item.image(wanted.side)
        found = {"images": square(image, wanted.side, wanted.resize_mode, wanted.blend)}
        if wanted.labels and item.labels is not None:
            ids = _fitting_labels(wanted.dataset, item, image, wanted.side)
            found["labels"] = square(ids, wanted.side, wanted.resize_mode, blend=False)
        for name, shape in wanted.shapes.items():
            if found[name].dtype != np.uint8 or found[name].shape != shape[1:]:
                raise DataBroken(
                    f"{_name(wanted.dataset, item)}: its {name} must be uint8 {shape[1:]}, not {found[name].dtype} "
                    f"{found[name].shape}: mend the dataset"
                )
        rows.add(found)
        if progress:
            progress(number, len(wanted.items))


def _name(dataset: Dataset, item: Item) -> str:
    return f"dataset '{dataset.label}', image '{item.key}'"


def _fitting_labels(dataset: Dataset, item: Item, image: np.ndarray, side: int) -> np.ndarray:
    """Return an item's class ids, uint8 (H, W); ids beyond the palette and another shape than the image's raise."""
    ids, name = item.labels(side), item.labels_file or _name(dataset, item)
    if dataset.palette and (beyond := ids[(ids >= len(dataset.palette)) & (ids != IGNORE)]).size:
        raise DataBroken(f"{name}: class id {beyond.max()}, but the palette has {len(dataset.palette)} classes")
    if not same_shape(*image.shape[:2], *ids.shape):
        sizes = f"{ids.shape[1]} × {ids.shape[0]} labels for {image.shape[1]} × {image.shape[0]} pixels"
        raise DataBroken(f"{name}: {sizes}: a label map must show its photo, whole")
    return ids
