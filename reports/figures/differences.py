"""Differences from the reference method as forest panels."""

from collections.abc import Mapping

import matplotlib
import pandas as pd
from matplotlib.ticker import MaxNLocator

from cgbench.api.metric import Value
from cgbench.reports.figures.style import RC, REFERENCE_COLOUR, Panel, Style, as_panel, new_panel
from cgbench.reports.formats.numbers import declared, header, in_order
from cgbench.reports.sections.differences import Basis

OUTLYING = 10.0  # times the median reach of a panel's intervals: what goes beyond is cut, so that others can be read
MARGIN = 0.06  # of the panel's width on either side


def forest_panels(
    rows: pd.DataFrame, direction: str, values: Mapping[str, Value], styles: Mapping[str, Style]
) -> list[Panel]:
    """Return one panel per metric of a direction: each method's difference from the reference, and its intervals.

    `rows` are those of a `Comparison`. The upper interval of a method, with a disc, is over seeds; the lower one, with
    a ring, over seeds and images, or for one seed over images. Intervals that exclude zero are thick; a difference
    without one is a mark alone.
    """
    shown = rows[rows["direction"] == direction]
    metrics = in_order(set(shown["metric"]), values)
    return [_forest_panel(shown[shown["metric"] == name], direction, name, values, styles) for name in metrics]


def _forest_panel(
    rows: pd.DataFrame, direction: str, metric: str, values: Mapping[str, Value], styles: Mapping[str, Style]
) -> Panel:
    value = declared(values, metric)
    methods = [name for name in styles if name in set(rows["method"])]
    left, right = _limits(rows)
    note = ""
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-{metric}-forest"}):
        figure, axes = new_panel(0.62 + 0.27 * len(methods))
        axes.axvline(0, color=REFERENCE_COLOUR, linewidth=1)
        for row in rows.itertuples():
            height = methods.index(row.method) + (-0.15 if row.basis == Basis.SEEDS else 0.15)
            colour = styles[row.method].colour
            if not row.note:
                ends = max(row.low, left), min(row.high, right)
                if (row.low, row.high) != ends:
                    note = "intervals that leave the panel are cut at its edge"
                axes.plot(ends, (height, height), color=colour, linewidth=3 if row.significant else 1, alpha=0.7)
            face = colour if row.basis == Basis.SEEDS else "none"
            axes.plot(row.difference, height, "o", markersize=4.5, color=colour, markerfacecolor=face)
        axes.set(xlabel="", ylabel="", ylim=(len(methods) - 0.5, -0.5), xlim=(left, right))
        axes.set_yticks(range(len(methods)), methods)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="both")
        reference = rows["reference"].iloc[0]
        alt = f"{value.label}, {direction}: differences from {reference} with intervals for {', '.join(methods)}"
        return as_panel(figure, header(value), f"forest-{direction}-{metric}", alt, note)


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of a panel: zero, all differences and their intervals are in it, apart from outlying ends."""
    ends = rows[["low", "high"]].dropna()
    widest = OUTLYING * float(ends.abs().max(axis=1).median()) if len(ends) else 0.0
    low = min(0.0, float(rows["difference"].min()), max(float(ends["low"].min()), -widest) if len(ends) else 0.0)
    high = max(0.0, float(rows["difference"].max()), min(float(ends["high"].max()), widest) if len(ends) else 0.0)
    margin = MARGIN * (high - low) or 1.0
    return low - margin, high + margin
