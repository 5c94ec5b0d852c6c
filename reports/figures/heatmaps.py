"""Heat maps: scores per class, failure rates per method."""

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
    """Return a heat map per number that has details by class: methods × classes, the mean over seeds.

    Classes stand in the order of the records, darker is higher; a class that no method has a number for is not there.
    """
    here = records[(records["direction"] == direction) & records["metric"].str.contains("/")]
    here = here[~here["metric"].str.split("/").str[-1].isin(ASIDES)]
    panels = []
    for metric, rows in here.groupby(here["metric"].str.split("/").str[0], sort=False):
        value = declared(values, metric)
        last = rows.sort_values("step", kind="stable").drop_duplicates(["method", "seed", "metric"], keep="last")
        last = last.assign(kind=last["metric"].str.split("/", n=1).str[1])
        means = last.groupby(["method", "kind"])["value"].mean().unstack("kind")
        kinds = list(dict.fromkeys(rows["metric"].str.split("/", n=1).str[1]))
        means = means.reindex(index=[name for name in order if name in means.index], columns=kinds)
        panels.append(_class_panel(means, direction, value))
    return panels


def _class_panel(means: pd.DataFrame, direction: str, value: Value) -> Panel:
    methods, kinds = means.shape
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-{value.name}-classes"}):
        figure = Figure(figsize=(1.6 + 0.55 * kinds, 0.9 + 0.24 * methods), layout="constrained")
        axes = figure.subplots()
        sns.heatmap(
            means, vmin=0, vmax=1, cmap="crest", annot=True, fmt=".2f", annot_kws={"size": 7}, linewidths=0.5,
            cbar=False, ax=axes,
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
    """Return a heat map of failures: methods × failures, the mean share of images; None where nothing was judged.

    `shares` has the columns method, failure and rate, one row per seed; `labels` names the failures, in order.
    """
    means = shares.assign(rate=shares["rate"].astype(float)).groupby(["method", "failure"])["rate"].mean().unstack()
    means = means.reindex(index=[name for name in order if name in means.index], columns=list(labels))
    if means.isna().all(axis=None):
        return None
    methods, kinds = means.shape
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-failures"}):
        figure = Figure(figsize=(2.2 + 0.62 * kinds, 1.1 + 0.24 * methods), layout="constrained")
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
