"""A metric or a detector that breaks, in whichever way, costs itself only, and one line."""

from types import SimpleNamespace

import numpy as np
import pytest

from cgbench import FAILURES, METRICS, Detection, Failure, Metric, Scores, Value
from cgbench.benchmarks.evaluation.evaluator import EvaluationResult
from cgbench.benchmarks.evaluation.failure_detection import detect_failures
from cgbench.benchmarks.evaluation.feature_extractors import FeatureExtractors
from cgbench.benchmarks.testing.sample_translations import sample_translations
from cgbench.files import write_json, write_jsonl

COUNT = 8
CONTEXT = SimpleNamespace(
    split="test",
    dataset=SimpleNamespace(image_groups=""),
    feature_extractors=FeatureExtractors(),
    protocol=lambda metric, direction: {"metric": metric.name, "direction": direction},
    recipe=lambda metric, direction: {},
)


def raises(error):
    def function(translations):
        raise error

    return function


def scores(values=None, by_image=None, details=None):
    values, by_image = {"bad": 0.5} if values is None else values, {} if by_image is None else {"bad": by_image}
    return lambda translations: Scores(values, by_image, details or {})


METRIC_FAULTS = {
    "raises": raises(ValueError("two\nlines [/red]")),
    "leaves": raises(SystemExit(3)),
    "nothing": lambda translations: None,
    "a dictionary": lambda translations: {"bad": 0.5},
    "text": scores({"bad": "0.5"}),
    "None": scores({"bad": None}),
    "an array": scores({"bad": np.zeros(COUNT)}),
    "undeclared": scores({"bad": 0.5, "worse": 0.5}),
    "missing": scores({}),
    "too short": scores(by_image=np.zeros(COUNT - 1)),
    "too long": scores(by_image=np.zeros(COUNT + 1)),
    "a column": scores(by_image=np.zeros((COUNT, 1))),
    "a number": scores(by_image=0.5),
    "texts": scores(by_image=["0"] * COUNT),
    "ragged": scores(by_image=[[0], [0, 1]]),
    "objects": scores(by_image=[None] * COUNT),
    "complex": scores(by_image=np.zeros(COUNT, complex)),
    "undeclared per image": lambda translations: Scores({"bad": 0.5}, {"worse": np.zeros(COUNT)}),
    "a list per image": lambda translations: Scores({"bad": 0.5}, [np.zeros(COUNT)]),
    "a text in a detail": scores(details={"bad/road": "x"}),
    "a detail of no value": scores(details={"worse/road": 0.5}),
    "a detail without a name": scores(details={3: 0.5}),
    "a negative error": lambda translations: Scores({"bad": 0.5}, errors={"bad": -0.1}),
    "an error that is text": lambda translations: Scores({"bad": 0.5}, errors={"bad": "x"}),
    "an error of no value": lambda translations: Scores({"bad": 0.5}, errors={"worse": 0.1}),
    "a reason of no value": lambda translations: Scores({"bad": np.nan}, reasons={"worse": "no"}),
}


@pytest.fixture(scope="module")
def translations():
    return sample_translations(COUNT)["unpaired photos, fewer targets than outputs"]


def evaluated(translations):
    results = EvaluationResult()
    results.add(translations, CONTEXT, step=1)
    return results


@pytest.fixture(scope="module")
def sound(translations):
    return evaluated(translations), detect_failures(translations)


def with_component(monkeypatch, registry, made):
    registry.discover()
    monkeypatch.setattr(registry, "_factories", {made.name: lambda: made, **registry._factories})


@pytest.mark.parametrize("fault", [*METRIC_FAULTS, "raises in not_applicable", "of neither set"])
def test_a_metric_that_breaks_costs_itself_only(fault, translations, sound, monkeypatch, capsys, tmp_path):
    compute, changes = METRIC_FAULTS.get(fault, scores()), {}
    if fault == "raises in not_applicable":
        changes = {"not_applicable": raises(KeyError("x"))}
    of = "both" if fault == "of neither set" else "source"
    made = Metric("bad", "breaks", (Value("bad", "bad", "", of=of),), compute=compute, **changes)
    with_component(monkeypatch, METRICS, made)
    results = evaluated(translations)
    (row,) = [row for row in results.metrics if row["metric"].startswith("bad")]
    assert np.isnan(row["value"]) and row["reason"].startswith("failed: ") and row["metric"] == "bad"
    assert [other for other in results.metrics if other is not row] == sound[0].metrics
    assert results.images == sound[0].images
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("metric 'bad' failed: ")
    write_jsonl(tmp_path / "metrics.jsonl", results.metrics)


def test_numbers_of_any_kind_are_numbers(translations, monkeypatch, capsys):
    values = {"bad": np.float32(0.5)}
    by_image = [1, 2.5, float("nan"), 0, 0, 0, 0, 0]
    made = Metric("bad", "is sound", (Value("bad", "bad", ""),), compute=scores(values, by_image, {"bad/road": 1}))
    with_component(monkeypatch, METRICS, made)
    results = evaluated(translations)
    assert [row["value"] for row in results.metrics if row["metric"] in ("bad", "bad/road")] == [0.5, 1]
    assert [row["value"] for row in results.images if row["metric"] == "bad"] == [1, 2.5, 0, 0, 0, 0, 0]
    assert not capsys.readouterr().out


def evidence(numbers, **changes):
    return lambda translations: Detection(numbers, **changes)


DETECTOR_FAULTS = {
    "raises": raises(ValueError("two\nlines [/red]")),
    "leaves": raises(SystemExit(3)),
    "nothing": lambda translations: None,
    "a bare array": lambda translations: np.zeros(COUNT),
    "too short": evidence(np.zeros(COUNT - 1)),
    "too long": evidence(np.zeros(COUNT + 1)),
    "a column": evidence(np.zeros((COUNT, 1))),
    "a number": evidence(0.5),
    "texts": evidence(["0"] * COUNT),
    "objects": evidence([None] * COUNT),
    "fewer keys": evidence(np.zeros(COUNT), keys=("a",)),
    "keys that are numbers": evidence(np.zeros(1), keys=(1,)),
    "keys that are none": evidence(np.zeros(COUNT), keys=None),
    "a detail that is no text": evidence(np.zeros(COUNT), detail=object()),
}


@pytest.mark.parametrize("fault", [*DETECTOR_FAULTS, "raises in not_applicable"])
def test_a_detector_that_breaks_costs_itself_only(fault, translations, sound, monkeypatch, capsys, tmp_path):
    detect, changes = DETECTOR_FAULTS.get(fault, evidence(np.zeros(COUNT))), {}
    if fault == "raises in not_applicable":
        changes = {"not_applicable": raises(KeyError("x"))}
    made = Failure("bad", "bad", "breaks", "none", detect, 0.5, True, 0.5, "nothing", **changes)
    with_component(monkeypatch, FAILURES, made)
    records = detect_failures(translations)
    assert records.pop("bad")["state"] == "failed"
    assert records == sound[1]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("detector 'bad' failed: ")
    write_json(tmp_path / "failures.json", records)


def test_infinite_evidence_is_of_images_that_cannot_be_judged(translations, monkeypatch):
    numbers = [np.inf, -np.inf, np.nan, 1, 1, 0, 0, 0]
    with_component(monkeypatch, FAILURES, Failure("bad", "bad", "odd", "none", evidence(numbers), 0.5, True, 0.5, "-"))
    record = detect_failures(translations)["bad"]
    assert record["rate"] == 0.4 and record["images"] == 5 and record["flagged"] == list(translations.keys[3:5])
