"""Checkpoint selection: scores of the last step, of the best on validation images, and of the best on test images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from cgbench.api.metric import Value
from cgbench.reports.formats.markdown import escaped, markdown_table
from cgbench.reports.formats.numbers import declared, number
from cgbench.reports.sections.scores import Groups, by_direction
from cgbench.results.records import TEST, VALIDATION

COLUMNS = ["direction", "metric", "method", "seed", "last", "last_step", "chosen", "chosen_step", "oracle",
           "oracle_step", "gap"]  # fmt: skip
CAPTION = (
    "Mean over seeds, and the mean step in brackets. Last: the end of training, which all other tables show. By "
    "validation: the step that is best on the validation images, by the same score. Oracle: the step that is best on "
    "the test images themselves, which nobody can know without having looked at them: never a result. Optimism: how "
    "much better the oracle is than the choice by validation (than the last step, where there is none)."
)


@dataclass(frozen=True)
class SelectionTable:
    """The table of one direction: `groups` holds for each score its header and its lines of (method, last, by
    validation, oracle, gap)."""

    direction: str
    name: str
    groups: Groups


def selection(history: pd.DataFrame, values: Mapping[str, Value], methods: Sequence[str]) -> pd.DataFrame:
    """Return one row per direction, score, method and seed that was measured at two steps or more.

    Each score selects its own step, by what is declared as better; a score without such a declaration, or a detail of a
    score, is left out. Of equal steps the first is taken. `chosen` is NaN where there are no validation images; `gap`
    is positive where the oracle is better.
    """
    rows = []
    scores = history[history["method"].isin(methods) & ~history["metric"].str.contains("/")]
    scores = scores[scores["value"].abs() < math.inf]  # also drops NaN
    for key, group in scores.groupby(["direction", "metric", "method", "seed"], sort=False):
        better = declared(values, key[1]).better
        test = _by_step(group, TEST)
        if not better or len(test) < 2:
            continue
        sign = 1 if better == "higher" else -1
        validation = _by_step(group, VALIDATION)
        validation = validation[validation.index.isin(test.index)]
        oracle, last = (sign * test).idxmax(), test.index[-1]
        chosen = (sign * validation).idxmax() if len(validation) > 1 else None
        value = math.nan if chosen is None else test[chosen]
        gap = sign * (test[oracle] - (test[last] if chosen is None else value))
        steps = (last, math.nan if chosen is None else chosen, oracle)
        rows.append([*key, test[last], steps[0], value, steps[1], test[oracle], steps[2], gap])
    return pd.DataFrame(rows, columns=COLUMNS)


def selection_tables(
    selected: pd.DataFrame, values: Mapping[str, Value], names: Mapping[str, str], order: Sequence[str],
    units: Mapping[str, str] | None = None,
) -> list[SelectionTable]:  # fmt: skip
    """Return the printable tables, one per direction, with means over seeds.

    Args:
        selected: The scores of the checkpoints.
        values: The declarations of the metrics by name.
        names: The display names of directions.
        order: The order of methods.
        units: The unit of the target domain's numbers, by direction.

    Returns:
        The tables; none for a direction without numbers.
    """
    means = selected.drop(columns="seed").groupby(["direction", "metric", "method"], sort=False).mean().reset_index()

    def lines(rows: pd.DataFrame, value: Value) -> tuple[tuple[str, ...], ...]:
        of = rows.set_index("method")
        return tuple(_line(name, of.loc[name], value) for name in order if name in of.index)

    return [
        SelectionTable(direction, names.get(direction, direction), groups)
        for direction, groups in by_direction(means, values, units, lines)
    ]


def selection_markdown(tables: Sequence[SelectionTable]) -> str:
    """Return the tables as Markdown: per direction a heading, a table and a caption."""
    parts = []
    for table in tables:
        lines = [["score", "method", "last", "by validation", "oracle", "optimism"]]
        lines += [[escaped(title), *map(escaped, line)] for title, group in table.groups for line in group]
        heading = f"### {table.direction}: {escaped(table.name)}, which checkpoint"
        parts.append(f"{heading}\n\n{markdown_table(lines)}\n\n{CAPTION}\n")
    return "\n".join(parts)


def _by_step(group: pd.DataFrame, split: str) -> pd.Series:
    """Return the values of a split, indexed by step in ascending order."""
    rows = group[group["split"] == split].drop_duplicates("step", keep="last").sort_values("step")
    return rows.set_index("step")["value"]


def _line(method: str, row: pd.Series, value: Value) -> tuple[str, ...]:
    pairs = [(row["last"], row["last_step"]), (row["chosen"], row["chosen_step"]), (row["oracle"], row["oracle_step"])]
    cells = [f"{number(mean, value.digits)} ({step:.0f})" if not math.isnan(mean) else "–" for mean, step in pairs]
    return (method, *cells, number(row["gap"], value.digits, sign=True))
