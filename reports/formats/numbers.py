"""Numbers and metric names as text."""

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from cgbench.api.metric import Value

ARROWS = {"higher": "↑", "lower": "↓", "": ""}
UNDECIDED = "≈"  # the mark of a number that cannot be told apart from the reference's
WORSE = "▼"  # the mark of a number that is surely worse than the reference's


def declared(values: Mapping[str, Value], metric: str) -> Value:
    """Return a metric's declaration, or one with its recorded name as label if it is not declared any more."""
    return values.get(metric) or Value(metric, metric or "status", "")


def in_units(values: Mapping[str, Value], direction: str, units: Mapping[str, str] | None) -> Mapping[str, Value]:
    """Return the declarations with labels for a direction: "MAE (HU)" where a metric is in the unit of the target
    domain's numbers, which `units` gives by direction."""
    unit = (units or {}).get(direction, "")
    if not unit:
        return values
    return {
        name: replace(value, label=f"{value.label} ({unit})") if value.unit_of_target else value
        for name, value in values.items()
    }


def header(value: Value) -> str:
    """Return the column header of a metric, for example "FCN pixel ↑"."""
    return f"{value.label} {ARROWS[value.better]}".rstrip()


def number(value: float, digits: int, sign: bool = False) -> str:
    """Return a number as "0.52", or with `sign` as "+0.02", "−0.02" or "0.00"; "" for NaN."""
    if math.isnan(value):
        return ""
    rounded = round(value, digits) + 0.0  # + 0.0 turns -0.00 into 0.00
    return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", "−")


def mark(worse: bool, undecided: bool) -> str:
    """Return the mark of a number against the reference's: worse, not to be told apart, or none."""
    return WORSE if worse else UNDECIDED if undecided else ""


def in_order(metrics: Collection[str], values: Mapping[str, Value]) -> list[str]:
    """Return metrics in the order of tables and figures: as declared, then those without a declaration, sorted."""
    return [*(name for name in values if name in metrics), *sorted(set(metrics) - set(values))]
