"""A run beside a published table: for every row and score the paper's value, ours, and the difference.

`comparison` finds the numbers, `blocks` and `caption` lay them out as text. Pure functions of a run and a table.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from cgbench.errors import CgbenchError
from cgbench.files import read_json
from cgbench.reports.formats.blocks import Block
from cgbench.reports.formats.numbers import number
from cgbench.reports.paper_tables.published import TO_LABELS, TO_PHOTO, PaperRow, PaperTable, Published, Score
from cgbench.reports.sections.scores import NOT_APPLICABLE, summary
from cgbench.results.run import Run, TrialResult

NOT_RUN = "not run"
NOT_HERE = "not in cgbench"
NOT_MEASURED = "not measured"
QUOTED_ONLY = "quoted only"
UNCONFIRMED = "†"
OTHERWISE = "‡"


@dataclass(frozen=True)
class Entry:
    """One cell: the paper's value and ours in the paper's unit. `mean` is NaN without a number, `spread` (sample
    standard deviation) also for one seed; `status` says why there is none, or which seeds have none."""

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
        """Return ours - paper, unrounded."""
        return self.mean - self.paper.value


@dataclass(frozen=True)
class Compared:
    """One row of the paper with its cells. `remark` names settings of ours that were changed by hand."""

    row: PaperRow
    entries: tuple[Entry, ...]
    remark: str

    @property
    def measured(self) -> tuple[Entry, ...]:
        """The cells that a run can have a number for."""
        return tuple(entry for entry in self.entries if entry.score.metric)


def direction_of(run: Run, table: PaperTable) -> str:
    """Return "AtoB" or "BtoA": the run's direction that the table is about, by the kinds of the two domains."""
    kinds = [domain["kind"] for domain in run.dataset["domains"]]
    found = {("labels", "photo"): "AtoB", ("photo", "labels"): "BtoA"}.get(tuple(kinds))
    if found is None or run.dataset.get("palette", True) == []:
        lack = "its label images have no classes" if found else f"its domains are {' and '.join(kinds)}"
        raise CgbenchError(
            f"{run.path}: table {table.name} compares labels with photos, and dataset '{run.dataset['label']}' cannot "
            f"({lack}); use a run on a dataset with labels, such as streets, camvid or cityscapes"
        )
    opposite = {"AtoB": "BtoA", "BtoA": "AtoB"}
    return found if table.direction == TO_PHOTO else opposite[found]


def comparison(run: Run, table: PaperTable) -> list[Compared]:
    """Return the paper's rows in the paper's order, each with our numbers where the run has them."""
    direction = direction_of(run, table)
    cells = _cells(run.records, run, direction)
    # What nobody measured has the status that every cell would have in a run without numbers.
    unmeasured = _cells(run.records.assign(metric="", direction=""), run, direction)
    rows = []
    for row in table.rows:
        entries = []
        for score, paper in zip(table.scores, row.values, strict=True):
            cell = cells.get((row.method, score.metric)) or unmeasured.get((row.method, ""))
            entries.append(_entry(score, paper, row, cell))
        rows.append(Compared(row, tuple(entries), run.remarks.get(row.method, "")))
    return rows


def blocks(rows: list[Compared], table: PaperTable) -> list[Block]:
    """Return the measured columns with the lines paper, ours and difference per row, then the columns only quoted."""
    measured = [score.name for score in table.scores if score.metric]
    title = f"{table.source}: {table.title}, {table.direction}"
    found = [Block(title, ("method", "", *measured, "seeds"), tuple(map(_lines, rows)))]
    quoted = [score.name for score in table.scores if not score.metric]
    if quoted:
        groups = tuple(
            ((row.row.name, *(_paper(entry) for entry in row.entries if not entry.score.metric)),) for row in rows
        )
        found.append(Block(f"{table.source}: columns that are quoted only", ("method", *quoted), groups))
    return found


def caption(run: Run, table: PaperTable, rows: list[Compared]) -> list[str]:
    """Return what a reader must know, one sentence or two per line: both protocols, the marks, what is missing."""
    figures = [entry.paper for row in rows for entry in row.entries]
    confirmed = dict.fromkeys(source for figure in figures if figure.confirmed for source in figure.sources)
    lines = [
        f"paper: {table.protocol}.",
        f"ours: {_setting(run, table, rows)}; mean ± sample standard deviation over seeds.",
        "difference: ours − paper, taken before rounding. Data, scorer, resolution and budget are not the paper's, so "
        "a difference is no reproduction error.",
    ]
    recalled = not all(figure.confirmed for figure in figures)
    if recalled:
        lines.append(f"{UNCONFIRMED} recalled, not confirmed against the paper; differences from it are marked too.")
    which = "other values" if recalled else "values"
    lines.append(f"The paper's {which} were read in {' and '.join(confirmed)}, not in the paper itself.")
    others = [
        f"{row.row.name}, {entry.score.name}: {number(entry.paper.other.value, entry.score.digits)}"
        f" in {' and '.join(entry.paper.other.sources)}"
        for row in rows for entry in row.entries if entry.paper.other
    ]  # fmt: skip
    if others:
        lines.append(f"{OTHERWISE} another source differs: {'; '.join(others)}.")
    lines.append("– no number, for the reason in the last column.")
    lines.extend(table.notes)
    lines.extend(f"{row.row.name}: settings of ours changed by hand: {row.remark}." for row in rows if row.remark)
    if run.other_datasets:
        lines.append(f"This run also holds trials of {', '.join(run.other_datasets)}, which are not shown here.")
    return lines


