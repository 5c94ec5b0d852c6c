"""Agreement of regions: Dice and HD95 of the scorer's tissues, and of bone by a threshold in CT."""

from collections.abc import Iterable

import numpy as np

from cgbench.api.metric import GROUP, Metric, Scores, Translations, Value
from cgbench.api.names import IGNORE
from cgbench.api.palette import nearest_class
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.class_maps import why_no_classes
from cgbench.benchmarks.metrics.functional.group_scores import (
    mean_over_groups,
    measured_pixels,
    not_finite,
    rows_by_group,
    unmeasured,
    why_not_stored,
)
from cgbench.benchmarks.metrics.functional.region_overlap import dice, hausdorff_95

BONE = 250  # HU; also metal and contrast medium
DISTANCE = (
    "95th percentile of the Hausdorff distance slice by slice, the larger of both ways, in pixels; the diagonal of the "
    "image where a slice lacks the region"
)
NAMES = ("dice", "hd95")


@METRICS.register
def tissue_agreement() -> Metric:
    """Return the agreement of the classes that are found in outputs with the true ones of their scenes."""
    return Metric(
        name="tissue_agreement",
        summary="classes that the scorer finds in outputs against the true ones: Dice and 95th percentile of the "
        "Hausdorff distance, by patient, mean over classes and then over patients",
        values=(
            Value("dice", "Dice", better="higher", minimum=0, maximum=1, of=GROUP),
            Value("hd95", "HD95 (px)", better="lower", digits=2, minimum=0, of=GROUP),
        ),
        compute=_tissues,
        not_applicable=_why_no_tissues,
        uses_scorer=True,
        rank=12,
        source=f"Dice 1945; Huttenlocher et al. 1993; {DISTANCE}; classes absent from a patient's truth left out; "
        "inside the masks",
    )


@METRICS.register
def bone_agreement() -> Metric:
    """Return the agreement of what is brighter than bone's threshold in outputs and true CT images."""
    return Metric(
        name="bone_agreement",
        summary=f"pixels above {BONE} HU in outputs and in the true CT: a threshold, no segmentation; it counts metal "
        "and contrast medium too",
        values=(
            Value("bone_dice", f"Dice >{BONE} HU", better="higher", minimum=0, maximum=1, of=GROUP),
            Value("bone_hd95", f"HD95 >{BONE} HU (px)", better="lower", digits=2, minimum=0, of=GROUP),
        ),
        compute=_bone,
        not_applicable=_why_no_bone,
        rank=42,
        source=f"threshold of {BONE} HU in both images; {DISTANCE}; inside the masks",
    )


def _tissues(translations: Translations) -> Scores:
    """Return means over scorers, with those of each, and by class as details."""
    found = [_tissues_of(translations, predicted) for predicted in _predictions(translations)]
    by_group = {name: np.mean([scores.per_image[name] for scores in found], axis=0) for name in NAMES}
    details = {key: float(np.mean([scores.details[key] for scores in found])) for key in found[0].details}
    by_scorer = {name: [scores.values[name] for scores in found] for name in NAMES if np.isfinite(by_group[name]).any()}
    return mean_over_groups(by_group, "no pixel of a known class", details=details, by_scorer=by_scorer)


def _tissues_of(translations: Translations, predicted: np.ndarray) -> Scores:
    """Return Dice and distance of predicted class ids (N, H, W), with those of each class as details."""
    stored, true = translations.stored, translations.labels
    assert stored is not None and true is not None
    counted, groups = measured_pixels(stored) & (true != IGNORE), rows_by_group(translations)
    numbers = np.full((len(NAMES), len(groups), len(translations.palette)), np.nan)
    for place, rows in enumerate(groups):
        for number in np.unique(true[rows][counted[rows]]):
            regions = ((true[rows] == number) & counted[rows], (predicted[rows] == number) & counted[rows])
            numbers[:, place, number] = dice(*regions), hausdorff_95(*regions)
    details, by_group = {}, {}
    for name, of_value in zip(NAMES, numbers, strict=True):
        by_group[name] = np.array([_mean(by_class) for by_class in of_value])
        for entry, of_class in zip(translations.palette, of_value.T, strict=True):
            details[f"{name}/{entry.name}"] = _mean(of_class)
    return Scores({name: _mean(of_groups) for name, of_groups in by_group.items()}, by_group, details)


def _predictions(translations: Translations) -> list[np.ndarray]:
    """Return the class ids of the outputs, uint8 (N, H, W), by each scorer, or by the nearest palette colour."""
    if translations.target_kind == "labels":
        return [nearest_class(translations.outputs, translations.palette)]
    scorers = [accept for _, accept in translations.scorers] or [translations.scorer]
    return [predict(translations.outputs) for predict in scorers if predict is not None]


def _bone(translations: Translations) -> Scores:
    stored = translations.stored
    assert stored is not None
    masks = measured_pixels(stored)
    if reason := not_finite(masks, outputs=stored.outputs, targets=stored.targets):
        return unmeasured(("bone_dice", "bone_hd95"), reason)
    true, found = ((images[..., 0] > BONE) & masks for images in (stored.targets, stored.outputs))
    groups = rows_by_group(translations)
    by_group = {
        "bone_dice": np.array([dice(true[rows], found[rows]) for rows in groups]),
        "bone_hd95": np.array([hausdorff_95(true[rows], found[rows]) for rows in groups]),
    }
    return mean_over_groups(by_group, f"no pixel above {BONE} HU in the true images")


def _why_no_tissues(translations: Translations) -> str | None:
    if translations.stored is None:
        return "is for images that are not 8-bit RGB"
    return why_no_classes(translations)


def _why_no_bone(translations: Translations) -> str | None:
    if reason := why_not_stored(translations):
        return reason
    assert translations.stored is not None
    pixels = translations.stored.target_pixels
    if pixels.unit != "HU" or pixels.channels != 1:
        return "is for translations to CT images in HU"
    low, high = pixels.ends
    return None if low < BONE < high else f"{BONE} HU lie outside of the window, {low:g} to {high:g} HU"


def _mean(numbers: Iterable[float]) -> float:
    """Return the mean of the finite numbers, NaN where there is none."""
    finite = [number for number in numbers if np.isfinite(number)]
    return float(np.mean(finite)) if finite else float("nan")
