"""Decoded images of one domain and split as arrays, with the digest of their content."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cgbench.api.names import IGNORE
from cgbench.datasets.images.resizing import padded
from cgbench.formatting import utf8
from cgbench.pixel_format import RGB8, PixelFormat, display_rgb


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one domain and split, (N, H, W, C) in the type of `pixels`; `labels` are class ids, uint8
    (N, H, W), and `masks`, uint8 (N, H, W), are 1 where numbers are measured.

    Images of sizes of their own lie in the upper left corners: then `sizes`, int32 (N, 2), are their heights and
    widths. The arrays may be files mapped into memory, and must not be written to.
    """

    keys: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray | None = None
    masks: np.ndarray | None = None
    sizes: np.ndarray | None = None
    pixels: PixelFormat = RGB8
    _digests: tuple[str, str] | None = field(default=None, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def digest(self) -> str:
        """12 hex digits that identify the content: keys, numbers and labels."""
        return (self._digests or self.digests())[self.labels is not None]

    def digests(self) -> tuple[str, str]:
        """Compute the digests of the set without and with its labels; reads all of the content."""
        content = hashlib.sha256(utf8("\n".join(self.keys)))
        for array in (self.images, self.masks, self.sizes):
            if array is not None:
                _add(content, array)
        without_labels = content.hexdigest()[:12]
        if self.labels is not None:
            _add(content, self.labels)
        return without_labels, content.hexdigest()[:12]

    def with_digests(self, digests: tuple[str, str]) -> "ImageSet":
        """Return the set with stored results of `digests`, so that the content is not read for them again."""
        copy = replace(self)
        object.__setattr__(copy, "_digests", digests)
        return copy

    def with_pixels(self, pixels: PixelFormat) -> "ImageSet":
        """Return the set with another window; its numbers stay."""
        copy = replace(self, pixels=pixels)
        return copy if self._digests is None else copy.with_digests(self._digests)

    def without_labels(self) -> "ImageSet":
        """Return the set without labels."""
        images_only = replace(self, labels=None)
        return images_only if self._digests is None else images_only.with_digests(self._digests)

    @cached_property
    def shown(self) -> np.ndarray:
        """The images as 8-bit RGB, uint8 (N, H, W, 3); 8-bit RGB itself is not copied."""
        return display_rgb(self.images, self.pixels)

    def size(self, index: int) -> tuple[int, int]:
        """Return the height and width of an image."""
        if self.sizes is None:
            return self.images.shape[1], self.images.shape[2]
        height, width = self.sizes[index].tolist()
        return height, width

    def measured(self) -> np.ndarray | None:
        """Return the masks, without them the images' own areas, uint8 (N, H, W); None: numbers are measured
        everywhere."""
        areas = self.areas()
        if areas is None or self.masks is None:
            return self.masks if areas is None else areas
        return self.masks * areas

    def areas(self) -> np.ndarray | None:
        """Return 1 where the images are and 0 beside them, uint8 (N, H, W); None: they fill the arrays."""
        if self.sizes is None:
            return None
        rows, columns = (np.arange(count) for count in self.images.shape[1:3])
        inside = (rows[:, None] < self.sizes[:, 0, None, None]) & (columns < self.sizes[:, 1, None, None])
        return inside.astype(np.uint8)

    def on_canvas(self, shape: tuple[int, int]) -> "ImageSet":
        """Return the set in arrays of a larger shape (height, width); the numbers of an image stay."""
        if self.images.shape[1:3] == shape:
            return self
        own = np.tile(np.array(self.images.shape[1:3], np.int32), (len(self), 1)) if self.sizes is None else self.sizes
        images, labels, masks = (
            None if array is None else np.stack([enlarged(name, row, shape) for row in array])
            for name, array in (("images", self.images), ("labels", self.labels), ("masks", self.masks))
        )
        assert images is not None
        larger = replace(self, images=images, labels=labels, masks=masks, sizes=own)
        return larger.with_digests(self._digests or self.digests())


def enlarged(name: str, array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return an array of one image in the upper left corner of a larger one, filled as the kind of array needs it:
    "images" with their smallest number, "labels" with the ignored id, "masks" with 0."""
    fill = array.min() if name == "images" else IGNORE if name == "labels" else 0
    return padded(array, shape, fill)


def _add(content: "hashlib._Hash", array: np.ndarray) -> None:
    described = repr(array.shape) if array.dtype == np.uint8 else f"{array.shape!r} {array.dtype}"
    content.update(described.encode())
    content.update(np.ascontiguousarray(array).data)


def on_common_canvas(a: ImageSet, b: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Return two sets with arrays of one height and width."""
    height, width = (max(a.images.shape[axis], b.images.shape[axis]) for axis in (1, 2))
    return a.on_canvas((height, width)), b.on_canvas((height, width))
