"""Tables of the differences from the reference method: cells for the page, and Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from cgbench.api.metric import Value
from cgbench.api.names import DIRECTIONS, Analysis
from cgbench.reports.formats.markdown import escaped, markdown_table
from cgbench.reports.formats.numbers import WORSE, declared, header, in_order, number
from cgbench.reports.sections.differences import BOTH, SEEDS, Comparison
from cgbench.results.significance import ALPHA, POWER


@dataclass(frozen=True)
class DifferenceCell:
    """A difference "+0.12", its interval "[−0.01, +0.25]" or "(one seed)", why there is none, and whether it is marked
    as better or as worse than the reference."""

    mean: str
    interval: str = ""
    better: bool = False
    worse: bool = False

    @property
    def text(self) -> str:
        joined = " ".join(filter(None, [self.mean, self.interval, WORSE if self.worse else ""]))
        return f"**{joined}**" if self.better else joined


@dataclass(frozen=True)
class DifferenceTable:
    """Methods × metrics in one direction, all as differences from `reference`; `detectable` are the last rows."""

    direction: str
    name: str
    reference: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[DifferenceCell, ...]], ...]
    detectable: tuple[tuple[str, tuple[str, ...]], ...]
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
        cells = {
            (row.method, row.metric): _cell(row, declared(values, row.metric), comparison) for row in shown.itertuples()
        }
        empty = DifferenceCell("–")
        methods = list(dict.fromkeys(shown["method"]))
        sizes = shown.groupby("metric")["detectable"]
        last = {"median": sizes.median(), "worst": sizes.max()}
        tables.append(
            DifferenceTable(
                direction,
                names.get(direction, direction),
                comparison.reference,
                tuple(header(value) for value in columns),
                tuple((name, tuple(cells.get((name, metric), empty) for metric in metrics)) for name in methods),
                tuple(
                    (name, tuple(number(size[value.name], value.digits) or "–" for value in columns))
                    for name, size in last.items()
                ),
                _caption(shown, comparison),
            )
        )
    return tables


def differences_markdown(comparison: Comparison, values: Mapping[str, Value], names: Mapping[str, str]) -> str:
    """Return the differences as Markdown: per direction a heading, a table and a caption."""
    parts = []
    for table in difference_tables(comparison, values, names):
        lines = [["method", *map(escaped, table.headers)]]
        lines += [[escaped(name), *(cell.text for cell in cells)] for name, cells in table.rows]
        lines += [[f"(detectable, {name})", *sizes] for name, sizes in table.detectable]
        heading = f"### {table.direction}: {escaped(table.name)}, differences from {escaped(table.reference)}"
        parts.append(f"{heading}\n\n{markdown_table(lines)}\n\n{escaped(table.caption)}\n")
    return "\n".join(parts)


def figure_note(comparison: Comparison) -> str:
    """Return what the figures of a comparison show, as a note."""
    note = "In the figures a disc has the interval over seeds, of the numbers of the table"
    if BOTH in set(comparison.rows["basis"]):
        note += (
            "; a ring has the one over seeds and images, of the mean of the scores of single images: the method, on "
            "scenes like these, if the images are independent, as frames of one clip are not"
        )
    return f"{note}. Thick: it excludes zero."


def _cell(row: pd.Series, value: Value, comparison: Comparison) -> DifferenceCell:
    interval = f"[{number(row.low, value.digits, sign=True)}, {number(row.high, value.digits, sign=True)}]"
    marked = row.method not in comparison.supervised
    return DifferenceCell(
        number(row.difference, value.digits, sign=True),
        f"({row.note})" if row.note else interval,
        bool(row.better) and marked,
        bool(row.worse) and marked,
    )


def _caption(rows: pd.DataFrame, comparison: Comparison) -> str:
    """Return the caption of a table: the question that it answers, the meaning of intervals, marks and last rows."""
    seeds = sorted({*rows["seeds"], *rows["reference_seeds"]})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    family = f"the {rows['method'].nunique()} methods of a column"
    design = {
        Analysis.BAND: f"{count} seeds; seeds of methods treated as independent",
        Analysis.WELCH: f"{count} seeds; seeds of methods treated as independent",
        Analysis.PAIRED: f"{count} seeds; paired by seed, for a comparison that was named before the run",
    }[comparison.analysis]
    interval = {
        Analysis.BAND: f"an interval that holds for {family} together (moderated many-to-one band, {1 - ALPHA:.0%})",
        Analysis.WELCH: f"Welch's interval at the level of Holm's procedure over {family} ({ALPHA:.0%} in all)",
        Analysis.PAIRED: f"Student's interval at the level of Holm's procedure over {family} ({ALPHA:.0%} in all)",
    }[comparison.analysis]
    unmarked = " Supervised methods are not marked." if set(rows["method"]) & comparison.supervised else ""
    return (
        f"Method minus {comparison.reference}: the method, on this test set ({design}). In brackets {interval}. Bold: "
        f"better, {WORSE}: worse; the interval excludes zero.{unmarked} Last rows: the difference that would be found "
        f"with probability {POWER:.0%} if a repetition has these errors, for the median and the worst of the methods."
    )
