"""Decoded images of one domain and split as arrays, with the digest of their content."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cgbench.formatting import utf8


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one domain and split: uint8 (N, S, S, 3); `labels` are class ids, uint8 (N, S, S).

    The arrays may be files mapped into memory, and must not be written to.
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
        """Compute the digests of the set without and with its labels; reads all of the content."""
        content = hashlib.sha256(utf8("\n".join(self.keys)))
        digests = []
        for array in (self.images, self.labels):
            if array is not None:
                content.update(repr(array.shape).encode())
                content.update(np.ascontiguousarray(array).data)
            digests.append(content.hexdigest()[:12])
        return digests[0], digests[1]

    def with_digests(self, digests: tuple[str, str]) -> "ImageSet":
        """Return the set with stored results of `digests`, so that the content is not read for them again."""
        copy = replace(self)
        object.__setattr__(copy, "_digests", digests)
        return copy

    def without_labels(self) -> "ImageSet":
        """Return the set without labels."""
        images_only = replace(self, labels=None)
        return images_only if self._digests is None else images_only.with_digests(self._digests)
