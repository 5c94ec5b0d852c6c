"""Differences of numbers in the unit of the images: absolute and squared errors, PSNR, and angles between spectra."""

import numpy as np

from cgbench.benchmarks.metrics.functional.image_distances import MAX_PSNR


def error_sums(outputs: np.ndarray, targets: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return float64 (N, 3): how many numbers of each image are measured, the sum of their absolute differences, and
    that of their squared ones. Images are (N, H, W, C) of any type, masks bool (N, H, W)."""
    sums = np.zeros((len(outputs), 3))
    for row, output, target, mask in zip(sums, outputs, targets, masks, strict=True):
        difference = output[mask].astype(np.float64) - target[mask]
        row[:] = difference.size, np.abs(difference).sum(), (difference**2).sum()
    return sums


def mean_errors(sums: np.ndarray) -> tuple[float, float]:
    """Return the mean absolute and the mean squared error of sums (K, 3) of the images of a group; NaN where no number
    is measured."""
    count, absolute, squared = sums.sum(axis=0)
    return (absolute / count, squared / count) if count else (float("nan"), float("nan"))


def psnr(squared_error: float, data_range: float) -> float:
    """Return 10 log10(range² / mean squared error) in dB, at most 100; NaN for NaN."""
    if squared_error == 0:
        return MAX_PSNR
    return float(np.minimum(10 * np.log10(data_range**2 / squared_error), MAX_PSNR))


def angle_sums(outputs: np.ndarray, targets: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return float64 (N, 2): how many pixels of each image are measured, and the sum of the angles between output and
    true spectra there, in degrees.

    Kruse et al. 1993. A true spectrum of zeros has no direction and is not counted; an output of zeros is at 90°.
    """
    sums = np.zeros((len(outputs), 2))
    for row, output, target, mask in zip(sums, outputs, targets, masks, strict=True):
        true = target[mask].astype(np.float64)
        has_direction = true.any(axis=1)
        found, true = output[mask].astype(np.float64)[has_direction], true[has_direction]
        lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(true, axis=1)
        cosine = np.divide((found * true).sum(axis=1), lengths, out=np.zeros(len(true)), where=lengths > 0)
        row[:] = len(true), np.degrees(np.arccos(cosine.clip(-1, 1))).sum()
    return sums
