"""Figures of losses, seeds, differences and classes, one small panel each. The same input gives the same bytes."""

from collections.abc import Mapping, Sequence

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cgbench.api.metric import ASIDES, Value
from cgbench.reports.figures.style import RC, REFERENCE_COLOUR, Panel, Style, as_panel, new_panel
from cgbench.reports.sections.differences import SEEDS
from cgbench.reports.sections.scores import declared, header, in_order

RUNAWAY = 10  # a loss axis is cut where the maximum is this many times the 98th percentile


def loss_panels(losses: pd.DataFrame, terms: Sequence[str], looks: Mapping[str, Style]) -> list[Panel]:
    """Return one panel per term of `losses` (columns method, seed, step, term, loss), all with the same step axis.

    A line is the mean over seeds, its band reaches from the lowest seed to the highest. Terms in the order of `terms`,
    then those it does not name.
    """
    if losses.empty:
        return []
    found = set(losses["term"])
    last = float(losses["step"].max())
    ordered = [*(term for term in terms if term in found), *sorted(found - set(terms))]
    return [_loss_panel(losses[losses["term"] == term], term, last, looks) for term in ordered]


def _loss_panel(losses: pd.DataFrame, term: str, last: float, looks: Mapping[str, Style]) -> Panel:
    methods = [name for name in looks if name in set(losses["method"])]
    with matplotlib.rc_context({**RC, "svg.hashsalt": term}):
        figure, axes = new_panel(2.2)
        curves = losses.groupby(["method", "step"], as_index=False)["loss"].agg(["mean", "min", "max"])
        sns.lineplot(
            curves, x="step", y="mean", hue="method", style="method", hue_order=methods, style_order=methods,
            palette={name: looks[name].colour for name in methods}, dashes={name: looks[name].dash for name in methods},
            estimator=None, linewidth=1.5, legend=False, ax=axes,
        )  # fmt: skip
        alpha = min(0.16, 1 / len(methods))  # many bands on top of each other must not turn grey
        for name, curve in curves.groupby("method"):
            colour = looks[name].colour
            axes.fill_between(curve["step"], curve["min"], curve["max"], color=colour, alpha=alpha, linewidth=0)
        top, usual = losses["loss"].max(), losses["loss"].quantile(0.98)
        note = ""
        if usual > 0 and top > RUNAWAY * usual:
            axes.set_ylim(top=1.5 * usual)
            note = f"axis cut at {1.5 * usual:.3g}; the largest value is {top:.3g}"
        axes.set(xlim=(0, last), xlabel="step", ylabel="")
        if losses["loss"].min() >= 0:
            axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        alt = f"Loss curves of {term} over training steps: {', '.join(methods)}"
        return as_panel(figure, term, f"loss-{term}", alt, note)


def dot_panels(
    records: pd.DataFrame, table: pd.DataFrame, direction: str, values: Mapping[str, Value], looks: Mapping[str, Style]
) -> list[Panel]:
    """Return one panel per metric of a direction: a dot per seed, a bar at the mean, methods in the table's order.

    `records` are those of the run, `table` is its summary; a method without a number shows its status.
    """
    cells = table[(table["direction"] == direction) & (table["metric"] != "")]
    panels = []
    for metric, rows in cells.groupby("metric", sort=False):
        hits = records[(records["direction"] == direction) & (records["metric"] == metric)]
        seeds = hits.sort_values("step", kind="stable").drop_duplicates(["method", "seed"], keep="last")
        value = declared(values, metric)
        panels.append(_dot_panel(seeds, rows, direction, value, looks))
    return panels


def _dot_panel(
    seeds: pd.DataFrame, rows: pd.DataFrame, direction: str, value: Value, looks: Mapping[str, Style]
) -> Panel:
    methods = list(rows["method"])
    palette = {name: looks[name].colour for name in methods}
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-{value.name}"}):
        figure, axes = new_panel(0.62 + 0.24 * len(methods))
        sns.stripplot(
            seeds, x="value", y="method", order=methods, hue="method", hue_order=methods, palette=palette,
            jitter=False, size=5.5, alpha=0.6, legend=False, ax=axes,
        )  # fmt: skip
        for place, row in enumerate(rows.itertuples()):
            if row.n_seeds:
                axes.plot([row.mean], [place], "|", markersize=13, markeredgewidth=2.2, color=palette[row.method])
            else:
                axes.text(0.5, place, row.status, transform=axes.get_yaxis_transform(), va="center", ha="center")
        axes.set(xlabel="", ylabel="", ylim=(len(methods) - 0.5, -0.5))
        axes.set_yticks(range(len(methods)), [_tick(row) for row in rows.itertuples()])
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="both")
        alt = f"{value.label}, {direction}: one dot per seed and a bar at the mean for {', '.join(methods)}"
        return as_panel(figure, header(value), f"dots-{direction}-{value.name}", alt)


def forest_panels(
    rows: pd.DataFrame, direction: str, values: Mapping[str, Value], looks: Mapping[str, Style]
) -> list[Panel]:
    """Return one panel per metric of a direction: each method's difference from the reference, and its intervals.

    `rows` are those of a `Comparison`. The upper interval of a method, with a disc, is over seeds; the lower one, with
    a ring, over seeds and images. An interval that excludes zero is drawn thick.
    """
    here = rows[rows["direction"] == direction]
    ordered = in_order(set(here["metric"]), values)
    return [_forest_panel(here[here["metric"] == name], direction, name, values, looks) for name in ordered]


def _forest_panel(
    rows: pd.DataFrame, direction: str, metric: str, values: Mapping[str, Value], looks: Mapping[str, Style]
) -> Panel:
    value = declared(values, metric)
    methods = [name for name in looks if name in set(rows["method"])]
    reach = 1.3 * float(rows["difference"].abs().max() or 1)
    note = ""
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-{metric}-forest"}):
        figure, axes = new_panel(0.62 + 0.27 * len(methods))
        axes.axvline(0, color=REFERENCE_COLOUR, linewidth=1)
        for row in rows.itertuples():
            place = methods.index(row.method) + (-0.15 if row.basis == SEEDS else 0.15)
            colour = looks[row.method].colour
            ends = max(row.low, -reach), min(row.high, reach)
            if (row.low, row.high) != ends:
                note = "intervals that leave the panel are cut at its edge"
            axes.plot(ends, (place, place), color=colour, linewidth=3 if row.significant else 1, alpha=0.7)
            face = colour if row.basis == SEEDS else "none"
            axes.plot(row.difference, place, "o", markersize=4.5, color=colour, markerfacecolor=face)
        axes.set(xlabel="", ylabel="", ylim=(len(methods) - 0.5, -0.5), xlim=(-reach, reach))
        axes.set_yticks(range(len(methods)), methods)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="both")
        reference = rows["reference"].iloc[0]
        alt = f"{value.label}, {direction}: differences from {reference} with intervals for {', '.join(methods)}"
        return as_panel(figure, header(value), f"forest-{direction}-{metric}", alt, note)


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


def _tick(row) -> str:
    """Return a method's axis label, with the seeds that have a number where others have none."""
    return f"{row.method} ({row.n_seeds} of {row.n_trials})" if 0 < row.n_seeds < row.n_trials else row.method
