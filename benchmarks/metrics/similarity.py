"""Paired similarity of photos to the truth: peak signal-to-noise ratio and structural similarity."""

import numpy as np

from cgbench.api.metric import Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS

BATCH = 64
PSNR_OF_EQUAL = 100.0  # dB; stands for infinity where output and truth are the same, so that means stay finite


@METRICS.register
def similarity() -> Metric:
    """How like the true photo of its scene a translated photo is."""
    return Metric(
        name="similarity",
        summary="signal-to-noise ratio (dB, 100 at most) and structural similarity of translated and true photos",
        values=(
            Value("psnr", "PSNR", better="higher", digits=2, least=0, most=100),
            Value("ssim", "SSIM", better="higher", least=-1, most=1),
        ),
        compute=_similarity,
        unfit=_unfit,
        rank=40,
        source="PSNR of 8-bit RGB; SSIM of Wang et al. 2004: 11×11 Gaussian window, mirrored borders, mean of channels",
    )


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


def _similarity(translations: Translations) -> Scores:
    pair = translations.outputs, translations.targets
    by_image = {"psnr": psnr_by_image(*pair), "ssim": ssim_by_image(*pair)}
    return Scores({name: float(scores.mean()) for name, scores in by_image.items()}, by_image)


def _unfit(translations: Translations) -> str | None:
    if translations.target_kind != "photo":
        return "is for translations to photos"
    return None if translations.paired and translations.targets is not None else "needs paired test images"
