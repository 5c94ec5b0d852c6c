"""Scores of other weights than the last ones: moving averages, and the mean over the newest checkpoints."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from cgbench.api.metric import Value
from cgbench.api.names import Weights
from cgbench.reports.formats.markdown import escaped, markdown_table
from cgbench.reports.formats.numbers import declared, number
from cgbench.reports.sections.scores import Groups, by_direction
from cgbench.results.run import RunRecords

COLUMNS = ["direction", "metric", "method", "seed", "last", "ema", "checkpoints", "checkpoint_count"]
FORMS = {"last": "last weights", "ema": "averaged weights", "checkpoints": "mean of checkpoints"}
CAPTION = (
    "Mean ± sample standard deviation over seeds. Last weights: the end of training, which all other tables show. "
    "Averaged weights: their exponential moving average over the steps. Mean of checkpoints: the mean score of the "
    "newest checkpoints, the last among them. Spread: the standard deviation over seeds against that of the last "
    "weights, of all methods together (root of the mean variance). Order: Kendall’s τ with the order of the methods by "
    "the last weights, 1 if it is the same."
)


@dataclass(frozen=True)
class OtherWeightsTable:
    """The table of one direction: `headers` are the forms of weights, `groups` holds for each score its header and its
    lines, the methods' first, then those of spread and order."""

    direction: str
    name: str
    headers: tuple[str, ...]
    groups: Groups


def other_weights(run: RunRecords, values: Mapping[str, Value]) -> pd.DataFrame:
    """Return one row per direction, score, method and seed of a trained method that has a number by other weights.

    `ema` and `checkpoints` are NaN where a trial has none; `checkpoint_count` is the number of checkpoints in the mean.
    Scores without a declaration of what is better, and details of a score, are left out.
    """
    rows = []
    last = run.records.set_index(["direction", "metric", "method", "seed"])["value"]
    others = run.alternatives[~run.alternatives["metric"].str.contains("/")]
    for key, group in others.groupby(["direction", "metric", "method", "seed"], sort=False):
        if not declared(values, key[1]).better or key not in last.index or not math.isfinite(last[key]):
            continue
        averaged = group.loc[group["weights"] == Weights.AVERAGED, "value"]
        earlier = group.loc[group["weights"] == Weights.EARLIER, "value"].tolist()
        mean = float(np.mean([*earlier, last[key]])) if earlier else math.nan
        ema = float(averaged.iloc[0]) if len(averaged) else math.nan
        rows.append([*key, last[key], ema, mean, len(earlier) + 1])
    return pd.DataFrame(rows, columns=COLUMNS)


def other_weights_tables(
    found: pd.DataFrame, values: Mapping[str, Value], names: Mapping[str, str], order: Sequence[str],
    units: Mapping[str, str] | None = None,
) -> list[OtherWeightsTable]:  # fmt: skip
    """Return the printable tables, one per direction.

    Args:
        found: The scores of other weights.
        values: The declarations of the metrics by name.
        names: The display names of directions.
        order: The order of methods.
        units: The unit of the target domain's numbers, by direction.

    Returns:
        The tables; none for a direction without numbers.
    """
    forms = ["last", *(form for form in ("ema", "checkpoints") if found[form].notna().any())]
    headers = [FORMS[form] for form in forms]
    if "checkpoints" in forms:
        headers[-1] += f" ({found['checkpoint_count'].max()})"
    return [
        OtherWeightsTable(direction, names.get(direction, direction), tuple(headers), groups)
        for direction, groups in by_direction(found, values, units, partial(_lines, forms=forms, order=order))
    ]


def other_weights_markdown(tables: Sequence[OtherWeightsTable]) -> str:
    """Return the tables as Markdown: per direction a heading, a table and a caption."""
    parts = []
    for table in tables:
        lines = [["score", "method", *table.headers]]
        lines += [[escaped(title), *map(escaped, line)] for title, group in table.groups for line in group]
        heading = f"### {table.direction}: {escaped(table.name)}, other weights"
        parts.append(f"{heading}\n\n{markdown_table(lines)}\n\n{CAPTION}\n")
    return "\n".join(parts)


def _lines(rows: pd.DataFrame, value: Value, forms: Sequence[str], order: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the lines of one score."""
    by_method = rows.groupby("method")[list(forms)]
    means, variances = by_method.mean(), by_method.var(ddof=1)
    lines = []
    for method in (name for name in order if name in means.index):
        lines.append((method, *(_cell(means.at[method, form], variances.at[method, form], value) for form in forms)))
    spread = [_ratio(variances, form) for form in forms]
    if not math.isnan(spread[0]):
        lines.append(("(spread, against the last)", *(f"{ratio:.2f}" for ratio in spread)))
    if len(means) > 2:
        lines.append(("(order, τ with the last)", *(_agreement(means, form) for form in forms)))
    return tuple(lines)


def _cell(mean: float, variance: float, value: Value) -> str:
    if math.isnan(mean):
        return "–"
    spread = "" if math.isnan(variance) else f" ± {number(math.sqrt(variance), value.digits)}"
    return number(mean, value.digits) + spread


def _ratio(variances: pd.DataFrame, form: str) -> float:
    """Return the pooled standard deviation by the weights `form` against that by the last; NaN without any spread."""
    both = variances[["last", form]].dropna() if form != "last" else variances[["last"]].dropna()
    last = both["last"].mean()
    return math.sqrt(both[form].mean() / last) if len(both) and last > 0 else math.nan


def _agreement(means: pd.DataFrame, form: str) -> str:
    from scipy.stats import kendalltau  # half a second, and few reports have this table

    both = means[["last", form]].dropna() if form != "last" else means[["last"]].dropna()
    tau = kendalltau(both["last"], both[form]).statistic if len(both) > 2 else math.nan
    return "–" if math.isnan(tau) else number(float(tau), 2)
