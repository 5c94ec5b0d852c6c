"""A function of images that computes each set of images once."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Memoized:
    """`function` of an array of images, whose last `count` results are kept by the content of the images."""

    function: Callable[[np.ndarray], np.ndarray]
    count: int = 16
    found: dict[str, np.ndarray] = field(default_factory=dict)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return `function(images)`."""
        content = hashlib.sha256(repr(images.shape).encode())
        content.update(np.ascontiguousarray(images))
        key = content.hexdigest()
        self.found[key] = self.found.pop(key) if key in self.found else self.function(images)
        while len(self.found) > self.count:
            del self.found[next(iter(self.found))]  # the one that was not asked for the longest
        return self.found[key]
