"""Normalised mutual information between outputs and their sources, inside masks and by group."""

import numpy as np

from cgbench.api.metric import GROUP, Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.group_scores import (
    mean_over_groups,
    measured_pixels,
    not_finite,
    rows_by_group,
    unmeasured,
    why_not_stored,
)
from cgbench.benchmarks.metrics.functional.mutual_information import (
    BINS,
    joint_histogram,
    normalised_mutual_information,
)


@METRICS.register
def shared_information() -> Metric:
    """Return how much the numbers of outputs and of their sources tell about each other: a measure of kept anatomy that
    needs no truth; the row `real` has that of the true images where test images are pairs."""
    return Metric(
        name="shared_information",
        summary="normalised mutual information of outputs and sources, from 1 (independent) to 2, inside the masks, by "
        "patient and then over patients; the truth: row real",
        values=(Value("nmi", "NMI with source", better="", minimum=1, maximum=2, of=GROUP),),
        compute=_shared_information,
        not_applicable=lambda t: why_not_stored(t, paired=False),
        rank=59,
        source=f"Studholme et al. 1999; joint histogram of {BINS}×{BINS} bins over both windows, what lies outside in "
        "the nearest bin; means over bands; all pixels inside the masks of a patient's slices",
    )


def _shared_information(translations: Translations) -> Scores:
    stored = translations.stored
    assert stored is not None
    masks = measured_pixels(stored)
    if reason := not_finite(masks, sources=stored.sources, outputs=stored.outputs):
        return unmeasured(("nmi",), reason)
    windows, numbers = (stored.source_pixels.ends, stored.target_pixels.ends), []
    for rows in rows_by_group(translations):
        histogram = np.zeros((BINS, BINS), np.int64)
        for row in rows:
            source, output = (images[row][masks[row]].mean(axis=1, dtype=np.float64) for images in
                              (stored.sources, stored.outputs))  # fmt: skip
            histogram += joint_histogram(source, output, *windows)
        numbers.append(normalised_mutual_information(histogram))
    return mean_over_groups({"nmi": np.array(numbers)}, "one number only in the sources inside the mask, or none")
