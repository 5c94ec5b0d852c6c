"""Structure lost or invented: classes of the source that the translation does not show, and the other way round."""

from collections.abc import Callable

import numpy as np

from cgbench.api.dataset import IGNORE
from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.class_maps import predicted_classes, predicted_target_classes, why_no_classes
from cgbench.benchmarks.metrics.functional.segmentation_scores import confusion_matrices

SIDE = 64  # pixels; larger class maps are thinned to about this
AREA = 0.01  # share of an image from which on a part counts: connected pixels of one class
THRESHOLD = 0.05  # of the image: what is smaller may be missed
FOUND = 0.2  # share of a part's pixels that must agree, or it is not there
RELIABLE = 0.5  # share of a part's pixels that the scorer must find in the real image, or its word counts for nothing
CAUSES = ("copy", "collapse", "inversion", "permutation")


@FAILURES.register
def lost() -> Failure:
    """Things of the source are not found where they were."""
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
    )


@FAILURES.register
def invented() -> Failure:
    """Things are found where the source has none."""
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
    )


def _detect_lost(translations: Translations) -> Detection:
    scene, shown, real = _maps(translations)
    reliable = _reliable(translations, rows=True)

    def is_lost(index: int, kind: int, part: np.ndarray) -> bool:
        if (shown[index][part] == kind).mean() >= FOUND:
            return False
        return (real[index][part] == kind).mean() >= RELIABLE if real is not None else bool(reliable[kind])

    return _finding(scene, scene != IGNORE, is_lost, translations)


def _detect_invented(translations: Translations) -> Detection:
    scene, shown, real = _maps(translations)
    reliable = _reliable(translations, rows=False)

    def is_invented(index: int, kind: int, part: np.ndarray) -> bool:
        if (scene[index][part] == kind).mean() >= FOUND:
            return False
        return (real[index][part] == kind).mean() < FOUND if real is not None else bool(reliable[kind])

    return _finding(shown, scene != IGNORE, is_invented, translations)


def _maps(translations: Translations) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the classes of the source, of the output, and where test images are paired of the real image as it is
    recognised, uint8 (N, S, S), thinned to about 64 pixels a side."""
    step = max(1, translations.labels.shape[1] // SIDE)
    real = predicted_target_classes(translations)[1] if translations.paired else None
    maps = translations.labels, predicted_classes(translations), real
    return tuple(None if each is None else each[:, ::step, ::step] for each in maps)


def _reliable(translations: Translations, rows: bool) -> np.ndarray:
    """Return bool (C,): the classes of which the scorer finds half in all real images together (`rows`), or is right
    half of the time that it says them; all of them where real images have no labels."""
    labels, seen = predicted_target_classes(translations)
    if labels is None:
        return np.ones(len(translations.palette), bool)
    matrix = confusion_matrices(labels, seen, len(translations.palette)).sum(axis=0)
    return np.diagonal(matrix) >= RELIABLE * np.maximum(matrix.sum(axis=int(rows)), 1)


def _finding(
    maps: np.ndarray, counted: np.ndarray, is_wrong: Callable[[int, int, np.ndarray], bool], translations: Translations
) -> Detection:
    """Return the share of each image that is in wrong parts: connected pixels of one class of `maps`, 1 % of the
    `counted` pixels of the image or more; and in how many images the three most frequent classes are wrong."""
    evidence, often = np.full(len(maps), np.nan), dict.fromkeys(range(len(translations.palette)), 0)
    for index, ids in enumerate(maps):
        total, area = int(counted[index].sum()), 0
        for kind in np.unique(ids[counted[index]]):
            parts, count = connected((ids == kind) & counted[index])
            sizes = np.bincount(parts.ravel(), minlength=count + 1)
            large = [number for number in range(1, count + 1) if sizes[number] >= AREA * total]
            wrong = [number for number in large if is_wrong(index, int(kind), parts == number)]
            area += int(sizes[wrong].sum())
            often[int(kind)] += bool(wrong)
        evidence[index] = area / total if total else np.nan
    first = sorted((kind for kind in often if often[kind]), key=lambda kind: -often[kind])[:3]
    return Detection(
        evidence, ", ".join(f"{translations.palette[kind].name} in {often[kind]} images" for kind in first)
    )


def connected(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the number of each pixel's part, from 1, of a bool map, and how many there are; edges connect."""
    from scipy.ndimage import label

    return label(mask)
