"""Failure mode `ood`: out-of-distribution scenes are translated worse than test scenes of the training distribution."""

import numpy as np

from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.class_maps import predicted_classes, predicted_target_classes, why_no_classes
from cgbench.benchmarks.metrics.functional.segmentation_scores import confusion_matrices, per_image_pixel_accuracy

THRESHOLD = 0.05
MIN_SCENES = 50  # of each split: with fewer, a fifth may rank below the threshold by chance


@FAILURES.register
def ood() -> Failure:
    """Return the failure of a method on scenes of the split `ood`."""
    return Failure(
        name="ood",
        label="out-of-distribution input",
        summary="scenes of a kind that training never showed come out worse than test scenes of the usual kind",
        evidence_definition=(
            "share of the usual test images whose pixel accuracy is lower than that of the out-of-distribution one "
            "(equal ones count half); where test images are paired, less the accuracy of the scorer on the real image"
        ),
        detect=_detect,
        not_applicable=_why_not_applicable,
        threshold=THRESHOLD,
        above=False,
        share=0.2,
        justified="5 % would be there if out-of-distribution scenes were like the others; a fifth of 60 scenes or "
        "more, with 100 usual ones, comes about by chance in 1 trial of 267, of 50 and 50 in 1 of 72 (a test "
        "computes it)",
        rank=80,
    )


def _detect(translations: Translations) -> Detection:
    test_accuracy, ood_accuracy = accuracy(translations), accuracy(translations.ood)
    test_accuracy = test_accuracy[np.isfinite(test_accuracy)]
    below, not_above = test_accuracy < ood_accuracy[:, None], test_accuracy <= ood_accuracy[:, None]
    share_below = (below.mean(axis=1) + not_above.mean(axis=1)) / 2
    evidence = np.where(np.isfinite(ood_accuracy), share_below, np.nan)
    medians = np.nanmedian(ood_accuracy), np.median(test_accuracy)
    detail = f"median accuracy {medians[0]:.3f} of out-of-distribution scenes, {medians[1]:.3f} of usual ones"
    return Detection(evidence, detail, translations.ood.keys)


def accuracy(translations: Translations) -> np.ndarray:
    """Return float64 (N,): pixel accuracy of each output, minus that of the real image of the scene if paired.

    Pixels without a class, such as the out-of-distribution objects themselves, do not count.
    """
    classes = len(translations.palette)
    matrices = confusion_matrices(translations.labels, predicted_classes(translations), classes)
    output_accuracy = per_image_pixel_accuracy(matrices)
    labels, predicted = predicted_target_classes(translations)
    if not translations.paired or labels is None:
        return output_accuracy
    return output_accuracy - per_image_pixel_accuracy(confusion_matrices(labels, predicted, classes))


def _why_not_applicable(translations: Translations) -> str | None:
    if translations.ood is None:
        return "needs translations of a split 'ood'"
    if min(len(translations.keys), len(translations.ood.keys)) < MIN_SCENES:
        return f"needs {MIN_SCENES} usual and {MIN_SCENES} out-of-distribution test scenes or more"
    return why_no_classes(translations) or why_no_classes(translations.ood)
