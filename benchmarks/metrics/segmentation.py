"""Segmentation metrics of translations: the FCN score of photos, and the accuracy of decoded label images."""

from collections.abc import Sequence

import numpy as np

from cgbench.api.dataset import SemanticClass
from cgbench.api.metric import COMPAT, NO_REJECT, Metric, Scores, Translations, Value
from cgbench.api.palette import nearest_class
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.segmentation_scores import (
    confusion_matrices,
    per_image_iou,
    per_image_pixel_accuracy,
    scores,
)


@METRICS.register
def fcn_score() -> Metric:
    """Return the FCN score: the agreement of the scorer's predictions on translated photos with the true classes."""
    return Metric(
        name="fcn_score",
        summary="FCN score: networks trained on real photos look for the true classes in translated photos",
        values=_values("fcn", "FCN"),
        compute=_fcn_scores,
        not_applicable=_why_no_fcn_score,
        uses_scorer=True,
        rank=10,
        version=2,
        source="Isola et al. 2017, section 4.1; Zhu et al. 2017, section 5.1; classes absent from the truth left out; "
        "pixels that a scorer rejects as of no photo are wrong",
    )


@METRICS.register
def label_accuracy() -> Metric:
    """Return the agreement of label images, decoded to the nearest palette colour, with the true classes."""
    return Metric(
        name="label_accuracy",
        summary="translated label images, each pixel read as the nearest palette colour, against the true classes",
        values=_values("label", "label"),
        compute=lambda t: _segmentation_scores("label", t.labels, nearest_class(t.outputs, t.palette), t.palette),
        not_applicable=_why_no_label_accuracy,
        rank=10,
        source="Zhu et al. 2017, tables 3 and 5; L2 distance in RGB; classes absent from the truth left out",
    )


def _values(prefix: str, label: str) -> tuple[Value, ...]:
    suffixes = (("pixel", "pixel"), ("class", "class"), ("iou", "IoU"))
    return tuple(
        Value(f"{prefix}_{name}", f"{label} {text}", better="higher", digits=3, minimum=0, maximum=1)
        for name, text in suffixes
    )


def _segmentation_scores(
    prefix: str, true: np.ndarray, predicted: np.ndarray, palette: Sequence[SemanticClass], reject: bool = False
) -> Scores:
    """Return pixel accuracy, class accuracy and IoU of the split, pixel accuracy and IoU of each image, and as details
    IoU by class and both means of the published script, in which classes absent from the truth count as 0."""
    matrices = confusion_matrices(true, predicted, len(palette), reject)
    total = matrices.sum(axis=0)
    fixed, compat = scores(total), scores(total, mode="compat")
    values = {f"{prefix}_pixel": fixed.pixel, f"{prefix}_class": fixed.class_accuracy, f"{prefix}_iou": fixed.iou}
    per_image = {f"{prefix}_pixel": per_image_pixel_accuracy(matrices), f"{prefix}_iou": per_image_iou(matrices)}
    details = {
        f"{prefix}_iou/{semantic_class.name}": iou
        for semantic_class, iou in zip(palette, fixed.per_class_iou, strict=True)
    }
    details |= {f"{prefix}_class/{COMPAT}": compat.class_accuracy, f"{prefix}_iou/{COMPAT}": compat.iou}
    return Scores(values, per_image, details)


def _fcn_scores(translations: Translations) -> Scores:
    """Return the FCN scores as means over the scorers, with those of each; as details also what they are where no pixel
    may be rejected."""
    labels, outputs, palette = translations.labels, translations.outputs, translations.palette
    scorers = translations.scorers or [(translations.scorer, translations.scorer)]
    found = [_segmentation_scores("fcn", labels, strict(outputs), palette, reject=True) for strict, _ in scorers]
    without = [_segmentation_scores("fcn", labels, accept(outputs), palette).values for _, accept in scorers]
    return Scores(
        {name: float(np.mean([scores.values[name] for scores in found])) for name in found[0].values},
        {name: np.mean([scores.per_image[name] for scores in found], axis=0) for name in found[0].per_image},
        {name: float(np.mean([scores.details[name] for scores in found])) for name in found[0].details}
        | {f"{name}/{NO_REJECT}": float(np.mean([values[name] for values in without])) for name in without[0]},
        by_scorer={name: [scores.values[name] for scores in found] for name in found[0].values},
    )


def _why_no_fcn_score(translations: Translations) -> str | None:
    if translations.target_kind != "photo":
        return "is for translations to photos"
    if translations.scorer is None:
        return "needs a scorer, and so labelled photos to train it"
    return _why_unlabelled(translations)


def _why_no_label_accuracy(translations: Translations) -> str | None:
    if translations.target_kind != "labels":
        return "is for translations to label images"
    return _why_unlabelled(translations)


def _why_unlabelled(translations: Translations) -> str | None:
    if translations.labels is None:
        return "needs test labels"
    return None if translations.palette else "needs a palette: the dataset's classes and their colours"
