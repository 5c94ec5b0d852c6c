"""The report of a run: tables, the grid as a picture, and one HTML page that needs nothing but itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cgbench.metric import Value
from cgbench.records import collect
from cgbench.reports import provenance, tables
from cgbench.reports.comparison import Comparison, compare
from cgbench.reports.costs import cost_table, costs, costs_markdown
from cgbench.reports.differences import difference_tables, differences_markdown
from cgbench.reports.drawing import Style, styles
from cgbench.reports.drawings import Drawings, drawings
from cgbench.reports.gallery import Galleries, galleries
from cgbench.reports.latex import tables_latex
from cgbench.reports.notes import notes
from cgbench.reports.offline import render
from cgbench.reports.rundata import Run, read_run
from cgbench.reports.selection import CAPTION, SelectionTable, selection, selection_markdown, selection_tables
from cgbench.reports.sheet import sheet
from cgbench.storage import file_name, write_bytes, write_text

ENOUGH_SEEDS = 3


@dataclass(frozen=True)
class Findings:
    """All that a report says of a run: its summary, the differences from a reference method, which checkpoints would
    have been chosen, and the costs of its trials."""

    run: Run
    values: Mapping[str, Value]
    table: pd.DataFrame
    comparison: Comparison | None
    chosen: pd.DataFrame
    spent: pd.DataFrame

    @property
    def names(self) -> dict[str, str]:
        """What the directions are called."""
        return self.run.dataset["directions"]

    def layout(self) -> list[tables.Table]:
        """Return the printable tables of scores."""
        better = (self.comparison.better(), self.comparison.reference) if self.comparison else ()
        return tables.layout(self.table, self.values, self.names, *better)

    def selection(self) -> list[SelectionTable]:
        """Return the printable tables of checkpoints."""
        return selection_tables(self.chosen, self.values, self.names, self.run.order)


def find(run: Path, values: Mapping[str, Value], reference: str = "") -> Findings:
    """Read a run folder and work out what there is to report.

    Methods are compared with `reference`, by default cyclegan or the first trained method. `values` are the
    declarations of the metrics by name; a number that none of them declares is shown by its name.
    """
    data = read_run(run)
    table = tables.summary(data.records, values, data.order, data.roles, data.remarks)
    chosen = selection(data.history, values, data.trained)
    return Findings(data, values, table, compare(data, values, reference), chosen, costs(data))


def write_report(run: Path, values: Mapping[str, Value], reference: str = "") -> Path:
    """Write the report of a run folder: tables as `table.md`, `.csv` and `.tex`, `differences.csv`, `selection.csv`,
    `costs.csv`, `grid-DIRECTION.png`, every figure as SVG and PNG in `figures/`, and `index.html`; return the last.

    The records of all trials go into one long table, `results.csv` in the run folder. Arguments as of `find`.
    """
    found = find(run, values, reference)
    write_text(run / "results.csv", collect(run).to_csv(index=False))
    folder = run / "report"
    differences = found.comparison.rows if found.comparison else []
    for name, rows in (("differences", differences), ("selection", found.chosen), ("costs", found.spent)):
        if len(rows):
            write_text(folder / f"{name}.csv", tables.csv_text(rows))
    write_text(folder / "table.md", markdown(found))
    write_text(folder / "table.csv", tables.csv(found.table, found.names))
    write_text(folder / "table.tex", tables_latex(found.layout(), headline(found.run)))
    pictures = galleries(found.run)
    for grid in pictures.grids:
        write_bytes(folder / f"grid-{grid.direction}.png", sheet(grid))
    drawn = drawings(found.run, values, found.table, found.comparison, found.spent)
    for panel in drawn.panels():
        write_text(folder / "figures" / f"{file_name(panel.name)}.svg", panel.svg + "\n")
        write_bytes(folder / "figures" / f"{file_name(panel.name)}.png", panel.png())
    page = folder / "index.html"
    write_text(page, html(found, pictures, drawn))
    return page


def printed(run: Path, values: Mapping[str, Value], reference: str, form: str) -> str:
    """Return the report of a run folder as one text, `form` being md, csv, latex or html; nothing is written."""
    found = find(run, values, reference)
    if form == "csv":
        return tables.csv(found.table, found.names)
    if form == "latex":
        return tables_latex(found.layout(), headline(found.run))
    if form == "html":
        drawn = drawings(found.run, values, found.table, found.comparison, found.spent)
        return html(found, galleries(found.run), drawn)
    return markdown(found)


def markdown(found: Findings) -> str:
    """Return all tables of a run as Markdown."""
    run, values, comparison = found.run, found.values, found.comparison
    parts = ["\n".join([f"## {headline(run)}\n", *(f"> {line}\n" for line in cautions(run))])]
    parts.append(tables.markdown(found.layout()))
    parts += [f"{tables.escaped(line)}\n" for line in notes(run.records, values)]
    if comparison:
        parts.append(differences_markdown(comparison, values, found.names))
    if len(found.chosen):
        parts.append(selection_markdown(found.selection()))
    if spent := cost_table(found.spent, run):
        parts.append(costs_markdown(spent))
    return "\n".join(parts)


def html(found: Findings, pictures: Galleries, drawn: Drawings) -> str:
    """Return the page. Everything that comes from data is escaped; only its own script may run, and nothing loads."""
    return render("page", **context(found, pictures, drawn))


def context(found: Findings, pictures: Galleries, drawn: Drawings) -> dict[str, Any]:
    """Return all that the template shows, as plain data."""
    run, values, comparison = found.run, found.values, found.comparison
    looks = styles(run.order, run.roles)
    settings = provenance.settings(run)
    return {
        "run": run,
        "headline": headline(run),
        "cautions": cautions(run),
        "tables": found.layout(),
        "notes": notes(run.records, values),
        "reference": comparison.reference if comparison else "",
        "differences": difference_tables(comparison, values, found.names) if comparison else [],
        "drawn": drawn,
        "selection": found.selection(),
        "selection_caption": CAPTION,
        "costs": cost_table(found.spent, run),
        "unfinished": unfinished(run),
        "galleries": pictures,
        "legend": [(name, looks[name], _dash(looks[name])) for name in run.trained],
        "methods": [(name, run.of(name)[0].spec) for name in run.order if run.of(name)],
        "terms": provenance.term_rows(run),
        "changed_settings": [row for row in settings if row.layer != "recipe"],
        "recipe_settings": [row for row in settings if row.layer == "recipe"],
        "facts": provenance.facts(run),
        "protocols": provenance.protocols(run),
        "seconds": sum(trial.status.get("seconds") or 0 for trial in run.trials),
    }


def headline(run: Run) -> str:
    """Return what was compared, on what, in one line."""
    methods, seeds = len(run.trained), len(run.seeds)
    return (
        f"{methods} trained {_plural('method', methods)} on {run.dataset['label']}, "
        f"{seeds} {_plural('seed', seeds)}, preset {run.about['preset']}"
    )


def cautions(run: Run) -> list[str]:
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


def _dash(style: Style) -> str:
    """Return a style's dashes for an SVG line of width 3."""
    return " ".join(f"{3 * length:g}" for length in style.dash)
