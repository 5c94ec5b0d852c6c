"""Output of a check: text, JSON, JUnit XML."""

import json
import math
from xml.etree import ElementTree

import pytest

from cgbench.benchmarks.regression.changes import Change
from cgbench.benchmarks.regression.gate import FAIL, NEW, PASS, SKIPPED, NumberVerdict, Rules, check, make_tolerance
from cgbench.benchmarks.regression.run_numbers import COUNT, Key, RunNumbers, SeedValues
from cgbench.benchmarks.regression.verdict_formats import CheckResult, as_json, as_junit, as_text

SPREAD = [0.48, 0.52, 0.5, 0.49, 0.51, 0.5]
ALIKE = [*SPREAD, 0.5, 0.49, 0.51, 0.5, 0.5, 0.5]


def numbers(**values):
    by_key = {}
    for name, by_seed in values.items():
        key = Key("shapes", "cyclegan", "AtoB", name)
        by_key[key] = SeedValues(dict(enumerate(by_seed)), {"ssim": "higher", "fid": "lower"}.get(name, ""), 12, "p")
    by_key[Key("shapes", "cyclegan", "", "parameters/G_ab")] = SeedValues({0: 10.0}, kind=COUNT)
    return RunNumbers(by_key, {}, {}, {})


@pytest.fixture
def checked():
    base = numbers(ssim=ALIKE, fid=ALIKE, wide=SPREAD[:2], brightness=ALIKE)
    run = numbers(ssim=[0.3, 0.31], fid=[0.3, 0.31], wide=[0.49, 0.5], brightness=ALIKE[:3], extra=[1.0])
    tolerances = {key: make_tolerance(number, key.metric, Rules()) for key, number in base.numbers.items()}
    changes = [Change("", "learning_rate", "0.0002", "0.0006")], [Change("", "torch", "2.15.0", "2.16.0")]
    return CheckResult("runs/pr", "ci.json", check(base, run, tolerances, Rules()), *changes)


GOLDEN = """\
FAIL: runs/pr against ci.json: 6 numbers: 1 failed, 1 inconclusive, 3 passed, 1 new

fail          cyclegan AtoB  ssim ↑  0.5 → 0.305  −0.195 (means: p 0.0022, minimum 0.0052, tolerance 0.031): worse by 18.7 spreads of the baseline's seeds
inconclusive  cyclegan AtoB  wide    0.5 → 0.495  −0.005 (means: p 1, minimum 0.014, tolerance 0.085): may be off by more than the tolerance
pass          cyclegan AtoB  fid ↓   0.5 → 0.305  −0.195 (means: p 0.0022, minimum 0.0052, tolerance 0.031): better beyond the noise of seeds: update the baseline

Identical to the baseline in every seed of the run, digit for digit: 2 of 5.
Settings that differ, baseline → run:
  learning_rate 0.0002 → 0.0006
Program and machine: torch 2.15.0 → 2.16.0
4 numbers tested together, 2–3 seeds against 2–12 of the baseline: means (3%) and spread (1%) by permutation (455 assignments of whole seeds, max-T), same seeds (1%) by paired t-tests (Holm). Fails: worse beyond the noise of seeds, and by the minimum. Passes: the one-sided 95% bound of the harm lies within the tolerance.
"""  # noqa: E501


def test_the_text_says_what_needs_a_look(checked):
    assert as_text(checked) == GOLDEN
    every = as_text(checked, show_passing=True)
    assert "brightness" in every and "extra" in every and "brightness" not in GOLDEN


@pytest.mark.parametrize(("seeds", "too_few"), [(3, True), (4, False)])
def test_the_text_says_where_no_permutation_can_be_significant(seeds, too_few):
    base, run = numbers(ssim=SPREAD[:seeds]), numbers(ssim=[0.1, 0.11, 0.12])
    tolerances = {key: make_tolerance(number, key.metric, Rules()) for key, number in base.numbers.items()}
    text = as_text(CheckResult("r", "b", check(base, run, tolerances, Rules()), [], []))
    assert ("So few seeds" in text) == too_few


def test_the_json_has_every_number_and_no_nan(checked):
    content = json.loads(as_json(checked, 1), parse_constant=lambda word: pytest.fail(word))
    assert sorted(content) == ["baseline", "counts", "exit_code", "findings", "kind", "program", "run", "schema",
                               "settings", "tests", "verdict"]  # fmt: skip
    assert (content["verdict"], content["exit_code"], content["kind"]) == ("fail", 1, "cgbench check")
    assert content["counts"] == {"fail": 1, "inconclusive": 1, "pass": 3, "skipped": 0, "new": 1}
    by_name = {verdict["metric"]: verdict for verdict in content["findings"]}
    assert sorted(by_name["ssim"]) == [
        "after", "before", "better", "change", "dataset", "direction", "high", "identical", "improved", "level", "low",
        "method", "metric", "minimum", "note", "p", "paired", "spread", "status", "test", "tolerance",
    ]  # fmt: skip
    assert by_name["ssim"]["change"] == pytest.approx(-0.195) and by_name["ssim"]["after"] == {"0": 0.3, "1": 0.31}
    assert by_name["ssim"]["test"] == "means" and by_name["ssim"]["level"] == pytest.approx(0.03)
    assert content["tests"] == [
        {"test": "means", "level": pytest.approx(0.03), "numbers": 4, "assignments": 455},
        {"test": "spread", "level": 0.01, "numbers": 4, "assignments": 455},
        {"test": "same seeds", "level": 0.01, "numbers": 4, "assignments": None},
    ]
    assert (
        by_name["parameters/G_ab"]["p"] is by_name["parameters/G_ab"]["test"] is None
        and by_name["extra"]["before"] is None
    )


def test_junit_has_a_case_for_every_number(checked):
    root = ElementTree.fromstring(as_junit(checked))
    (suite,) = root
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6", "failures": "1", "errors": "0", "skipped": "2"}  # fmt: skip
    assert len(suite.findall("testcase")) == 6
    procedure = suite.find("properties/property[@name='procedure']").get("value")
    assert "means (3%)" in procedure and "455 assignments" in procedure
    failed = [case for case in suite.iter("testcase") if case.find("failure") is not None]
    assert [(case.get("classname"), case.get("name")) for case in failed] == [("shapes.cyclegan.AtoB", "ssim")]
    assert "worse by 18.7 spreads" in failed[0].find("failure").get("message")
    assert {case.get("name") for case in suite.iter("testcase") if case.find("skipped") is not None} == {
        "wide",
        "extra",
    }


def test_hostile_names_stay_text():
    name = '<b a="1">\x00\x1b[2J&\ud800]]>'
    key = Key("d", name, "AtoB", "m")
    verdicts = [
        NumberVerdict(key, FAIL, name),
        NumberVerdict(key, SKIPPED, name),
        NumberVerdict(key, NEW),
        NumberVerdict(key, PASS),
    ]
    root = ElementTree.fromstring(as_junit(CheckResult(name, "b", verdicts, [], [])))
    cases = root.findall("testsuite/testcase")
    assert cases[0].get("classname") == 'd.<b a="1">??[2J&?]]>.AtoB' and len(cases) == 4
    assert all(math.isnan(verdict.change) for verdict in verdicts)
