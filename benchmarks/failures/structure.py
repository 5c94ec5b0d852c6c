"""Failure modes `lost` and `invented`: objects of the source that are missing in the translation, and vice versa."""

from collections.abc import Callable

import numpy as np

from cgbench.api.failure import Control, Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.names import IGNORE
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.class_maps import predicted_classes, predicted_target_classes, why_no_classes
from cgbench.benchmarks.metrics.functional.segmentation_scores import confusion_matrices
from cgbench.formatting import plural
from cgbench.seeds import generator

SIDE = 64  # pixels; larger class maps are subsampled to about this side
MIN_AREA = 0.01  # share of the image that a segment (connected pixels of one class) must cover
THRESHOLD = 0.05  # of the image
MIN_AGREEMENT = 0.2  # share of a segment's pixels that must agree for it to count as present
MIN_RELIABILITY = 0.5  # share of a segment's pixels in the real image that the scorer must recognise to be trusted
CAUSES = ("copy", "collapse", "inversion", "permutation")


@FAILURES.register
def lost() -> Failure:
    """Return the failure of objects of the source that are not found at their places."""
    return Failure(
        name="lost",
        label="structure lost",
        summary="things of the source are not found in the translation",
        evidence_definition=(
            "share of the scene that is in things (connected pixels of one class, 1 % or more) of which less than"
            " a fifth is found; only things that are found in the real image"
        ),
        detect=_detect_lost,
        not_applicable=why_no_classes,
        threshold=THRESHOLD,
        above=True,
        share=0.25,
        justified="a tree or a car painted over in two fifths of the scenes is noticed, in 15 % of them it is not; "
        "real images have 0, streets of other scenes about 0.2",
        explained_by=CAUSES,
        rank=60,
        control=Control("real images of other scenes", _of_other_scenes),
    )


@FAILURES.register
def invented() -> Failure:
    """Return the failure of objects that are found where the source has none."""
    return Failure(
        name="invented",
        label="structure invented",
        summary="things are found in the translation that the source has not there",
        evidence_definition=(
            "share of the output that is in things (connected pixels of one class, 1 % or more) of which less "
            "than a fifth is in the source; only where the real image is not misread alike"
        ),
        detect=_detect_invented,
        not_applicable=why_no_classes,
        threshold=THRESHOLD,
        above=True,
        share=0.25,
        justified="a car painted into the sky of two fifths of the scenes is noticed, of 15 % of them it is not; real "
        "images have 0, streets of other scenes 0.2 to 0.3",
        explained_by=CAUSES,
        rank=61,
        control=Control("real images of other scenes", _of_other_scenes),
    )


def _of_other_scenes(translations: Translations) -> np.ndarray:
    """Return the outputs in another order, in which none keeps its place: what the row `shuffled` does with the test
    images."""
    order = generator(0, "control/other scenes").permutation(len(translations.outputs))
    shuffled = np.empty_like(translations.outputs)
    shuffled[order] = translations.outputs[np.roll(order, 1)]
    return shuffled


def _detect_lost(translations: Translations) -> Detection:
    source, output, real = _class_maps(translations)
    reliable = _reliable_classes(translations, recall=True)

    def is_lost(index: int, class_id: int, segment: np.ndarray) -> bool:
        if (output[index][segment] == class_id).mean() >= MIN_AGREEMENT:
            return False
        return (
            (real[index][segment] == class_id).mean() >= MIN_RELIABILITY
            if real is not None
            else bool(reliable[class_id])
        )

    return _detect_segments(source, source != IGNORE, is_lost, translations)


def _detect_invented(translations: Translations) -> Detection:
    source, output, real = _class_maps(translations)
    reliable = _reliable_classes(translations, recall=False)

    def is_invented(index: int, class_id: int, segment: np.ndarray) -> bool:
        if (source[index][segment] == class_id).mean() >= MIN_AGREEMENT:
            return False
        return (
            (real[index][segment] == class_id).mean() < MIN_AGREEMENT if real is not None else bool(reliable[class_id])
        )

    return _detect_segments(output, source != IGNORE, is_invented, translations)


def _class_maps(translations: Translations) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the class maps of source and output and, for paired test images, the predicted ones of the real image,
    uint8 (N, S, S), subsampled to about 64 pixels a side."""
    step = max(1, translations.labels.shape[1] // SIDE)
    real = predicted_target_classes(translations)[1] if translations.paired else None
    maps = translations.labels, predicted_classes(translations), real
    source, output, real = (None if ids is None else ids[:, ::step, ::step] for ids in maps)
    return source, output, real


def _reliable_classes(translations: Translations, recall: bool) -> np.ndarray:
    """Return bool (C,): whether the scorer's `recall`, or else its precision, on all real images is at least a half
    for each class; true for all classes where real images have no labels."""
    labels, predicted = predicted_target_classes(translations)
    if labels is None:
        return np.ones(len(translations.palette), bool)
    matrix = confusion_matrices(labels, predicted, len(translations.palette)).sum(axis=0)
    return np.diagonal(matrix) >= MIN_RELIABILITY * np.maximum(matrix.sum(axis=int(recall)), 1)


def _detect_segments(
    maps: np.ndarray, counted: np.ndarray, is_wrong: Callable[[int, int, np.ndarray], bool], translations: Translations
) -> Detection:
    """Return the share of each image that lies in wrong segments: connected pixels of one class of `maps`, 1 % of the
    `counted` pixels of the image or more; and the number of images for the three classes wrong most often."""
    evidence, images_wrong = np.full(len(maps), np.nan), dict.fromkeys(range(len(translations.palette)), 0)
    for index, ids in enumerate(maps):
        total, area = int(counted[index].sum()), 0
        for class_id, pixels in zip(*np.unique(ids[counted[index]], return_counts=True), strict=True):
            if pixels < MIN_AREA * total:
                continue
            segments, count = connected_components((ids == class_id) & counted[index])
            sizes = np.bincount(segments.ravel(), minlength=count + 1)
            large = [number for number in range(1, count + 1) if sizes[number] >= MIN_AREA * total]
            wrong = [number for number in large if is_wrong(index, int(class_id), segments == number)]
            area += int(sizes[wrong].sum())
            images_wrong[int(class_id)] += bool(wrong)
        evidence[index] = area / total if total else np.nan
    most_frequent = sorted((c for c in images_wrong if images_wrong[c]), key=lambda c: -images_wrong[c])[:3]
    return Detection(
        evidence,
        ", ".join(f"{translations.palette[c].name} in {plural(images_wrong[c], 'image')}" for c in most_frequent),
    )


def connected_components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the segment number of each pixel of a bool map, from 1, and the number of segments (4-connectivity)."""
    from scipy.ndimage import label

    return label(mask)
