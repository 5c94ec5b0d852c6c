"""Decoded images, and how the items of a dataset become them: squares of one size, one after another."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

ProgressCallback = Callable[[int, int], None]


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one domain and split: uint8 (N, S, S, 3); `labels` are class ids, uint8 (N, S, S).

    The arrays may be files that are mapped into memory, and must not be written to.
    """

    keys: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray | None = None
    _digests: tuple[str, str] | None = field(default=None, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def digest(self) -> str:
        """12 hex digits that identify the content: keys, pixels and labels."""
        return (self._digests or self.digests())[self.labels is not None]

    def digests(self) -> tuple[str, str]:
        """Compute the digests of the set without and with its labels: all of it is read."""
        content = hashlib.sha256("\n".join(self.keys).encode())
        found = []
        for array in (self.images, self.labels):
            if array is not None:
                content.update(repr(array.shape).encode())
                content.update(np.ascontiguousarray(array))
            found.append(content.hexdigest()[:12])
        return found[0], found[1]

    def with_digests(self, digests: tuple[str, str]) -> "ImageSet":
        """Return the set with what `digests` gave when it was kept, so that nothing is read for it again."""
        known = replace(self)
        object.__setattr__(known, "_digests", digests)
        return known

    def without_labels(self) -> "ImageSet":
        """Return the images alone."""
        alone = replace(self, labels=None)
        return alone if self._digests is None else alone.with_digests(self._digests)
