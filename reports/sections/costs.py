"""Costs of each method: weights, training time, memory and images per second, as measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cgbench.api.names import DIRECTIONS, TrialState
from cgbench.formatting import duration
from cgbench.reports.formats.markdown import escaped, markdown_table
from cgbench.results.record_files import read_cost_file
from cgbench.results.run import RunRecords

COLUMNS = ["method", "seed", "weights", "seconds", "trained_per_second", "memory", *DIRECTIONS]
CAPTION = (
    "Mean over seeds. Weights: of all networks that the method builds. Images/s in training: images of each domain. "
    "Peak memory: of the GPU, or of the whole process on a CPU, images and libraries included. Times are those of this "
    "machine on that day; what else it did slows them, and trials that ran side by side slow each other."
)


@dataclass(frozen=True)
class CostTable:
    """The printable table: headers, and a line of cells per trained method."""

    headers: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    caption: str


def costs(run: RunRecords) -> pd.DataFrame:
    """Return one row per finished trial of a trained method: number of weights, training seconds, images of each domain
    per second of training, peak memory in bytes, and images per second of translation by direction; NaN if unknown."""
    rows = []
    for trial in run.trials:
        if trial.method not in run.trained or trial.state != TrialState.DONE:
            continue
        seconds = trial.status.get("seconds") or math.nan
        rates = read_cost_file(trial.folder.cost)
        images = trial.status.get("step", 0) * trial.spec["config"]["batch_size"]
        weights = sum((trial.spec.get("parameters") or {}).values()) or math.nan
        row = [trial.method, trial.seed, weights, seconds, images / seconds, trial.status.get("memory") or math.nan]
        rows.append([*row, *(rates.get(direction, math.nan) for direction in DIRECTIONS)])
    return pd.DataFrame(rows, columns=COLUMNS)


def cost_table(rows: pd.DataFrame, run: RunRecords) -> CostTable | None:
    """Return the table of mean costs, of `rows` as `costs` returns them; None if there are none."""
    if rows.empty:
        return None
    means = rows.drop(columns="seed").groupby("method").mean()
    names = run.dataset["directions"]
    directions = [direction for direction in DIRECTIONS if means[direction].notna().any()]
    headers = ("method", "weights", "training", "images/s in training", "peak memory",
               *(f"images/s {names.get(direction, direction)}" for direction in directions))  # fmt: skip
    lines = tuple(_line(name, means.loc[name], directions) for name in run.order if name in means.index)
    return CostTable(headers, lines, f"{_devices(run)} {CAPTION}")


def costs_markdown(table: CostTable) -> str:
    """Return the table as Markdown with a heading and its caption."""
    lines = [[escaped(text) for text in line] for line in (table.headers, *table.lines)]
    return f"### What it costs\n\n{markdown_table(lines)}\n\n{escaped(table.caption)}\n"


def _devices(run: RunRecords) -> str:
    devices = dict.fromkeys(trial.spec.get("device", "") for trial in run.trials if trial.method in run.trained)
    return f"Trained on {', '.join(filter(None, devices)) or 'an unknown device'}."


def _line(method: str, means: pd.Series, directions: Sequence[str]) -> tuple[str, ...]:
    formats = {
        "weights": lambda value: f"{value:,.0f}",
        "seconds": duration,
        "trained_per_second": _three_digits,
        "memory": lambda value: f"{value / 1e6:,.0f} MB",
        **dict.fromkeys(directions, _three_digits),
    }
    return (method, *("–" if math.isnan(means[key]) else text(means[key]) for key, text in formats.items()))


def _three_digits(value: float) -> str:
    """Return a rate with three significant digits: "0.52", "5.2", "1,240"."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{round(value, digits):,.{min(digits, 2)}f}"
