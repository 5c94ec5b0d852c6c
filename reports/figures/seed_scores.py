"""Scores of every seed as dot panels."""

from collections.abc import Mapping

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from cgbench.api.metric import Value
from cgbench.reports.figures.style import RC, Panel, Style, as_panel, new_panel
from cgbench.reports.formats.numbers import declared, header


def dot_panels(
    records: pd.DataFrame, table: pd.DataFrame, direction: str, values: Mapping[str, Value], styles: Mapping[str, Style]
) -> list[Panel]:
    """Return one panel per metric of a direction: a dot per seed, a bar at the mean.

    Args:
        records: The final records of a run.
        table: The summary of the run.
        direction: The direction of translation.
        values: The declarations of the metrics by name.
        styles: The style of each method.

    Returns:
        The panels, with methods in the order of the table; a method without a number shows its status.
    """
    cells = table[(table["direction"] == direction) & (table["metric"] != "")]
    panels = []
    for metric, rows in cells.groupby("metric", sort=False):
        seeds = records[(records["direction"] == direction) & (records["metric"] == metric)]
        value = declared(values, metric)
        panels.append(_dot_panel(seeds, rows, direction, value, styles))
    return panels


def _dot_panel(
    seeds: pd.DataFrame, rows: pd.DataFrame, direction: str, value: Value, styles: Mapping[str, Style]
) -> Panel:
    methods = list(rows["method"])
    palette = {name: styles[name].colour for name in methods}
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-{value.name}"}):
        figure, axes = new_panel(0.62 + 0.24 * len(methods))
        sns.stripplot(
            seeds, x="value", y="method", order=methods, hue="method", hue_order=methods, palette=palette,
            jitter=False, size=5.5, alpha=0.6, legend=False, ax=axes,
        )  # fmt: skip
        for height, row in enumerate(rows.itertuples()):
            if row.n_seeds:
                axes.plot([row.mean], [height], "|", markersize=13, markeredgewidth=2.2, color=palette[row.method])
            else:
                axes.text(0.5, height, row.status, transform=axes.get_yaxis_transform(), va="center", ha="center")
        axes.set(xlabel="", ylabel="", ylim=(len(methods) - 0.5, -0.5))
        axes.set_yticks(range(len(methods)), [_seeds_label(row) for row in rows.itertuples()])
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="both")
        alt = f"{value.label}, {direction}: one dot per seed and a bar at the mean for {', '.join(methods)}"
        return as_panel(figure, header(value), f"dots-{direction}-{value.name}", alt)


def _seeds_label(row) -> str:
    """Return a method's axis label, with the count of seeds that have a number where some have none."""
    return f"{row.method} ({row.n_seeds} of {row.n_trials})" if 0 < row.n_seeds < row.n_trials else row.method
