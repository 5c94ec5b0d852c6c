"""Failure mode `inversion`: the output is a colour negative, bright where the truth is dark and vice versa."""

import numpy as np

from cgbench.api.failure import Control, Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.image_distances import correlation, downsampled

THRESHOLD = -0.3
MAX_DISTANCE_RATIO = 0.7  # unpaired: distance of the negative to the domain's colours over that of the output


@FAILURES.register
def inversion() -> Failure:
    """Return the failure of outputs that are negatives of the expected images."""
    return Failure(
        name="inversion",
        label="colour inversion",
        summary="the output is the negative of what it should be",
        evidence_definition=(
            "Pearson's r with the true target, of all channels at 8 × 8 pixels (unpaired: with the input, where "
            "the negative is closer to the colours of the target domain; else 0 at least)"
        ),
        detect=_detect,
        not_applicable=_why_not_applicable,
        threshold=THRESHOLD,
        above=False,
        share=0.5,
        justified="a negative has -1, with noise of 100 levels of 255 -0.79; of the streets of other scenes, which are "
        "as unlike as real images come, 5 % have -0.3 or less. Unpaired, a negative of a domain whose levels are "
        "spread evenly around grey, such as CamVid's, is not noticed",
        explained_by=("copy",),
        rank=40,
        control=Control("negatives of real images", lambda t: 255 - t.outputs),
    )


def _detect(translations: Translations) -> Detection:
    outputs, targets = downsampled(translations.outputs), downsampled(translations.targets)
    if translations.paired:
        return Detection(correlation(outputs, targets))
    evidence = correlation(outputs, downsampled(translations.sources))
    domain = _deciles(targets).mean(axis=0)
    distance, negative_distance = (
        np.abs(_deciles(images) - domain).mean(axis=1) for images in (outputs, 255 - outputs)
    )
    closer = negative_distance < MAX_DISTANCE_RATIO * distance
    return Detection(np.where(closer, evidence, np.maximum(evidence, 0)))


def _deciles(images: np.ndarray) -> np.ndarray:
    """Return float64 (N, 3 × 11): the deciles of each channel of (N, D), with minimum and maximum."""
    deciles = np.quantile(images.reshape(len(images), -1, 3), np.linspace(0, 1, 11), axis=1)
    return deciles.transpose(1, 0, 2).reshape(len(images), -1)


def _why_not_applicable(translations: Translations) -> str | None:
    return "needs real target images" if translations.targets is None else None
