"""Heat maps of scores per class and of failure rates."""

from collections.abc import Mapping, Sequence

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cgbench.api.metric import ASIDES, Value
from cgbench.reports.figures.style import RC, Panel, as_panel
from cgbench.reports.formats.numbers import declared, header


def class_panels(
    records: pd.DataFrame, direction: str, order: Sequence[str], values: Mapping[str, Value]
) -> list[Panel]:
    """Return a heat map per metric with details by class: methods × classes, means over seeds.

    Classes are in the order of the records, darker is higher, up to 1 or, of distances, to the largest; a class without
    a number of any method is left out.
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
        figure = Figure(figsize=(1.6 + 0.55 * column_count, 0.9 + 0.24 * method_count), layout="constrained")
        axes = figure.subplots()
        sns.heatmap(
            means, vmin=0, vmax=max(1.0, float(means.max(axis=None))), cmap="crest", annot=True, fmt=".2f",
            annot_kws={"size": 7}, linewidths=0.5, cbar=False, ax=axes,
        )  # fmt: skip
        axes.set(xlabel="", ylabel="")
        axes.tick_params(length=0)
        axes.set_xticks(axes.get_xticks(), list(means.columns), rotation=35, ha="right")
        axes.set_yticks(axes.get_yticks(), list(means.index), rotation=0)
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
        figure = Figure(figsize=(2.2 + 0.62 * column_count, 1.1 + 0.24 * method_count), layout="constrained")
        axes = figure.subplots()
        sns.heatmap(
            100 * means, vmin=0, vmax=100, cmap="flare", annot=True, fmt=".0f", annot_kws={"size": 7}, linewidths=0.5,
            cbar=False, ax=axes,
        )  # fmt: skip
        axes.set(xlabel="", ylabel="")
        axes.tick_params(length=0)
        axes.set_xticks(axes.get_xticks(), [labels[name] for name in means.columns], rotation=35, ha="right")
        axes.set_yticks(axes.get_yticks(), list(means.index), rotation=0)
        alt = f"Share of images that show each failure, {direction}: {', '.join(labels.values())}; "
        alt += f"for {', '.join(means.index)}"
        return as_panel(figure, "Images that show it, %", f"failures-{direction}", alt)
