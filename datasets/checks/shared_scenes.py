"""Shared scenes of two domains with other colours: labels and photos, day and night, map and aerial photo.

Two renderings of a scene share the positions of their edges. Edge maps of 48 × 48 are compared by correlation, after
the mean edge map of each domain is subtracted (in a set of streets the road is always at the bottom).
"""

from dataclasses import dataclass

import numpy as np

from cgbench.datasets.pairing.edge_likeness import edge_vectors
from cgbench.selection import evenly_spaced

MAX_IMAGES = 3000  # of each domain that are compared, evenly spaced
MIN_CORRELATION, MIN_LEAD = 0.35, 0.15  # of a single pair, the lead over the next best; chance gives 0.3 and 0.1
MIN_EXCESS = 6.0  # standard errors by which matched pairs must be more similar than others; chance gives 2


@dataclass(frozen=True)
class SameScenes:
    """Images of A and B that show one scene: pairs of indices, and what matched them: "name", "order" or "edges"."""

    pairs: tuple[tuple[int, int], ...]
    matched_by: str
    excess: float = 0.0  # standard errors, where matched by name or order


def same_scenes(a: np.ndarray, b: np.ndarray, named: list[tuple[int, int]]) -> SameScenes:
    """Return the shared scenes of two domains by their edge maps, uint8 (N, 2, 48, 48); `named` are the index pairs of
    images with one name.

    Pairs by name, or by order where both sets have the same number, are judged together: they are returned if their
    edges agree much better than those of other pairs. Otherwise pairs are returned that are each other's best match by
    far: about half of the true pairs of CamVid, and few in sets where all images are similar.
    """
    chosen_a, chosen_b = evenly_spaced(len(a), MAX_IMAGES), evenly_spaced(len(b), MAX_IMAGES)
    similarity = edge_vectors(a[chosen_a]) @ edge_vectors(b[chosen_b]).T
    row_of, column_of = ({k: i for i, k in enumerate(chosen)} for chosen in (chosen_a, chosen_b))
    ordered = [(k, k) for k in range(len(a))] if len(a) == len(b) else []
    for matched_by, pairs in (("name", named), ("order", ordered)):
        compared = [(row_of[i], column_of[j]) for i, j in pairs if i in row_of and j in column_of]
        excess = _excess(similarity, compared)
        if excess > MIN_EXCESS:
            return SameScenes(tuple(pairs), matched_by, excess)
    return SameScenes(tuple((chosen_a[i], chosen_b[j]) for i, j in _mutual_best(similarity)), "edges")


def _excess(similarity: np.ndarray, pairs: list[tuple[int, int]]) -> float:
    """Return the number of standard errors by which the pairs are more similar than all; 0 for fewer than 8 pairs."""
    if len(pairs) < 8:
        return 0.0
    rows, columns = np.array(pairs).T
    difference = float(similarity[rows, columns].mean()) - float(similarity.mean())
    return difference / max(float(similarity.std()), 1e-6) * len(pairs) ** 0.5


def _mutual_best(similarity: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs that are each other's best match, similar enough, and far ahead of the next best."""
    if min(similarity.shape) < 3:
        return []
    best_column, best_row = similarity.argmax(axis=1), similarity.argmax(axis=0)
    pairs = []
    for i in np.flatnonzero(best_row[best_column] == np.arange(len(similarity))):
        j = best_column[i]
        next_best = max(np.partition(similarity[i], -2)[-2], np.partition(similarity[:, j], -2)[-2])
        if similarity[i, j] >= MIN_CORRELATION and similarity[i, j] - next_best >= MIN_LEAD:
            pairs.append((int(i), int(j)))
    return pairs
