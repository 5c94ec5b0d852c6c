"""How alike pictures are, coarsely enough for all pairs of a test split."""

import numpy as np
from PIL import Image

COARSE = 8  # side in pixels to which pictures are reduced before they are compared: noise and texture go


def coarse(images: np.ndarray) -> np.ndarray:
    """Return float32 (N, D): uint8 (N, S, S, 3) averaged over blocks to at most 8 pixels a side."""
    if images.shape[1] > COARSE:
        small = [Image.fromarray(image).resize((COARSE, COARSE), Image.Resampling.BOX) for image in images]
        images = np.stack([np.asarray(image) for image in small])
    return images.reshape(len(images), -1).astype(np.float32)


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N, M): mean absolute difference / 255 of every pair of rows of (N, D) and (M, D)."""
    return np.stack([np.abs(row - second).mean(axis=1, dtype=np.float64) for row in first]) / 255


def nearest_other(images: np.ndarray) -> np.ndarray:
    """Return float64 (N,): the coarse distance of each image to the nearest of the others; N at least 2."""
    small = coarse(images)
    apart = distances(small, small)
    np.fill_diagonal(apart, np.inf)
    return apart.min(axis=1)


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N,): Pearson's r over all pixels and channels of each pair; NaN where one of them is constant."""
    x, y = (images.reshape(len(images), -1).astype(np.float64) for images in (first, second))
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0)
