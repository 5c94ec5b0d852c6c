"""Untrained rows of the tables: two floors and a ceiling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgbench.api.method import Method, Reference
from cgbench.api.names import Role
from cgbench.api.registry import METHODS

if TYPE_CHECKING:
    import numpy as np


@METHODS.register
def copy() -> Method:
    """Return the floor of no change: the output is the input."""

    def unchanged(sources: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return sources

    return Method("copy", "floor: the source image, unchanged", reference=Reference(unchanged, Role.FLOOR))


@METHODS.register
def shuffled() -> Method:
    """Return the floor of perfect realism without content: the output is a real target image of another scene."""

    def of_another_scene(sources: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import numpy as np

        # a rotation along a random order assigns no scene its own image
        order = rng.permutation(len(targets))
        derangement = np.empty_like(order)
        derangement[order] = np.roll(order, 1)
        return targets[np.resize(derangement, len(sources))]

    reference = Reference(of_another_scene, Role.FLOOR)
    return Method("shuffled", "floor: a real target image of another scene", reference=reference)


@METHODS.register
def real() -> Method:
    """Return the ceiling: the true target image of the same scene, for paired test images."""

    def of_the_same_scene(sources: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return targets

    reference = Reference(of_the_same_scene, Role.CEILING, needs_pairs=True)
    return Method("real", "ceiling: the true target image", reference=reference)
