"""The scorer: it learns, is reproducible bit for bit, survives its cache, and names errors."""

import copy
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from cgbench import CgbenchError, TrialConfig
from cgbench.benchmarks.evaluation import scorer, scorer_training
from cgbench.benchmarks.evaluation.scorer import Scorer, ScorerEnsemble, build_network, content_digest
from cgbench.benchmarks.evaluation.scorer_cache import cached_scorers
from cgbench.benchmarks.evaluation.scorer_training import (
    ScorerData,
    class_weights,
    schedule,
    shuffled_patches,
    train_scorer,
    untrained_translation,
)
from cgbench.benchmarks.runtime.cache_dir import cache_folder
from cgbench.errors import DataBroken

CONFIG = replace(TrialConfig(), scorer_steps=60, scorer_batch=8, scorer_width=6)
QUICK = replace(CONFIG, scorer_steps=2, scorers=1)
COLOURS = np.array([[60, 60, 70], [220, 60, 50], [70, 90, 220]], np.float64)
PALETTE = np.array([[250, 240, 20], [20, 240, 230], [240, 20, 240]], np.uint8)


def scenes(count, seed=0, side=16):
    """Noisy photos of a ground with a red and a blue block, their class ids, and one ignored row."""
    random = np.random.default_rng(seed)
    labels = np.zeros((count, side, side), np.uint8)
    for image in labels:
        for number in (1, 2):
            top, left = random.integers(0, side - 6, 2)
            image[top : top + 6, left : left + 6] = number
    photos = COLOURS[labels] + random.normal(0, 12, (*labels.shape, 3))
    labels[:, -1] = 255
    return photos.clip(0, 255).astype(np.uint8), labels


def data(photos, labels):
    """The photos with their labels, and as pictures of the other domain the labels in flat colours."""
    return ScorerData(photos, labels, PALETTE[labels % 3])


@pytest.fixture(scope="module")
def trained():
    return train_scorer(data(*scenes(40)), 3, CONFIG)


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
    first = train_scorer(data(*scenes(10)), 3, QUICK)
    torch.manual_seed(2)
    np.random.seed(2)
    state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()
    second = train_scorer(data(*scenes(10)), 3, QUICK)
    assert first.digest == second.digest
    assert torch.equal(state, torch.get_rng_state()) and (legacy == np.random.get_state()[1]).all()
    assert train_scorer(data(*scenes(10, seed=5)), 3, QUICK).digest != first.digest


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


def test_gradients_agree_with_float64():
    network = build_network(3, 4).train()
    exact = copy.deepcopy(network).double()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    target = torch.arange(512).reshape(2, 16, 16) % 3
    network = network.to(memory_format=torch.channels_last)
    for net, images in ((network, x), (exact, x.double())):
        torch.nn.functional.cross_entropy(net(images), target).backward()
    for (name, ours), theirs in zip(network.named_parameters(), exact.parameters(), strict=True):
        scale = theirs.grad.abs().max()
        assert (ours.grad - theirs.grad).abs().max() < 1e-4 * scale + 1e-8, name


def test_initial_weights_come_from_the_names_alone():
    state = torch.get_rng_state()
    narrow, again = build_network(3, 4).state_dict(), build_network(7, 4).state_dict()
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(narrow[name], again[name]) for name in narrow if not name.startswith("head"))
    assert all(value.isfinite().all() for value in narrow.values())


@pytest.mark.parametrize("side", [8, 24, 40])
def test_any_multiple_of_eight_will_do(trained, side):
    assert trained.predict(np.zeros((2, side, side, 3), np.uint8)).shape == (2, side, side)


def test_a_photo_is_judged_alike_alone_and_in_company(trained, monkeypatch):
    photos, _ = scenes(7, seed=3)
    together = trained.predict(photos)
    monkeypatch.setattr(scorer, "PIXELS_AT_ONCE", 3 * 256)
    assert (trained.predict(photos) == together).all()
    photos.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (trained.predict(photos[::-1]) == together[::-1]).all()


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


def test_a_scorer_comes_back_from_its_file_as_it_was(trained, tmp_path):
    path = tmp_path / "deep" / "scorer.safetensors"
    trained.save(path)
    loaded = Scorer.load(path)
    photos, _ = scenes(5, seed=2)
    assert (loaded.digest, loaded.info) == (trained.digest, trained.info)
    assert len(loaded.digest) == 12
    assert (loaded.predict(photos) == trained.predict(photos)).all()


@pytest.mark.parametrize("damage", ["cut", "bit", "text", "foreign", "header", "folder"])
def test_a_broken_file_is_named(trained, tmp_path, damage):
    path = tmp_path / "scorer.safetensors"
    trained.save(path)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "bit":
        data[-100] ^= 1
        path.write_bytes(data)
    elif damage == "text":
        path.write_text("this is no scorer")
    elif damage == "foreign":
        import safetensors.numpy

        path.write_bytes(safetensors.numpy.save({"weight": np.zeros(3)}))
    elif damage == "header":
        path.write_bytes(bytes(data).replace(b'\\"width\\": 6', b'\\"width\\": 7'))
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(DataBroken, match=r"scorer\.safetensors is not a readable scorer"):
        Scorer.load(path)


