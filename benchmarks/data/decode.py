"""Decoding of a dataset's items into square uint8 images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cgbench.api.dataset import Dataset, Item
from cgbench.api.names import IGNORE
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.datasets.images.decoding import BLACK_SET, DARK_LEVEL, arrive_black, is_sixteen_bit, same_shape, square
from cgbench.errors import DataBroken
from cgbench.formatting import plural
from cgbench.progress import ProgressCallback


@dataclass(frozen=True)
class ImageSetSpec:
    """Specification of a set of decoded images: items of a domain and split, the `side` in pixels, and how a rectangle
    is made square (`resize_mode`). Class ids are included if `labels` is set and every item has them."""

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
        """The shapes of the arrays, uint8, by name: `images`, and `labels` where they are included."""
        maps = (len(self.items), self.side, self.side)
        labelled = self.labels and all(item.labels is not None for item in self.items)
        return {"images": (*maps, 3), **({"labels": maps} if labelled else {})}

    @property
    def title(self) -> str:
        """The set in words: "streets, train A: 960 images of 72 pixels"."""
        images = plural(len(self.items), "image")
        return f"{self.dataset.label}, {self.split} {self.domain}: {images} of {self.side} pixels"

    @property
    def bytes(self) -> int:
        return sum(int(np.prod(shape, dtype=np.int64)) for shape in self.shapes.values())


class RowWriter(Protocol):
    """Destination of decoded images, one item after another."""

    def add(self, rows: dict[str, np.ndarray]) -> None:
        """Add the decoded arrays of the next item."""


class MemoryWriter:
    """The arrays of a set in memory, filled row by row."""

    def __init__(self, spec: ImageSetSpec) -> None:
        self.keys, self.count = spec.keys, 0
        self.arrays = {name: np.empty(shape, np.uint8) for name, shape in spec.shapes.items()}

    def add(self, rows: dict[str, np.ndarray]) -> None:
        """Add the decoded arrays of the next item."""
        for name, array in self.arrays.items():
            array[self.count] = rows[name]
        self.count += 1

    def finish(self) -> ImageSet:
        """Return the set; all rows must have been added."""
        return ImageSet(self.keys, **self.arrays)


def decode(spec: ImageSetSpec, rows: RowWriter, progress: ProgressCallback | None = None) -> None:
    """Decode every item and add it to `rows`.

    A file that cannot be used, ids beyond the palette, labels of another shape than their image, pixels that are not
    uint8, and a set whose 16-bit pictures arrive almost black (`arrive_black`) raise `DataBroken`. So no such set gets
    into the cache.
    """
    dark: list[Item] = []
    for number, item in enumerate(spec.items, 1):
        image = item.image(spec.side)
        arrays = {"images": square(image, spec.side, spec.resize_mode, spec.blend)}
        if spec.labels and item.labels is not None:
            ids = _checked_labels(spec.dataset, item, image, spec.side)
            arrays["labels"] = square(ids, spec.side, spec.resize_mode, blend=False)
        for name, shape in spec.shapes.items():
            if arrays[name].dtype != np.uint8 or arrays[name].shape != shape[1:]:
                raise DataBroken(
                    f"{_item_name(spec.dataset, item)}: its {name} must be uint8 {shape[1:]}, not {arrays[name].dtype} "
                    f"{arrays[name].shape}: mend the dataset"
                )
        if image.max() < DARK_LEVEL and is_sixteen_bit(item.file):
            dark.append(item)
        rows.add(arrays)
        if progress:
            progress(number, len(spec.items))
    _ensure_not_black(spec, dark)


def _ensure_not_black(spec: ImageSetSpec, dark: Sequence[Item]) -> None:
    """Raise `DataBroken` where all 16-bit pictures of the split and domain, also those that a limit left out, are like
    the `dark` ones among `spec.items`."""
    if not arrive_black([0] * len(dark), len(spec.items)):
        return
    known = {item.file for item in dark}
    for item in spec.dataset.items(spec.split, spec.domain):
        if item.file not in known and is_sixteen_bit(item.file) and item.image(spec.side).max() >= DARK_LEVEL:
            return
    raise DataBroken(f"{dark[0].file}: {BLACK_SET.format(spec.split, spec.domain)}")


def _item_name(dataset: Dataset, item: Item) -> str:
    return f"dataset '{dataset.label}', image '{item.key}'"


def _checked_labels(dataset: Dataset, item: Item, image: np.ndarray, side: int) -> np.ndarray:
    """Return an item's class ids, uint8 (H, W). Ids beyond the palette and another shape than the image's raise
    `DataBroken`."""
    assert item.labels is not None
    ids, name = item.labels(side), item.labels_file or _item_name(dataset, item)
    if dataset.palette and (beyond := ids[(ids >= len(dataset.palette)) & (ids != IGNORE)]).size:
        raise DataBroken(f"{name}: class id {beyond.max()}, but the palette has {len(dataset.palette)} classes")
    if not same_shape(*image.shape[:2], *ids.shape):
        sizes = f"{ids.shape[1]} × {ids.shape[0]} labels for {image.shape[1]} × {image.shape[0]} pixels"
        raise DataBroken(f"{name}: {sizes}: a label map must show its photo, whole")
    return ids
