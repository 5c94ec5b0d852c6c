"""Score tables of a report: cells, captions, Markdown, LaTeX and CSV."""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import pandas as pd

from cgbench.api.metric import GROUP, Value
from cgbench.api.names import Role
from cgbench.reports.formats.csv import csv_text
from cgbench.reports.formats.latex import PREAMBLE, tex, tex_float, tex_line
from cgbench.reports.formats.markdown import escaped, markdown_table
from cgbench.reports.formats.numbers import UNDECIDED, WORSE, declared, header, in_units, mark, number
from cgbench.reports.sections.scores import NOT_APPLICABLE


@dataclass(frozen=True)
class Cell:
    """One cell: `mean` is "0.51" or "", `spread` "± 0.02" or "", `note` the status beside them or in their place;
    `interval` is "0.46 to 0.56" or "", and shown on the page only; `better`, `worse` and `undecided`, not to be told
    apart, are against the reference."""

    mean: str
    spread: str
    note: str
    better: bool = False
    interval: str = ""
    worse: bool = False
    undecided: bool = False

    @property
    def text(self) -> str:
        note = f"({self.note})" if self.mean and self.note else self.note
        parts = [self.mean, self.spread, mark(self.worse, self.undecided), note]
        return " ".join(filter(None, parts))


@dataclass(frozen=True)
class Row:
    """One method of a table. `settings` are its overrides, such as "features=scorer"."""

    method: str
    role: str
    settings: str
    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        return " ".join(
            filter(None, [self.method, self.settings and f"[{self.settings}]", self.role and f"({self.role})"])
        )


@dataclass(frozen=True)
class Table:
    """Methods × metrics in one direction. `headers` are metric labels with an arrow, ↑ if higher is better; `primary`
    is the place of the number that methods are judged by, -1 for none."""

    direction: str
    name: str
    headers: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str
    primary: int = -1


@dataclass(frozen=True)
class Marks:
    """The marks of numbers against those of a `reference` method, each a set of (direction, method, metric): surely
    better, surely worse, and not to be told apart."""

    reference: str = ""
    better: Set[tuple[str, str, str]] = frozenset()
    worse: Set[tuple[str, str, str]] = frozenset()
    undecided: Set[tuple[str, str, str]] = frozenset()


def layout(
    table: pd.DataFrame, values: Mapping[str, Value], names: Mapping[str, str], marks: Marks = Marks(),
    primary: Mapping[str, str] | None = None, units: Mapping[str, str] | None = None, groups: str = "",
) -> list[Table]:  # fmt: skip
    """Return the printable tables of a summary.

    Args:
        table: The summary.
        values: The declarations of the metrics by name.
        names: The display names of directions.
        marks: The marks of numbers against a reference method.
        primary: The number that methods are judged by, by direction.
        units: The unit of the target domain's numbers, by direction.
        groups: What the images of a group have in common, such as "patient"; "" for none.

    Returns:
        One table per direction.
    """
    tables = []
    for direction, group in table.groupby("direction", sort=False):
        metrics = list(dict.fromkeys(group["metric"]))
        shown = in_units(values, str(direction), units)
        rows = tuple(
            Row(
                method,
                cells["role"].iloc[0],
                cells["settings"].iloc[0],
                tuple(_table_cell(row, values, marks) for row in cells.itertuples()),
            )
            for method, cells in group.groupby("method", sort=False)
        )
        headers = tuple(header(declared(shown, metric)) for metric in metrics)
        name, judged = names.get(direction, direction), (primary or {}).get(direction, "")
        place = metrics.index(judged) if judged in metrics else -1
        caption = _caption(group, name, marks.reference, declared(shown, judged).label if place >= 0 else "")
        caption += _by_group([declared(values, metric) for metric in metrics], groups)
        tables.append(Table(direction, name, headers, rows, caption, place))
    return tables


def markdown(tables: Sequence[Table]) -> str:
    """Return tables as Markdown: per direction a heading, a table and a caption."""
    parts = []
    for table in tables:
        lines = [["method", *map(escaped, table.headers)]]
        lines += [[escaped(row.label), *map(_markdown_cell, row.cells)] for row in table.rows]
        heading = f"### {table.direction}: {escaped(table.name)}"
        parts.append(f"{heading}\n\n{markdown_table(lines)}\n\n{escaped(table.caption)}\n")
    return "\n".join(parts)