def test_the_cache_trains_once_per_content_and_settings(tmp_path):
    photos, labels = scenes(6)
    steps = []

    def get(photos=photos, labels=labels, classes=3, config=QUICK):
        steps.clear()
        scorers = cached_scorers(
            tmp_path, data(photos, labels), classes, config, progress=lambda *step: steps.append(step)
        )
        return scorers, list(steps)

    first, trained_steps = get()
    assert trained_steps == [(1, 2), (2, 2)]
    cached, no_steps = get()
    assert no_steps == [] and cached.digest == first.digest
    changed = labels.copy()
    changed[0, 0, 0] = (changed[0, 0, 0] + 1) % 3
    assert get(labels=changed)[1]
    assert get(photos=photos[::-1], labels=labels[::-1])[1]
    assert get(classes=4)[1]
    for name, value in (("scorer_steps", 3), ("scorer_batch", 4), ("scorer_width", 5)):
        assert get(config=replace(QUICK, **{name: value}))[1], name
    assert not get(config=replace(QUICK, learning_rate=1.0))[1], "the methods' settings do not matter"
    assert len(list(tmp_path.iterdir())) == 7


def test_a_broken_cache_file_is_trained_again_and_mended(tmp_path, capsys):
    photos, labels = scenes(6)
    first = cached_scorers(tmp_path, data(photos, labels), 3, QUICK)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    retrained = cached_scorers(tmp_path, data(photos, labels), 3, QUICK)
    assert "not a readable scorer" in capsys.readouterr().out
    assert retrained.first.digest == first.first.digest == Scorer.load(path).digest


def test_a_cache_that_cannot_be_written_costs_a_warning_only(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert cached_scorers(blocked / "cache", data(*scenes(6)), 3, QUICK).first.info["steps"] == 2
    assert "cannot be written" in capsys.readouterr().out


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CGBENCH_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("CGBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "cgbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "cgbench"


def test_the_content_digest_sees_shape_type_and_values():
    array = np.arange(6, dtype=np.uint8)
    variants = [array, array.reshape(2, 3), array.astype(np.int16), array[::-1], array + 1]
    assert len({content_digest(item) for item in variants}) == 5
    assert content_digest(array[::-1]) == content_digest(array[::-1].copy())


@pytest.mark.parametrize(
    ("photos", "labels", "message"),
    [
        (np.zeros((2, 12, 12, 3), np.uint8), np.zeros((2, 12, 12), np.uint8), "multiple of 8: crop_size=12"),
        (np.zeros((2, 8, 16, 3), np.uint8), np.zeros((2, 8, 16), np.uint8), r"takes uint8 photos \(N, S, S, 3\)"),
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


def test_pictures_of_the_other_domain_are_rejected_and_photos_are_not(trained):
    photos, labels = scenes(20, seed=1)
    flat = PALETTE[labels % 3]
    assert (trained.predict_or_reject(flat) == 3).mean() > 0.9
    assert (trained.predict_or_reject(photos) == 3).mean() < 0.05
    assert trained.predict(flat).max() < 3  # without the reject class every pixel has a class


def test_probabilities_sum_to_one_and_agree_with_the_classes(trained):
    photos, _ = scenes(3, seed=2)
    probabilities = trained.probabilities(photos)
    assert probabilities.shape == (3, 4, 16, 16) and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == trained.predict_or_reject(photos)).all()


def test_what_a_scorer_reaches_is_measured_on_photos_it_never_saw():
    photos, labels = scenes(30)
    learnt, held_out = scorer_training._split(30)
    assert len(held_out) == 3 and not set(learnt) & set(held_out) and len(learnt) == 27
    assert len(scorer_training._split(9)[1]) == 0
    changed = photos.copy()
    changed[held_out] = 0
    same = [train_scorer(data(pictures, labels), 3, replace(QUICK, scorer_steps=4)) for pictures in (photos, changed)]
    assert same[0].digest == same[1].digest and same[0].info != same[1].info


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


def test_scorers_differ_in_their_streams_alone(tmp_path):
    photos, labels = scenes(12)
    three = cached_scorers(tmp_path, data(photos, labels), 3, replace(QUICK, scorers=3))
    assert len({member.digest for member in three.members}) == 3
    one = cached_scorers(tmp_path, data(photos, labels), 3, QUICK)
    assert one.first.digest == three.first.digest and one.digest != three.digest
    record = three.record()
    assert record["scorers"] == 3 and len(record["scorer_recipe"].split()) == 3
    values = [member.info["held_out_accuracy"] for member in three.members]
    assert record["scorer_held_out_accuracy"] == pytest.approx(np.mean(values), abs=1e-4)
    assert ScorerEnsemble(three.members[:1]).digest == one.digest
