"""Hidden signal: the way back reads the source from noise in the translation that nobody sees."""

import numpy as np

from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.image_distances import l1_by_image

THRESHOLD = 3.0
IMAGES = 48  # so many, spread evenly, are judged: each is translated back three times
STEP = 8  # levels that are merged: 5 bits remain
SIGMA = 0.7  # of the blur, in pixels
LEAST_CHANGE = 0.25 / 255  # a disturbance that changes less disturbs nothing
LEAST_JUMP = 1.5  # times that the error must rise as well: a tiny error may rise steeply and stay tiny


@FAILURES.register
def hidden() -> Failure:
    """The reconstruction breaks down where the translation is disturbed a little."""
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
    chosen = np.linspace(0, len(translations.outputs) - 1, min(IMAGES, len(translations.outputs))).round().astype(int)
    sources, outputs = translations.sources[chosen], translations.outputs[chosen]

    def error(images: np.ndarray) -> np.ndarray:
        return l1_by_image(sources, translations.way_back(chosen, images))

    plain = error(outputs)
    rises, jumps = [], []
    for disturbed in (quantised(outputs), blurred(outputs)):
        change, after = l1_by_image(outputs, disturbed), error(disturbed)
        rises.append(
            np.divide(after - plain, change, out=np.full(len(plain), np.nan), where=change >= LEAST_CHANGE)
            * (after >= LEAST_JUMP * plain)
        )
        jumps.append(np.nanmedian(after / np.maximum(plain, 0.5 / 255)))
    evidence = np.full(len(translations.outputs), np.nan)
    evidence[chosen] = np.fmax(*rises)
    detail = f"the error is {100 * plain.mean():.1f} % of the scale, {jumps[0]:.1f} times that after rounding to 5 bits"
    return Detection(evidence, f"{detail} and {jumps[1]:.1f} times after the blur (medians)")


def quantised(images: np.ndarray) -> np.ndarray:
    """Return uint8 images with the lowest three bits replaced by their middle: 5 bits of content remain."""
    return (images // STEP * STEP + STEP // 2).astype(np.uint8)


def blurred(images: np.ndarray) -> np.ndarray:
    """Return uint8 (N, S, S, 3) under a Gaussian blur of 0.7 pixels, with mirrored borders."""
    from scipy.ndimage import gaussian_filter

    return np.stack([np.rint(gaussian_filter(image.astype(np.float32), (SIGMA, SIGMA, 0))) for image in images]).astype(
        np.uint8
    )


def _why_not_applicable(translations: Translations) -> str | None:
    return "needs a method that translates an output back" if translations.way_back is None else None
