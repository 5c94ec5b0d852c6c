"""Training of a scorer: it learns, is reproducible bit for bit, and refuses what cannot be learnt from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cgbench import CgbenchError
from cgbench.benchmarks.evaluation import scorer_training
from cgbench.benchmarks.evaluation.scorer_cache import cached_scorers
from cgbench.benchmarks.evaluation.scorer_training import (
    ScorerData,
    class_weights,
    schedule,
    shuffled_patches,
    train_scorer,
    untrained_translation,
)
from cgbench.selection import scorer_split
from helpers.scorer_photos import QUICK, scenes, scorer_data


def test_it_learns_to_find_the_classes_of_new_photos(trained):
    photos, labels = scenes(20, seed=1)
    predicted = trained.predict(photos)
    assert predicted.shape == labels.shape and predicted.dtype == np.uint8
    assert (predicted == labels)[labels != 255].mean() > 0.95
    assert trained.info["held_out_accuracy"] > 0.9 and 0 <= trained.info["calibration_error"] < 0.5
    assert (trained.info["classes"], trained.info["side"], trained.info["steps"]) == (3, 16, 60)


def test_two_trainings_agree_bit_for_bit_whatever_the_global_generators_say():
    torch.manual_seed(1)
    np.random.seed(1)
    first = train_scorer(scorer_data(*scenes(10)), 3, QUICK)
    torch.manual_seed(2)
    np.random.seed(2)
    state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()
    second = train_scorer(scorer_data(*scenes(10)), 3, QUICK)
    assert first.digest == second.digest
    assert torch.equal(state, torch.get_rng_state()) and (legacy == np.random.get_state()[1]).all()
    assert train_scorer(scorer_data(*scenes(10, seed=5)), 3, QUICK).digest != first.digest


def test_ignored_pixels_teach_nothing_and_do_no_harm():
    photos, labels = scenes(10)
    labels[1:] = 255  # whole batches without a label
    with_noise = photos.copy()
    alone = train_scorer(ScorerData(photos, labels, photos[:0]), 3, replace(QUICK, scorer_steps=6, scorer_batch=2))
    assert all(weight.isfinite().all() for weight in alone.network.parameters())
    logits, weights = torch.randn(2, 3, 4, 4, requires_grad=True), torch.tensor([1.0, 2.0, 3.0])
    none = torch.full((2, 4, 4), 255)
    scorer_training._loss(logits, none, weights).backward()
    assert (logits.grad == 0).all()
    partial = none.clone()
    partial[0, 0, :2] = torch.tensor([1, 2])
    expected = torch.nn.functional.cross_entropy(logits, partial, weights, ignore_index=255)
    assert torch.allclose(scorer_training._loss(logits, partial, weights), expected)
    assert (with_noise == photos).all()


def test_labels_follow_their_photos_through_the_augmentation(monkeypatch):
    monkeypatch.setattr(scorer_training, "COLOUR", 0.0)
    labels = np.random.default_rng(0).integers(0, 3, (64, 4, 4)).repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    labels[:, :8] = 255
    x, y = scorer_training._augmented(
        torch.from_numpy(colours[labels % 3]), torch.from_numpy(labels), np.random.default_rng(0), "cpu"
    )
    assert set(y.unique().tolist()) == {0, 1, 2, 255}
    certain = (x.max(dim=1).values > 0.99) & (y != 255)
    assert certain.float().mean() > 0.4
    assert (x.argmax(dim=1)[certain] == y[certain]).all()
    next_step, _ = scorer_training._augmented(
        torch.from_numpy(colours[labels % 3]), torch.from_numpy(labels), np.random.default_rng(1), "cpu"
    )
    assert not torch.equal(x, next_step)


def test_every_pass_shows_every_photo_once():
    batches = list(scorer_training._batches(images=6, steps=9, batch=4, seed=0))
    order = np.concatenate(batches)
    assert [len(batch) for batch in batches] == [4] * 9
    passes = order.reshape(6, 6)
    assert (np.sort(passes, axis=1) == np.arange(6)).all()
    assert len({tuple(row) for row in passes}) > 1


def test_learning_rate_rises_and_falls():
    factors = [schedule(step, 100) for step in range(100)]
    top = factors.index(max(factors))
    assert factors[top] == 1 and 10 <= top <= 20
    assert factors[: top + 1] == sorted(factors[: top + 1]) and factors[top:] == sorted(factors[top:], reverse=True)
    assert factors[0] < 0.1 and 0 < factors[-1] < 0.01
    assert schedule(0, 1) == 1


def test_rare_classes_weigh_more_and_absent_ones_nothing():
    labels = np.array([0] * 81 + [2] * 16 + [255] * 3, np.uint8).reshape(1, 10, 10)
    weights = class_weights(labels, 4)
    assert weights[1] == weights[3] == 0
    assert weights[2] / weights[0] == pytest.approx((81 / 16) ** scorer_training.CLASS_POWER, rel=1e-5)
    assert (weights[0] * 81 + weights[2] * 16) / 97 == pytest.approx(1)


@pytest.mark.parametrize(
    ("photos", "labels", "message"),
    [
        (np.zeros((2, 12, 12, 3), np.uint8), np.zeros((2, 12, 12), np.uint8), "multiples of 8: crop_size=12"),
        (np.zeros((2, 8, 12, 3), np.uint8), np.zeros((2, 8, 12), np.uint8), "multiples of 8: crop_size=8x12"),
        (np.zeros((2, 8, 8, 1), np.uint8), np.zeros((2, 8, 8), np.uint8), r"takes uint8 photos \(N, H, W, 3\)"),
        (np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), np.uint8), "float64"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.zeros((1, 8, 8), np.uint8), r"labels must be uint8 \(2, 8, 8\)"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.full((2, 8, 8), 255, np.uint8), "nothing to learn from"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.full((2, 8, 8), 3, np.uint8), "hold class 3, but there are only 3"),
    ],
)
def test_unusable_training_data_is_refused(photos, labels, message, tmp_path):
    with pytest.raises(CgbenchError, match=message):
        train_scorer(ScorerData(photos, labels, photos[:0]), 3, QUICK)
    with pytest.raises(CgbenchError, match=message):
        cached_scorers(tmp_path, ScorerData(photos, labels, photos[:0]), 3, QUICK)


def test_what_a_scorer_reaches_is_measured_on_photos_it_never_saw():
    photos, labels = scenes(30)
    learnt, held_out = scorer_split(30)
    assert len(held_out) == 3 and not set(learnt) & set(held_out) and len(learnt) == 27
    assert len(scorer_split(9)[1]) == 0
    changed = photos.copy()
    changed[held_out] = 0
    same = [
        train_scorer(scorer_data(pictures, labels), 3, replace(QUICK, scorer_steps=4)) for pictures in (photos, changed)
    ]
    assert same[0].digest == same[1].digest and same[0].info != same[1].info


def test_whole_groups_are_held_out_where_there_are_ten():
    groups = [f"p{index // 3}" for index in range(60)]
    learnt, held_out = scorer_split(60, groups)
    assert {groups[index] for index in held_out} == {"p0", "p19"} and len(held_out) == 6
    assert sorted(learnt + held_out) == list(range(60))
    assert scorer_split(60, [f"p{index % 9}" for index in range(60)]) == scorer_split(60)  # too few groups
    big = [f"p{index // 50}" for index in range(1000)]
    assert {big[index] for index in scorer_split(1000, big)[1]} == {"p0"}  # a second one would exceed 64 photos


def test_scorers_that_hold_out_other_photos_are_other_files(tmp_path):
    photos, labels = scenes(20)
    data = scorer_data(photos, labels)
    grouped = replace(data, groups=tuple(f"p{index // 2}" for index in range(20)))
    few = replace(data, groups=tuple("ab"[index % 2] for index in range(20)))
    quick = replace(QUICK, scorer_steps=1, scorers=1)
    recipes = [cached_scorers(tmp_path, each, 3, quick).first.info["recipe"] for each in (data, grouped, few)]
    assert recipes[0] != recipes[1] and recipes[0] == recipes[2]


def test_the_calibration_error_by_hand(trained, monkeypatch):
    """Four pixels of two classes and the reject class: confidences .9 and .6, right and wrong."""
    confidence = np.array([0.9, 0.9, 0.6, 0.6])
    rest = (1 - confidence) / 3
    probabilities = np.stack([confidence, rest, rest, rest])[None, :, None, :].astype(np.float32)
    monkeypatch.setattr(trained, "probabilities", lambda photos: probabilities)
    found = scorer_training._reached(trained, np.zeros((1, 1, 4, 3), np.uint8), np.array([[[0, 0, 0, 1]]], np.uint8))
    assert found["held_out_accuracy"] == 0.75 and found["held_out_rejected"] == 0
    assert found["calibration_error"] == pytest.approx((2 * abs(1 - 0.9) + 2 * abs(0.5 - 0.6)) / 4, abs=1e-4)


def test_negatives_keep_the_pixels_or_the_shape_of_what_they_are_made_of():
    photo = scenes(1)[0][0]
    shuffled = shuffled_patches(photo, np.random.default_rng(0))
    assert shuffled.shape == photo.shape and not (shuffled == photo).all()
    assert (np.sort(shuffled.reshape(-1, 3), axis=0) == np.sort(photo.reshape(-1, 3), axis=0)).all()
    made = [untrained_translation(photo, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert made[0].shape == photo.shape and made[0].dtype == np.uint8
    assert (made[0] == made[1]).all() and not (made[0] == made[2]).all()
