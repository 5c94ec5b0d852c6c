"""Formats of the drift gate's verdict: text, JSON and JUnit XML."""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree

import numpy as np

from cgbench.benchmarks.regression.changes import Change
from cgbench.benchmarks.regression.gate import FAIL, INCONCLUSIVE, NEW, PASS, SKIPPED, NumberVerdict, outcome
from cgbench.benchmarks.regression.permutation import count_assignments, least_p_value
from cgbench.benchmarks.regression.run_numbers import SeedValues
from cgbench.benchmarks.regression.seed_tests import MEANS, PAIRED, SPREAD, SeedTest
from cgbench.results.significance import ALPHA

ORDER = (FAIL, INCONCLUSIVE, PASS, SKIPPED, NEW)
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}


@dataclass(frozen=True)
class CheckResult:
    """A finished check: the names of run and baseline, the verdicts, and the differences in settings and program."""

    run: str
    baseline: str
    verdicts: Sequence[NumberVerdict]
    settings: Sequence[Change]
    program: Sequence[Change]
    allow_redrawn_images: bool = False

    @property
    def verdict(self) -> str:
        return outcome(list(self.verdicts))

    def with_status(self, *statuses: str) -> list[NumberVerdict]:
        return [verdict for verdict in self.verdicts if verdict.status in statuses]


def as_text(result: CheckResult, show_passing: bool = False) -> str:
    """Return the verdict, every number that needs attention, the differences beside the numbers, and the procedure.

    `show_passing` lists the numbers that pass as well.
    """
    listed = [*result.with_status(FAIL), *result.with_status(INCONCLUSIVE)]
    passed = result.with_status(PASS)
    listed += passed if show_passing else [verdict for verdict in passed if verdict.improved]
    listed += result.with_status(NEW, SKIPPED) if show_passing else []
    lines = [f"{result.verdict.upper()}: {result.run} against {result.baseline}: {_counts(result)}", ""]
    if listed:
        lines += [*_align(_rows(listed)), ""]
    lines += _circumstances(result)
    return "\n".join([*lines, _procedure(result)]) + "\n"


def as_json(result: CheckResult, exit_code: int) -> str:
    """Return the complete result as JSON; unknown numbers are null."""
    content = {
        "kind": "cgbench check",
        "schema": 1,
        "verdict": result.verdict,
        "exit_code": exit_code,
        "run": result.run,
        "baseline": result.baseline,
        "tests": _tests(result),
        "counts": {status: len(result.with_status(status)) for status in ORDER},
        "findings": [_fields(verdict) for verdict in result.verdicts],
        "settings": [vars(change) for change in result.settings],
        "program": [vars(change) for change in result.program],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_junit(result: CheckResult) -> str:
    """Return JUnit XML: one case per number; a failing number is a failure, an inconclusive or unjudged one is
    skipped."""
    failures, skipped = result.with_status(FAIL), result.with_status(INCONCLUSIVE, SKIPPED, NEW)
    counts = {"tests": len(result.verdicts), "failures": len(failures), "errors": 0, "skipped": len(skipped)}
    attributes = {"name": "cgbench check", **{name: str(count) for name, count in counts.items()}}
    root = ElementTree.Element("testsuites", attributes)
    suite = ElementTree.SubElement(root, "testsuite", {**attributes, "name": _xml_text(result.run)})
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", {"name": "procedure", "value": _procedure(result)})
    for verdict in result.verdicts:
        key = verdict.key
        class_name = ".".join(filter(None, (key.dataset, key.method, key.direction)))
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": _xml_text(class_name), "name": _xml_text(key.metric)}
        )
        message = _xml_text(f"{verdict.status}: {_describe(verdict)}")
        if verdict.status == FAIL:
            ElementTree.SubElement(case, "failure", {"type": "drift", "message": message})
        elif verdict.status != PASS:
            ElementTree.SubElement(case, "skipped", {"message": message})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(result: CheckResult) -> str:
    counts = Counter(verdict.status for verdict in result.verdicts)
    labels = {FAIL: "failed", INCONCLUSIVE: "inconclusive", PASS: "passed", SKIPPED: "not judged", NEW: "new"}
    parts = [f"{counts[status]} {labels[status]}" for status in ORDER if counts[status]]
    return f"{len(result.verdicts)} numbers: {', '.join(parts)}"


def _rows(verdicts: Sequence[NumberVerdict]) -> list[tuple[str, ...]]:
    """Return the lines of a table; numbers of a method that are missing for one reason share a line."""
    groups: dict[tuple[str, ...], list[NumberVerdict]] = {}
    for verdict in verdicts:
        own_line = not math.isnan(verdict.change) or verdict.status == NEW
        groups.setdefault(
            (verdict.key.text if own_line else verdict.key.method, verdict.status, verdict.note), []
        ).append(verdict)
    return [_row(group) for group in groups.values()]


def _row(group: Sequence[NumberVerdict]) -> tuple[str, ...]:
    first = group[0]
    if len(group) > 1:
        return first.status, first.key.method, f"{len(group)} numbers", "", first.note
    label = f"{first.key.method} {first.key.direction}".strip()
    means = f"{_before(first)} → {_mean(first.after)}"
    return first.status, label, first.key.metric + ARROWS[first.better], means, _change(first)


def _align(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(widths[column_index]) for column_index, cell in enumerate(row)).rstrip() for row in rows
    ]


