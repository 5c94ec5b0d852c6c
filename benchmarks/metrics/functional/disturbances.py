"""Slight disturbances of images: noise, JPEG, blur, shift and changes of colour that leave what an image shows."""

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from cgbench.seeds import generator

NOISE = 8  # standard deviation in levels of 255
QUALITY = 50  # of JPEG
DESCRIPTION = (
    "noise of 8 levels of 255; JPEG of quality 50; blur of 0.7 pixels or 1/128 of the side; shift of 1 pixel or 1/64 "
    "of the side; 10 % more contrast and 6 levels brighter; 15 % darker; 6 % more red and less blue"
)


def noisy(images: np.ndarray) -> np.ndarray:
    """Return images, uint8 (N, S, S, 3), with Gaussian noise of a fixed stream."""
    noise = generator(0, "disturbances/noise").normal(0, NOISE, images.shape)
    return _levels(images + noise)


def compressed(images: np.ndarray) -> np.ndarray:
    """Return images, uint8 (N, S, S, 3), after JPEG compression."""
    decoded = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, format="JPEG", quality=QUALITY)
        decoded.append(np.asarray(Image.open(file)))
    return np.stack(decoded)


def smoothed(images: np.ndarray) -> np.ndarray:
    """Return images, uint8 (N, S, S, 3), after a Gaussian blur with mirrored borders."""
    from scipy.ndimage import gaussian_filter

    sigma = max(0.7, images.shape[1] / 128)
    return _levels(np.stack([gaussian_filter(image.astype(np.float32), (sigma, sigma, 0)) for image in images]))


def shifted(images: np.ndarray) -> np.ndarray:
    """Return images, uint8 (N, S, S, 3), moved to the right and down; the border is repeated."""
    side = images.shape[1]
    pixels = max(1, round(side / 64))
    return np.pad(images, ((0, 0), (pixels, 0), (pixels, 0), (0, 0)), mode="edge")[:, :side, :side]


def brighter(images: np.ndarray) -> np.ndarray:
    """Return images, uint8 (N, S, S, 3), with more contrast and higher levels."""
    return _levels(images * 1.1 + 6)


def darker(images: np.ndarray) -> np.ndarray:
    """Return images, uint8 (N, S, S, 3), with lower levels."""
    return _levels(images * 0.85)


def tinted(images: np.ndarray) -> np.ndarray:
    """Return images, uint8 (N, S, S, 3), in warmer colours."""
    return _levels(images * np.array([1.06, 1.0, 0.94]))


DISTURBANCES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "noise": noisy,
    "JPEG": compressed,
    "blur": smoothed,
    "shift": shifted,
    "brighter": brighter,
    "darker": darker,
    "tint": tinted,
}


def _levels(images: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)
