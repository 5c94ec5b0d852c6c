"""Tables: records → one long summary → Markdown, CSV and the cells of the page. Pure functions of their arguments."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cgbench.api.method import DIRECTIONS
from cgbench.api.metric import Value
from cgbench.results.records import not_measured, one_protocol
from cgbench.results.run import NOT_STARTED, row_order
from cgbench.results.significance import ALPHA, over_seeds

NUMBER = "number"
NOT_APPLICABLE = "–"
ARROWS = {"higher": "↑", "lower": "↓", "": ""}
COLUMNS = [
    "direction",
    "method",
    "role",
    "settings",
    "metric",
    "mean",
    "spread",
    "low",
    "high",
    "n_seeds",
    "n_trials",
    "n_images",
    "status",
]


@dataclass(frozen=True)
class Cell:
    """One cell: `mean` is "0.51" or empty, `spread` "± 0.02" or empty, `note` the status beside or in place of them;
    `interval` is "0.46 to 0.56" or empty, for where there is room."""

    mean: str
    spread: str
    note: str
    better: bool = False
    interval: str = ""

    @property
    def text(self) -> str:
        parts = [self.mean, self.spread, f"({self.note})" if self.mean and self.note else self.note]
        return " ".join(filter(None, parts))


@dataclass(frozen=True)
class Row:
    """One method of a table. `settings` tells what was changed for it by hand, such as "features=scorer"."""

    method: str
    role: str
    settings: str
    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        return " ".join(
            filter(None, [self.method, self.settings and f"[{self.settings}]", self.role and f"({self.role})"])
        )


@dataclass(frozen=True)
class Table:
    """Methods × metrics in one direction. `headers` are metric labels with the arrow of what is better."""

    direction: str
    name: str
    headers: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str


def summary(
    records: pd.DataFrame, values: Mapping[str, Value], order: Sequence[str], roles: Mapping[str, str],
    remarks: Mapping[str, str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return one row per direction, method and metric, in the order they are shown; `remarks` become its `settings`.

    `mean`, `spread` (sample standard deviation; NaN for one seed) and the interval `low` to `high` that covers the mean
    of further seeds with probability 0.95 (Student's) run over the `n_seeds` of `n_trials` seeds that have a number,
    each at its last measured step. `status` says what the others are; it is empty where all have one,
    and "–" where the metric does not apply. A run without any number has rows with an empty metric. Numbers of
    different protocols raise `CgbenchError`.
    """
    one_protocol(records)
    directions = [name for name in DIRECTIONS if name in set(records["direction"])] or list(DIRECTIONS)
    methods = row_order([*order, *sorted(set(records["method"]) - set(order))], roles)
    by_method = {name: records[records["method"] == name] for name in methods}
    rows = []
    for direction in directions:
        absent = {metric for way, metric in not_measured(records) if way == direction}
        metrics = _metrics(records[(records["direction"] == direction) & ~records["metric"].isin(absent)], values)
        for method in methods:
            for metric in metrics:
                cell = _cell(by_method[method], direction, metric)
                about = {"method": method, "role": roles.get(method, ""), "settings": (remarks or {}).get(method, "")}
                rows.append({"direction": direction, **about, "metric": metric, **cell})
    return pd.DataFrame(rows, columns=COLUMNS)


def layout(
    table: pd.DataFrame, values: Mapping[str, Value], names: Mapping[str, str],
    better: Set[tuple[str, str, str]] = frozenset(), reference: str = "",
) -> list[Table]:  # fmt: skip
    """Return the printable tables of a summary, one per direction. `names` maps a direction to what it is called.

    `better` are the (direction, method, metric) that are surely better than the `reference` method's: they are bold.
    """
    tables = []
    for direction, group in table.groupby("direction", sort=False):
        metrics = list(dict.fromkeys(group["metric"]))
        rows = tuple(
            Row(
                method,
                cells["role"].iloc[0],
                cells["settings"].iloc[0],
                tuple(_printed(row, values, better) for row in cells.itertuples()),
            )
            for method, cells in group.groupby("method", sort=False)
        )
        headers = tuple(header(declared(values, metric)) for metric in metrics)
        name = names.get(direction, direction)
        tables.append(Table(direction, name, headers, rows, _caption(group, name, reference)))
    return tables


