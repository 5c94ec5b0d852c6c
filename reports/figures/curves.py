"""Figures of scores against training steps, and against what a method costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cgbench.api.metric import Value
from cgbench.reports.figures.style import RC, Panel, Style, as_panel, new_panel
from cgbench.reports.formats.numbers import declared, header, in_order
from cgbench.results.records import TEST, VALIDATION

QUALITY_PANELS = 3  # the first scores of the table; the rest would repeat what they show
LETTER_WIDTH, NAME_HEIGHT = 3.9, 8  # points that a method's name takes beside its point
MAX_NAMED = 9  # methods whose names fit beside their points; more are distinguished by colour alone


def step_panels(
    history: pd.DataFrame, direction: str, values: Mapping[str, Value], styles: Mapping[str, Style]
) -> list[Panel]:
    """Return one panel per score of a direction that was measured at several steps.

    A solid line is the mean over seeds on the test images, its band reaches from the lowest seed to the highest; a thin
    line is the mean on the validation images. `history` has the columns of records.
    """
    rows = history[(history["direction"] == direction) & history["method"].isin(list(styles))]
    rows = rows[~rows["metric"].str.contains("/") & rows["value"].notna() & (rows["step"] > 0)]
    steps = rows[rows["split"] == TEST].groupby("metric")["step"].nunique()
    metrics = in_order(set(steps[steps > 1].index), values)
    return [_step_panel(rows[rows["metric"] == name], direction, declared(values, name), styles) for name in metrics]


def _step_panel(rows: pd.DataFrame, direction: str, value: Value, styles: Mapping[str, Style]) -> Panel:
    methods = [name for name in styles if name in set(rows["method"])]
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-{value.name}-steps"}):
        figure, axes = new_panel(2.2)
        curves = rows.groupby(["method", "split", "step"])["value"].agg(["mean", "min", "max"])
        for name in methods:
            style: dict[str, Any] = {"color": styles[name].colour, "dashes": styles[name].dash or (None, None)}
            for split, width in ((TEST, 1.6), (VALIDATION, 0.7)):
                if (name, split) not in curves.index.droplevel("step"):
                    continue
                curve = curves.loc[(name, split)]
                axes.plot(curve.index, curve["mean"], linewidth=width, marker="o", markersize=1.6 * width, **style)
                if split == TEST:
                    alpha = min(0.16, 1 / len(methods))
                    axes.fill_between(
                        curve.index, curve["min"], curve["max"], color=styles[name].colour, alpha=alpha, linewidth=0
                    )
        axes.set(xlabel="step", ylabel="")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="y")
        alt = f"{value.label} against training steps, {direction}: {', '.join(methods)}"
        return as_panel(figure, header(value), f"steps-{direction}-{value.name}", alt)


def cost_panels(
    costs: pd.DataFrame, table: pd.DataFrame, direction: str, values: Mapping[str, Value], styles: Mapping[str, Style],
    primary: str = "",
) -> dict[str, Panel]:  # fmt: skip
    """Return panels of scores against training time: a point per method at its means, a bar of one standard deviation.

    Args:
        costs: The costs of the trials.
        table: The summary of the run.
        direction: The direction of translation.
        values: The declarations of the metrics by name.
        styles: The style of each method.
        primary: The score that methods are judged by, whose panel is there wherever it falls in the table.

    Returns:
        By metric, the panels of `primary` and of the first `QUALITY_PANELS` other scores of which higher or lower is
        declared as better.
    """
    seconds = costs.groupby("method")["seconds"].mean().dropna()
    cells = table[(table["direction"] == direction) & table["method"].isin(seconds.index) & table["mean"].notna()]
    scores = [name for name in dict.fromkeys(cells["metric"]) if declared(values, name).better]
    others = [name for name in scores if name != primary][:QUALITY_PANELS]
    return {
        name: _cost_panel(cells[cells["metric"] == name], seconds, direction, declared(values, name), styles)
        for name in scores
        if name == primary or name in others
    }


def _cost_panel(
    rows: pd.DataFrame, seconds: pd.Series, direction: str, value: Value, styles: Mapping[str, Style]
) -> Panel:
    methods: Sequence[str] = list(rows["method"])
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-{value.name}-cost"}):
        figure, axes = new_panel(2.2)
        for row in rows.itertuples():
            colour, time = styles[row.method].colour, seconds[row.method]
            error = None if pd.isna(row.spread) else row.spread
            axes.errorbar(time, row.mean, yerr=error, fmt="o", color=colour, markersize=5, elinewidth=1)
        if seconds.max() > 10 * seconds.min():
            axes.set_xscale("log")
        axes.margins(x=0.22, y=0.12)
        if len(methods) <= MAX_NAMED:
            _name_points(axes, [(row.method, seconds[row.method], row.mean) for row in rows.itertuples()])
        axes.set(xlabel="training time (s)", ylabel="")
        axes.grid(axis="both")
        alt = f"{value.label} against training time, {direction}: {', '.join(methods)}"
        return as_panel(figure, header(value), f"cost-{direction}-{value.name}", alt)


def _name_points(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write the names of (name, x, y) beside the points, the lowest first, each above those it would cover."""
    axes.autoscale_view()
    placed: list[tuple[float, float, float]] = []  # left and right end and height of the names, in points on the paper
    for name, x, y in sorted(points, key=lambda point: point[2]):
        left, bottom = axes.transData.transform((x, y)) * 72 / axes.figure.dpi
        right, height = left + LETTER_WIDTH * len(name), bottom + 3
        while any(left < end and start < right and abs(height - at) < NAME_HEIGHT for start, end, at in placed):
            height += 1
        placed.append((left, right, height))
        axes.annotate(name, (x, y), xytext=(4, height - bottom), textcoords="offset points", fontsize=7)
