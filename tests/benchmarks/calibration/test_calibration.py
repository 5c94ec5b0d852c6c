"""Calibration of failure detectors: thresholds that sound images keep, controls that are found, and what cannot be
judged."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cgbench import FAILURES, Control, Detection, Failure
from cgbench.api.failure import CONTROL_RATE, HEALTHY_RATE
from cgbench.api.names import FailureState
from cgbench.benchmarks.calibration.calibration import calibrate, strict_threshold
from cgbench.benchmarks.evaluation import failure_detection
from cgbench.benchmarks.evaluation.failure_detection import declared_failures, detect_failures
from cgbench.benchmarks.metrics.functional.disturbances import DISTURBANCES
from cgbench.files import write_json
from cgbench.results.detections import setting_of
from cgbench.results.record_files import read_failures_file
from helpers.toy_scenes import CAR, SKY, VEGETATION, replaced_class, toy_translations, with_changed_scenes

CALIBRATED = ("copy", "collapse", "inversion", "permutation", "lost", "invented")
DIRECTIONS = ("AtoB", "BtoA")


def toy(direction="AtoB", **changes):
    return replace(toy_translations(direction, ood=False), **changes)


def calibrations(translations, failures=None):
    return calibrate(failures or declared_failures(), translations, translations, {"digest": "abc"})


def nervous(translations):
    """Return a scorer that takes trees for cars in every second image, by the parity of its levels."""

    def scorer(photos):
        ids = translations.scorer(photos)
        odd = photos.reshape(len(photos), -1).sum(axis=1, dtype=np.int64) % 2 == 1
        return np.where(odd[:, None, None], replaced_class(VEGETATION, CAR)(ids), ids)

    return scorer


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_where_the_scorer_is_sound_the_declared_thresholds_do(direction):
    found = calibrations(toy(direction))
    assert tuple(found) == CALIBRATED
    for name, calibration in found.items():
        assert calibration.threshold == FAILURES.get(name).threshold and not calibration.unjudged
        assert calibration.record["healthy_rate"] <= HEALTHY_RATE
        assert calibration.record["control_rate"] >= CONTROL_RATE


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CALIBRATED)
def test_every_control_is_labelled_as_what_it_shows(name, direction):
    translations = toy(direction)
    failed = replace(translations, outputs=FAILURES.get(name).control.outputs(translations))
    assert detect_failures(failed, calibrations(translations))[name]["state"] == FailureState.FOUND


@pytest.mark.parametrize("name", ["lost", "invented"])
def test_a_scorer_that_errs_on_sound_images_makes_a_threshold_stricter(name):
    translations = toy()
    shaky = replace(translations, scorer=nervous(translations))
    found = calibrations(shaky)[name]
    evidence = np.concatenate(
        [FAILURES.get(name).detect(replace(shaky, outputs=f(shaky.outputs))).evidence for f in DISTURBANCES.values()]
    )
    assert (evidence >= FAILURES.get(name).threshold).mean() > 2 * HEALTHY_RATE
    assert (evidence >= found.threshold).mean() == pytest.approx(found.record["healthy_rate"], abs=1e-4)
    assert found.record["healthy_rate"] <= HEALTHY_RATE and found.record["worst_rate"] >= found.record["healthy_rate"]
    assert found.record["declared"] == FAILURES.get(name).threshold < found.threshold
    record = detect_failures(shaky, calibrations(shaky))[name]
    assert record["threshold"] == found.threshold and record["calibration"] == found.record


def test_a_blind_scorer_judges_nothing_that_needs_it(tmp_path):
    translations = toy(scorer=lambda photos: np.zeros(photos.shape[:3], np.uint8))
    planted = with_changed_scenes(translations, replaced_class(VEGETATION, SKY))
    records = detect_failures(planted, calibrations(translations))
    for name in ("permutation", "lost"):
        record = records[name]
        assert record["state"] == FailureState.UNJUDGED and "rate" not in record and "flagged" not in record
        assert "of which 80% are needed" in record["reason"] or "can be judged" in record["reason"]
    assert records["copy"]["state"] == FailureState.NOT_FOUND
    write_json(tmp_path / "failures.json", {"AtoB": records})
    assert read_failures_file(tmp_path / "failures.json")["AtoB"]["lost"]["evidence"] == records["lost"]["evidence"]


def test_scenes_that_are_all_alike_are_no_control_for_lost_structure():
    translations = toy()
    same = {name: getattr(translations, name)[:1].repeat(24, axis=0) for name in ("labels", "target_labels")}
    alike = replace(translations, **same, targets=translations.targets[:1].repeat(24, axis=0))
    found = calibrations(replace(alike, outputs=alike.targets))
    expected = "images and 0% of the control (real images of other scenes), of which 80% are needed"
    assert found["lost"].unjudged.endswith(expected) and "the threshold 0.05 calls 0% of" in found["lost"].unjudged


@example([0.17], 1.0, False)  # 0.17 * 10,000 is a little more than 1,700
@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=300), st.floats(-1, 1).map(lambda value: round(value, 2)),
    st.booleans(),
)  # fmt: skip
def test_the_threshold_is_the_least_strict_one_that_sound_images_keep(evidence, declared, above):
    failure, evidence = replace(FAILURES.get("copy"), threshold=declared, above=above), np.array(evidence)
    threshold = strict_threshold(failure, evidence)
    sign = 1 if above else -1
    assert replace(failure, threshold=threshold).shows(evidence).mean() <= HEALTHY_RATE
    assert sign * threshold >= sign * declared
    if threshold != declared:
        laxer = max(sign * declared, sign * threshold - 2.1e-4) * sign
        assert replace(failure, threshold=laxer).shows(evidence).mean() > HEALTHY_RATE


def dark(**changes):
    words = {"name": "dark", "label": "dark", "summary": "outputs are dark", "evidence_definition": "mean level"}
    limits = {"threshold": 20.0, "above": False, "share": 0.5, "justified": "photos have 60 and more"}
    measure = lambda t: Detection(t.outputs.mean(axis=(1, 2, 3)))  # noqa: E731
    return Failure(**{**words, **limits, "detect": measure, **changes})


def test_a_failure_without_a_control_keeps_its_fixed_threshold(monkeypatch):
    monkeypatch.setattr(failure_detection, "declared_failures", lambda: [dark()])
    translations = toy()
    assert calibrations(translations, [dark()]) == {}
    record = detect_failures(replace(translations, outputs=translations.outputs // 20), {})["dark"]
    assert record["state"] == FailureState.FOUND and record["threshold"] == 20 and "calibration" not in record
    assert setting_of(record) == {"version": 1, "threshold": 20.0, "share": 0.5, "calibration": ""}
    assert failure_detection.detector_settings("abc")["dark"] == setting_of(record)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda t: t.outputs[1:], "ValueError"), (lambda t: "none", "TypeError"),
        (lambda t: 1 / 0, "ZeroDivisionError"), (lambda t: t.outputs.fill(0), "ValueError"),
    ],
)  # fmt: skip
def test_a_control_that_breaks_costs_its_failure_and_one_line(made, reason, monkeypatch, capsys):
    failure = dark(control=Control("black images", made))
    monkeypatch.setattr(failure_detection, "declared_failures", lambda: [failure])
    translations = toy()
    translations.outputs.flags.writeable = False
    record = detect_failures(translations, calibrations(translations, [failure]))["dark"]
    assert record["state"] == FailureState.FAILED and record["reason"] == reason
    assert setting_of(record) == failure_detection.detector_settings("abc")["dark"]
    assert f"calibration of detector 'dark' failed: {reason}" in capsys.readouterr().out


def test_a_detector_that_does_not_apply_to_the_images_keeps_its_threshold_and_says_so():
    found = calibrations(toy(labels=None, target_labels=None))["lost"]
    assert found.threshold is None and found.record["reason"] == "on images to calibrate with: needs test labels"
    assert detect_failures(toy(), {"lost": found})["lost"]["threshold"] == FAILURES.get("lost").threshold


@pytest.mark.parametrize("name", DISTURBANCES)
@pytest.mark.parametrize("side", [32, 256])
def test_disturbances_are_slight_and_repeat(name, side):
    images = np.repeat(np.repeat(toy().targets[:3], side // 32, axis=1), side // 32, axis=2)
    before = images.copy()
    disturbed = DISTURBANCES[name](images)
    assert disturbed.shape == images.shape and disturbed.dtype == np.uint8 and (images == before).all()
    assert (disturbed == DISTURBANCES[name](images)).all()
    assert 1 < np.abs(disturbed.astype(int) - images).mean() < 25
