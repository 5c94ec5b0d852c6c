"""Failure mode `permutation`: classes are exchanged, such as trees for buildings."""

import numpy as np

from cgbench.api.failure import Control, Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.class_maps import predicted_classes, predicted_target_classes, why_no_classes
from cgbench.benchmarks.metrics.functional.segmentation_scores import confusion_matrices

THRESHOLD = 0.4
MIN_AREA = 0.01  # share of the pixels that a class must cover, in all images together and in a single one
MIN_IMAGES = 0.1  # share of the images that must show both classes of a pair


@FAILURES.register
def permutation() -> Failure:
    """Return the failure of a class rendered as another, which itself is rendered as the first or a third."""
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
        control=Control("real images with two classes of the same places exchanged", _exchanged),
    )


def _detect(translations: Translations) -> Detection:
    """Return the evidence of exchanged pairs; a class that absorbs others and keeps its own is structure lost."""
    matrices = confusion_matrices(translations.labels, predicted_classes(translations), len(translations.palette))
    real_confusion = _real_confusion(translations)
    replaced_by, replaced_share = _replacements(matrices.sum(axis=0), real_confusion)
    areas = matrices.sum(axis=2) / np.maximum(matrices.sum(axis=(1, 2)), 1)[:, None]
    shares = _shares_by_image(matrices, replaced_by, real_confusion)
    pairs = []
    for first, second in enumerate(replaced_by):
        present = (areas[:, first] >= MIN_AREA) & (areas[:, second] >= MIN_AREA)
        if present.mean() >= MIN_IMAGES:
            in_split = min(replaced_share[first], replaced_share[second])
            in_image = np.minimum(shares[:, first], shares[:, second])
            pairs.append((in_split, first, np.where(present, np.minimum(in_image, in_split), np.nan)))
    if not pairs:
        return Detection(np.full(len(matrices), np.nan), "no two classes share enough images")
    exchanged = [pair for pair in pairs if pair[0] >= THRESHOLD] or [max(pairs, key=lambda pair: pair[0])]
    evidence = np.fmax.reduce([by_image for _, _, by_image in exchanged])
    names = [entry.name for entry in translations.palette]
    texts = [
        f"{names[first]} → {names[replaced_by[first]]} in {100 * replaced_share[first]:.0f} % of its pixels"
        for _, first, _ in exchanged
    ]
    return Detection(evidence, ("" if exchanged[0][0] >= THRESHOLD else "nearest to it: ") + ", ".join(texts))


def _exchanged(translations: Translations) -> np.ndarray:
    """Return the outputs with the pixels of two classes put in each other's places, row by row, in all images that show
    both."""
    labels, outputs = translations.labels, translations.outputs.copy()
    pair = _neighbours(labels, len(translations.palette))
    for image, ids in zip(outputs, labels, strict=True):
        places = [np.flatnonzero(ids == class_id) for class_id in pair]
        if min(map(len, places)) >= MIN_AREA * ids.size:
            pixels = image.reshape(-1, 3)
            taken = [pixels[place] for place in places]
            for place, colours in zip(places, taken[::-1], strict=True):
                pixels[place] = colours[np.linspace(0, len(colours) - 1, len(place)).round().astype(int)]
    return outputs


def _neighbours(labels: np.ndarray, classes: int) -> tuple[int, int]:
    """Return the two classes whose places overlap most: the sum over pixels of the smaller of their frequencies there.

    A scorer knows classes by their place too, and takes a road in the colours of the sky for a road.
    """
    frequency = np.stack([(labels == class_id).mean(axis=0).ravel() for class_id in range(classes)])
    overlap = np.array([[np.minimum(first, second).sum() for second in frequency] for first in frequency])
    first, second = np.unravel_index(np.triu(overlap, 1).argmax(), overlap.shape)
    return int(first), int(second)


def _real_confusion(translations: Translations) -> np.ndarray:
    """Return float64 (C, C): the confusion rates on real target images, true classes in rows; 0 without labels."""
    classes = len(translations.palette)
    labels, predicted = predicted_target_classes(translations)
    if labels is None:
        return np.zeros((classes, classes))
    return _rates(confusion_matrices(labels, predicted, classes).sum(axis=0))


def _replacements(matrix: np.ndarray, real_confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most frequent replacement of each class, int (C,), and its share beyond the real confusion, (C,)."""
    rates = _rates(matrix) - real_confusion
    np.fill_diagonal(rates, -1)
    replaced_by = rates.argmax(axis=1)
    share = rates[np.arange(len(replaced_by)), replaced_by].clip(0)
    share[matrix.sum(axis=1) < MIN_AREA * matrix.sum()] = 0
    return replaced_by, share


def _shares_by_image(matrices: np.ndarray, replaced_by: np.ndarray, real_confusion: np.ndarray) -> np.ndarray:
    """Return float64 (N, C): the share of each class's pixels in each image that became its replacement."""
    index = np.arange(len(replaced_by))
    return (_rates(matrices)[:, index, replaced_by] - real_confusion[index, replaced_by]).clip(0)


def _rates(matrices: np.ndarray) -> np.ndarray:
    """Return confusion matrices (…, C, C) with rows that sum to 1, or to 0 for absent classes."""
    rows = matrices.sum(axis=-1, keepdims=True)
    return matrices / np.maximum(rows, 1)
