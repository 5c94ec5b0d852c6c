"""Decoding of a dataset's items into arrays of one shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cgbench.api.dataset import Dataset, Item
from cgbench.api.names import IGNORE
from cgbench.benchmarks.data.geometry import MULTIPLE, Geometry
from cgbench.benchmarks.data.image_set import ImageSet, enlarged
from cgbench.datasets.images.decoding import BLACK_SET, DARK_LEVEL, arrive_black, is_sixteen_bit, same_shape
from cgbench.datasets.images.resizing import resized, resized_shape
from cgbench.errors import DataBroken
from cgbench.formatting import plural
from cgbench.pixel_format import PixelFormat
from cgbench.progress import ProgressCallback

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class ArrayLayout:
    """The shape and the type of one array of a set."""

    shape: tuple[int, ...]
    dtype: str = "uint8"

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class ImageSetSpec:
    """Specification of a set of decoded images: items of a domain and split, and their geometry. Class ids are included
    if `labels` is set and every item has them, masks if every item has one."""

    dataset: Dataset
    split: str
    domain: str
    items: Sequence[Item]
    geometry: Geometry
    labels: bool = False

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(item.key for item in self.items)

    @property
    def pixels(self) -> PixelFormat:
        """The format of the images' numbers."""
        return self.dataset.domains[0 if self.domain == "A" else 1].pixels

    @property
    def blend(self) -> bool:
        """Whether resizing may mix neighbouring pixels: those of photos, not those of label images."""
        return self.dataset.domains[0 if self.domain == "A" else 1].kind == "photo"

    @property
    def side(self) -> int:
        """The short side in pixels, for which procedural datasets render."""
        return min(self.geometry.shape)

    def arrays(self, canvas: tuple[int, int]) -> dict[str, ArrayLayout]:
        """Return the arrays of the set by name, for images in arrays of the height and width `canvas`: `images`,
        `labels` and `masks` where they are included, and `sizes` where images have sizes of their own."""
        maps = (len(self.items), *canvas)
        found = {"images": ArrayLayout((*maps, self.pixels.channels), self.pixels.dtype)}
        if self.labels and all(item.labels is not None for item in self.items):
            found["labels"] = ArrayLayout(maps)
        if all(item.mask is not None for item in self.items):
            found["masks"] = ArrayLayout(maps)
        if not self.geometry.one_shape:
            found["sizes"] = ArrayLayout((len(self.items), 2), "int32")
        return found

    def bytes(self, canvas: tuple[int, int]) -> int:
        """Return the bytes of all arrays."""
        return sum(layout.bytes for layout in self.arrays(canvas).values())

    @property
    def title(self) -> str:
        """The set in words: "streets, train A: 960 images of 72 pixels"."""
        images = plural(len(self.items), "image")
        return f"{self.dataset.label}, {self.split} {self.domain}: {images} of {self.geometry.title}"


class RowWriter(Protocol):
    """Destination of decoded images, one item after another."""

    def add(self, rows: Arrays) -> None:
        """Add the decoded arrays of the next item."""


class MemoryWriter:
    """The arrays of a set in memory, filled row by row."""

    def __init__(self, spec: ImageSetSpec, canvas: tuple[int, int]) -> None:
        self.keys, self.pixels, self.count = spec.keys, spec.pixels, 0
        self.arrays = {name: np.empty(layout.shape, layout.dtype) for name, layout in spec.arrays(canvas).items()}

    def add(self, rows: Arrays) -> None:
        """Add the decoded arrays of the next item."""
        for name, array in self.arrays.items():
            array[self.count] = rows[name]
        self.count += 1

    def finish(self) -> ImageSet:
        """Return the set; all rows must have been added."""
        return ImageSet(self.keys, **self.arrays, pixels=self.pixels)


def find_canvas(spec: ImageSetSpec) -> tuple[int, int]:
    """Return the height and width of the arrays that hold the images. Where these keep sizes of their own every image
    is read for it, and the sides are multiples of 8."""
    geometry = spec.geometry
    if geometry.one_shape:
        return geometry.shape
    height, width = geometry.least
    for item in spec.items:
        size = item.image(spec.side).shape[:2]
        rows, columns = resized_shape(size, geometry.shape, geometry.resize_mode)
        height, width = max(height, rows), max(width, columns)
    return -(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE


def decode(
    spec: ImageSetSpec, rows: RowWriter, canvas: tuple[int, int], progress: ProgressCallback | None = None
) -> None:
    """Decode every item and add it to `rows`, in arrays of the height and width `canvas`.

    A file that cannot be used, ids beyond the palette, labels or a mask of another shape than their image, numbers of
    another format than the domain's, and a set whose 16-bit pictures arrive almost black (`arrive_black`) raise
    `DataBroken`. So no such set gets into the cache.
    """
    dark: list[Item] = []
    for number, item in enumerate(spec.items, 1):
        image = _checked_image(spec, item)
        rows.add(_rows(spec, item, image, canvas))
        if spec.pixels.is_rgb8 and image.max() < DARK_LEVEL and is_sixteen_bit(item.file):
            dark.append(item)
        if progress:
            progress(number, len(spec.items))
    _ensure_not_black(spec, dark)


def _rows(spec: ImageSetSpec, item: Item, image: np.ndarray, canvas: tuple[int, int]) -> Arrays:
    """Return the arrays of one item by name."""
    shape, mode = spec.geometry.shape, spec.geometry.resize_mode
    picture = resized(image, shape, mode, spec.blend)
    size = np.maximum(picture.shape[:2], spec.geometry.least)
    arrays = {"images": enlarged("images", picture, canvas), "sizes": size.astype(np.int32)}
    if spec.labels and item.labels is not None:
        ids = _checked_labels(spec.dataset, item, image, spec.side)
        arrays["labels"] = enlarged("labels", resized(ids, shape, mode, blend=False), canvas)
    if item.mask is not None:
        mask = np.asarray(item.mask(spec.side))
        if mask.shape != image.shape[:2] or mask.dtype != np.uint8 or mask.max(initial=0) > 1:
            name = item.mask_file or _item_name(spec.dataset, item)
            raise DataBroken(
                f"{name}: its mask must be 0 and 1, uint8 {image.shape[:2]}, not {mask.dtype} {mask.shape}"
            )
        arrays["masks"] = enlarged("masks", resized(mask, shape, mode, blend=False), canvas)
    return arrays


def _checked_image(spec: ImageSetSpec, item: Item) -> np.ndarray:
    """Return an item's image; another format than its domain's raises `DataBroken`."""
    image, pixels = item.image(spec.side), spec.pixels
    if image.ndim != 3 or image.shape[2] != pixels.channels or image.dtype != np.dtype(pixels.dtype) or not image.size:
        raise DataBroken(
            f"{item.file or _item_name(spec.dataset, item)}: its images must be {pixels.dtype} (height, width, "
            f"{plural(pixels.channels, 'band')}), not {image.dtype} {image.shape}: mend the dataset"
        )
    if image.dtype.kind == "f" and (broken := int((~np.isfinite(image)).sum())):
        name = item.file or _item_name(spec.dataset, item)
        raise DataBroken(f"{name}: {broken} of its numbers are infinite or not a number: replace it")
    return image


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
