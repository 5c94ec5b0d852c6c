"""Comparison of a run with a published table: for every row and score the paper's value, ours, and the difference.

`comparison` returns the numbers, `blocks` and `caption` their layout as text. Pure functions of a run and a table.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from cgbench.api.names import Direction
from cgbench.errors import CgbenchError
from cgbench.reports.formats.blocks import Block
from cgbench.reports.formats.numbers import number
from cgbench.reports.paper_tables.published import TO_LABELS, TO_PHOTO, PaperRow, PaperTable, Published, Score
from cgbench.reports.sections.scores import NOT_APPLICABLE, summary
from cgbench.results.record_files import read_protocols_file
from cgbench.results.run import RunRecords, TrialResult

NOT_RUN = "not run"
NOT_IMPLEMENTED = "not in cgbench"
NOT_MEASURED = "not measured"
QUOTED_ONLY = "quoted only"
UNCONFIRMED = "†"
DISPUTED = "‡"


@dataclass(frozen=True)
class Entry:
    """One cell: the paper's value and ours in the paper's unit. `mean` is NaN without a number, `spread` (sample
    standard deviation) also for one seed; `status` is the reason why there is no number, or why some seeds lack it."""

    score: Score
    paper: Published
    mean: float = math.nan
    spread: float = math.nan
    n_seeds: int = 0
    n_trials: int = 0
    n_images: int = 0
    status: str = ""

    @property
    def difference(self) -> float:
        """Ours minus the paper's, unrounded."""
        return self.mean - self.paper.value


@dataclass(frozen=True)
class ComparedRow:
    """One row of the paper with its cells. `overrides` are settings of ours that were changed by hand."""

    row: PaperRow
    entries: tuple[Entry, ...]
    overrides: str

    @property
    def measured(self) -> tuple[Entry, ...]:
        """The cells of scores that a run can have a number for."""
        return tuple(entry for entry in self.entries if entry.score.metric)


def direction_of(run: RunRecords, table: PaperTable) -> str:
    """Return the run's direction, "AtoB" or "BtoA", that the table is about, by the kinds of the two domains."""
    kinds = [domain["kind"] for domain in run.dataset["domains"]]
    to_photo = {("labels", "photo"): Direction.A_TO_B, ("photo", "labels"): Direction.B_TO_A}.get(tuple(kinds))
    if to_photo is None or run.dataset.get("palette", True) == []:
        lack = "its label images have no classes" if to_photo else f"its domains are {' and '.join(kinds)}"
        raise CgbenchError(
            f"{run.path}: table {table.name} compares labels with photos, and dataset '{run.dataset['label']}' cannot "
            f"({lack}); use a run on a dataset with labels, such as streets, camvid or cityscapes"
        )
    opposite = {Direction.A_TO_B: Direction.B_TO_A, Direction.B_TO_A: Direction.A_TO_B}
    return to_photo if table.direction == TO_PHOTO else opposite[to_photo]


def comparison(run: RunRecords, table: PaperTable) -> list[ComparedRow]:
    """Return the paper's rows in the paper's order, each with our numbers where the run has them."""
    direction = direction_of(run, table)
    cells = _cells(run.records, run, direction)
    # A score that was not measured has the status of every cell in a run without numbers.
    unmeasured = _cells(run.records.assign(metric="", direction=""), run, direction)
    rows = []
    for row in table.rows:
        method, entries = row.method or "", []
        for score, paper in zip(table.scores, row.values, strict=True):
            cell = cells.get((method, score.metric)) or unmeasured.get((method, ""))
            entries.append(_entry(score, paper, row, cell))
        rows.append(ComparedRow(row, tuple(entries), run.overrides.get(method, "")))
    return rows


def blocks(rows: list[ComparedRow], table: PaperTable) -> list[Block]:
    """Return a block of measured columns, with lines paper, ours and difference per row, and one of quoted columns."""
    measured = [score.name for score in table.scores if score.metric]
    title = f"{table.source}: {table.title}, {table.direction}"
    shown = [Block(title, ("method", "", *measured, "seeds"), tuple(map(_lines, rows)))]
    quoted = [score.name for score in table.scores if not score.metric]
    if quoted:
        groups = tuple(
            ((row.row.name, *(_paper(entry) for entry in row.entries if not entry.score.metric)),) for row in rows
        )
        shown.append(Block(f"{table.source}: columns that are quoted only", ("method", *quoted), groups))
    return shown


def caption(run: RunRecords, table: PaperTable, rows: list[ComparedRow]) -> list[str]:
    """Return the notes on a comparison, one or two sentences per line: both protocols, the marks, missing numbers."""
    quoted = [entry.paper for row in rows for entry in row.entries]
    confirmed = dict.fromkeys(source for value in quoted if value.confirmed for source in value.sources)
    lines = [
        f"paper: {table.protocol}.",
        f"ours: {_setting(run, table, rows)}; mean ± sample standard deviation over seeds.",
        "difference: ours − paper, taken before rounding. Data, scorer, resolution and budget are not the paper's, so "
        "a difference is no reproduction error.",
    ]
    recalled = not all(value.confirmed for value in quoted)
    if recalled:
        lines.append(f"{UNCONFIRMED} recalled, not confirmed against the paper; differences from it are marked too.")
    which = "other values" if recalled else "values"
    lines.append(f"The paper's {which} were read in {' and '.join(confirmed)}, not in the paper itself.")
    disputed = [
        f"{row.row.name}, {entry.score.name}: {number(entry.paper.alternative.value, entry.score.digits)}"
        f" in {' and '.join(entry.paper.alternative.sources)}"
        for row in rows for entry in row.entries if entry.paper.alternative
    ]  # fmt: skip
    if disputed:
        lines.append(f"{DISPUTED} another source differs: {'; '.join(disputed)}.")
    lines.append("– no number, for the reason in the last column.")
    lines.extend(table.notes)
    lines.extend(f"{row.row.name}: settings of ours changed by hand: {row.overrides}." for row in rows if row.overrides)
    if run.other_datasets:
        lines.append(f"This run also holds trials of {', '.join(run.other_datasets)}, which are not shown here.")
    return lines


