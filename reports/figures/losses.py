"""Loss curves, one small panel per term."""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib
import pandas as pd
import seaborn as sns

from cgbench.reports.figures.style import RC, Panel, Style, as_panel, new_panel
from cgbench.results.record_files import read_step_rows
from cgbench.results.run import TrialResult

RUNAWAY = 10  # a loss axis is cut where the maximum is this many times the 98th percentile
CURVE_POINTS = 120  # points per loss curve: more cannot be distinguished in a panel, and would enlarge the page


def loss_panels(losses: pd.DataFrame, terms: Sequence[str], styles: Mapping[str, Style]) -> list[Panel]:
    """Return one panel per term of `losses` (columns method, seed, step, term, loss), all with the same step axis.

    A line is the mean over seeds, its band reaches from the lowest seed to the highest. Terms are in the order of
    `terms`, followed by those it does not name.
    """
    if losses.empty:
        return []
    logged = set(losses["term"])
    last = float(losses["step"].max())
    ordered = [*(term for term in terms if term in logged), *sorted(logged - set(terms))]
    return [_loss_panel(losses[losses["term"] == term], term, last, styles) for term in ordered]


def _loss_panel(losses: pd.DataFrame, term: str, last: float, styles: Mapping[str, Style]) -> Panel:
    methods = [name for name in styles if name in set(losses["method"])]
    with matplotlib.rc_context({**RC, "svg.hashsalt": term}):
        figure, axes = new_panel(2.2)
        curves = losses.groupby(["method", "step"], as_index=False)["loss"].agg(["mean", "min", "max"])
        sns.lineplot(
            curves, x="step", y="mean", hue="method", style="method", hue_order=methods, style_order=methods,
            palette={name: styles[name].colour for name in methods},
            dashes={name: styles[name].dash for name in methods}, estimator=None, linewidth=1.5, legend=False, ax=axes,
        )  # fmt: skip
        alpha = min(0.16, 1 / len(methods))  # many overlapping bands must not turn grey
        for name, curve in curves.groupby("method"):
            colour = styles[name].colour
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


def read_losses(trials: Iterable[TrialResult]) -> pd.DataFrame:
    """Return the logged losses as a long table: method, seed, step, term, loss (unweighted; finite values only).

    Long logs are averaged over spans of steps, the same spans for all trials, so that a curve has at most
    `CURVE_POINTS` points.
    """
    logs = []
    for trial in trials:
        lines = [{"step": line["step"], **line["losses"]} for line in read_step_rows(trial.folder.steps)]
        if lines:
            log = pd.DataFrame(lines).melt("step", var_name="term", value_name="loss")
            logs.append(log.assign(method=trial.method, seed=trial.seed))
    if not logs:
        return pd.DataFrame(columns=["method", "seed", "step", "term", "loss"])
    table = pd.concat(logs, ignore_index=True)
    table["loss"] = pd.to_numeric(table["loss"], errors="coerce")
    table = table[table["loss"].abs() < float("inf")]  # also drops NaN
    span = -(-int(table["step"].max()) // CURVE_POINTS) if table["step"].nunique() > CURVE_POINTS else 0
    if span:
        table["step"] = (table["step"] - 1) // span * span + span / 2
    return table.groupby(["method", "seed", "step", "term"], sort=True, as_index=False)["loss"].mean()
