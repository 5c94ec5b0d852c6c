"""The likeness of pairs by their edges: whether paired images show one scene, in whatever colours.

Two renderings of a scene share the positions of their edges. Edge maps of 48 × 48 are compared by correlation, after
the mean edge map of each domain is subtracted (in a set of streets the road is always at the bottom).
"""

from dataclasses import dataclass
from itertools import islice, permutations

import numpy as np
from PIL import Image

from cgbench.seeds import generator

EDGES = 48  # side of the two edge maps
SHUFFLES = 999  # random orders that the pairs are compared with; of up to six pairs, all orders
ENOUGH = 5  # pairs for a permutation test; of fewer, every pair must be far ahead of all others
MIN_CORRELATION, MIN_MARGIN = 0.35, 0.15  # of each of so few pairs; unrelated images reach 0.3 and 0.1
MAX_P, MIN_LEAD = 0.01, 1.0  # true pairs of CamVid, streets and phantoms have leads from 1.3, unrelated ones below 0.6


@dataclass(frozen=True)
class Likeness:
    """How much more alike the images of `pairs` pairs are than other images.

    `lead` is the difference of the mean correlations, in standard deviations of the others', and `p` that of a
    permutation test (one-sided). `least` is the correlation of the least similar pair, `margin` what it is ahead of the
    most similar other images.
    """

    pairs: int
    lead: float
    p: float
    least: float
    margin: float

    @property
    def alike(self) -> bool:
        """Whether the images of a pair are clearly more alike than others; false where there are too few to tell."""
        if self.pairs < ENOUGH:
            return self.least >= MIN_CORRELATION and self.margin >= MIN_MARGIN
        return self.p <= MAX_P and self.lead >= MIN_LEAD


def edge_map(image: Image.Image) -> np.ndarray:
    """Return the absolute differences of neighbouring pixels of an RGB image made 48 × 48, across and down, the largest
    channel: uint8 (2, 48, 48)."""
    small = np.asarray(image.resize((EDGES, EDGES), Image.Resampling.BOX, reducing_gap=2.0)).astype(np.int16)
    across = np.abs(np.diff(small, axis=1, prepend=small[:, :1])).max(axis=2)
    down = np.abs(np.diff(small, axis=0, prepend=small[:1])).max(axis=2)
    return np.stack([across, down]).astype(np.uint8)


def edge_vectors(edges: np.ndarray) -> np.ndarray:
    """Return edge maps, uint8 (N, 2, 48, 48), as unit vectors, float32 (N, 4608), without the mean of the set."""
    from scipy.ndimage import gaussian_filter

    vectors = np.empty((len(edges), edges[0].size), np.float32)
    for row, edge in zip(vectors, edges, strict=True):
        # a strong edge counts little more than a weak one
        compressed = np.sqrt(np.minimum(edge, 60).astype(np.float32))
        row[:] = (gaussian_filter(compressed, (0, 0.75, 0.75)) - gaussian_filter(compressed, (0, 3, 3))).ravel()
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    if len(vectors) >= 8:
        vectors -= vectors.mean(axis=0)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def pair_likeness(a: np.ndarray, b: np.ndarray) -> Likeness:
    """Return how much more alike a[k] and b[k] are than other images of `a` and `b`, uint8 (N, 2, 48, 48); two at
    least. The same images give the same numbers."""
    similarity = (edge_vectors(a) @ edge_vectors(b).T).astype(np.float64)
    count = len(similarity)
    own = similarity.trace() / count
    others = similarity[~np.eye(count, dtype=bool)]
    if count <= 6:
        orders = np.array(list(islice(permutations(range(count)), 1, None)))
    else:
        draw = generator(0, "shuffled pairs")
        orders = np.stack([draw.permutation(count) for _ in range(SHUFFLES)])
    shuffled = similarity[np.arange(count), orders].mean(axis=1)
    p = (1 + int((shuffled >= own - 1e-9).sum())) / (1 + len(orders))
    lead, least = float((own - others.mean()) / max(others.std(), 1e-6)), float(similarity.diagonal().min())
    return Likeness(count, lead, p, least, least - float(others.max()))
