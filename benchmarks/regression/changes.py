"""What differs between two sets of measurements in settings, program and numbers, as rows to print."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cgbench.benchmarks.regression.baseline_file import Baseline
from cgbench.benchmarks.regression.run_numbers import SeedValues

ABSENT = "–"


@dataclass(frozen=True)
class Change:
    """One value that differs, as text; "–" where a side does not have it. `where` is empty where it holds for all."""

    where: str
    name: str
    before: str
    after: str

    @property
    def text(self) -> str:
        return f"{self.where + ': ' if self.where else ''}{self.name} {self.before} → {self.after}"


def setting_changes(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]], everywhere: bool = True
) -> list[Change]:
    """Return the settings that differ, by method; one row where all methods of both sides differ alike."""
    shared = [method for method in before if method in after]
    found: dict[tuple[str, str, str], list[str]] = {}
    for method in shared:
        for row in value_changes(before[method], after[method]):
            found.setdefault((row.name, row.before, row.after), []).append(method)
    rows = [
        Change("" if everywhere and len(holders) == len(shared) > 1 else ", ".join(holders), *row)
        for row, holders in found.items()
    ]
    rows += [Change(method, "method", "there", ABSENT) for method in before if method not in after]
    return rows + [Change(method, "method", ABSENT, "there") for method in after if method not in before]


def value_changes(before: Mapping[str, Any], after: Mapping[str, Any], where: str = "") -> list[Change]:
    """Return the entries of two flat objects that differ."""
    names = dict.fromkeys([*before, *after])
    return [
        Change(where, name, plain(before.get(name)), plain(after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    ]


def program_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return what differs in commit, device and versions."""
    rows = [Change("", name, plain(before.get(name)), plain(after.get(name)))
            for name in ("git", "device") if before.get(name) != after.get(name)]  # fmt: skip
    return rows + value_changes(before.get("versions", {}), after.get("versions", {}))


def number_changes(before: Baseline, after: Baseline) -> list[Change]:
    """Return the numbers whose values differ between two baselines, as "mean ± spread (seeds)"."""
    first, second = before.measured.numbers, after.measured.numbers
    rows = []
    for key in dict.fromkeys([*first, *second]):
        old, new = first.get(key), second.get(key)
        if not (old and new and old.values == new.values and before.bands[key] == after.bands[key]):
            rows.append(Change(" ".join(filter(None, key[:3])), key.metric, summary(old), summary(new)))
    return rows


def summary(number: SeedValues | None) -> str:
    """Return "0.123 ± 0.045 (5 seeds)", without a spread where there is none."""
    if number is None:
        return ABSENT
    values = np.array(list(number.values.values()))
    spread = "" if len(values) == 1 or number.exact else f" ± {values.std(ddof=1):.2g}"
    return f"{values.mean():.4g}{spread} ({seeds(len(values))})".replace("-", "−")


def seeds(count: int) -> str:
    return f"{count} seed" + ("s" if count != 1 else "")


def plain(value: Any) -> str:
    """Return a value as it would be written on the command line; "–" for none."""
    if value is None or value == "" or value == []:
        return ABSENT
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def update_text(old: Baseline | None, new: Baseline) -> str:
    """Return what a new baseline changes, for a reviewer; all of it where there was none."""
    count = max(len(number.values) for number in new.measured.numbers.values())
    numbers = f"{len(new.measured.numbers)} numbers, {seeds(count)}"
    few = ["One seed has no spread: every check against it will be inconclusive."] if count == 1 else []
    if old is None:
        return "\n".join([f"A new baseline: {numbers}.", *few]) + "\n"
    changed = number_changes(old, new)
    rows = {
        "Rules": value_changes(vars(old.rules), vars(new.rules)),
        "Settings": setting_changes(old.measured.settings, new.measured.settings),
        "Program and machine": program_changes(old.measured.provenance, new.measured.provenance),
        "Numbers, mean ± standard deviation over seeds": changed,
    }
    lines = [f"{numbers}; {len(changed)} differ from the old baseline." if changed else f"{numbers}; all as before."]
    for title, found in rows.items():
        lines += [f"{title}:", *(f"  {change.text}" for change in found)] if found else []
    return "\n".join([*lines, *few]) + "\n"
