"""All that a report says of a run, worked out once; and its tables as Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cgbench.api.metric import Value
from cgbench.reports.formats.markdown import escaped
from cgbench.reports.sections import score_tables, scores
from cgbench.reports.sections.caveats import caveats
from cgbench.reports.sections.checkpoint_selection import (
    SelectionTable,
    selection,
    selection_markdown,
    selection_tables,
)
from cgbench.reports.sections.costs import cost_table, costs, costs_markdown
from cgbench.reports.sections.difference_tables import differences_markdown
from cgbench.reports.sections.differences import Comparison, compare
from cgbench.reports.sections.failures import FailureTable, failure_tables, failures_markdown, read_failures, rules
from cgbench.results.run import Run, read_run

ENOUGH_SEEDS = 3


@dataclass(frozen=True)
class ReportContents:
    """All that a report says of a run: its summary, the differences from a reference method, which checkpoints would
    have been chosen, the costs of its trials, the failures that were found, and what each kind of failure is."""

    run: Run
    values: Mapping[str, Value]
    table: pd.DataFrame
    comparison: Comparison | None
    chosen: pd.DataFrame
    spent: pd.DataFrame
    failures: pd.DataFrame
    about: Mapping[str, Any]

    @property
    def names(self) -> dict[str, str]:
        """What the directions are called."""
        return self.run.dataset["directions"]

    def layout(self) -> list[score_tables.Table]:
        """Return the printable tables of scores."""
        better = (self.comparison.better(), self.comparison.reference) if self.comparison else ()
        return score_tables.layout(self.table, self.values, self.names, *better)

    def selection(self) -> list[SelectionTable]:
        """Return the printable tables of checkpoints."""
        return selection_tables(self.chosen, self.values, self.names, self.run.order)

    def failure_tables(self) -> list[FailureTable]:
        """Return the printable tables of failures."""
        return failure_tables(self.failures, self.about, self.run.order, self.run.roles, self.names)


def collect_contents(run: Path, values: Mapping[str, Value], reference: str = "") -> ReportContents:
    """Read a run folder and work out what there is to report.

    Methods are compared with `reference`, by default cyclegan or the first trained method. `values` are the
    declarations of the metrics by name; a number that none of them declares is shown by its name.
    """
    data = read_run(run)
    table = scores.summary(data.records, values, data.order, data.roles, data.remarks)
    chosen = selection(data.history, values, data.trained)
    comparison = compare(data, values, reference)
    return ReportContents(data, values, table, comparison, chosen, costs(data), *read_failures(data))


def markdown(found: ReportContents) -> str:
    """Return all tables of a run as Markdown."""
    run, values, comparison = found.run, found.values, found.comparison
    parts = ["\n".join([f"## {title(run)}\n", *(f"> {line}\n" for line in warnings(run))])]
    parts.append(score_tables.markdown(found.layout()))
    parts += [f"{escaped(line)}\n" for line in caveats(run.records, values)]
    if comparison:
        parts.append(differences_markdown(comparison, values, found.names))
    if len(found.failures):
        parts.append(failures_markdown(found.failure_tables(), rules(found.about)))
    if len(found.chosen):
        parts.append(selection_markdown(found.selection()))
    if spent := cost_table(found.spent, run):
        parts.append(costs_markdown(spent))
    return "\n".join(parts)


def title(run: Run) -> str:
    """Return what was compared, on what, in one line."""
    methods, seeds = len(run.trained), len(run.seeds)
    return (
        f"{methods} trained {_plural('method', methods)} on {run.dataset['label']}, "
        f"{seeds} {_plural('seed', seeds)}, preset {run.about['preset']}"
    )


def warnings(run: Run) -> list[str]:
    """Return what a reader must be warned of before looking at a number."""
    found = []
    if len(run.seeds) < ENOUGH_SEEDS:
        count = {1: "One seed", 2: "Two seeds"}[len(run.seeds)]
        found.append(f"{count}: differences between methods may be noise.")
    states = [trial["status"] for trial in unfinished(run)]
    if states:
        asked = len(run.records.drop_duplicates(["method", "seed"]))
        listed = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        found.append(f"Trials without numbers: {len(states)} of {asked} ({listed}).")
    if run.other_datasets:
        found.append(f"This run also holds trials of {', '.join(run.other_datasets)}, which are not shown here.")
    return found


def unfinished(run: Run) -> list[dict[str, Any]]:
    """Return method, seed, status, step and reason of the trials that are not done, those not started among them."""
    details = {(trial.method, trial.seed): trial.status for trial in run.trials}
    trials = run.records.drop_duplicates(["method", "seed"])
    return [
        {"method": row.method, "seed": row.seed, "status": row.status, "step": row.step}
        | {"reason": details.get((row.method, row.seed), {}).get("reason", "")}
        for method in run.order
        for row in trials[(trials["method"] == method) & (trials["status"] != "done")].itertuples()
    ]


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
