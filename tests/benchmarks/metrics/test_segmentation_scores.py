"""Confusion matrices and segmentation scores against hand-worked numbers, torchmetrics and their own laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cgbench.benchmarks.metrics.functional.segmentation_scores import (
    confusion_matrices,
    confusion_matrix,
    per_image_iou,
    per_image_pixel_accuracy,
    scores,
)
from cgbench.errors import CgbenchError

ids = hnp.arrays(np.uint8, (3, 4, 5), elements=st.sampled_from([0, 1, 2, 3]))
ids_or_ignored = hnp.arrays(np.uint8, (3, 4, 5), elements=st.sampled_from([0, 1, 2, 3, 255]))


def test_matrix_of_a_hand_worked_example():
    true = np.array([[0, 0, 0, 1], [1, 2, 255, 255]], np.uint8)
    predicted = np.array([[0, 0, 1, 1], [2, 2, 0, 1]], np.uint8)
    matrix = confusion_matrix(true, predicted, 3)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]


def test_scores_of_a_hand_worked_example():
    result = scores(np.array([[2, 1, 0], [0, 1, 1], [0, 0, 1]]))
    assert result.pixel == pytest.approx(4 / 6)
    assert result.per_class_accuracy == pytest.approx([2 / 3, 1 / 2, 1])
    assert result.per_class_iou == pytest.approx([2 / 3, 1 / 3, 1 / 2])
    assert result.class_accuracy == pytest.approx(13 / 18)
    assert result.iou == pytest.approx(1 / 2)


def test_one_perfect_class_of_nineteen():
    matrix = np.zeros((19, 19), np.int64)
    matrix[7, 7] = 1000
    compat, fixed = scores(matrix, "compat"), scores(matrix)
    assert (compat.pixel, compat.class_accuracy, compat.iou) == pytest.approx((1, 1 / 19, 1 / 19))
    assert (fixed.pixel, fixed.class_accuracy, fixed.iou) == (1, 1, 1)
    assert np.isnan(fixed.per_class_iou).sum() == 18 and compat.per_class_iou.sum() == 1


def test_a_class_that_only_the_prediction_shows_is_left_out_but_costs_its_pixels():
    matrix = np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]])
    result = scores(matrix)
    assert result.pixel == pytest.approx(7 / 8)
    assert result.iou == pytest.approx((3 / 4 + 1) / 2)
    assert scores(matrix, "compat").iou == pytest.approx((3 / 4 + 1 + 0) / 3)


def test_agrees_with_torchmetrics():
    torch = pytest.importorskip("torch")
    classification = pytest.importorskip("torchmetrics.classification")
    random = np.random.default_rng(0)
    true = random.integers(0, 6, (5, 16, 16)).astype(np.uint8)
    predicted = np.where(random.random(true.shape) < 0.6, true, random.integers(0, 6, true.shape)).astype(np.uint8)
    true[random.random(true.shape) < 0.2] = 255
    pair = torch.from_numpy(predicted).long(), torch.from_numpy(true).long()
    matrix = confusion_matrix(true, predicted, 6)
    result = scores(matrix)
    options = {"num_classes": 6, "ignore_index": 255}
    assert (classification.MulticlassConfusionMatrix(**options)(*pair).numpy() == matrix).all()
    assert result.iou == pytest.approx(classification.MulticlassJaccardIndex(**options)(*pair).item(), abs=1e-6)
    per_class = classification.MulticlassAccuracy(average="none", **options)(*pair).numpy()
    assert result.per_class_accuracy == pytest.approx(per_class, abs=1e-6)
    macro, micro = (
        classification.MulticlassAccuracy(average=kind, **options)(*pair).item() for kind in ("macro", "micro")
    )
    assert (result.class_accuracy, result.pixel) == pytest.approx((macro, micro), abs=1e-6)


@given(ids)
@settings(max_examples=40, deadline=None)
def test_a_perfect_prediction_scores_one(true):
    result = scores(confusion_matrix(true, true, 4))
    assert (result.pixel, result.class_accuracy, result.iou) == (1, 1, 1)


@given(ids_or_ignored, ids, st.permutations(range(3)))
@settings(max_examples=40, deadline=None)
def test_order_of_images_and_values_under_ignored_pixels_do_not_matter(true, predicted, order):
    matrices = confusion_matrices(true, predicted, 4)
    changed = np.where(true == 255, 3 - predicted, predicted)
    assert (confusion_matrix(true[order], changed[order], 4) == matrices.sum(axis=0)).all()
    assert matrices.sum() == (true != 255).sum()
    assert np.array_equal(per_image_iou(matrices)[order], per_image_iou(matrices[order]), equal_nan=True)


@given(ids_or_ignored, ids)
@settings(max_examples=40, deadline=None)
def test_scores_lie_between_zero_and_one_and_iou_is_below_accuracy(true, predicted):
    true[0, 0, 0] = 2  # at least one pixel counts
    result = scores(confusion_matrix(true, predicted, 4))
    assert 0 <= result.iou <= result.class_accuracy <= 1 and 0 <= result.pixel <= 1


def test_scores_per_image():
    true = np.array([[[0, 0], [1, 1]], [[255, 255], [255, 255]], [[1, 1], [1, 255]]], np.uint8)
    predicted = np.array([[[0, 0], [1, 0]], [[0, 0], [0, 0]], [[1, 1], [2, 2]]], np.uint8)
    matrices = confusion_matrices(true, predicted, 3)
    assert per_image_pixel_accuracy(matrices) == pytest.approx([3 / 4, np.nan, 2 / 3], nan_ok=True)
    assert per_image_iou(matrices) == pytest.approx([(2 / 3 + 1 / 2) / 2, np.nan, 2 / 3], nan_ok=True)


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([0, 3], [0, 1], "true class id is 3, but the 3 classes have ids 0 to 2"),
        ([0, 1], [0, 3], "predicted class id is 3"),
        ([0, 255], [0, 255], "predicted class id is 255"),
        ([0, -1], [0, 1], "true class id is -1"),
        ([0, 1], [-1, 1], "predicted class id is -1"),
        ([0, 1, 2], [0, 1], "differ in shape"),
    ],
)
def test_wrong_ids_are_refused(true, predicted, message):
    with pytest.raises(CgbenchError, match=message):
        confusion_matrix(np.array(true), np.array(predicted), 3)


def test_nothing_to_score_is_an_error_and_not_a_number():
    with pytest.raises(CgbenchError, match="no pixel to score"):
        scores(confusion_matrix(np.full((2, 2), 255), np.zeros((2, 2), int), 3))
    with pytest.raises(CgbenchError, match="unknown mode 'exact'"):
        scores(np.eye(3), "exact")
    with pytest.raises(CgbenchError, match="1 images have true class ids, but 2"):
        confusion_matrices(np.zeros((1, 2, 2), int), np.zeros((2, 2, 2), int), 3)


def test_a_rejected_pixel_is_wrong_for_its_class_and_charged_to_no_other():
    true = np.array([[0, 0, 1, 1]])
    rejected = scores(confusion_matrix(true, np.array([[0, 2, 1, 1]]), 2, reject=True))
    assert (rejected.pixel, rejected.class_accuracy, rejected.iou) == (0.75, 0.75, 0.75)
    mistaken = scores(confusion_matrix(true, np.array([[0, 1, 1, 1]]), 2))
    assert mistaken.pixel == 0.75 and mistaken.iou == pytest.approx((1 / 2 + 2 / 3) / 2)
    nothing = scores(confusion_matrix(true, np.array([[2, 2, 2, 2]]), 2, reject=True))
    assert (nothing.pixel, nothing.iou) == (0, 0)
    with pytest.raises(CgbenchError, match="predicted class id is 2"):
        confusion_matrix(true, np.array([[0, 2, 1, 1]]), 2)
