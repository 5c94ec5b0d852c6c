"""Label permutation: classes have changed places, such as trees for buildings."""

import numpy as np

from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.class_maps import predicted_classes, predicted_target_classes, why_no_classes
from cgbench.benchmarks.metrics.functional.segmentation_scores import confusion_matrices

THRESHOLD = 0.4
LEAST_AREA = 0.01  # share of the pixels from which on a class counts, in all images together and in a single one
LEAST_IMAGES = 0.1  # share of the images that must show both classes of a pair


@FAILURES.register
def permutation() -> Failure:
    """A class is drawn as another, whose own place is taken by a third or by the first."""
    return Failure(
        name="permutation",
        label="label permutation",
        summary="classes have changed places: one is drawn as another, which itself is drawn as something else",
        evidence_definition=(
            "share of a class's pixels that become the other class, or of the other's that leave it, in the image"
            " or in all of them, whichever is least; the scorer's confusions on real images are subtracted"
        ),
        detect=_detect,
        not_applicable=why_no_classes,
        threshold=THRESHOLD,
        above=True,
        share=0.25,
        justified="classes exchanged in all scenes have 1.0, in a fifth of the scenes they are not noticed, in three "
        "fifths they are; in photos of streets where buildings and sky were pasted into each other's place the scorer "
        "leaves 0.47. Streets of other scenes have 0.00 to 0.05",
        explained_by=("copy", "collapse", "inversion"),
        rank=50,
    )


def _detect(translations: Translations) -> Detection:
    """A class that swallows others and stays itself has not changed places: that is structure lost."""
    matrices = confusion_matrices(translations.labels, predicted_classes(translations), len(translations.palette))
    usual = _usual(translations)
    to, moved = _moves(matrices.sum(axis=0), usual)
    areas = matrices.sum(axis=2) / np.maximum(matrices.sum(axis=(1, 2)), 1)[:, None]
    shares = _taken(matrices, to, usual)
    pairs = []
    for first, second in enumerate(to):
        shown = (areas[:, first] >= LEAST_AREA) & (areas[:, second] >= LEAST_AREA)
        if shown.mean() >= LEAST_IMAGES:
            together = min(moved[first], moved[second])
            alone = np.minimum(shares[:, first], shares[:, second])
            pairs.append((together, first, np.where(shown, np.minimum(alone, together), np.nan)))
    if not pairs:
        return Detection(np.full(len(matrices), np.nan), "no two classes share enough images")
    found = [pair for pair in pairs if pair[0] >= THRESHOLD] or [max(pairs, key=lambda pair: pair[0])]
    evidence = np.fmax.reduce([both for _, _, both in found])
    names = [entry.name for entry in translations.palette]
    texts = [
        f"{names[first]} → {names[to[first]]} in {100 * moved[first]:.0f} % of its pixels" for _, first, _ in found
    ]
    return Detection(evidence, ("" if found[0][0] >= THRESHOLD else "nearest to it: ") + ", ".join(texts))


def _usual(translations: Translations) -> np.ndarray:
    """Return float64 (C, C): how often the class in the row is taken for that in the column in real target images."""
    classes = len(translations.palette)
    labels, seen = predicted_target_classes(translations)
    if labels is None:
        return np.zeros((classes, classes))
    return _rates(confusion_matrices(labels, seen, classes).sum(axis=0))


def _moves(matrix: np.ndarray, usual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, of each class, the other one that most of it becomes, and how large a share more than usually."""
    rates = _rates(matrix) - usual
    np.fill_diagonal(rates, -1)
    to = rates.argmax(axis=1)
    moved = rates[np.arange(len(to)), to].clip(0)
    moved[matrix.sum(axis=1) < LEAST_AREA * matrix.sum()] = 0
    return to, moved


def _taken(matrices: np.ndarray, to: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return float64 (N, C): the share of each class's pixels in each image that became the class it moves to."""
    index = np.arange(len(to))
    return (_rates(matrices)[:, index, to] - usual[index, to]).clip(0)


def _rates(matrices: np.ndarray) -> np.ndarray:
    """Return confusion matrices (…, C, C) with rows that sum to 1, or to 0 where a class is not shown."""
    rows = matrices.sum(axis=-1, keepdims=True)
    return matrices / np.maximum(rows, 1)