def csv(table: pd.DataFrame, names: Mapping[str, str], not_known: Mapping[str, str] | None = None) -> str:
    """Return the summary as CSV: one row per direction and method, per metric its mean, spread and interval; with what
    is `not_known` of rows of other programs where there are any.

    Numbers have six significant digits. Where one is empty, the row's status is the reason, or the metric does not
    apply.
    """
    rows = []
    for (direction, method), group in table.groupby(["direction", "method"], sort=False):
        states = [text for text in dict.fromkeys(group["status"]) if text not in ("", NOT_APPLICABLE)]
        row = {"direction": direction, "name": names.get(direction, direction), "method": method}
        row |= {"role": group["role"].iloc[0], "settings": group["settings"].iloc[0]}
        row |= {"not_known": not_known.get(method, "")} if not_known else {}
        row |= {"seeds": group["n_trials"].max(), "images": group["n_images"].max()}
        row |= {"status": "; ".join(states)}
        for cell in group[group["metric"] != ""].itertuples():
            row |= {cell.metric: cell.mean, f"{cell.metric}_spread": cell.spread}
            row |= {f"{cell.metric}_low": cell.low, f"{cell.metric}_high": cell.high}
        rows.append(row)
    return csv_text(pd.DataFrame(rows))


def _table_cell(row, values: Mapping[str, Value], marks: Marks) -> Cell:
    """Return the cell of one row of the summary."""
    if math.isnan(row.mean):
        return Cell("", "", row.status)
    value = declared(values, row.metric)
    ends = max(row.low, value.minimum), min(row.high, value.maximum)
    interval = "" if math.isnan(row.low) else " to ".join(number(end, value.digits) for end in ends)
    spread = "" if math.isnan(row.spread) else f"± {row.spread:.{value.digits}f}"
    mean, key = number(row.mean, value.digits), (row.direction, row.method, row.metric)
    against = key in marks.better, interval, key in marks.worse, key in marks.undecided
    return Cell(mean, spread, row.status, *against)


def _caption(group: pd.DataFrame, name: str, reference: str, judged: str) -> str:
    """Return the caption of a table: images, seeds, marks, the number that methods are judged by, and the kinds of
    methods in it."""
    images = sorted(set(group["n_images"]) - {0})
    if not images:
        return f"{name}: no trial has a number."
    trained = group[group["role"] == ""]
    seeds = int((trained if len(trained) else group)["n_trials"].max())
    parts = [f"{name}: {'–'.join(map(str, dict.fromkeys((images[0], images[-1]))))} test images; "]
    if seeds > 1:
        parts.append(
            f"mean ± sample standard deviation over {seeds} seeds unless a cell says otherwise: the spread of "
            "trainings, not the error of the mean; rows that need no training have none."
        )
    else:
        parts.append("one seed, so nothing is known about the spread.")
    parts.append(" ↑ higher is better, ↓ lower is better, – does not apply.")
    if reference:
        parts.append(
            f" Bold: better than {reference}, {WORSE}: worse, by an interval of the difference over seeds that "
            f"excludes zero; {UNDECIDED}: not to be told apart from it"
            f"{'; not for supervised rows' if (group['role'] == Role.SUPERVISED).any() else ''}."
        )
    if judged:
        parts.append(f" Methods are judged by {judged}, as was declared before the run; the other columns describe.")
    if (group["settings"] != "").any():
        parts.append(" In brackets: settings changed by hand for that method.")
    if (group["role"] == Role.SUPERVISED).any():
        parts.append(" Supervised: trained on pairs or labels, which the others never see.")
    return "".join(parts)


def _by_group(columns: Sequence[Value], groups: str) -> str:
    """Return the sentence on the columns whose numbers are of groups of images, "" where there are none."""
    labels = [value.label for value in columns if value.of == GROUP]
    return f" By {groups}, then the mean over {groups}s: {', '.join(labels)}." if groups and labels else ""


def _markdown_cell(cell: Cell) -> str:
    text = escaped(cell.text)
    return f"**{text}**" if cell.better else text


def tables_latex(tables: Sequence[Table], title: str) -> str:
    """Return the tables of a summary as LaTeX floats, with `title` before their captions."""
    parts = [PREAMBLE]
    for table in tables:
        body = [tex_line([tex(row.label), *map(_latex_cell, row.cells)]) for row in table.rows]
        head = tex_line(map(tex, ("method", *table.headers)))
        parts.append(tex_float([f"{title}.", table.caption], "l" + "r" * len(table.headers), head, body))
    return "\n".join(parts)


def _latex_cell(cell: Cell) -> str:
    return rf"\textbf{{{tex(cell.text)}}}" if cell.better else tex(cell.text)
