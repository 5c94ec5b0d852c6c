"""Out-of-distribution input: scenes of a kind that training never shows come out worse than those that it does."""

import numpy as np

from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.class_maps import predicted_classes, predicted_target_classes, why_no_classes
from cgbench.benchmarks.metrics.functional.segmentation_scores import confusion_matrices, per_image_pixel_accuracy

THRESHOLD = 0.05
LEAST = 50  # scenes of either kind: of fewer a fifth may lie below by chance


@FAILURES.register
def ood() -> Failure:
    """The method cannot cope with scenes of the split `ood`."""
    return Failure(
        name="ood",
        label="out-of-distribution input",
        summary="scenes of a kind that training never showed come out worse than test scenes of the usual kind",
        evidence_definition=(
            "share of the usual test images whose pixel accuracy is lower than that of the strange one (equal "
            "ones count half); where test images are paired, less the accuracy of the scorer on the real image"
        ),
        detect=_detect,
        not_applicable=_why_not_applicable,
        threshold=THRESHOLD,
        above=False,
        share=0.2,
        justified="5 % would be there if strange scenes were like the others; a fifth of 60 scenes or more, with 100 "
        "usual ones, comes about by chance in 1 trial of 267, of 50 and 50 in 1 of 72 (a test computes it)",
        rank=80,
    )


def _detect(translations: Translations) -> Detection:
    usual, strange = accuracy(translations), accuracy(translations.ood)
    usual = usual[np.isfinite(usual)]
    lower = ((usual[None] < strange[:, None]).mean(axis=1) + (usual[None] <= strange[:, None]).mean(axis=1)) / 2
    evidence = np.where(np.isfinite(strange), lower, np.nan)
    detail = f"median accuracy {np.nanmedian(strange):.3f} of strange scenes, {np.median(usual):.3f} of usual ones"
    return Detection(evidence, detail, translations.ood.keys)


def accuracy(translations: Translations) -> np.ndarray:
    """Return float64 (N,): pixel accuracy of each output, less that of the real image of the scene where there is one.

    Pixels without a class, such as the strange things themselves, do not count.
    """
    classes = len(translations.palette)
    found = per_image_pixel_accuracy(confusion_matrices(translations.labels, predicted_classes(translations), classes))
    labels, seen = predicted_target_classes(translations)
    if not translations.paired or labels is None:
        return found
    return found - per_image_pixel_accuracy(confusion_matrices(labels, seen, classes))


def _why_not_applicable(translations: Translations) -> str | None:
    if translations.ood is None:
        return "needs a dataset with a split 'ood'"
    if min(len(translations.keys), len(translations.ood.keys)) < LEAST:
        return f"needs {LEAST} usual and {LEAST} strange test scenes or more"
    return why_no_classes(translations) or why_no_classes(translations.ood)
