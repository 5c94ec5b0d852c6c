"""Tables: records → one long summary → Markdown, CSV and the cells of the page. Pure functions of their arguments."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cgbench.api.method import DIRECTIONS
from cgbench.api.metric import Value
from cgbench.reports.formats.numbers import in_order
from cgbench.results.records import not_measured, one_protocol
from cgbench.results.run import NOT_STARTED, row_order
from cgbench.results.significance import ALPHA, over_seeds

NUMBER = "number"
NOT_APPLICABLE = "–"
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
