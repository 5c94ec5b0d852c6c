"""Headlines of a report: what its primary numbers say about the methods, and nothing else."""

from collections.abc import Mapping

import pandas as pd

from cgbench.api.metric import Value
from cgbench.api.names import Role
from cgbench.formatting import listed
from cgbench.reports.formats.numbers import declared, in_units, number
from cgbench.reports.sections.differences import Basis, Comparison

LEADING = 3  # methods whose means a headline gives


def headlines(
    table: pd.DataFrame, comparison: Comparison | None, values: Mapping[str, Value], primary: Mapping[str, str],
    names: Mapping[str, str], units: Mapping[str, str] | None = None,
) -> list[str]:  # fmt: skip
    """Return per direction what its primary number says, as plain sentences.

    Args:
        table: The summary of scores.
        comparison: The differences from the reference method, None without any.
        values: The declarations of the metrics by name.
        primary: The primary number of each direction; a direction without one has no headline.
        names: The display names of directions.
        units: The unit of the target domain's numbers, by direction.

    Returns:
        One text per direction of the table.
    """
    lines = []
    for direction in dict.fromkeys(table["direction"]):
        if metric := primary.get(direction):
            value = declared(in_units(values, direction, units), metric)
            found = table[(table["direction"] == direction) & (table["metric"] == metric)]
            verdict = _verdict(comparison, direction, value) if found["mean"].notna().any() else ""
            size = _detectable(comparison, direction, value) if verdict and comparison else ""
            said = " ".join(filter(None, [verdict, _leaders(found, value, bool(verdict)), size]))
            lines.append(f"{names.get(direction, direction)}, judged by {value.label}: {said}")
    return lines


def _leaders(rows: pd.DataFrame, value: Value, begins: bool) -> str:
    """Return the methods with the best means and the number of seeds; as a sentence that `begins` with a capital."""
    rows = rows[rows["mean"].notna()]
    if rows.empty:
        return "not measured."
    trained = rows[rows["role"] == Role.COMPARED].sort_values("mean", ascending=value.better == "lower", kind="stable")
    if trained.empty:
        return "no trained method has a number."
    seeds = int(trained["n_seeds"].max())
    means = ", ".join(f"{row.method} {number(row.mean, value.digits)}" for row in trained.head(LEADING).itertuples())
    if seeds == 1:
        order = " One seed says nothing about methods: the order may be that of luck."
        return f"{'best ' if len(trained) > 1 else ''}{means} (one seed).{order}"
    word = f"{'best mean' if len(trained) > 1 else 'mean'}{'s' if len(trained) > 2 else ''} over {seeds} seeds: "
    return f"{word[0].upper() if begins else word[0]}{word[1:]}{means}."


def _verdict(comparison: Comparison | None, direction: str, value: Value) -> str:
    """Return which methods are surely better and worse than the reference, and which cannot be told apart from it, by
    the tests of their differences; "" without tests."""
    if comparison is None or comparison.basis != Basis.SEEDS:
        return ""
    names = {
        "surely better than": comparison.better(),
        "surely worse than": comparison.worse(),
        "not to be told apart from": comparison.undecided(),
    }
    parts: list[str] = []
    for relation, keys in names.items():
        methods = [comparison.label(method) for method in comparison.methods if (direction, method, value.name) in keys]
        if methods:
            parts.append(f"{relation} {'it' if parts else comparison.reference}: {listed(methods)}")
    return f"{'; '.join(parts)}." if parts else ""


def _detectable(comparison: Comparison, direction: str, value: Value) -> str:
    """Return which difference the seeds would have shown, as a sentence; "" where that is not known."""
    rows = comparison.rows
    sizes = rows[(rows["direction"] == direction) & (rows["metric"] == value.name) & (rows["basis"] == Basis.SEEDS)]
    detectable = number(sizes["detectable"].median(), value.digits)
    return f"A difference of {detectable} would be found four times in five." if detectable else ""
