"""Segmentation scores from a confusion matrix: pixel accuracy, class accuracy, intersection over union.

Source: Long et al. 2015 (FCN), section 5, as used for the FCN score of Isola et al. 2017 and Zhu et al. 2017.
"""

from dataclasses import dataclass

import numpy as np

from cgbench.api.names import IGNORE
from cgbench.errors import CgbenchError

MODES = ("fixed", "compat")


@dataclass(frozen=True)
class SegmentationScores:
    """Scores in [0, 1]: `pixel` is the pixel accuracy; `class_accuracy` and `iou` are means over classes.

    `per_class_accuracy` and `per_class_iou` are float64 (C,); a class that is absent from the truth is NaN in mode
    `fixed` and 0 in mode `compat`.
    """

    pixel: float
    class_accuracy: float
    iou: float
    per_class_accuracy: np.ndarray
    per_class_iou: np.ndarray


def confusion_matrix(true: np.ndarray, predicted: np.ndarray, classes: int, reject: bool = False) -> np.ndarray:
    """Return int64 (C, C), rows the true and columns the predicted class, of two integer arrays of one shape.

    Pixels whose true id is 255 are ignored. Every other true id and every predicted id, of ignored pixels too, must
    lie in 0..C-1, else `CgbenchError`. With `reject` the matrix is (C, C + 1), and the predicted id C means that a
    pixel is of none of the classes, which is wrong whatever is true.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.shape != predicted.shape:
        raise CgbenchError(f"class ids differ in shape: {true.shape} true, {predicted.shape} predicted")
    columns = classes + reject
    _check_ids("predicted", predicted, columns)
    counted = true != IGNORE
    true, predicted = true[counted].astype(np.int64), predicted[counted].astype(np.int64)
    _check_ids("true", true, classes)
    return np.bincount(true * columns + predicted, minlength=classes * columns).reshape(classes, columns)


def confusion_matrices(true: np.ndarray, predicted: np.ndarray, classes: int, reject: bool = False) -> np.ndarray:
    """Return int64 (N, C, C), or with `reject` (N, C, C + 1): the confusion matrix of each image of (N, H, W) arrays.

    Different numbers of images raise `CgbenchError`.
    """
    if len(true) != len(predicted):
        raise CgbenchError(f"{len(true)} images have true class ids, but {len(predicted)} have predicted ones")
    matrices = [confusion_matrix(a, b, classes, reject) for a, b in zip(true, predicted, strict=True)]
    return np.array(matrices, np.int64).reshape(-1, classes, classes + reject)


def scores(matrix: np.ndarray, mode: str = "fixed") -> SegmentationScores:
    """Return the scores of a confusion matrix (C, C), or (C, C + 1) with rejected pixels, that of a whole test split.

    pixel = Σ diag / Σ all; accuracy of a class = diag / row sum; IoU of a class = diag / (row + column - diag).
    The modes differ in classes absent from the truth of the whole split: `fixed` leaves them out of both means,
    `compat` counts them as 0, as the script published with pix2pix does (one class of 19, predicted perfectly, scores
    1, 1/19, 1/19 there). That script's overflow of a 20th predicted class into another row is not reproduced.
    An unknown mode and a matrix without any counted pixel raise `CgbenchError`.
    """
    if mode not in MODES:
        raise CgbenchError(f"unknown mode '{mode}' of the segmentation scores: it is one of {', '.join(MODES)}")
    matrix = np.asarray(matrix, np.float64)
    if not matrix.sum():
        raise CgbenchError("no pixel to score: the confusion matrix is empty, every label is the ignored one (255)")
    accuracy, iou = _by_class(matrix)
    if mode == "compat":
        accuracy, iou = np.nan_to_num(accuracy), np.nan_to_num(iou)
    pixel = float(np.trace(matrix) / matrix.sum())
    return SegmentationScores(pixel, float(np.nanmean(accuracy)), float(np.nanmean(iou)), accuracy, iou)


def per_image_pixel_accuracy(matrices: np.ndarray) -> np.ndarray:
    """Return float64 (N,): the pixel accuracy of each of (N, C, C) or (N, C, C + 1) matrices; NaN where no
    pixel has a label."""
    diagonal = np.trace(matrices, axis1=1, axis2=2)
    return _ratio(diagonal, matrices.sum(axis=(1, 2)))


def per_image_iou(matrices: np.ndarray) -> np.ndarray:
    """Return float64 (N,): mean IoU over the classes in the image's truth; NaN where it has none."""
    _, iou = _by_class(np.asarray(matrices, np.float64))
    return _ratio(np.nansum(iou, axis=1), np.isfinite(iou).sum(axis=1))


def _by_class(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return accuracy and IoU by class, (..., C), of matrices (..., C, C) or (..., C, C + 1); NaN for classes absent
    from the truth."""
    classes = matrices.shape[-2]
    correct = np.diagonal(matrices, axis1=-2, axis2=-1)
    rows, columns = matrices.sum(axis=-1), matrices.sum(axis=-2)[..., :classes]
    return _ratio(correct, rows), _ratio(correct, np.where(rows > 0, rows + columns - correct, 0))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole as float64, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _check_ids(kind: str, ids: np.ndarray, classes: int) -> None:
    if ids.size and (ids.min() < 0 or ids.max() >= classes):
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise CgbenchError(
            f"a {kind} class id is {wrong}, but the {classes} classes have ids 0 to {classes - 1} "
            f"({IGNORE} means ignored, in the truth only): do the labels belong to this palette?"
        )
