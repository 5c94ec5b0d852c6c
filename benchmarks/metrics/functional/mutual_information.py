"""Normalised mutual information of two sets of images, from their joint histogram."""

import numpy as np

BINS = 64  # of each window


def joint_histogram(
    first: np.ndarray, second: np.ndarray, first_window: tuple[float, float], second_window: tuple[float, float]
) -> np.ndarray:
    """Return int64 (64, 64): how many of the pairs of numbers, arrays of one length, lie in each pair of bins; the bins
    divide the windows equally, and what lies outside is in the nearest one. The numbers must be finite."""
    rows, columns = _bins(first, first_window), _bins(second, second_window)
    return np.bincount(rows * BINS + columns, minlength=BINS * BINS).reshape(BINS, BINS)


def normalised_mutual_information(histogram: np.ndarray) -> float:
    """Return (H(X) + H(Y)) / H(X, Y), from 1 for independent numbers to 2 where each tells the other (Studholme et al.
    1999); X are the rows. NaN for an empty histogram, and where X is constant."""
    total = histogram.sum()
    if not total or np.count_nonzero(histogram.sum(axis=1)) < 2:
        return float("nan")
    joint = histogram / total
    marginal = _entropy(joint.sum(axis=1)) + _entropy(joint.sum(axis=0))
    return min(max(marginal / _entropy(joint), 1.0), 2.0)  # rounding


def _bins(numbers: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    low, high = window
    place = np.floor((numbers.astype(np.float64) - low) * (BINS / (high - low)))
    return np.asarray(place.clip(0, BINS - 1).astype(np.int64))


def _entropy(probabilities: np.ndarray) -> float:
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log(positive)).sum())
