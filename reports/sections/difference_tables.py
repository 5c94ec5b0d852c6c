"""Tables of the differences from the reference method: cells for the page, and Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from cgbench.api.metric import Value
from cgbench.api.names import DIRECTIONS, Analysis
from cgbench.formatting import plural
from cgbench.reports.formats.markdown import escaped, markdown_table
from cgbench.reports.formats.numbers import UNDECIDED, WORSE, declared, header, in_order, in_units, mark, number
from cgbench.reports.sections.differences import QUESTIONS, Basis, Comparison
from cgbench.results.significance import ALPHA, POWER


@dataclass(frozen=True)
class DifferenceCell:
    """A difference "+0.12", its interval "[−0.01, +0.25]" or "(one seed)", why there is none, and its mark: better than
    the reference, worse, or not to be told apart."""

    mean: str
    interval: str = ""
    better: bool = False
    worse: bool = False
    undecided: bool = False

    @property
    def text(self) -> str:
        joined = " ".join(filter(None, [self.mean, self.interval, mark(self.worse, self.undecided)]))
        return f"**{joined}**" if self.better else joined


@dataclass(frozen=True)
class DifferenceTable:
    """Methods × metrics in one direction, all as differences from the reference; `detectable` are the last rows. `main`
    is whether it is of all methods, whose differences the figures show."""

    direction: str
    name: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[DifferenceCell, ...]], ...]
    detectable: tuple[tuple[str, tuple[str, ...]], ...]
    caption: str
    main: bool = True


_ALONE = {Analysis.BAND: "the moderated", Analysis.WELCH: "Welch's", Analysis.PAIRED: "Student's"}  # of one method


def difference_tables(
    comparison: Comparison, values: Mapping[str, Value], names: Mapping[str, str],
    units: Mapping[str, str] | None = None,
) -> list[DifferenceTable]:  # fmt: skip
    """Return the printable tables, one per direction: of the differences over seeds, for one seed of those between its
    checkpoints. `units` are those of the target domains' numbers, by direction. Beside several seeds, rows of other
    programs that have one seed have tables over images as well."""
    rows = comparison.rows
    tables = _tables(rows[rows["basis"] == comparison.basis], comparison, values, names, units)
    if comparison.basis == Basis.SEEDS:
        over_images = _tables(rows[rows["basis"] == Basis.IMAGES], comparison, values, names, units)
        tables += [replace(table, name=f"{table.name}, external rows over images", main=False) for table in over_images]
    return tables


def _tables(
    rows: pd.DataFrame, comparison: Comparison, values: Mapping[str, Value], names: Mapping[str, str],
    units: Mapping[str, str] | None,
) -> list[DifferenceTable]:  # fmt: skip
    tables = []
    for direction in DIRECTIONS:
        shown = rows[rows["direction"] == direction]
        if shown.empty:
            continue
        metrics = in_order(set(shown["metric"]), values)
        labelled = in_units(values, direction, units)
        columns = [declared(labelled, metric) for metric in metrics]
        cells = {
            (row.method, row.metric): _cell(row, declared(values, row.metric), comparison) for row in shown.itertuples()
        }
        empty = DifferenceCell("–")
        methods = list(dict.fromkeys(shown["method"]))
        sizes = shown.groupby("metric")["detectable"]
        last = {"detectable, median": sizes.median(), "detectable, worst": sizes.max()}
        if len(methods) == 1:
            last = {"detectable": sizes.max()}
        tables.append(
            DifferenceTable(
                direction,
                names.get(direction, direction),
                tuple(header(value) for value in columns),
                tuple(
                    (comparison.label(name), tuple(cells.get((name, metric), empty) for metric in metrics))
                    for name in methods
                ),
                tuple(
                    (name, tuple(number(size[value.name], value.digits) or "–" for value in columns))
                    for name, size in last.items()
                ),
                _caption(shown, comparison),
            )
        )
    return tables


def differences_markdown(comparison: Comparison, tables: Sequence[DifferenceTable]) -> str:
    """Return the tables of differences as Markdown: per direction a heading, a table and a caption."""
    what = "differences of the checkpoints of one seed from" if comparison.basis == Basis.IMAGES else "differences from"
    return _markdown(tables, f"{what} {escaped(comparison.reference)}")


def question_tables(
    comparison: Comparison, values: Mapping[str, Value], names: Mapping[str, str], primary: Mapping[str, str],
    units: Mapping[str, str] | None = None,
) -> list[DifferenceTable]:  # fmt: skip
    """Return a table per direction of the differences in its primary number, a column per question that they answer.

    Args:
        comparison: The differences from the reference method.
        values: The declarations of the metrics by name.
        names: The display names of directions.
        primary: The primary number of each direction.
        units: The unit of the target domain's numbers, by direction.

    Returns:
        The printable tables; none where there is one question only.
    """
    tables = []
    for direction in DIRECTIONS:
        chosen = (comparison.rows["direction"] == direction) & (comparison.rows["metric"] == primary.get(direction))
        rows = comparison.rows[chosen & (comparison.rows["basis"] != Basis.IMAGES)]
        bases = [basis for basis in Basis if basis in set(rows["basis"])]
        if len(bases) < 2:
            continue
        value = declared(in_units(values, direction, units), primary[direction])
        cells = {(row.method, row.basis): _cell(row, value, comparison) for row in rows.itertuples()}
        methods, empty = list(dict.fromkeys(rows["method"])), DifferenceCell("–")
        tables.append(
            DifferenceTable(
                direction,
                names.get(direction, direction),
                tuple(f"{QUESTIONS[basis]}: {_quantity(value, basis, rows)}" for basis in bases),
                tuple(
                    (comparison.label(name), tuple(cells.get((name, basis), empty) for basis in bases))
                    for name in methods
                ),
                (),
                _questions_caption(value, rows, comparison),
            )
        )
    return tables


def questions_markdown(tables: Sequence[DifferenceTable]) -> str:
    """Return the tables of questions as Markdown: per direction a heading, a table and a caption."""
    return _markdown(tables, "which question a difference answers")


def _markdown(tables: Sequence[DifferenceTable], title: str) -> str:
    parts = []
    for table in tables:
        lines = [["method", *map(escaped, table.headers)]]
        lines += [[escaped(name), *(cell.text for cell in cells)] for name, cells in table.rows]
        lines += [[f"({name})", *sizes] for name, sizes in table.detectable]
        heading = f"### {table.direction}: {escaped(table.name)}, {title}"
        parts.append(f"{heading}\n\n{markdown_table(lines)}\n\n{escaped(table.caption)}\n")
    return "\n".join(parts)


def figure_note(comparison: Comparison) -> str:
    """Return what the figures of a comparison show, as a note."""
    if comparison.basis == Basis.IMAGES:
        return "In the figures a ring has the interval over images. Thick: it excludes zero."
    note = "In the figures a disc has the interval over seeds, of the numbers of the table"
    if Basis.SEEDS_IMAGES in set(comparison.rows["basis"]):
        note += "; a ring has the one over seeds and images, of the mean of the scores of single images"
    return f"{note}. Thick: it excludes zero."


def _quantity(value: Value, basis: str, rows: pd.DataFrame) -> str:
    """Return the name of what is compared: the number itself, or the mean of those of single images, which is another
    number where one of all images together is no mean of theirs."""
    groups = next(iter(rows.loc[rows["basis"] == basis, "groups"]), "")
    if basis == Basis.SEEDS or (value.contributions and not groups):
        return value.label
    return f"mean over {groups + 's' if groups else 'images'} of {value.label}"


def _questions_caption(value: Value, rows: pd.DataFrame, comparison: Comparison) -> str:
    """Return the caption of a table of questions."""
    over_images = rows[rows["basis"] == Basis.SEEDS_IMAGES]
    unit = next(iter(over_images["groups"]), "") or "image"
    units = int(over_images["images"].max())
    independent = "" if over_images["groups"].any() else ", taken as independent of each other"
    several = (rows["basis"] == Basis.ALL).any()
    scorers = " By any such scorers: also other scorers, trained alike from other random streams." if several else ""
    return (
        f"Differences from {comparison.reference} in {value.label}, by what would vary in a repetition. On this test "
        f"set: other training seeds, the images of this table. On scenes like these: other seeds and other images "
        f"({plural(units, unit)}{independent}).{scorers} Intervals hold for a column together. None of them "
        "says anything about other data, resolutions or budgets."
    )


def _cell(row: pd.Series, value: Value, comparison: Comparison) -> DifferenceCell:
    interval = f"[{number(row.low, value.digits, sign=True)}, {number(row.high, value.digits, sign=True)}]"
    marked = row.method not in comparison.supervised and not row.note and row.basis != Basis.IMAGES
    return DifferenceCell(
        number(row.difference, value.digits, sign=True),
        f"({row.note})" if row.note else interval,
        bool(row.better) and marked,
        bool(row.worse) and marked,
        not row.significant and marked,
    )


def _caption(rows: pd.DataFrame, comparison: Comparison) -> str:
    """Return the caption of a table: the question that it answers, the meaning of intervals, marks and last rows."""
    if (rows["basis"] == Basis.IMAGES).all():
        return _checkpoints_caption(rows, comparison)
    tested = rows[~rows["method"].isin(comparison.external) | (rows["note"] == "")]
    rows = tested if len(tested) else rows
    seeds = sorted({*rows["seeds"], *rows["reference_seeds"]})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    methods = rows["method"].nunique()
    family = f"the {methods} methods of a column"
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
    if methods == 1:
        interval = f"{_ALONE[comparison.analysis]} interval ({1 - ALPHA:.0%})"
    last = f"Last row{'s' if methods > 1 else ''}: the difference that would be found with probability {POWER:.0%}"
    of = ", for the median and the worst of the methods" if methods > 1 else ""
    unmarked = " Supervised methods are not marked." if set(rows["method"]) & comparison.supervised else ""
    return (
        f"Method minus {comparison.reference}: {QUESTIONS[Basis.SEEDS]} ({design}). In brackets {interval}. Bold: "
        f"better, {WORSE}: worse, by an interval that excludes zero; {UNDECIDED}: not to be told apart.{unmarked} "
        f"{last} if a repetition has these errors{of}."
    )


def _checkpoints_caption(rows: pd.DataFrame, comparison: Comparison) -> str:
    """Return the caption of a table of the differences between checkpoints."""
    unit = next(iter(rows["groups"]), "") or "image"
    methods = rows["method"].nunique()
    level = f"at the level of Holm's procedure over the {methods} methods of a column ({ALPHA:.0%} in all)"
    seeds = int(rows["reference_seeds"].max())
    whose = "one seed" if seeds == 1 else f"the mean of its {seeds} seeds"
    return (
        f"Method minus {comparison.reference}, {whose}: {QUESTIONS[Basis.IMAGES]} "
        f"({plural(int(rows['images'].max()), unit)}, means of their scores). In brackets Student's interval "
        f"{level if methods > 1 else f'({1 - ALPHA:.0%})'}. "
        "Nothing is marked: another seed may turn any of these around, and about the methods they say nothing."
    )
