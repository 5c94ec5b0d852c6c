"""Density and coverage: how far two sets of features lie in each other's neighbourhoods."""

import numpy as np

NEIGHBOURS = 5


def density_contributions(features: np.ndarray, real: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Return for each row of `features` (N, D) the number of balls around `real` rows (M, D) that it lies in, over
    `neighbours` (N,); their mean is the density.

    A ball reaches to the row's k-th nearest other real row, k = `neighbours`; on its surface is inside. Naeem et al.
    2020, equation 9. M of at most k raises `ValueError`.
    """
    inside = _distances(features, real) <= _radii(real, neighbours)
    return inside.sum(axis=1) / neighbours


def coverage_contributions(features: np.ndarray, real: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Return for each `real` row (M, D) whether its ball holds one of `features` (N, D), as 0.0 or 1.0 (M,); their mean
    is the coverage. Naeem et al. 2020, equation 10; balls as in `density_contributions`."""
    nearest = _distances(features, real).min(axis=0)
    return (nearest <= _radii(real, neighbours)).astype(np.float64)


def _radii(real: np.ndarray, neighbours: int) -> np.ndarray:
    if len(real) <= neighbours:
        raise ValueError(f"balls to the {neighbours}th neighbour need more real images than that: {len(real)}")
    return np.partition(_distances(real, real), neighbours, axis=1)[:, neighbours]  # the nearest is the row itself


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances (N, M), not by the expansion of the square, which loses digits."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(first.astype(np.float64), second.astype(np.float64)))
