"""How alike pictures are, coarsely enough for all pairs of a test split."""

import numpy as np
from PIL import Image

from cgbench.errors import CgbenchError

COARSE = 8  # side in pixels to which pictures are reduced before they are compared: noise and texture go
BATCH = 64
PSNR_OF_EQUAL = 100.0  # dB; stands for infinity where output and truth are the same, so that means stay finite


def downsampled(images: np.ndarray) -> np.ndarray:
    """Return float32 (N, D): uint8 (N, S, S, 3) averaged over blocks to at most 8 pixels a side."""
    if images.shape[1] > COARSE:
        small = [Image.fromarray(image).resize((COARSE, COARSE), Image.Resampling.BOX) for image in images]
        images = np.stack([np.asarray(image) for image in small])
    return images.reshape(len(images), -1).astype(np.float32)


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N, M): mean absolute difference / 255 of every pair of rows of (N, D) and (M, D)."""
    return np.stack([np.abs(row - second).mean(axis=1, dtype=np.float64) for row in first]) / 255


def nearest_neighbour_distance(images: np.ndarray) -> np.ndarray:
    """Return float64 (N,): the coarse distance of each image to the nearest of the others; N at least 2."""
    small = downsampled(images)
    apart = distances(small, small)
    np.fill_diagonal(apart, np.inf)
    return apart.min(axis=1)


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N,): Pearson's r over all pixels and channels of each pair; NaN where one of them is constant."""
    x, y = (images.reshape(len(images), -1).astype(np.float64) for images in (first, second))
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0)


def l1_by_image(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N,): mean |first - second| / 255 of each image of two uint8 (N, S, S, 3) arrays."""
    if first.shape != second.shape or not len(first):
        raise CgbenchError(f"images to compare must be as many and as large: {first.shape} and {second.shape}")
    return np.array([np.abs(a.astype(np.int16) - b).mean() / 255 for a, b in zip(first, second, strict=True)])


def psnr_by_image(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N,): 10 log10(255² / mean squared difference) of uint8 (N, S, S, 3) arrays; 100 at the most."""
    errors = np.array([((a.astype(np.float64) - b) ** 2).mean() for a, b in zip(first, second, strict=True)])
    found = np.full(len(errors), PSNR_OF_EQUAL)
    different = errors > 0
    found[different] = np.minimum(10 * np.log10(255**2 / errors[different]), PSNR_OF_EQUAL)
    return found


def ssim_by_image(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N,): the structural similarity of uint8 (N, S, S, 3) arrays, S at least 11.

    In float32, which is off by 1e-4 where all of a picture is flat, and by far less elsewhere; float64 takes 13 to 19
    times as long.
    """
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    found = []
    for start in range(0, len(first), BATCH):
        pair = [
            torch.from_numpy(images[start : start + BATCH].transpose(0, 3, 1, 2).copy()).float() / 255
            for images in (first, second)
        ]
        found.append(structural_similarity_index_measure(*pair, data_range=1.0, reduction="none").view(-1).numpy())
    return np.concatenate(found).astype(np.float64)