def status_of(row: Compared) -> str:
    """Return what the last column says of a row: its number of seeds, or why there are fewer numbers or none."""
    leading = next((entry for entry in row.measured if entry.n_seeds), row.measured[0])
    return leading.status or str(leading.n_seeds)


def _cells(records: pd.DataFrame, run: Run, direction: str) -> dict[tuple[str, str], dict]:
    """Return the cells of the run's own summary in one direction, by method and metric."""
    table = summary(records, {}, run.order, run.roles)
    rows = table[table["direction"] == direction].to_dict("records")
    return {(row["method"], row["metric"]): row for row in rows}


def _entry(score: Score, paper: Published, row: PaperRow, cell: dict | None) -> Entry:
    """Return a cell from the summary's; `cell` is None where the run does not have the method."""
    if not score.metric:
        return Entry(score, paper, status=QUOTED_ONLY)
    if cell is None:
        return Entry(score, paper, status=NOT_HERE if row.method is None else NOT_RUN)
    status = NOT_MEASURED if cell["status"] == NOT_APPLICABLE else cell["status"]
    mean, spread = cell["mean"] * score.scale, cell["spread"] * score.scale
    return Entry(score, paper, mean, spread, cell["n_seeds"], cell["n_trials"], cell["n_images"], status)


def _lines(row: Compared) -> tuple[tuple[str, ...], ...]:
    """Return the lines of a row: the paper's, ours, and the differences if there are any."""
    status = status_of(row)
    remark = f"  ({row.remark})" if row.remark else ""
    lines = [
        (row.row.name, "paper", *(_paper(entry) for entry in row.measured), ""),
        (remark, "ours", *(_ours(entry, status) for entry in row.measured), status),
    ]
    if any(entry.n_seeds for entry in row.measured):
        lines.append(("", "difference", *(_difference(entry) for entry in row.measured), ""))
    return tuple(lines)


def _mark(paper: Published) -> str:
    return "" if paper.confirmed else UNCONFIRMED


def _paper(entry: Entry) -> str:
    other = OTHERWISE if entry.paper.other else ""
    return f"{number(entry.paper.value, entry.score.digits)}{_mark(entry.paper)}{other}"


def _ours(entry: Entry, status: str) -> str:
    """Return our number; without one "–" where the last column gives the reason, else the reason itself."""
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


def _setting(run: Run, table: PaperTable, rows: list[Compared]) -> str:
    """Return what our numbers were made with: run, dataset, preset, crops, steps, images, seeds and scorer."""
    methods = {row.row.method for row in rows}
    trials = [trial for trial in run.trials if trial.method in methods]
    steps = _joined(trial.spec.get("steps") or trial.spec["config"]["steps"] for trial in trials)
    crops = _joined(trial.spec["config"]["crop_size"] for trial in trials)
    images = _joined(entry.n_images for row in rows for entry in row.entries if entry.n_images)
    parts = [f"run {run.about['name']}, dataset {run.dataset['label']}, preset {run.about['preset']}"]
    if trials:
        parts.append(f"{crops}-pixel images, {steps} steps")
    parts.append(f"{images} test images" if images else "nothing measured")
    parts.append(f"{'seed' if len(run.seeds) == 1 else 'seeds'} {', '.join(map(str, run.seeds))}")
    if table.direction == TO_LABELS:
        return f"{', '.join(parts)}; each pixel read as the class of the nearest colour"
    scorers = _joined(_scorers(trials, direction_of(run, table)))
    return f"{', '.join(parts)}; scored by a network that cgbench trained on this dataset ({scorers or 'not recorded'})"


def _scorers(trials: Iterable[TrialResult], direction: str) -> list[str]:
    """Return the digests of the scorers that the trials were measured with."""
    details = [read_json(trial.folder.protocols) for trial in trials if trial.folder.protocols.exists()]
    found = [entry for protocols in details for entry in protocols.values()]
    found = [entry for entry in found if entry.get("direction", direction) == direction]
    return [entry["scorer"] for entry in found if entry.get("scorer")]


def _joined(values: Iterable) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
