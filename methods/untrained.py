"""Untrained rows that every table needs: two floors and the ceiling."""

import numpy as np

from cgbench.api.method import Method, Reference
from cgbench.api.registry import METHODS


@METHODS.register
def copy() -> Method:
    """Return the floor of a method that changes nothing: the output is the input."""

    def unchanged(sources: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return sources

    return Method("copy", "floor: the source image, unchanged", reference=Reference(unchanged, "floor"))


@METHODS.register
def shuffled() -> Method:
    """Return the floor of perfect realism without content: the output is a real target image of another scene."""

    def of_another_scene(sources: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        # A rotation by at least one place along a random order gives no scene its own image.
        order = rng.permutation(len(targets))
        other = np.empty_like(order)
        other[order] = np.roll(order, 1)
        return targets[np.resize(other, len(sources))]

    reference = Reference(of_another_scene, "floor")
    return Method("shuffled", "floor: a real target image of another scene", reference=reference)


@METHODS.register
def real() -> Method:
    """Return the ceiling: the true target image of the same scene, where test images are paired."""

    def of_the_same_scene(sources: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return targets

    reference = Reference(of_the_same_scene, "ceiling", needs_pairs=True)
    return Method("real", "ceiling: the true target image", reference=reference)
