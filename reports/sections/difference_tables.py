"""Tables of the differences from the reference method: cells for the page, and Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from cgbench.api.metric import Value
from cgbench.api.names import DIRECTIONS
from cgbench.reports.formats.markdown import escaped, markdown_table
from cgbench.reports.formats.numbers import declared, header, in_order, number
from cgbench.reports.sections.differences import SEEDS, Comparison
from cgbench.results.significance import ALPHA, POWER


@dataclass(frozen=True)
class DifferenceCell:
    """A difference "+0.12", its interval "[−0.01, +0.25]", and whether the interval excludes zero."""

    mean: str
    interval: str
    significant: bool

    @property
    def text(self) -> str:
        joined = f"{self.mean} {self.interval}".strip()
        return f"**{joined}**" if self.significant else joined


@dataclass(frozen=True)
class DifferenceTable:
    """Methods × metrics in one direction, all as differences from `reference`; `detectable` is the last row."""

    direction: str
    name: str
    reference: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[DifferenceCell, ...]], ...]
    detectable: tuple[str, ...]
    caption: str


def difference_tables(
    comparison: Comparison, values: Mapping[str, Value], names: Mapping[str, str]
) -> list[DifferenceTable]:
    """Return the printable tables, one per direction that has differences over seeds."""
    rows = comparison.rows[comparison.rows["basis"] == SEEDS]
    tables = []
    for direction in DIRECTIONS:
        shown = rows[rows["direction"] == direction]
        if shown.empty:
            continue
        metrics = in_order(set(shown["metric"]), values)
        columns = [declared(values, metric) for metric in metrics]
        cells = {(row.method, row.metric): _cell(row, declared(values, row.metric)) for row in shown.itertuples()}
        empty = DifferenceCell("–", "", False)
        methods = list(dict.fromkeys(shown["method"]))
        medians = shown.groupby("metric")["detectable"].median()
        tables.append(
            DifferenceTable(
                direction,
                names.get(direction, direction),
                comparison.reference,
                tuple(header(value) for value in columns),
                tuple((name, tuple(cells.get((name, metric), empty) for metric in metrics)) for name in methods),
                tuple(f"{medians[value.name]:.{value.digits}f}" for value in columns),
                _caption(shown, comparison.reference),
            )
        )
    return tables


def differences_markdown(comparison: Comparison, values: Mapping[str, Value], names: Mapping[str, str]) -> str:
    """Return the differences as Markdown: per direction a heading, a table and a caption."""
    parts = []
    for table in difference_tables(comparison, values, names):
        lines = [["method", *map(escaped, table.headers)]]
        lines += [[escaped(name), *(cell.text for cell in cells)] for name, cells in table.rows]
        lines.append(["(detectable)", *table.detectable])
        heading = f"### {table.direction}: {escaped(table.name)}, differences from {escaped(table.reference)}"
        parts.append(f"{heading}\n\n{markdown_table(lines)}\n\n{escaped(table.caption)}\n")
    return "\n".join(parts)


def _cell(row: pd.Series, value: Value) -> DifferenceCell:
    interval = f"[{number(row.low, value.digits, sign=True)}, {number(row.high, value.digits, sign=True)}]"
    return DifferenceCell(number(row.difference, value.digits, sign=True), interval, bool(row.significant))


def _caption(rows: pd.DataFrame, reference: str) -> str:
    """Return the caption of a table: the pairing, the meaning of intervals and bold, and the last row."""
    seeds = sorted(set(rows["seeds"]))
    spread = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"Method minus {reference}, paired by seed ({spread} seeds), on these test images. In brackets the interval at "
        f"the level of Holm's procedure over the {rows['method'].nunique()} methods of a column (Student's, "
        f"{ALPHA:.0%} for the whole column). Bold: it excludes zero. Last row: the difference that would be found "
        f"with probability {POWER:.0%}, median over the methods."
    )