def markdown(shown: Sequence[Table]) -> str:
    """Return tables as Markdown: per direction a heading, a table and a caption."""
    parts = []
    for table in shown:
        lines = [["method", *map(escaped, table.headers)]]
        lines += [[escaped(row.label), *map(_markdown_cell, row.cells)] for row in table.rows]
        heading = f"### {table.direction}: {escaped(table.name)}"
        parts.append(f"{heading}\n\n{markdown_table(lines)}\n\n{escaped(table.caption)}\n")
    return "\n".join(parts)


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as a Markdown table, columns aligned; the first line is the header."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in ruled)


def csv(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Return the summary as CSV: one row per direction and method, per metric its mean, spread and interval.

    Numbers have six significant digits; an empty one is explained by the row's status, or the metric does not apply.
    """
    rows = []
    for (direction, method), group in table.groupby(["direction", "method"], sort=False):
        states = [text for text in dict.fromkeys(group["status"]) if text not in ("", NOT_APPLICABLE)]
        row = {"direction": direction, "name": names.get(direction, direction), "method": method}
        row |= {"role": group["role"].iloc[0], "settings": group["settings"].iloc[0]}
        row |= {"seeds": group["n_trials"].max(), "images": group["n_images"].max()}
        row |= {"status": "; ".join(states)}
        for cell in group[group["metric"] != ""].itertuples():
            row |= {cell.metric: cell.mean, f"{cell.metric}_spread": cell.spread}
            row |= {f"{cell.metric}_low": cell.low, f"{cell.metric}_high": cell.high}
        rows.append(row)
    return csv_text(pd.DataFrame(rows))


def csv_text(rows: pd.DataFrame) -> str:
    """Return rows as CSV; numbers have six significant digits."""
    return rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def declared(values: Mapping[str, Value], metric: str) -> Value:
    """Return a metric's declaration; one that nobody declares any more is shown under its stored name."""
    return values.get(metric) or Value(metric, metric or "status", "")


def header(value: Value) -> str:
    """Return the column header of a metric, for example "FCN pixel ↑"."""
    return f"{value.label} {ARROWS[value.better]}".rstrip()


def number(value: float, digits: int, sign: bool = False) -> str:
    """Return "0.52", or with a sign "+0.02", "−0.02", "0.00"; "" for NaN."""
    if math.isnan(value):
        return ""
    rounded = round(value, digits) + 0.0  # + 0.0 turns -0.00 into 0.00
    return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", "−")


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    for sign in "\\|*`[":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())


def in_order(found: Collection[str], values: Mapping[str, Value]) -> list[str]:
    """Return the metrics as tables and figures show them: in declared order, then those that nobody declares."""
    return [*(name for name in values if name in found), *sorted(set(found) - set(values))]


def _metrics(measured: pd.DataFrame, values: Mapping[str, Value]) -> list[str]:
    """Return the metrics in a table's columns: in declared order, then unknown ones; [""] where there is none.

    Details of a number ("fcn_iou/road") are no columns.
    """
    found = {name for name in measured["metric"] if name and "/" not in name}
    return in_order(found, values) or [""]


def _cell(trials: pd.DataFrame, direction: str, metric: str) -> dict:
    """Return mean, spread, counts and status of one method in one column."""
    outcomes = {seed: _outcome(rows, direction, metric) for seed, rows in trials.groupby("seed")}
    numbers = [value for outcome, value, _ in outcomes.values() if outcome == NUMBER]
    return {
        "mean": float(np.mean(numbers)) if numbers else math.nan,
        "spread": float(np.std(numbers, ddof=1)) if len(numbers) > 1 else math.nan,
        **dict(zip(("low", "high"), _interval(numbers), strict=True)),
        "n_seeds": len(numbers),
        "n_trials": len(outcomes),
        "n_images": max((n for _, _, n in outcomes.values()), default=0),
        "status": _status(Counter(outcome for outcome, _, _ in outcomes.values())),
    }


