"""The report of a run: tables, the grid as a picture, and one HTML page that needs nothing but itself."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cgbench.api.metric import Value
from cgbench.files import file_name, write_bytes, write_text
from cgbench.reports.contents import ReportContents, collect_contents, markdown, title, unfinished, warnings
from cgbench.reports.figure_set import FigureSet, draw_figures
from cgbench.reports.figures.style import Style, styles
from cgbench.reports.formats.csv import csv_text
from cgbench.reports.formats.html import render
from cgbench.reports.sections import provenance, score_tables
from cgbench.reports.sections.caveats import caveats
from cgbench.reports.sections.checkpoint_selection import CAPTION
from cgbench.reports.sections.costs import cost_table
from cgbench.reports.sections.difference_tables import difference_tables
from cgbench.reports.sections.failures import CAPTION as FAILURE_CAPTION
from cgbench.reports.sections.failures import failures_csv, rules
from cgbench.reports.sections.image_grid import Galleries, galleries
from cgbench.reports.sections.image_grid_png import image_grid_png
from cgbench.reports.sections.score_tables import tables_latex
from cgbench.reports.sections.worst_images import worst_images
from cgbench.results.records import collect


def write_report(run: Path, values: Mapping[str, Value], reference: str = "", files: bool = True) -> Path:
    """Write the report of a run folder: tables as `table.md`, `.csv` and `.tex`, `differences.csv`, `failures.csv`,
    `selection.csv`, `costs.csv`, `grid-DIRECTION.png`, every figure as SVG and PNG in `figures/` if `files` are asked
    for, and `index.html`; return the last.

    The records of all trials go into one long table, `results.csv` in the run folder. The arguments are those of
    `collect_contents`.
    """
    found = collect_contents(run, values, reference)
    write_text(run / "results.csv", collect(run).to_csv(index=False))
    folder = run / "report"
    differences = found.comparison.rows if found.comparison else []
    for name, rows in (("differences", differences), ("selection", found.chosen), ("costs", found.spent)):
        if len(rows):
            write_text(folder / f"{name}.csv", csv_text(rows))
    if len(found.failures):
        write_text(folder / "failures.csv", failures_csv(found.failures))
    write_text(folder / "table.md", markdown(found))
    write_text(folder / "table.csv", score_tables.csv(found.table, found.names))
    write_text(folder / "table.tex", tables_latex(found.layout(), title(found.run)))
    pictures = galleries(found.run)
    for grid in pictures.grids:
        write_bytes(folder / f"grid-{grid.direction}.png", image_grid_png(grid))
    drawn = draw_figures(found)
    shutil.rmtree(folder / "figures", ignore_errors=True)  # of numbers that are no more
    for panel in drawn.panels() if files else ():
        write_text(folder / "figures" / f"{file_name(panel.name)}.svg", panel.svg + "\n")
        write_bytes(folder / "figures" / f"{file_name(panel.name)}.png", panel.png())
    page = folder / "index.html"
    write_text(page, html(found, pictures, drawn))
    return page


def printed(run: Path, values: Mapping[str, Value], reference: str, form: str) -> str:
    """Return the report of a run folder as one text, `form` being md, csv, latex or html; nothing is written."""
    found = collect_contents(run, values, reference)
    if form == "csv":
        return score_tables.csv(found.table, found.names)
    if form == "latex":
        return tables_latex(found.layout(), title(found.run))
    if form == "html":
        drawn = draw_figures(found)
        return html(found, galleries(found.run), drawn)
    return markdown(found)


def html(found: ReportContents, pictures: Galleries, drawn: FigureSet) -> str:
    """Return the page. Everything that comes from data is escaped; only its own script may run, and nothing loads."""
    return render("page", also=("cases",), **context(found, pictures, drawn))


def context(found: ReportContents, pictures: Galleries, drawn: FigureSet) -> dict[str, Any]:
    """Return all that the template shows, as plain data."""
    run, values, comparison = found.run, found.values, found.comparison
    looks = styles(run.order, run.roles)
    settings = provenance.settings(run)
    return {
        "run": run,
        "headline": title(run),
        "cautions": warnings(run),
        "tables": found.layout(),
        "notes": caveats(run.records, values),
        "reference": comparison.reference if comparison else "",
        "differences": difference_tables(comparison, values, found.names) if comparison else [],
        "drawn": drawn,
        "selection": found.selection(),
        "selection_caption": CAPTION,
        "costs": cost_table(found.spent, run),
        "unfinished": unfinished(run),
        "galleries": pictures,
        "failures": found.failure_tables() if len(found.failures) else [],
        "failure_rules": rules(found.about),
        "failure_caption": FAILURE_CAPTION,
        "cases": worst_images(run, values),
        "legend": [(name, looks[name], _dash(looks[name])) for name in run.trained],
        "methods": [(name, run.of(name)[0].spec) for name in run.order if run.of(name)],
        "terms": provenance.term_rows(run),
        "changed_settings": [row for row in settings if row.layer != "recipe"],
        "recipe_settings": [row for row in settings if row.layer == "recipe"],
        "facts": provenance.facts(run),
        "protocols": provenance.protocols(run),
        "seconds": sum(trial.status.get("seconds") or 0 for trial in run.trials),
    }


def _dash(style: Style) -> str:
    """Return a style's dashes for an SVG line of width 3."""
    return " ".join(f"{3 * length:g}" for length in style.dash)
