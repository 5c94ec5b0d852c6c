"""Differences between two sets of run numbers in settings, program and values, as rows to print."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cgbench.benchmarks.regression.baseline_file import Baseline
from cgbench.benchmarks.regression.run_numbers import SeedValues
from cgbench.config import FIELDS
from cgbench.formatting import plural

ABSENT = "–"


@dataclass(frozen=True)
class Change:
    """One value that differs, as text; "–" where one side lacks it. `where` is empty where it applies to all
    methods."""

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
    """Return the settings that differ, by method; one row where all methods of both sides differ in the same way. A
    setting that one side does not record, because its version had none, had its default."""
    shared = [method for method in before if method in after]
    methods_by_change: dict[tuple[str, str, str], list[str]] = {}
    for method in shared:
        for row in value_changes(before[method], after[method]):
            if _is_default(row.name, before[method], after[method]):
                continue
            methods_by_change.setdefault((row.name, row.before, row.after), []).append(method)
    rows = [
        Change("" if everywhere and len(methods) == len(shared) > 1 else ", ".join(methods), *row)
        for row, methods in methods_by_change.items()
    ]
    rows += [Change(method, "method", "there", ABSENT) for method in before if method not in after]
    return rows + [Change(method, "method", ABSENT, "there") for method in after if method not in before]


def _is_default(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether a setting is recorded on one side only, with its default, as `trained` or `trained (recipe)`."""
    if name not in FIELDS or (name in before) == (name in after):
        return False
    default = FIELDS[name].default
    return {**before, **after}[name] in (default, f"{format_value(default)} (recipe)")


def value_changes(before: Mapping[str, Any], after: Mapping[str, Any], where: str = "") -> list[Change]:
    """Return the entries of two flat objects that differ."""
    names = dict.fromkeys([*before, *after])
    return [
        Change(where, name, format_value(before.get(name)), format_value(after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    ]


def program_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return the differences in commit, device and versions."""
    rows = [Change("", name, format_value(before.get(name)), format_value(after.get(name)))
            for name in ("git", "device") if before.get(name) != after.get(name)]  # fmt: skip
    return rows + value_changes(before.get("versions", {}), after.get("versions", {}))


def number_changes(before: Baseline, after: Baseline) -> list[Change]:
    """Return the numbers whose values differ between two baselines, as "mean ± spread (seeds)"."""
    first, second = before.run.numbers, after.run.numbers
    rows = []
    for key in dict.fromkeys([*first, *second]):
        old, new = first.get(key), second.get(key)
        if not (old and new and old.values == new.values and before.tolerances[key] == after.tolerances[key]):
            rows.append(Change(" ".join(filter(None, key[:3])), key.metric, format_number(old), format_number(new)))
    return rows


def format_number(number: SeedValues | None) -> str:
    """Return "0.123 ± 0.045 (5 seeds)", without a spread where there is none."""
    if number is None:
        return ABSENT
    values = np.array(list(number.values.values()))
    spread = "" if len(values) == 1 or number.exact else f" ± {values.std(ddof=1):.2g}"
    return f"{values.mean():.4g}{spread} ({plural(len(values), 'seed')})".replace("-", "−")


def format_value(value: Any) -> str:
    """Return a value as it would be written on the command line; "–" for none."""
    if value is None or value == "" or value == []:
        return ABSENT
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(format_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def update_text(old: Baseline | None, new: Baseline) -> str:
    """Return the changes that a new baseline makes, for a reviewer; its size only where there was none."""
    count = max(len(number.values) for number in new.run.numbers.values())
    numbers = f"{len(new.run.numbers)} numbers, {plural(count, 'seed')}"
    warnings = ["One seed has no spread: every check against it will be inconclusive."] if count == 1 else []
    if old is None:
        return "\n".join([f"A new baseline: {numbers}.", *warnings]) + "\n"
    changed = number_changes(old, new)
    rows = {
        "Rules": value_changes(vars(old.rules), vars(new.rules)),
        "Settings": setting_changes(old.run.settings, new.run.settings),
        "Program and machine": program_changes(old.run.provenance, new.run.provenance),
        "Numbers, mean ± standard deviation over seeds": changed,
    }
    lines = [f"{numbers}; {len(changed)} differ from the old baseline." if changed else f"{numbers}; all as before."]
    for title, changes in rows.items():
        lines += [f"{title}:", *(f"  {change.text}" for change in changes)] if changes else []
    return "\n".join([*lines, *warnings]) + "\n"
