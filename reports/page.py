"""The report of a run: tables, the grid as a picture, and one HTML page that needs nothing but itself."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cgbench.method import DIRECTIONS
from cgbench.metric import Value
from cgbench.records import collect
from cgbench.reports import figures, provenance, tables
from cgbench.reports.cases import cases
from cgbench.reports.comparison import Comparison, compare
from cgbench.reports.differences import difference_tables, differences_markdown
from cgbench.reports.failures import CAPTION, failure_tables, failures_csv, failures_markdown, read_failures, rules
from cgbench.reports.gallery import Galleries, galleries
from cgbench.reports.notes import notes
from cgbench.reports.rundata import Run, read_losses, read_run
from cgbench.reports.sheet import sheet
from cgbench.storage import write_bytes, write_text
from cgbench.words import duration

TEMPLATES = Path(__file__).parent / "templates"
ENOUGH_SEEDS = 3


def write_report(run: Path, values: Mapping[str, Value], reference: str = "") -> Path:
    """Write the report of a run folder: `table.md`, `table.csv`, `differences.csv`, `failures.csv`,
    `grid-DIRECTION.png` and `index.html`; return the last.

    Methods are compared with `reference`, by default cyclegan or the first trained method. The records of all trials go
    into one long table, `results.csv` in the run folder.
    `values` are the declarations of the metrics by name; a number that none of them declares is shown by its name.
    """
    data = read_run(run)
    write_text(run / "results.csv", collect(run).to_csv(index=False))
    names = data.dataset["directions"]
    table = tables.summary(data.records, values, data.order, data.roles, data.remarks)
    comparison = compare(data, values, reference)
    text = "\n".join([f"## {headline(data)}\n", *(f"> {line}\n" for line in cautions(data))])
    folder = run / "report"
    better = (comparison.better(), comparison.reference) if comparison else ()
    parts = [text, tables.markdown(table, values, names, *better)]
    parts += [f"{tables.escaped(line)}\n" for line in notes(data.records, values)]
    if comparison:
        parts.append(differences_markdown(comparison, values, names))
        csv = comparison.rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        write_text(folder / "differences.csv", csv)
    found, about = read_failures(data)
    if len(found):
        shown = failure_tables(found, about, data.order, data.roles, names)
        parts.append(failures_markdown(shown, rules(about)))
        write_text(folder / "failures.csv", failures_csv(found))
    write_text(folder / "table.md", "\n".join(parts))
    write_text(folder / "table.csv", tables.csv(table, names))
    pictures = galleries(data)
    for grid in pictures.grids:
        write_bytes(folder / f"grid-{grid.direction}.png", sheet(grid))
    page = folder / "index.html"
    write_text(page, html(data, values, pictures, comparison))
    return page


def html(run: Run, values: Mapping[str, Value], pictures: Galleries, comparison: Comparison | None) -> str:
    """Return the page. Everything that comes from data is escaped; only its own script may run, and nothing loads."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["duration"] = lambda seconds: "" if seconds is None else duration(seconds)
    script = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.js", "cases.js"))
    style = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "cases.css"))
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.j2").render(
        style=Markup(style),
        script=Markup(script),
        script_checksum=checksum,
        **context(run, values, pictures, comparison),
    )


def context(
    run: Run, values: Mapping[str, Value], pictures: Galleries, comparison: Comparison | None
) -> dict[str, Any]:
    """Return all that the template shows, as plain data."""
    names = run.dataset["directions"]
    table = tables.summary(run.records, values, run.order, run.roles, run.remarks)
    looks = figures.styles(run.order, run.roles)
    losses = figures.loss_panels(read_losses(run.trials), provenance.term_names(run), looks)
    settings = provenance.settings(run)
    better = (comparison.better(), comparison.reference) if comparison else ()
    classes = [
        {"name": names.get(way, way), "panels": figures.class_panels(run.records, way, run.order, values)}
        for way in DIRECTIONS
    ]
    forests = {
        way: figures.forest_panels(comparison.rows, way, values, looks) for way in (DIRECTIONS if comparison else ())
    }
    dots = [
        {"name": names.get(way, way), "panels": figures.dot_panels(run.records, table, way, values, looks)}
        for way in DIRECTIONS
    ]
    return {
        "run": run,
        "headline": headline(run),
        "cautions": cautions(run),
        "tables": tables.layout(table, values, names, *better),
        "notes": notes(run.records, values),
        "reference": comparison.reference if comparison else "",
        "differences": difference_tables(comparison, values, names) if comparison else [],
        "forests": forests,
        "classes": [way for way in classes if way["panels"]],
        "unfinished": unfinished(run),
        "galleries": pictures,
        "failures": failures(run),
        "cases": cases(run, values),
        "dots": [way for way in dots if way["panels"]],
        "losses": losses,
        "legend": [(name, looks[name], _dash(looks[name])) for name in run.trained],
        "methods": [(name, run.of(name)[0].spec) for name in run.order if run.of(name)],
        "terms": provenance.term_rows(run),
        "changed_settings": [row for row in settings if row.layer != "recipe"],
        "recipe_settings": [row for row in settings if row.layer == "recipe"],
        "facts": provenance.facts(run),
        "protocols": provenance.protocols(run),
        "seconds": sum(trial.status.get("seconds") or 0 for trial in run.trials),
    }


def failures(run: Run) -> dict[str, Any]:
    """Return what the page shows of failures: tables, heat maps, and how failures are told."""
    found, about = read_failures(run)
    labels = {name: entry["label"] for name, entry in about.items()}
    panels = [
        {"direction": way, "panel": figures.failure_panel(found[found["direction"] == way], labels, way, run.order)}
        for way in DIRECTIONS
        if (found["direction"] == way).any()
    ]
    return {
        "tables": failure_tables(found, about, run.order, run.roles, run.dataset["directions"]),
        "panels": [entry for entry in panels if entry["panel"]],
        "rules": rules(about),
        "caption": CAPTION,
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


def _dash(style: figures.Style) -> str:
    """Return a style's dashes for an SVG line of width 3."""
    return " ".join(f"{3 * length:g}" for length in style.dash)
