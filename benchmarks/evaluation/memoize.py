"""Memoization of a function of images by their content."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cgbench.benchmarks.data.conversion import read_only


@dataclass
class Memoized:
    """A function of an array of images with an LRU cache of `count` results, by the content of the images."""

    function: Callable[[np.ndarray], np.ndarray]
    count: int = 16
    results: dict[str, np.ndarray] = field(default_factory=dict)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return `function(images)`, read-only: the next caller is given the same array."""
        content = hashlib.sha256(repr(images.shape).encode())
        content.update(np.ascontiguousarray(images).data)
        key = content.hexdigest()
        self.results[key] = self.results.pop(key) if key in self.results else read_only(self.function(images))
        while len(self.results) > self.count:
            del self.results[next(iter(self.results))]  # the least recently used
        return self.results[key]
