"""Structure lost or invented: classes of the source that the translation does not show, and the other way round."""

import numpy as np

from cgbench.benchmarks.confusion import confusion_matrices
from cgbench.benchmarks.recognition import recognised, recognised_targets, unrecognisable
from cgbench.failure import Failure, Finding
from cgbench.metric import Translations
from cgbench.registry import FAILURES

AREA = 0.01  # share of an image from which on a class counts
THRESHOLD = 0.05  # of the image: what is smaller may be missed
FOUND = 0.2  # share of a class's pixels (invented: of the pixels taken for it) that must be right, or it is not there
RELIABLE = 0.5  # share of a class's pixels that the scorer must find in the real image, or its word counts for nothing
CAUSES = ("copy", "collapse", "inversion", "permutation")


@FAILURES.register
def lost() -> Failure:
    """Things of the source are not found where they were."""
    return Failure(
        name="lost",
        label="structure lost",
        summary="things of the source are not found in the translation",
        measure="share of the scene that belongs to classes of which less than a fifth is found in its place; only "
        "classes that are found in the real image",
        detect=_detect_lost,
        unfit=unrecognisable,
        threshold=THRESHOLD,
        above=True,
        share=0.25,
        justified="to be measured",
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
        measure="share of the output that shows classes of which less than a fifth is in its place; only where the real "
        "image is not misread alike",
        detect=_detect_invented,
        unfit=unrecognisable,
        threshold=THRESHOLD,
        above=True,
        share=0.25,
        justified="to be measured",
        explained_by=CAUSES,
        rank=61,
    )


def _detect_lost(translations: Translations) -> Finding:
    matrices, real = _matrices(translations)
    there = matrices.sum(axis=2)
    gone = (there >= AREA * _pixels(matrices)) & (_diagonal(matrices) < FOUND * there)
    if real is not None:
        gone &= _diagonal(real) >= RELIABLE * np.maximum(real.sum(axis=2), 1)
    return _finding(gone, there, matrices, translations)


def _detect_invented(translations: Translations) -> Finding:
    matrices, real = _matrices(translations)
    wrong = _misplaced(matrices)
    if real is not None:
        wrong &= ~_misplaced(real)
    return _finding(wrong, matrices.sum(axis=1), matrices, translations)


def _misplaced(matrices: np.ndarray) -> np.ndarray:
    """Return bool (N, C): the classes that an image shows, but where they are not."""
    shown = matrices.sum(axis=1)
    return (shown >= AREA * _pixels(matrices)) & (_diagonal(matrices) < FOUND * shown)


def _matrices(translations: Translations) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the confusion matrices (N, C, C) of the outputs and of the real images: those of the same scenes where
    test images are paired, else all of them together, for each image alike; None without labels."""
    classes = len(translations.palette)
    matrices = confusion_matrices(translations.labels, recognised(translations), classes)
    labels, seen = recognised_targets(translations)
    if labels is None:
        return matrices, None
    real = confusion_matrices(labels, seen, classes)
    return matrices, real if translations.paired else real.sum(axis=0, keepdims=True)


def _finding(wrong: np.ndarray, areas: np.ndarray, matrices: np.ndarray, translations: Translations) -> Finding:
    """Return the share of each image that the wrong classes, bool (N, C), take up, and name the three most frequent."""
    total = _pixels(matrices)[:, 0]
    area = (areas * wrong).sum(axis=1)
    evidence = np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0)
    present = (areas >= AREA * _pixels(matrices)).sum(axis=0)
    often = sorted(((int(n), -place) for place, n in enumerate(wrong.sum(axis=0)) if n), reverse=True)[:3]
    texts = [f"{translations.palette[-place].name} in {n} of {present[-place]} images" for n, place in often]
    return Finding(evidence, ", ".join(texts))


def _pixels(matrices: np.ndarray) -> np.ndarray:
    """Return (N, 1): the labelled pixels of each image, 1 at least."""
    return np.maximum(matrices.sum(axis=(1, 2)), 1)[:, None]


def _diagonal(matrices: np.ndarray) -> np.ndarray:
    return np.einsum("ncc->nc", matrices)