def _interval(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the interval of the mean over seeds; NaN where there are fewer than two, or they do not vary at all."""
    effect = over_seeds(numbers)
    varies = len(set(numbers)) > 1  # equal numbers may have a spread of 1e-17
    return effect.interval(ALPHA) if effect and varies else (math.nan, math.nan)


def _outcome(rows: pd.DataFrame, direction: str, metric: str) -> tuple[str, float, int]:
    """Return what one trial gives for a column: (NUMBER, value, images), or the reason why there is no number."""
    state = rows["status"].iloc[0]
    if state != "done":
        return state, math.nan, 0
    if (rows["metric"] == "").all():
        return "not measured", math.nan, 0
    hits = rows[(rows["direction"] == direction) & (rows["metric"] == metric)].sort_values("step", kind="stable")
    if hits.empty:
        return NOT_APPLICABLE, math.nan, 0
    last = hits.iloc[-1]
    outcome = NUMBER if math.isfinite(last["value"]) else last["reason"] or "undefined"
    return outcome, float(last["value"]), int(last["n"])


def _status(outcomes: Counter) -> str:
    """Return the status text of a cell from how its seeds came out."""
    total, numbers = outcomes.total(), outcomes[NUMBER]
    if total == 0:
        return NOT_STARTED
    if numbers == total:
        return ""
    if numbers == 0 and outcomes[NOT_APPLICABLE]:
        return NOT_APPLICABLE
    others = {name: count for name, count in sorted(outcomes.items()) if name != NUMBER and count}
    if numbers == 0 and len(others) == 1:
        return next(iter(others))
    listed = ", ".join(f"{n} {'not measured' if name == NOT_APPLICABLE else name}" for name, n in others.items())
    return f"{numbers} of {total} seeds; {listed}" if numbers else listed


def _printed(row, values: Mapping[str, Value], better: Set[tuple[str, str, str]]) -> Cell:
    """Return the cell of one row of the summary."""
    if math.isnan(row.mean):
        return Cell("", "", row.status)
    value = declared(values, row.metric)
    ends = max(row.low, value.least), min(row.high, value.most)
    interval = "" if math.isnan(row.low) else " to ".join(number(end, value.digits) for end in ends)
    spread = "" if math.isnan(row.spread) else f"± {row.spread:.{value.digits}f}"
    mean = number(row.mean, value.digits)
    return Cell(mean, spread, row.status, (row.direction, row.method, row.metric) in better, interval)


def _caption(group: pd.DataFrame, name: str, reference: str) -> str:
    """Return what a reader must know to read one table."""
    images = sorted(set(group["n_images"]) - {0})
    if not images:
        return f"{name}: no trial has a number."
    trained = group[group["role"] == ""]
    seeds = int((trained if len(trained) else group)["n_trials"].max())
    parts = [f"{name}: {'–'.join(map(str, dict.fromkeys((images[0], images[-1]))))} test images; "]
    if seeds > 1:
        parts.append(f"mean ± sample standard deviation over {seeds} seeds unless a cell says otherwise.")
    else:
        parts.append("one seed, so nothing is known about the spread.")
    parts.append(" ↑ higher is better, ↓ lower is better, – does not apply.")
    if reference:
        parts.append(f" Bold: better than {reference}, by an interval of the difference over seeds that excludes zero.")
    if (group["settings"] != "").any():
        parts.append(" In brackets: settings changed by hand for that method.")
    if (group["role"] == "supervised").any():
        parts.append(" Supervised: trained on pairs or labels, which the others never see.")
    return "".join(parts)


def _markdown_cell(cell: Cell) -> str:
    text = escaped(cell.text)
    return f"**{text}**" if cell.better else text
