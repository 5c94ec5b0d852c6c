"""Diversity metrics: differences between outputs for different inputs, and between samples for one input."""

import numpy as np

from cgbench.api.metric import Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.image_distances import l1_by_image

SHIFTS = 8  # outputs that each output is compared with: the next ones in the order of the test split


@METRICS.register
def output_diversity() -> Metric:
    """Return the mean distance between translations of different images, to be compared with that of the row `real`."""
    return Metric(
        name="output_diversity",
        summary="mean absolute difference between outputs for different inputs, scale 0 to 1; the truth: row real",
        values=(Value("output_diversity", "diversity", better="", minimum=0, maximum=1),),
        compute=_between_inputs,
        not_applicable=lambda t: "needs two test images or more" if len(t.outputs) < 2 else None,
        rank=58,
        source="mean pairwise L1 of outputs; 0 where all inputs give one output (mode collapse)",
    )


@METRICS.register
def style_diversity() -> Metric:
    """Return the mean distance between two translations of each image, from independent samples."""
    return Metric(
        name="style_diversity",
        summary="mean absolute difference between two outputs for one input, drawn independently, scale 0 to 1",
        values=(Value("style_diversity", "style div.", better="", minimum=0, maximum=1),),
        compute=_between_samples,
        not_applicable=lambda t: "needs a method that draws when it translates" if t.other_outputs is None else None,
        rank=60,
        source="as Huang et al. 2018 (MUNIT), section 5.2, measure diversity, in L1 instead of LPIPS",
    )


def _between_inputs(translations: Translations) -> Scores:
    outputs = translations.outputs
    shifts = range(1, min(SHIFTS, len(outputs) - 1) + 1)
    by_image = np.mean([l1_by_image(outputs, np.roll(outputs, shift, axis=0)) for shift in shifts], axis=0)
    return Scores({"output_diversity": float(by_image.mean())}, {"output_diversity": by_image})


def _between_samples(translations: Translations) -> Scores:
    by_image = l1_by_image(translations.outputs, translations.other_outputs)
    return Scores({"style_diversity": float(by_image.mean())}, {"style_diversity": by_image})
