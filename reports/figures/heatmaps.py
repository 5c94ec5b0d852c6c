"""Heat maps of scores per class and of failure rates."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from cgbench.api.metric import ASIDES, Value
from cgbench.reports.figures.style import RC, Panel, as_panel
from cgbench.reports.formats.numbers import declared, header

# from light to dark, the lightness falling evenly
SCORES = LinearSegmentedColormap.from_list("scores", ("#a5cd90", "#61aa90", "#33858d", "#1e5d86", "#2c3172"))
SHARES = LinearSegmentedColormap.from_list("shares", ("#edb081", "#e5715e", "#c14168", "#863071", "#4b2362"))
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue of linear intensity (Rec. 709)
DARK_TEXT_FROM = 0.41  # luminance of a cell


def class_panels(
    records: pd.DataFrame, direction: str, order: Sequence[str], values: Mapping[str, Value]
) -> list[Panel]:
    """Return a heat map per metric with details by class: methods × classes, means over seeds.

    Classes are in the order of the records, darker is higher; a class without a number of any method is left out.
    """
    details = records[(records["direction"] == direction) & records["metric"].str.contains("/")]
    details = details[~details["metric"].str.split("/").str[-1].isin(ASIDES)]
    panels = []
    for metric, rows in details.groupby(details["metric"].str.split("/").str[0], sort=False):
        value = declared(values, metric)
        rows = rows.assign(label=rows["metric"].str.split("/", n=1).str[1])
        means = rows.groupby(["method", "label"])["value"].mean().unstack("label")
        labels = list(dict.fromkeys(rows["label"]))
        means = means.reindex(index=[name for name in order if name in means.index], columns=labels)
        panels.append(_class_panel(means, direction, value))
    return panels


def _class_panel(means: pd.DataFrame, direction: str, value: Value) -> Panel:
    method_count, column_count = means.shape
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-{value.name}-classes"}):
        size = (1.6 + 0.55 * column_count, 0.9 + 0.24 * method_count)
        figure = _heat_map(means, list(means.columns), 1, SCORES, ".2f", size)
        alt = f"{value.label} by class, {direction}: {', '.join(means.columns)} for {', '.join(means.index)}"
        return as_panel(figure, f"{header(value)} by class", f"classes-{direction}-{value.name}", alt)


def failure_panel(
    shares: pd.DataFrame, labels: Mapping[str, str], direction: str, order: Sequence[str]
) -> Panel | None:
    """Return a heat map of failures: methods × failures, mean shares of images; None where no detector applied.

    `shares` has the columns method, failure and rate, one row per seed; `labels` names the failures, in order.
    """
    means = shares.assign(rate=shares["rate"].astype(float)).groupby(["method", "failure"])["rate"].mean().unstack()
    means = means.reindex(index=[name for name in order if name in means.index], columns=list(labels))
    if means.isna().all(axis=None):
        return None
    method_count, column_count = means.shape
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-failures"}):
        size = (2.2 + 0.62 * column_count, 1.1 + 0.24 * method_count)
        figure = _heat_map(100 * means, [labels[name] for name in means.columns], 100, SHARES, ".0f", size)
        alt = f"Share of images that show each failure, {direction}: {', '.join(labels.values())}; "
        alt += f"for {', '.join(means.index)}"
        return as_panel(figure, "Images that show it, %", f"failures-{direction}", alt)


def _heat_map(
    cells: pd.DataFrame, titles: Sequence[str], top: float, colours: Colormap, form: str, size: tuple[float, float]
) -> Figure:
    """Return a heat map on a scale from 0 to `top`: rows from top to bottom, the number in each cell, NaN cells empty.

    Args:
        cells: The numbers; the index names the rows.
        titles: The names of the columns.
        top: The upper end of the scale.
        colours: The colours of the scale.
        form: The format of a number.
        size: Width and height in inches.

    Returns:
        The figure, not yet laid out.
    """
    numbers = np.ma.masked_invalid(cells.to_numpy(float))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.spines[:].set_visible(False)
    axes.pcolormesh(numbers, vmin=0, vmax=top, cmap=colours, edgecolors="white", linewidths=0.5)
    for (row, column), number in np.ma.ndenumerate(numbers):
        luminance = np.power(colours(number / top)[:3], 2.2) @ LUMINANCE
        ink = "0.15" if luminance >= DARK_TEXT_FROM else "white"
        axes.text(column + 0.5, row + 0.5, format(number, form), color=ink, ha="center", va="center", size=7)
    axes.set(xlim=(0, len(titles)), ylim=(len(cells), 0))
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(titles)) + 0.5, list(titles), rotation=35, ha="right")
    axes.set_yticks(np.arange(len(cells)) + 0.5, list(cells.index))
    return figure