def status_of(row: ComparedRow) -> str:
    """Return the last column of a row: its number of seeds, or the reason why there are fewer numbers or none."""
    leading = next((entry for entry in row.measured if entry.n_seeds), row.measured[0])
    return leading.status or str(leading.n_seeds)


def _cells(records: pd.DataFrame, run: RunRecords, direction: str) -> dict[tuple[str, str], dict]:
    """Return the cells of the run's own summary in one direction, by method and metric."""
    table = summary(records, {}, run.order, run.roles)
    rows = table[table["direction"] == direction].to_dict("records")
    return {(row["method"], row["metric"]): row for row in rows}


def _entry(score: Score, paper: Published, row: PaperRow, cell: dict | None) -> Entry:
    """Return a cell; `cell` is that of the run's summary, None where the run does not have the method."""
    if not score.metric:
        return Entry(score, paper, status=QUOTED_ONLY)
    if cell is None:
        return Entry(score, paper, status=NOT_IMPLEMENTED if row.method is None else NOT_RUN)
    status = NOT_MEASURED if cell["status"] == NOT_APPLICABLE else cell["status"]
    mean, spread = cell["mean"] * score.scale, cell["spread"] * score.scale
    return Entry(score, paper, mean, spread, cell["n_seeds"], cell["n_trials"], cell["n_images"], status)


def _lines(row: ComparedRow) -> tuple[tuple[str, ...], ...]:
    """Return the lines of a row: the paper's, ours, and the differences if there are any."""
    status = status_of(row)
    overrides = f"  ({row.overrides})" if row.overrides else ""
    lines = [
        (row.row.name, "paper", *(_paper(entry) for entry in row.measured), ""),
        (overrides, "ours", *(_ours(entry, status) for entry in row.measured), status),
    ]
    if any(entry.n_seeds for entry in row.measured):
        lines.append(("", "difference", *(_difference(entry) for entry in row.measured), ""))
    return tuple(lines)


def _mark(paper: Published) -> str:
    return "" if paper.confirmed else UNCONFIRMED


def _paper(entry: Entry) -> str:
    disputed = DISPUTED if entry.paper.alternative else ""
    return f"{number(entry.paper.value, entry.score.digits)}{_mark(entry.paper)}{disputed}"


def _ours(entry: Entry, status: str) -> str:
    """Return our number as text; without one, "–" where the last column has the reason, else the reason."""
    if not entry.n_seeds:
        if entry.status == status:
            return NOT_APPLICABLE
        return NOT_MEASURED if NOT_MEASURED in entry.status else entry.status
    text = number(entry.mean, entry.score.digits)
    if not math.isnan(entry.spread):
        text = f"{text} ± {number(entry.spread, entry.score.digits)}"
    return text if entry.status in ("", status) else f"{text} ({entry.status})"


def _difference(entry: Entry) -> str:
    if not entry.n_seeds:
        return NOT_APPLICABLE
    return f"{number(entry.difference, entry.score.digits, sign=True)}{_mark(entry.paper)}"


def _setting(run: RunRecords, table: PaperTable, rows: list[ComparedRow]) -> str:
    """Return the settings of our numbers: run, dataset, preset, crop size, steps, images, seeds and scorer."""
    methods = {row.row.method for row in rows}
    trials = [trial for trial in run.trials if trial.method in methods]
    steps = _joined(trial.spec.get("steps") or trial.spec["config"]["steps"] for trial in trials)
    crops = _joined(trial.spec["config"]["crop_size"] for trial in trials)
    images = _joined(entry.n_images for row in rows for entry in row.entries if entry.n_images)
    parts = [f"run {run.metadata['name']}, dataset {run.dataset['label']}, preset {run.metadata['preset']}"]
    if trials:
        parts.append(f"{crops}-pixel images, {steps} steps")
    parts.append(f"{images} test images" if images else "nothing measured")
    parts.append(f"{'seed' if len(run.seeds) == 1 else 'seeds'} {', '.join(map(str, run.seeds))}")
    if table.direction == TO_LABELS:
        return f"{', '.join(parts)}; each pixel read as the class of the nearest colour"
    return f"{', '.join(parts)}; scored by {_scored_by(trials, direction_of(run, table))}"


def _scored_by(trials: Iterable[TrialResult], direction: str) -> str:
    """Return which networks the trials were measured with, and their digests."""
    details = [read_protocols_file(trial.folder.protocols) for trial in trials]
    protocols = [protocol for by_digest in details for protocol in by_digest.values()]
    protocols = [protocol for protocol in protocols if protocol.get("direction", direction) == direction]
    protocols = [protocol for protocol in protocols if protocol.get("scorer")]
    digests = _joined(protocol["scorer"] for protocol in protocols)
    published = (
        f"{protocol['scorer_network']}, {protocol['scorer_architecture']}"
        for protocol in protocols
        if "scorer_network" in protocol
    )
    if names := _joined(published):
        return f"the published network {names} ({digests})"
    return f"a network that cgbench trained on this dataset ({digests or 'not recorded'})"


def _joined(values: Iterable) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
