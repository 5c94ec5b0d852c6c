"""The contents of a report, computed once, and its tables as Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from cgbench.api.metric import Value
from cgbench.api.names import Analysis, TrialState
from cgbench.formatting import plural
from cgbench.reports.formats.markdown import escaped
from cgbench.reports.formats.numbers import in_units
from cgbench.reports.sections import score_tables, scores
from cgbench.reports.sections.caveats import caveats, judge_caveats
from cgbench.reports.sections.checkpoint_selection import (
    SelectionTable,
    selection,
    selection_markdown,
    selection_tables,
)
from cgbench.reports.sections.costs import cost_table, costs, costs_markdown
from cgbench.reports.sections.difference_tables import (
    DifferenceTable,
    difference_tables,
    differences_markdown,
    question_tables,
    questions_markdown,
)
from cgbench.reports.sections.differences import Basis, Comparison, compare
from cgbench.reports.sections.failures import FailureTable, failure_tables, failures_markdown, read_failures
from cgbench.reports.sections.headlines import headlines
from cgbench.reports.sections.other_weights import (
    OtherWeightsTable,
    other_weights,
    other_weights_markdown,
    other_weights_tables,
)
from cgbench.reports.sections.provenance import external_note, pairing_facts
from cgbench.results.run import RunRecords, read_run

ENOUGH_SEEDS = 3


@dataclass(frozen=True)
class ReportContents:
    """The contents of a report: the summary of scores, the differences from a reference method, the checkpoints that
    validation would have selected, the scores of other weights than the last ones, the costs of the trials, the
    failures that were detected, and the definition of each failure by name."""

    run: RunRecords
    values: Mapping[str, Value]
    table: pd.DataFrame
    comparison: Comparison | None
    selected: pd.DataFrame
    other_weights: pd.DataFrame
    costs: pd.DataFrame
    failures: pd.DataFrame
    failure_definitions: Mapping[str, Any]

    @property
    def names(self) -> dict[str, str]:
        """The display names of the directions."""
        return self.run.dataset["directions"]

    @property
    def primary(self) -> Mapping[str, str]:
        """The number that methods are judged by, by direction; empty in earlier records."""
        primary: Mapping[str, str] = self.run.dataset.get("primary", {})
        return primary

    @property
    def units(self) -> Mapping[str, str]:
        """The unit of the numbers of the domain that a direction translates to, by direction."""
        return self.run.units

    def layout(self) -> list[score_tables.Table]:
        """Return the printable tables of scores."""
        groups = self.run.dataset.get("image_groups", "")
        tables = score_tables.layout(
            self.table, self.values, self.names, self._marks(), self.primary, self.units, groups
        )
        notes = [external_note(self.run, table.direction, self.values) for table in tables]
        return [replace(table, caption=table.caption + note) for table, note in zip(tables, notes, strict=True)]

    def _marks(self) -> score_tables.Marks:
        """Return the marks of the score tables; differences between the checkpoints of one seed mark nothing there."""
        found = self.comparison
        if found is None or found.basis != Basis.SEEDS:
            return score_tables.Marks()
        return score_tables.Marks(found.reference, found.better(), found.worse(), found.undecided())

    def test_images(self) -> list[str]:
        """Return whether test images are treated as pairs, one sentence per way in which trials did."""
        facts = pairing_facts(self.run)
        return [f"Test images: {fact.value}{f' ({fact.trials})' if fact.trials else ''}." for fact in facts]

    def headlines(self) -> list[str]:
        """Return what the run says about its methods, one sentence or two per direction."""
        return headlines(self.table, self.comparison, self.values, self.primary, self.names, self.units)

    def caveats(self) -> list[str]:
        """Return what to know before the scores are believed, one text each."""
        return [*judge_caveats(self.run, self.values), *caveats(self.run.records, self.values)]

    def values_in_units(self, direction: str) -> Mapping[str, Value]:
        """Return the declarations of the metrics with labels for a direction, such as "MAE (HU)"."""
        return in_units(self.values, direction, self.units)

    def differences(self) -> list[DifferenceTable]:
        """Return the printable tables of differences from the reference method."""
        if self.comparison is None:
            return []
        return difference_tables(self.comparison, self.values, self.names, self.units)

    def questions(self) -> list[DifferenceTable]:
        """Return the printable tables of the questions that differences in the primary numbers answer."""
        if self.comparison is None:
            return []
        return question_tables(self.comparison, self.values, self.names, self.primary, self.units)

    def selection(self) -> list[SelectionTable]:
        """Return the printable tables of checkpoints."""
        return selection_tables(self.selected, self.values, self.names, self.run.order, self.units)

    def other_weights_tables(self) -> list[OtherWeightsTable]:
        """Return the printable tables of scores of other weights."""
        return other_weights_tables(self.other_weights, self.values, self.names, self.run.order, self.units)

    def failure_tables(self) -> list[FailureTable]:
        """Return the printable tables of failures."""
        return failure_tables(self.failures, self.failure_definitions, self.run.order, self.run.roles, self.names)


def collect_contents(
    run: Path, values: Mapping[str, Value], reference: str = "", analysis: Analysis = Analysis.BAND
) -> ReportContents:
    """Read a run folder and compute the contents of its report.

    Methods are compared by `analysis` with `reference`, by default cyclegan or the first trained method. `values` are
    the declarations of the metrics by name; a number without a declaration is shown under its recorded name.
    """
    return contents_of(read_run(run), values, reference, analysis)


def contents_of(
    run: RunRecords, values: Mapping[str, Value], reference: str = "", analysis: Analysis = Analysis.BAND
) -> ReportContents:
    """Compute the contents of the report of a run that was read (`collect_contents`)."""
    table = scores.summary(run.records, values, run.order, run.roles, run.overrides)
    selected = selection(run.history, values, run.trained)
    comparison = compare(run, values, reference, analysis)
    others = other_weights(run, values)
    return ReportContents(run, values, table, comparison, selected, others, costs(run), *read_failures(run))


def markdown(contents: ReportContents) -> str:
    """Return all tables of a run as Markdown."""
    run, comparison = contents.run, contents.comparison
    parts = ["\n".join([f"## {title(run)}\n", *(f"> {line}\n" for line in warnings(run))])]
    parts += [f"{escaped(line)}\n" for line in (*contents.test_images(), *contents.headlines())]
    parts.append(score_tables.markdown(contents.layout()))
    parts += [f"{escaped(line)}\n" for line in contents.caveats()]
    if comparison:
        parts.append(differences_markdown(comparison, contents.differences()))
        parts.append(questions_markdown(contents.questions()))
    if len(contents.failures):
        parts.append(failures_markdown(contents.failure_tables(), contents.failure_definitions))
    if len(contents.selected):
        parts.append(selection_markdown(contents.selection()))
    if len(contents.other_weights):
        parts.append(other_weights_markdown(contents.other_weights_tables()))
    if table := cost_table(contents.costs, run):
        parts.append(costs_markdown(table))
    return "\n".join(parts)


def title(run: RunRecords) -> str:
    """Return the title of a report: numbers of methods and seeds, dataset, preset."""
    methods, seeds = plural(len(run.trained), "trained method"), plural(len(run.seeds), "seed")
    return f"{methods} on {run.dataset['label']}, {seeds}, preset {run.metadata['preset']}"


def warnings(run: RunRecords) -> list[str]:
    """Return warnings that concern all numbers of a run: few seeds, trials without numbers, other datasets."""
    lines = []
    if len(run.seeds) < ENOUGH_SEEDS:
        count = {1: "One seed", 2: "Two seeds"}[len(run.seeds)]
        lines.append(f"{count}: differences between methods may be noise.")
    states = [trial["status"] for trial in unfinished(run)]
    if states:
        total = len(run.records.drop_duplicates(["method", "seed"]))
        listed = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        lines.append(f"Trials without numbers: {len(states)} of {total} ({listed}).")
    if run.other_datasets:
        lines.append(f"This run also holds trials of {', '.join(run.other_datasets)}, which are not shown here.")
    return lines


def unfinished(run: RunRecords) -> list[dict[str, Any]]:
    """Return method, seed, status, step and reason of the trials that are not done or not started."""
    statuses = {(trial.method, trial.seed): trial.status for trial in run.trials}
    trials = run.records.drop_duplicates(["method", "seed"])
    return [
        {"method": row.method, "seed": row.seed, "status": row.status, "step": row.step}
        | {"reason": statuses.get((row.method, row.seed), {}).get("reason", "")}
        for method in run.order
        for row in trials[(trials["method"] == method) & (trials["status"] != TrialState.DONE)].itertuples()
    ]
