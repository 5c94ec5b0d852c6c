"""The verdict of the drift gate for people, as JSON and as JUnit XML."""

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
from cgbench.benchmarks.regression.run_numbers import SeedValues
from cgbench.results.significance import ALPHA

ORDER = (FAIL, INCONCLUSIVE, PASS, SKIPPED, NEW)
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}


@dataclass(frozen=True)
class Checked:
    """A finished check: what was compared, the findings, and what differs in settings and program."""

    run: str
    baseline: str
    findings: Sequence[NumberVerdict]
    settings: Sequence[Change]
    program: Sequence[Change]
    redrawn: bool = False

    @property
    def verdict(self) -> str:
        return outcome(list(self.findings))

    def of(self, *statuses: str) -> list[NumberVerdict]:
        return [finding for finding in self.findings if finding.status in statuses]


def as_text(checked: Checked, everything: bool = False) -> str:
    """Return the verdict, then every number that needs a look, what differs beside the numbers, and how it was judged.

    `everything` lists the numbers that pass as well.
    """
    shown = [*checked.of(FAIL), *checked.of(INCONCLUSIVE)]
    passed = checked.of(PASS)
    shown += passed if everything else [finding for finding in passed if finding.improved]
    shown += checked.of(NEW, SKIPPED) if everything else []
    lines = [f"{checked.verdict.upper()}: {checked.run} against {checked.baseline}: {_counts(checked)}", ""]
    if shown:
        lines += [*_aligned(_rows(shown)), ""]
    lines += _beside(checked)
    return "\n".join([*lines, _method(checked)]) + "\n"


def as_json(checked: Checked, exit_code: int) -> str:
    """Return all of it for programs; numbers that are not known are null."""
    content = {
        "kind": "cgbench check",
        "schema": 1,
        "verdict": checked.verdict,
        "exit_code": exit_code,
        "run": checked.run,
        "baseline": checked.baseline,
        "counts": {status: len(checked.of(status)) for status in ORDER},
        "findings": [_fields(finding) for finding in checked.findings],
        "settings": [vars(change) for change in checked.settings],
        "program": [vars(change) for change in checked.program],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_junit(checked: Checked) -> str:
    """Return JUnit XML: one case per number; a failure is one, what is inconclusive or not judged is skipped."""
    failures, skipped = checked.of(FAIL), checked.of(INCONCLUSIVE, SKIPPED, NEW)
    counts = {"tests": len(checked.findings), "failures": len(failures), "errors": 0, "skipped": len(skipped)}
    attributes = {"name": "cgbench check", **{name: str(count) for name, count in counts.items()}}
    root = ElementTree.Element("testsuites", attributes)
    suite = ElementTree.SubElement(root, "testsuite", {**attributes, "name": _clean(checked.run)})
    for finding in checked.findings:
        key = finding.key
        place = ".".join(filter(None, (key.dataset, key.method, key.direction)))
        case = ElementTree.SubElement(suite, "testcase", {"classname": _clean(place), "name": _clean(key.metric)})
        said = _clean(f"{finding.status}: {_what(finding)}")
        if finding.status == FAIL:
            ElementTree.SubElement(case, "failure", {"type": "drift", "message": said})
        elif finding.status != PASS:
            ElementTree.SubElement(case, "skipped", {"message": said})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(checked: Checked) -> str:
    found = Counter(finding.status for finding in checked.findings)
    words = {FAIL: "failed", INCONCLUSIVE: "inconclusive", PASS: "passed", SKIPPED: "not judged", NEW: "new"}
    parts = [f"{found[status]} {words[status]}" for status in ORDER if found[status]]
    return f"{len(checked.findings)} numbers: {', '.join(parts)}"


def _rows(findings: Sequence[NumberVerdict]) -> list[tuple[str, ...]]:
    """Return the lines of a table; numbers of a method that lack for one reason share a line."""
    groups: dict[tuple[str, ...], list[NumberVerdict]] = {}
    for finding in findings:
        alone = not math.isnan(finding.change) or finding.status == NEW
        groups.setdefault((finding.key.text if alone else finding.key.method, finding.status, finding.note), []).append(
            finding
        )
    return [_row(group) for group in groups.values()]


def _row(group: Sequence[NumberVerdict]) -> tuple[str, ...]:
    first = group[0]
    if len(group) > 1:
        return first.status, first.key.method, f"{len(group)} numbers", "", first.note
    place = f"{first.key.method} {first.key.direction}".strip()
    means = f"{_before(first)} → {_mean(first.after)}"
    return first.status, place, first.key.metric + ARROWS[first.better], means, _change(first)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(wide[place]) for place, cell in enumerate(row)).rstrip() for row in rows]


