"""Methods in the order of the number that they are judged by, with their intervals, as one panel per direction."""

from collections.abc import Mapping, Set

import matplotlib
import pandas as pd
from matplotlib.ticker import MaxNLocator

from cgbench.api.metric import Value
from cgbench.api.names import Role
from cgbench.reports.figures.style import RC, Panel, Style, as_panel, new_panel
from cgbench.reports.formats.numbers import header
from cgbench.results.run import UNTRAINED

SEED_MARK = "|"


def ranking_panel(
    table: pd.DataFrame, records: pd.DataFrame, direction: str, value: Value, styles: Mapping[str, Style],
    decided: Set[str] = frozenset(),
) -> Panel | None:  # fmt: skip
    """Return the panel that ranks the methods of a direction, the best mean first.

    A disc is the mean over seeds, a tick each seed, a line the interval that covers the mean of further seeds with
    probability 95 % (Student's). The disc is full where the method surely differs from the reference, and for the
    reference itself; untrained rows are grey diamonds.

    Args:
        table: The summary of the run.
        records: The final records of the run.
        direction: The direction of translation.
        value: The declaration of the number that methods are judged by.
        styles: The style of each method.
        decided: The reference and the methods that surely differ from it.

    Returns:
        The panel; None where no method has a number.
    """
    rows = table[(table["direction"] == direction) & (table["metric"] == value.name) & table["mean"].notna()]
    if rows.empty:
        return None
    rows = rows.sort_values("mean", ascending=value.better == "lower", kind="stable")
    seeds = records[(records["direction"] == direction) & (records["metric"] == value.name)]
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{direction}-{value.name}-ranking"}):
        figure, axes = new_panel(0.62 + 0.24 * len(rows))
        for height, row in enumerate(rows.itertuples()):
            colour = styles[row.method].colour
            if row.role in UNTRAINED:
                axes.plot(row.mean, height, "D", markersize=4, color=colour)
                continue
            numbers = seeds.loc[seeds["method"] == row.method, "value"].dropna()
            axes.plot(numbers, [height] * len(numbers), SEED_MARK, markersize=5, color=colour, alpha=0.7)
            if pd.notna(row.low):
                ends = max(row.low, value.minimum), min(row.high, value.maximum)
                axes.plot(ends, (height, height), color=colour, linewidth=1.4)
            face = colour if row.method in decided else "none"
            axes.plot(row.mean, height, "o", markersize=5.5, color=colour, markerfacecolor=face)
        axes.set(xlabel="", ylabel="", ylim=(len(rows) - 0.5, -0.5))
        names = [f"{row.method} (external)" if row.role == Role.EXTERNAL else row.method for row in rows.itertuples()]
        axes.set_yticks(range(len(rows)), names)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="both")
        alt = (
            f"{value.label}, {direction}: methods from best to worst mean, with intervals: {', '.join(rows['method'])}"
        )
        return as_panel(figure, header(value), f"ranking-{direction}-{value.name}", alt)
