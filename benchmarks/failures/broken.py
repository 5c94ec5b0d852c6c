"""Failure mode `broken`: outputs that are not finite or of one colour."""

import numpy as np

from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES

THRESHOLD = 1.0


@FAILURES.register
def broken() -> Failure:
    """Return the failure of outputs with non-finite numbers or one colour everywhere."""
    return Failure(
        name="broken",
        label="not finite or constant",
        summary="outputs with numbers that are not finite, or of one colour",
        evidence_definition=(
            "largest standard deviation of a channel within the image, in levels of 255; 0 where not finite"
        ),
        detect=_detect,
        not_applicable=lambda t: None,
        threshold=THRESHOLD,
        above=False,
        share=0.01,
        justified="a uniform picture with noise of one level of 255 has 1.0; the flattest real image of the built-in "
        "datasets has more than 10",
        rank=10,
    )


def _detect(translations: Translations) -> Detection:
    """Return the largest channel deviation of each output; NaN for images whose truth is as uniform."""
    outputs = translations.outputs
    finite = np.ones(len(outputs), bool) if translations.finite is None else translations.finite
    evidence = np.where(finite, _largest_deviation(outputs), 0.0)
    real = translations.targets if translations.paired else translations.sources
    if real is not None:
        evidence[finite & (_largest_deviation(real) <= THRESHOLD)] = np.nan
    uniform = int((finite & (evidence <= THRESHOLD)).sum())
    counts = [(int((~finite).sum()), "not finite"), (uniform, "of one colour")]
    return Detection(evidence, ", ".join(f"{count} {kind}" for count, kind in counts if count))


def _largest_deviation(images: np.ndarray) -> np.ndarray:
    """Return float64 (N,): the largest standard deviation of a channel, in levels of 255."""
    return np.array([image.reshape(-1, 3).std(axis=0).max() for image in images])
