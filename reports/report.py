"""The report of a run: tables, the image grid as PNG, figures, and one self-contained HTML page."""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cgbench.api.metric import Value
from cgbench.api.names import Analysis
from cgbench.files import file_name, write_bytes, write_text
from cgbench.reports.contents import ReportContents, collect_contents, markdown, title, unfinished, warnings
from cgbench.reports.figure_set import FigureSet, draw_figures
from cgbench.reports.figures.style import Style, assign_styles
from cgbench.reports.formats.csv import csv_text, defused_rows
from cgbench.reports.formats.display_windows import shown_in
from cgbench.reports.formats.html import render
from cgbench.reports.galleries.difference_maps import gallery_differences
from cgbench.reports.galleries.full_depth import full_depth
from cgbench.reports.galleries.image_grid import ImageGrids, image_grids
from cgbench.reports.galleries.image_grid_png import image_grid_png
from cgbench.reports.galleries.stored_numbers import StoredNumbers
from cgbench.reports.galleries.worst_images import worst_images
from cgbench.reports.sections import provenance, score_tables
from cgbench.reports.sections.checkpoint_selection import CAPTION
from cgbench.reports.sections.costs import cost_table
from cgbench.reports.sections.difference_tables import figure_note
from cgbench.reports.sections.failures import CAPTION as FAILURE_CAPTION
from cgbench.reports.sections.failures import failures_csv, healthy_note, rules
from cgbench.reports.sections.other_weights import CAPTION as OTHER_WEIGHTS_CAPTION
from cgbench.reports.sections.score_tables import tables_latex


def write_report(
    run: Path, values: Mapping[str, Value], reference: str = "", files: bool = True, analysis: Analysis = Analysis.BAND
) -> Path:
    """Write the report of a run folder: tables as `table.md`, `.csv` and `.tex`, `differences.csv`, `failures.csv`,
    `selection.csv`, `other-weights.csv`, `costs.csv`, `grid-DIRECTION.png`, with `files` every figure as SVG and PNG in
    `figures/`, and `index.html`. The records of all trials are written to one long table, `results.csv` in the run
    folder.

    Args:
        run: The run folder.
        values: The declarations of the metrics by name.
        reference: The method that others are compared with, "" for the default of `collect_contents`.
        files: Whether figures are also written as files.
        analysis: How they are compared.

    Returns:
        The path of the page.
    """
    return write_contents(run, collect_contents(run, values, reference, analysis), files)


def write_contents(run: Path, contents: ReportContents, files: bool = True) -> Path:
    """Write the report of a run folder from its `contents`, as `write_report` does; return the path of the page."""
    write_text(run / "results.csv", defused_rows(contents.run.all_records).to_csv(index=False))
    folder = run / "report"
    differences = contents.comparison.rows if contents.comparison else []
    tables = {"selection": contents.selected, "other-weights": contents.other_weights, "costs": contents.costs}
    for name, rows in {"differences": differences, **tables}.items():
        if len(rows):
            write_text(folder / f"{name}.csv", csv_text(rows))
    if len(contents.failures):
        write_text(folder / "failures.csv", failures_csv(contents.failures))
    write_text(folder / "table.md", markdown(contents))
    write_text(
        folder / "table.csv", score_tables.csv(contents.table, contents.names, provenance.not_known(contents.run))
    )
    write_text(folder / "table.tex", tables_latex(contents.layout(), title(contents.run)))
    grids = image_grids(contents.run)
    for grid in grids.grids:
        legend = "; ".join(f"{name} {text}" for _, name, text in shown_in(contents.run.dataset, grid.direction))
        write_bytes(folder / f"grid-{grid.direction}.png", image_grid_png(grid, legend=legend))
    figures = draw_figures(contents)
    shutil.rmtree(folder / "figures", ignore_errors=True)  # some may be of metrics that are not in the run any more
    for panel in figures.panels() if files else ():
        write_text(folder / "figures" / f"{file_name(panel.name)}.svg", panel.svg + "\n")
        write_bytes(folder / "figures" / f"{file_name(panel.name)}.png", panel.png())
    page = folder / "index.html"
    write_text(page, html(contents, grids, figures))
    return page


def report_text(
    run: Path, values: Mapping[str, Value], reference: str, form: str, analysis: Analysis = Analysis.BAND
) -> str:
    """Return the report of a run folder as one text; nothing is written.

    Args:
        run: The run folder.
        values: The declarations of the metrics by name.
        reference: The method that others are compared with, "" for the default of `collect_contents`.
        form: "md", "csv", "latex" or "html".
        analysis: How they are compared.

    Returns:
        The text.
    """
    contents = collect_contents(run, values, reference, analysis)
    if form == "csv":
        return score_tables.csv(contents.table, contents.names, provenance.not_known(contents.run))
    if form == "latex":
        return tables_latex(contents.layout(), title(contents.run))
    if form == "html":
        return html(contents, image_grids(contents.run), draw_figures(contents))
    return markdown(contents)


def html(contents: ReportContents, grids: ImageGrids, figures: FigureSet) -> str:
    """Return the page. All data is escaped; only the page's own script may run, and it loads nothing."""
    variables = context(contents, grids, figures)
    parts = ("tables", "cases", "windows") if variables["full_depth"].formats else ("tables", "cases")
    return render("page", parts=parts, **variables)


def context(contents: ReportContents, grids: ImageGrids, figures: FigureSet) -> dict[str, Any]:
    """Return the variables of the template, as plain data."""
    run, values, comparison = contents.run, contents.values, contents.comparison
    styles = assign_styles(run.order, run.roles)
    settings = provenance.settings(run)
    numbers, galleries = StoredNumbers(run), worst_images(run, values)
    return {
        "run": run,
        "title": title(run),
        "warnings": warnings(run),
        "tables": contents.layout(),
        "caveats": contents.caveats(),
        "reference": comparison.reference if comparison else "",
        "figure_note": figure_note(comparison) if comparison else "",
        "headlines": contents.headlines(),
        "questions": contents.questions(),
        "differences": contents.differences(),
        "figures": figures,
        "selection": contents.selection(),
        "selection_caption": CAPTION,
        "other_weights": contents.other_weights_tables() if len(contents.other_weights) else [],
        "other_weights_caption": OTHER_WEIGHTS_CAPTION,
        "costs": cost_table(contents.costs, run),
        "unfinished": unfinished(run),
        "image_grids": grids,
        "failures": contents.failure_tables() if len(contents.failures) else [],
        "failure_rules": rules(contents.failure_definitions),
        "failure_caption": FAILURE_CAPTION,
        "healthy_note": healthy_note(contents.failure_definitions),
        "worst_images": galleries,
        "shown_in": partial(shown_in, run.dataset),
        "full_depth": full_depth(numbers, grids, galleries),
        "difference_maps": gallery_differences(numbers, galleries),
        "legend": [(name, styles[name], _dash(styles[name])) for name in run.trained],
        "methods": [(name, run.trials_of(name)[0].spec) for name in run.order if run.trials_of(name)],
        "terms": provenance.term_rows(run),
        "changed_settings": [row for row in settings if row.layer != "recipe"],
        "recipe_settings": [row for row in settings if row.layer == "recipe"],
        "test_images": provenance.pairing_facts(run),
        "facts": provenance.facts(run),
        "protocols": provenance.protocols(run),
        "seconds": sum(trial.status.get("seconds") or 0 for trial in run.trials),
    }


def _dash(style: Style) -> str:
    """Return a style's dashes as the attribute of an SVG line of width 3."""
    return " ".join(f"{3 * length:g}" for length in style.dash)
