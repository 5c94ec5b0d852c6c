"""Whether two domains show the same scenes, though in other colours: labels and photos, day and night, map and aerial.

What two renderings of a scene share is where their edges are. Edge maps of 48 × 48 are compared by correlation, after
the mean picture of each domain is taken off (in a set of streets the road is always below).
"""

from dataclasses import dataclass

import numpy as np

MOST = 3000  # images of each domain that are compared; more are thinned out evenly
ALIKE, AHEAD = 0.35, 0.15  # a single pair: correlation, and lead over the next best of both; chance gives 0.3 and 0.1
ALIGNED = 6.0  # standard errors by which images in the same place must be more alike than others; chance gives 2


@dataclass(frozen=True)
class SameScenes:
    """Which images of A and B show one scene: pairs of places, and how they were found: "name", "order" or "edges"."""

    pairs: tuple[tuple[int, int], ...]
    how: str
    excess: float = 0.0  # standard errors, where found by name or order


def same_scenes(a: np.ndarray, b: np.ndarray, named: list[tuple[int, int]]) -> SameScenes:
    """Compare edge maps uint8 (N, 2, 48, 48) of two domains; `named` are the places of images with one name.

    Pairs by name, or by order where both sets have the same number, count together: they are reported if their edges
    agree much better than those of other pairs. Else pairs are reported one by one where both are each other's best
    match by far; about half of the true pairs of CamVid are found so, and of sets where all images are alike few.
    """
    kept_a, kept_b = _thinned(len(a)), _thinned(len(b))
    x, y = _outlines(a[kept_a]), _outlines(b[kept_b])
    alike = x @ y.T
    place_a, place_b = ({int(k): i for i, k in enumerate(kept)} for kept in (kept_a, kept_b))
    ordered = [(k, k) for k in range(len(a))] if len(a) == len(b) else []
    for how, pairs in (("name", named), ("order", ordered)):
        inside = [(place_a[i], place_b[j]) for i, j in pairs if i in place_a and j in place_b]
        excess = _excess(alike, inside)
        if excess > ALIGNED:
            return SameScenes(tuple(pairs), how, excess)
    return SameScenes(tuple((int(kept_a[i]), int(kept_b[j])) for i, j in _outstanding(alike)), "edges")


def _excess(alike: np.ndarray, pairs: list[tuple[int, int]]) -> float:
    """Return by how many standard errors the pairs are more alike than all others; 0 for fewer than 8 pairs."""
    if len(pairs) < 8:
        return 0.0
    rows, columns = np.array(pairs).T
    spread = float(alike.std())
    return (float(alike[rows, columns].mean()) - float(alike.mean())) / max(spread, 1e-6) * len(pairs) ** 0.5


def _outstanding(alike: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs that are each other's best match, alike enough, and far ahead of the next."""
    if min(alike.shape) < 3:
        return []
    best, back = alike.argmax(axis=1), alike.argmax(axis=0)
    found = []
    for i in np.flatnonzero(back[best] == np.arange(len(alike))):
        j = best[i]
        second = max(np.partition(alike[i], -2)[-2], np.partition(alike[:, j], -2)[-2])
        if alike[i, j] >= ALIKE and alike[i, j] - second >= AHEAD:
            found.append((int(i), int(j)))
    return found


def _thinned(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(int)) if count else np.zeros(0, int)


def _outlines(edges: np.ndarray) -> np.ndarray:
    """Return edge maps as unit vectors, float32 (N, 2 · 48 · 48), without the mean picture of the set."""
    from scipy.ndimage import gaussian_filter

    found = np.empty((len(edges), edges[0].size), np.float32)
    for row, picture in zip(found, edges, strict=True):
        steps = np.sqrt(np.minimum(picture, 60).astype(np.float32))  # a strong edge counts little more than a weak one
        row[:] = (gaussian_filter(steps, (0, 0.75, 0.75)) - gaussian_filter(steps, (0, 3, 3))).ravel()
    found -= found.mean(axis=1, keepdims=True)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
    if len(found) >= 8:
        found -= found.mean(axis=0)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
