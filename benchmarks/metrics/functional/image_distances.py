"""Distances and similarities between images: L1, PSNR, SSIM, correlation, and distances at low resolution."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from cgbench.errors import CgbenchError

LOW_RESOLUTION = 8  # side in pixels of downsampled images: without noise and texture, small enough for all pairs
BATCH = 64
SSIM_WINDOW = 11  # side in pixels
MAX_PSNR = 100.0  # dB; replaces infinity for equal images, so that means stay finite


def downsampled(images: np.ndarray) -> np.ndarray:
    """Return float32 (N, D): uint8 (N, S, S, 3) averaged over blocks to at most 8×8 pixels."""
    if images.shape[1] > LOW_RESOLUTION:
        small = [
            Image.fromarray(image).resize((LOW_RESOLUTION, LOW_RESOLUTION), Image.Resampling.BOX) for image in images
        ]
        images = np.stack([np.asarray(image) for image in small])
    return images.reshape(len(images), -1).astype(np.float32)


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N, M): mean absolute difference / 255 of every pair of rows of (N, D) and (M, D)."""
    return np.stack([np.abs(row - second).mean(axis=1, dtype=np.float64) for row in first]) / 255


def nearest_neighbour_distance(images: np.ndarray) -> np.ndarray:
    """Return float64 (N,): the distance of each downsampled image to its nearest neighbour; N at least 2."""
    small = downsampled(images)
    pairwise = distances(small, small)
    np.fill_diagonal(pairwise, np.inf)
    return pairwise.min(axis=1)


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N,): Pearson's r over all pixels and channels of each pair; NaN where one of them is constant."""
    x, y = (images.reshape(len(images), -1).astype(np.float64) for images in (first, second))
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0)


def at_own_sizes(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], first: np.ndarray, second: np.ndarray,
    sizes: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    """Return `function(first, second)`, one number per pair of images, without what lies beside images of sizes of
    their own: `sizes`, int (N, 2), are their heights and widths, None where they fill the arrays."""
    if sizes is None or first.shape != second.shape:
        return function(first, second)
    cuts = enumerate(sizes.tolist())
    pairs = ((first[i : i + 1, :height, :width], second[i : i + 1, :height, :width]) for i, (height, width) in cuts)
    return np.concatenate([function(a, b) for a, b in pairs])


def l1_by_image(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N,): mean |first - second| / 255 of two uint8 (N, S, S, 3) arrays.

    Different shapes and empty arrays raise `CgbenchError`.
    """
    if first.shape != second.shape or not len(first):
        raise CgbenchError(f"images to compare must be as many and as large: {first.shape} and {second.shape}")
    return np.array([np.abs(a.astype(np.int16) - b).mean() / 255 for a, b in zip(first, second, strict=True)])


def psnr_by_image(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N,): 10 log10(255² / mean squared difference) of uint8 (N, S, S, 3) arrays; at most 100 dB."""
    errors = np.array([((a.astype(np.float64) - b) ** 2).mean() for a, b in zip(first, second, strict=True)])
    psnr = np.full(len(errors), MAX_PSNR)
    different = errors > 0
    psnr[different] = np.minimum(10 * np.log10(255**2 / errors[different]), MAX_PSNR)
    return psnr


def ssim_by_image(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 (N,): the structural similarity of uint8 (N, S, S, 3) arrays; NaN for S below 11.

    As Wang et al. 2004 define it: the mean over the pixels around which the whole 11×11 window lies inside the image,
    as in their program and in scikit-image. torchmetrics' own mean has the borders too, with the image mirrored there.
    In float32, which is off by 1e-4 for a uniform image, and by far less for others; float64 takes 13 to 19 times as
    long.
    """
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    if min(first.shape[1:3]) < SSIM_WINDOW:
        return np.full(len(first), np.nan)
    parts, border = [], SSIM_WINDOW // 2
    for start in range(0, len(first), BATCH):
        one, other = (
            torch.from_numpy(images[start : start + BATCH].transpose(0, 3, 1, 2).copy()).float() / 255
            for images in (first, second)
        )
        found = structural_similarity_index_measure(
            one, other, data_range=1.0, reduction="none", return_full_image=True
        )
        assert isinstance(found, tuple)  # of the means with borders, and the map (B, 3, S, S)
        parts.append(found[1][..., border:-border, border:-border].flatten(1).mean(1).numpy())
    return np.concatenate(parts).astype(np.float64)