def _change(finding: NumberVerdict) -> str:
    if math.isnan(finding.change):
        return finding.note
    text = f"{finding.change:+.3g}".replace("-", "−")
    if not math.isnan(finding.p):
        way = "same seeds, " if finding.paired else ""
        text += (
            f" ({way}p {finding.p:.2g}, minimum {finding.limits.minimum:.2g}, tolerance {finding.limits.tolerance:.2g})"
        )
    return ": ".join(filter(None, [text, finding.note]))


def _what(finding: NumberVerdict) -> str:
    return f"{_before(finding)} → {_mean(finding.after)}, {_change(finding)}".rstrip(", ")


def _beside(checked: Checked) -> list[str]:
    """Return what explains a change, or shows that there is none."""
    compared = [finding for finding in checked.findings if finding.before and finding.after]
    same = sum(finding.identical for finding in compared)
    lines = []
    if same:
        lines.append(f"Identical to the baseline in every seed of the run, digit for digit: {same} of {len(compared)}.")
    if any("scorer" in finding.note for finding in checked.findings):
        lines.append("The scorer was trained again here: wider bands for what looks through it.")
    if checked.redrawn:
        lines.append("Test images may be drawn again (--redrawn): the rows 'copy' and 'real' tell whether it matters.")
    if checked.settings:
        lines += ["Settings that differ, baseline → run:", *(f"  {change.text}" for change in checked.settings)]
    if checked.program:
        lines.append("Program and machine: " + "; ".join(change.text for change in checked.program))
    return lines


def _method(checked: Checked) -> str:
    """Return how it was judged, in the words that the documentation uses."""
    tested = [finding for finding in checked.findings if not math.isnan(finding.p)]
    if not tested:
        return "Nothing was tested against the noise of seeds."
    run = _span([len(finding.after.values) for finding in tested])
    baseline = _span([len(finding.before.values) for finding in tested])
    return (
        f"{len(tested)} numbers tested together (Holm, {ALPHA:.0%}), {run} seeds against {baseline} of the baseline. "
        "Fails: worse beyond the noise of seeds, and by the minimum. Passes: the one-sided "
        f"{1 - ALPHA:.0%} bound of the harm lies within the tolerance."
    )


def _span(counts: list[int]) -> str:
    return "–".join(map(str, dict.fromkeys((min(counts), max(counts)))))


def _fields(finding: NumberVerdict) -> dict[str, Any]:
    band = finding.limits
    known = {
        **finding.key._asdict(), "status": finding.status, "note": finding.note, "better": finding.better,
        "before": _values(finding.before), "after": _values(finding.after), "change": finding.change,
        "low": finding.low, "high": finding.high, "p": finding.p, "improved": finding.improved,
        "identical": finding.identical, "paired": finding.paired, "spread": band and band.spread,
        "minimum": band and band.minimum, "tolerance": band and band.tolerance,
    }  # fmt: skip
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in known.items()}


def _values(number: SeedValues | None) -> dict[str, float] | None:
    return number and {str(seed): value for seed, value in number.values.items()}


def _before(finding: NumberVerdict) -> str:
    """Return the baseline's mean: where the change is that of the same seeds, over these."""
    if not finding.paired:
        return _mean(finding.before)
    return _mean(replace(finding.before, values={seed: finding.before.values[seed] for seed in finding.after.values}))


def _mean(number: SeedValues | None) -> str:
    return f"{np.mean(list(number.values.values())):.4g}".replace("-", "−") if number else "–"


def _clean(text: str) -> str:
    """Return text without what XML 1.0 cannot hold; names and reasons come from elsewhere."""
    return NOT_IN_XML.sub("?", text)
