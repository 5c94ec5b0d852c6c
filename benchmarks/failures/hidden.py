"""Failure mode `hidden`: the reconstruction depends on an imperceptible signal in the translation (steganography)."""

import numpy as np

from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.image_distances import l1_by_image
from cgbench.selection import evenly_spaced

THRESHOLD = 3.0
IMAGES = 48  # evenly spaced images that are examined: each is translated back three times
STEP = 8  # quantisation step in levels of 255: 5 bits remain
SIGMA = 0.7  # of the blur, in pixels
MIN_CHANGE = 0.25 / 255  # smaller changes do not count as a disturbance
MIN_ERROR_RATIO = 1.5  # required rise of the error: a tiny error may rise steeply and stay tiny


@FAILURES.register
def hidden() -> Failure:
    """Return the failure of a reconstruction that breaks down when the translation is slightly disturbed."""
    return Failure(
        name="hidden",
        label="hidden signal",
        summary="the reconstruction lives on imperceptible noise: a slight disturbance of the output breaks it",
        evidence_definition=(
            "rise of the reconstruction error over the disturbance of the output that caused it (5 bits instead "
            "of 8, or a blur of 0.7 pixels, whichever hurts more); 0 where the error rises by less than half"
        ),
        detect=_detect,
        not_applicable=_why_not_applicable,
        threshold=THRESHOLD,
        above=True,
        share=0.5,
        justified="a source hidden in the lowest one, two or three bits of an output has 6, 26, 32; a fixed "
        "invertible change of colours, whose way back doubles what disturbs it, has 2.0",
        rank=70,
        source="Chu, Zhmoginov, Sandler 2017 (CycleGAN, a Master of Steganography)",
    )


def _detect(translations: Translations) -> Detection:
    selected = np.array(evenly_spaced(len(translations.outputs), IMAGES), int)
    sources, outputs = translations.sources[selected], translations.outputs[selected]

    def reconstruction_error(images: np.ndarray) -> np.ndarray:
        return l1_by_image(sources, translations.way_back(selected, images))

    error_before = reconstruction_error(outputs)
    rises, ratios = [], []
    for disturbed in (quantised(outputs), blurred(outputs)):
        change, error_after = l1_by_image(outputs, disturbed), reconstruction_error(disturbed)
        rises.append(
            np.divide(error_after - error_before, change, out=np.full(len(change), np.nan), where=change >= MIN_CHANGE)
            * (error_after >= MIN_ERROR_RATIO * error_before)
        )
        ratios.append(np.nanmedian(error_after / np.maximum(error_before, 0.5 / 255)))
    evidence = np.full(len(translations.outputs), np.nan)
    evidence[selected] = np.fmax(*rises)
    error_percent = 100 * error_before.mean()
    detail = f"the error is {error_percent:.1f} % of the scale, {ratios[0]:.1f} times that after rounding to 5 bits"
    return Detection(evidence, f"{detail} and {ratios[1]:.1f} times after the blur (medians)")


def quantised(images: np.ndarray) -> np.ndarray:
    """Return uint8 images quantised to 5 bits: the lowest three bits are replaced by the middle of their range."""
    return (images // STEP * STEP + STEP // 2).astype(np.uint8)


def blurred(images: np.ndarray) -> np.ndarray:
    """Return uint8 (N, S, S, 3) after a Gaussian blur of 0.7 pixels with mirrored borders."""
    from scipy.ndimage import gaussian_filter

    return np.stack([np.rint(gaussian_filter(image.astype(np.float32), (SIGMA, SIGMA, 0))) for image in images]).astype(
        np.uint8
    )


def _why_not_applicable(translations: Translations) -> str | None:
    return "needs a method that translates an output back" if translations.way_back is None else None
