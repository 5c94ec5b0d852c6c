"""Structural similarity inside a mask, at one and at several scales, in double precision."""

import numpy as np

from cgbench.benchmarks.metrics.functional.image_distances import SSIM_WINDOW

SIGMA = 1.5  # pixels
STABILITY = (0.01**2, 0.03**2)  # of luminance, and of contrast and structure, for a data range of 1
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, the finest first
SCALES = len(EXPONENTS)
MULTISCALE_SIDE = SSIM_WINDOW * 2 ** (SCALES - 1)  # the smallest side whose coarsest scale holds a whole window


def scale_sums(output: np.ndarray, target: np.ndarray, mask: np.ndarray, scales: int = 1) -> np.ndarray:
    """Return float64 (scales, 3): at each scale how many pixels are measured, the sum of contrast × structure there,
    and that of luminance × contrast × structure.

    Images are float (H, W) with a data range of 1, `mask` bool (H, W); at scale k, H and W hold a window of 11 pixels
    or more. Measured are pixels of the mask around which the whole window lies inside the image. Outside of the mask
    both images are 0, so that nothing there counts. The next scale has means of 2×2 pixels, and those of the mask whose
    four pixels belong to it.
    """
    first, second = (np.where(mask, image, 0.0).astype(np.float64) for image in (output, target))
    border, sums = SSIM_WINDOW // 2, np.zeros((scales, 3))
    for scale in range(scales):
        if scale:
            first, second = _quarters(first).mean(axis=(1, 3)), _quarters(second).mean(axis=(1, 3))
            mask = np.asarray(_quarters(mask).all(axis=(1, 3)))
        inside = mask[border:-border, border:-border]
        luminance, structure = _similarity_maps(first, second)
        sums[scale] = inside.sum(), structure[inside].sum(), (luminance * structure)[inside].sum()
    return sums


def ssim(sums: np.ndarray) -> float:
    """Return the SSIM (Wang et al. 2004) of sums (..., scales, 3) of bands and images; NaN where none is measured."""
    count, _, total = sums[..., 0, :].reshape(-1, 3).sum(axis=0)
    return float(total / count) if count else float("nan")


def multiscale_ssim(sums: np.ndarray) -> float:
    """Return the MS-SSIM (Wang et al. 2003) of sums (K, 5, 3) of the images of one band; negative means count as 0.
    NaN where a scale has no pixel that is measured."""
    counts, structure, whole = np.moveaxis(sums.sum(axis=0), -1, 0)
    if not counts.all():
        return float("nan")
    factors = np.append(structure[:-1], whole[-1]) / counts
    return float(np.prod(factors.clip(0) ** EXPONENTS))


def _similarity_maps(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return luminance, and contrast × structure, of the windows that lie wholly inside the images."""
    from scipy.ndimage import correlate1d

    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    moments = np.stack([first, second, first**2, second**2, first * second])
    for axis in (1, 2):
        moments = correlate1d(moments, weights / weights.sum(), axis)
    border = SSIM_WINDOW // 2
    x, y, xx, yy, xy = moments[:, border:-border, border:-border]
    c1, c2 = STABILITY
    luminance = (2 * x * y + c1) / (x**2 + y**2 + c1)
    return luminance, (2 * (xy - x * y) + c2) / (xx - x**2 + yy - y**2 + c2)


def _quarters(image: np.ndarray) -> np.ndarray:
    """Return (H/2, 2, W/2, 2) of an array (H, W); an odd last row or column is left out."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    return image[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