def _change(verdict: NumberVerdict) -> str:
    if math.isnan(verdict.change):
        return verdict.note
    text = f"{verdict.change:+.3g}".replace("-", "−")
    if verdict.decisive:
        test, tolerance = verdict.decisive, verdict.tolerance
        limits = f"minimum {tolerance.min_effect:.2g}, tolerance {tolerance.margin:.2g}"
        text += f" ({test.kind}: p {test.p:.2g}, {limits})"
    return ": ".join(filter(None, [text, verdict.note]))


def _describe(verdict: NumberVerdict) -> str:
    return f"{_before(verdict)} → {_mean(verdict.after)}, {_change(verdict)}".rstrip(", ")


def _circumstances(result: CheckResult) -> list[str]:
    """Return the circumstances that may explain a change."""
    compared = [verdict for verdict in result.verdicts if verdict.before and verdict.after]
    same = sum(verdict.identical for verdict in compared)
    lines = []
    if same:
        lines.append(f"Identical to the baseline in every seed of the run, digit for digit: {same} of {len(compared)}.")
    if any("scorer" in verdict.note for verdict in result.verdicts):
        lines.append("The scorer was trained again here: wider bands for what looks through it.")
    if result.allow_redrawn_images:
        lines.append(
            "Test images may be drawn again (--allow-redrawn-images): the rows 'copy' and 'real' tell "
            "whether it matters."
        )
    if result.settings:
        lines += ["Settings that differ, baseline → run:", *(f"  {change.text}" for change in result.settings)]
    if result.program:
        lines.append("Program and machine: " + "; ".join(change.text for change in result.program))
    return lines


def _procedure(result: CheckResult) -> str:
    """Return how the numbers were judged, in the terms of the documentation."""
    tested = [verdict for verdict in result.verdicts if verdict.tests]
    if not tested:
        return "Nothing was tested against the noise of seeds."
    run = _span([len(verdict.after.values) for verdict in tested])
    baseline = _span([len(verdict.before.values) for verdict in tested])
    tests = {row["test"]: row for row in _tests(result)}
    permutation = f"{tests[MEANS]['assignments']:,} assignments of whole seeds"
    parts = [
        f"means ({tests[MEANS]['level']:.0%}) and spread ({tests[SPREAD]['level']:.0%}) by permutation "
        f"({permutation}, max-T)"
    ]
    if PAIRED in tests:
        parts.append(f"{PAIRED} ({tests[PAIRED]['level']:.0%}) by paired t-tests (Holm)")
    out_of_reach = least_p_value(*_seed_counts(tested)) > tests[MEANS]["level"]
    return (
        f"{len(tested)} numbers tested together, {run} seeds against {baseline} of the baseline: {', '.join(parts)}. "
        + ("So few seeds have too few assignments to differ significantly. " if out_of_reach else "")
        + "Fails: worse beyond the noise of seeds, and by the minimum. Passes: the one-sided "
        f"{1 - ALPHA:.0%} bound of the harm lies within the tolerance."
    )


def _tests(result: CheckResult) -> list[dict[str, Any]]:
    """Return the kinds of test that were made: the error of all of a kind together, the numbers tested, and the
    assignments of seeds that a permutation compared, None for others."""
    tested = [verdict for verdict in result.verdicts if verdict.tests]
    by_kind: dict[str, list[SeedTest]] = {}
    for verdict in tested:
        for test in verdict.tests:
            by_kind.setdefault(test.kind, []).append(test)
    return [
        {
            "test": kind,
            "level": tests[0].level,
            "numbers": len(tests),
            "assignments": None if kind == PAIRED else count_assignments(*_seed_counts(tested)),
        }
        for kind, tests in by_kind.items()
    ]


def _seed_counts(tested: Sequence[NumberVerdict]) -> tuple[int, int]:
    """Return the numbers of seeds that the numbers tested have, of the baseline and of the run."""
    first = {seed for verdict in tested if verdict.before for seed in verdict.before.values}
    second = {seed for verdict in tested if verdict.after for seed in verdict.after.values}
    return len(first), len(second)


def _span(counts: list[int]) -> str:
    return "–".join(map(str, dict.fromkeys((min(counts), max(counts)))))


def _fields(verdict: NumberVerdict) -> dict[str, Any]:
    tolerance, test = verdict.tolerance, verdict.decisive
    fields = {
        **verdict.key._asdict(), "status": verdict.status, "note": verdict.note, "better": verdict.better,
        "before": _values(verdict.before), "after": _values(verdict.after), "change": verdict.change,
        "low": verdict.low, "high": verdict.high, "p": test and test.p,
        "test": test and test.kind, "level": test and test.level, "improved": verdict.improved,
        "identical": verdict.identical, "paired": verdict.paired, "spread": tolerance and tolerance.spread,
        "minimum": tolerance and tolerance.min_effect, "tolerance": tolerance and tolerance.margin,
    }  # fmt: skip
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in fields.items()}


def _values(number: SeedValues | None) -> dict[str, float] | None:
    return None if number is None else {str(seed): value for seed, value in number.values.items()}


def _before(verdict: NumberVerdict) -> str:
    """Return the baseline's mean, over the run's seeds where the comparison is paired."""
    if not verdict.paired:
        return _mean(verdict.before)
    return _mean(replace(verdict.before, values={seed: verdict.before.values[seed] for seed in verdict.after.values}))


def _mean(number: SeedValues | None) -> str:
    return f"{np.mean(list(number.values.values())):.4g}".replace("-", "−") if number else "–"


def _xml_text(text: str) -> str:
    """Return text without characters that XML 1.0 cannot hold; names and reasons are untrusted."""
    return NOT_IN_XML.sub("?", text)
