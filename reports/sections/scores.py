"""Summary of scores: mean, spread and interval over seeds, by direction, method and metric."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from cgbench.api.metric import Value
from cgbench.api.names import DIRECTIONS, TrialState
from cgbench.reports.formats.numbers import declared, header, in_order, in_units
from cgbench.results.records import ensure_one_protocol, not_measured
from cgbench.results.run import NOT_STARTED, UNTRAINED, row_order
from cgbench.results.significance import ALPHA, mean_effect

Groups = tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]  # for each score its header and its lines

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
    overrides: Mapping[str, str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the summary of a run.

    `mean`, `spread` (sample standard deviation; NaN for one seed, and for an untrained row that no seed changes) and
    the interval `low` to `high` that covers the mean of further seeds with probability 0.95 (Student's) are over the
    `n_seeds` of `n_trials` seeds that have a number.
    `status` is the reason for the others; it is "" where all have a number, and "–" where the metric does not apply.

    Args:
        records: The final records of a run, as `read_run` returns them.
        values: The declarations of the metrics by name.
        order: The methods in the order of tables; others in `records` follow them.
        roles: The role of each method.
        overrides: The overrides of each method, which become the column `settings`.

    Returns:
        One row per direction, method and metric, in the order of display. A run without any number has rows with an
        empty metric.

    Raises:
        CgbenchError: Numbers of one metric were measured by different protocols.
    """
    ensure_one_protocol(records)
    directions = [name for name in DIRECTIONS if name in set(records["direction"])] or list(DIRECTIONS)
    methods = row_order([*order, *sorted(set(records["method"]) - set(order))], roles)
    by_method = {name: _by_seed(records[records["method"] == name]) for name in methods}
    rows = []
    for direction in directions:
        absent = {metric for name, metric in not_measured(records) if name == direction}
        metrics = _metrics(records[(records["direction"] == direction) & ~records["metric"].isin(absent)], values)
        for method in methods:
            for metric in metrics:
                key = {"direction": direction, "method": method, "role": roles.get(method, "")}
                key |= {"settings": (overrides or {}).get(method, ""), "metric": metric}
                rows.append({**key, **_cell(by_method[method], direction, metric, roles.get(method, ""))})
    return pd.DataFrame(rows, columns=COLUMNS)


def _metrics(measured: pd.DataFrame, values: Mapping[str, Value]) -> list[str]:
    """Return the metrics in the columns of a table: in declared order, then those without a declaration; [""] if none.

    Details of a number ("fcn_iou/road") are no columns.
    """
    names = {name for name in measured["metric"] if name and "/" not in name}
    return in_order(names, values) or [""]


def _by_seed(records: pd.DataFrame) -> dict[int, list[dict]]:
    """Return the records of one method by seed, as plain rows: selecting from a table is slow."""
    trials: dict[int, list[dict]] = {seed: [] for seed in sorted(set(records["seed"]))}
    for row in records.to_dict("records"):
        trials[row["seed"]].append(row)
    return trials


def _cell(trials: Mapping[int, Sequence[Mapping]], direction: str, metric: str, role: str) -> dict:
    """Return mean, spread, interval, counts and status of one method in one column."""
    outcomes = {seed: _outcome(rows, direction, metric) for seed, rows in trials.items()}
    numbers = [value for outcome, value, _ in outcomes.values() if outcome == NUMBER]
    varies = len(numbers) > 1 and (role not in UNTRAINED or len(set(numbers)) > 1)
    return {
        "mean": float(np.mean(numbers)) if numbers else math.nan,
        "spread": float(np.std(numbers, ddof=1)) if varies else math.nan,
        **dict(zip(("low", "high"), _interval(numbers), strict=True)),
        "n_seeds": len(numbers),
        "n_trials": len(outcomes),
        "n_images": max((n for _, _, n in outcomes.values()), default=0),
        "status": _status(Counter(outcome for outcome, _, _ in outcomes.values())),
    }


def _interval(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the interval of the mean over seeds; NaN for fewer than two seeds, and for seeds that are all equal."""
    effect = mean_effect(numbers)
    varies = len(set(numbers)) > 1  # rounding may give equal numbers a spread of 1e-17
    return effect.interval(ALPHA) if effect and varies else (math.nan, math.nan)


def _outcome(rows: Sequence[Mapping], direction: str, metric: str) -> tuple[str, float, int]:
    """Return the result of one trial for a column: (NUMBER, value, images), or (reason, NaN, ...) without a number."""
    state = rows[0]["status"]
    if state != TrialState.DONE:
        return state, math.nan, 0
    if all(row["metric"] == "" for row in rows):
        return "not measured", math.nan, 0
    record = next((row for row in rows if row["direction"] == direction and row["metric"] == metric), None)
    if record is None:
        return NOT_APPLICABLE, math.nan, 0
    outcome = NUMBER if math.isfinite(record["value"]) else record["reason"] or "undefined"
    return outcome, float(record["value"]), int(record["n"])


def _status(outcomes: Counter) -> str:
    """Return the status text of a cell from the outcomes of its seeds."""
    total, numbers = outcomes.total(), outcomes[NUMBER]
    if total == 0:
        return NOT_STARTED
    if numbers == total:
        return ""
    if numbers == 0 and outcomes[NOT_APPLICABLE]:
        return NOT_APPLICABLE
    reasons = {name: count for name, count in sorted(outcomes.items()) if name != NUMBER and count}
    if numbers == 0 and len(reasons) == 1:
        return next(iter(reasons))
    listed = ", ".join(f"{n} {'not measured' if name == NOT_APPLICABLE else name}" for name, n in reasons.items())
    return f"{numbers} of {total} seeds; {listed}" if numbers else listed


def by_direction(
    numbers: pd.DataFrame, values: Mapping[str, Value], units: Mapping[str, str] | None,
    lines: Callable[[pd.DataFrame, Value], tuple[tuple[str, ...], ...]],
) -> Iterator[tuple[str, Groups]]:  # fmt: skip
    """Yield each direction with numbers, and for each of its scores the header and the lines of its rows.

    Args:
        numbers: The numbers, with columns `direction` and `metric`.
        values: The declarations of the metrics by name.
        units: The unit of the target domain's numbers, by direction.
        lines: Returns the lines of one score from its rows and its declaration.

    Returns:
        Pairs of direction and groups.
    """
    for direction in DIRECTIONS:
        labelled = in_units(values, direction, units)
        shown = numbers[numbers["direction"] == direction]
        groups = []
        for metric in in_order(set(shown["metric"]), values):
            value = declared(labelled, metric)
            groups.append((header(value), lines(shown[shown["metric"] == metric], value)))
        if groups:
            yield direction, tuple(groups)
