"""Agreement of regions: the Dice coefficient, and the 95th percentile of the Hausdorff distance."""

import numpy as np

PERCENTILE = 95


def dice(true: np.ndarray, predicted: np.ndarray) -> float:
    """Return 2 |A ∩ B| / (|A| + |B|) of two bool arrays of one shape (Dice 1945); NaN where the true one is empty."""
    if not true.any():
        return float("nan")
    return float(2 * np.count_nonzero(true & predicted) / (np.count_nonzero(true) + np.count_nonzero(predicted)))


def hausdorff_95(true: np.ndarray, predicted: np.ndarray) -> float:
    """Return the 95th percentile of the Hausdorff distance of two regions, bool (K, H, W), in pixels; NaN where the
    true one is empty.

    From every boundary pixel of one region to the nearest of the other in the same image; the larger of the percentiles
    of both ways, each over all K images (Huttenlocher et al. 1993, as a percentile). A boundary pixel belongs to the
    region and has one of its four neighbours outside, or lies at the border of the image. Where an image has no
    boundary of the other region, the distance is the diagonal of the image.
    """
    if not true.any():
        return float("nan")
    both_ways = [_boundary_distances(a, b) for a, b in zip(true, predicted, strict=True)]
    percentiles = [np.percentile(numbers, PERCENTILE) for numbers in map(np.concatenate, zip(*both_ways, strict=True))
                   if len(numbers)]  # fmt: skip
    return float(max(percentiles))


def _boundary_distances(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances of the boundary pixels of each region, bool (H, W), to the nearest one of the other."""
    from scipy.spatial import cKDTree

    places = [np.argwhere(_boundary(region)) for region in (first, second)]
    if not all(map(len, places)):
        first_missing, second_missing = (np.full(len(place), np.hypot(*first.shape)) for place in places)
        return first_missing, second_missing
    trees = [cKDTree(place) for place in places]
    return trees[1].query(places[0])[0], trees[0].query(places[1])[0]


def _boundary(region: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_erosion

    return np.asarray(region & ~binary_erosion(region))
