"""Scores of a study: how often each method's images were judged real, with a bootstrap error (CycleGAN, Table 1)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cgbench.reports.formats.blocks import Block
from cgbench.reports.formats.csv import csv_lines, six_digits
from cgbench.reports.formats.latex import tex_table
from cgbench.reports.formats.markdown import bullet, escaped, markdown_table
from cgbench.reports.paper_tables.published import CYCLEGAN_PAPER, JUDGED_REAL, SLIDES, Judged
from cgbench.reports.perceptual_study.answers import Answers
from cgbench.reports.perceptual_study.study import Study
from cgbench.seeds import generator

RESAMPLES = 10_000
FEW_PARTICIPANTS = 10  # with fewer, a percentile interval is clearly too narrow
TOLERANCE_MS = 100  # deviation of the time that a pair was shown, beyond which it is reported
NONE = "–"
CSV_COLUMNS = (
    "study", "run", "dataset", "direction", "method", "participants", "trials", "judged_real_percent",
    "bootstrap_error", "low", "high", "paper_percent", "paper_error",
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A mean with its bootstrap standard error and 95 % interval; NaN for these three with one value."""

    mean: float
    error: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One method: its participants, their scored trials, and the percentage judged real, None without participants.
    `paper` is the published value for the method of that name."""

    method: str
    participants: int
    trials: int
    percent: Estimate | None
    paper: Judged | None


@dataclass(frozen=True)
class Outcome:
    """The scores of a study, and notes on them."""

    study: Study
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def score(study: Study, valid: Sequence[Answers]) -> Outcome:
    """Return the scores of valid answers. All methods are resampled with the same stream, by the study's seed."""
    rows = []
    for method in study.methods:
        shares = [judged_real(answers, study) for answers in valid if _method(answers, study) == method]
        rng = generator(study.seed, "study", "bootstrap")
        percent = bootstrap(100 * np.array(shares), rng) if shares else None
        paper = JUDGED_REAL.get(method, {}).get(study.target_kind) if _has_labels(study) else None
        rows.append(Row(method, len(shares), len(shares) * study.scored, percent, paper))
    return Outcome(study, tuple(rows), tuple(_notes(study, rows, valid)))


def judged_real(answers: Answers, study: Study) -> float:
    """Return the share of a participant's scored trials, from 0 to 1, in which the translated image was judged real."""
    scored = answers.answers[study.practice :]
    return sum(answer.chosen != study.real_side((answer.left, answer.right)) for answer in scored) / len(scored)


def bootstrap(values: np.ndarray, rng: np.random.Generator, resamples: int = RESAMPLES) -> Estimate:
    """Return the mean of values (participants,) with its bootstrap error and interval over participants (Efron 1979).

    Whole participants are resampled with replacement, each with all trials, as the answers of one participant are
    dependent. The error is the standard deviation of the resampled means, the interval their 2.5th and 97.5th
    percentiles.
    """
    if len(values) < 2:
        return Estimate(float(values.mean()), math.nan, math.nan, math.nan)
    means = values[rng.integers(len(values), size=(resamples, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(values.mean()), float(means.std()), float(low), float(high))


def markdown(outcome: Outcome) -> str:
    """Return the table as Markdown, with its notes."""
    shown = (_headers(outcome), *map(_cells(outcome), outcome.rows))
    lines = [[escaped(cell) for cell in line] for line in shown]
    heading = f"## {escaped(_heading(outcome))}"
    return "\n".join([heading, "", markdown_table(lines), "", *map(bullet, outcome.notes), ""])


def latex(outcome: Outcome) -> str:
    """Return the table as LaTeX with its notes in the caption; the preamble needs booktabs."""
    groups = tuple((cells,) for cells in map(_cells(outcome), outcome.rows))
    block = Block(_heading(outcome), _headers(outcome), groups)
    caption = [f"{_heading(outcome)}.", *(f"{line}." for line in outcome.notes)]
    return "\n".join([r"% needs \usepackage{booktabs}", tex_table(block, caption)])


def csv(outcome: Outcome) -> str:
    """Return one line per method with six significant digits, empty where there is no number."""
    study = outcome.study
    common = {"study": study.id, "run": study.run, "dataset": study.dataset, "direction": study.direction}
    lines = []
    for row in outcome.rows:
        line = {**common, "method": row.method, "participants": row.participants, "trials": row.trials}
        value, error = (row.paper.value, row.paper.error) if row.paper else (None, None)
        numbers: dict[str, float | None] = {"paper_percent": value, "paper_error": error}
        if row.percent:
            numbers |= {"judged_real_percent": row.percent.mean, "bootstrap_error": row.percent.error}
            numbers |= {"low": row.percent.low, "high": row.percent.high}
        lines.append(line | {name: six_digits(value) for name, value in numbers.items()})
    return csv_lines(CSV_COLUMNS, lines)


FORMATS: dict[str, Callable[[Outcome], str]] = {"md": markdown, "latex": latex, "csv": csv}


def _notes(study: Study, rows: Sequence[Row], valid: Sequence[Answers]) -> list[str]:
    """Return notes on how the numbers were computed, then on their limitations."""
    notes = [
        "% judged real: how often the method's image was called the real one of a pair; 50 % is guessing, as with "
        "images that nobody can tell from real ones",
        f"± is the bootstrap standard error, the interval 2.5th to 97.5th percentile: {RESAMPLES:,} resamples of whole "
        f"participants (study seed {study.seed}). They speak of other participants, not of other images or training "
        "seeds",
        f"study {study.id} of run {study.run} ({study.dataset}), training seed {study.trial_seed}: {study.scored} "
        f"scored pairs after {study.practice} for practice, {study.side}-pixel images, beside each {study.real}",
    ]
    if any(row.paper for row in rows):
        notes.append(
            f"paper: {CYCLEGAN_PAPER} 1, read in {SLIDES}: maps and aerial photos of 256×256 pixels, 25 participants "
            "per method. Other images and other people: the two columns are not one comparison"
        )
    counted = [row.participants for row in rows if row.participants]
    if 1 in counted:
        notes.append("one participant gives no error")
    if any(1 < count < FEW_PARTICIPANTS for count in counted):
        notes.append(f"with fewer than {FEW_PARTICIPANTS} participants the bootstrap interval is too narrow")
    return notes + _irregularities(study, valid)


def _irregularities(study: Study, valid: Sequence[Answers]) -> list[str]:
    """Return notes on the times that pairs were shown, and on participants with irregular sessions; all count."""
    scored = {answers.participant: answers.answers[study.practice :] for answers in valid}
    shown = [answer.shown_ms for answers in scored.values() for answer in answers]
    off = sum(abs(time - study.shown_ms) > TOLERANCE_MS for time in shown)
    times = f"pairs were shown for {np.median(shown):.0f} ms (median; {min(shown)} to {max(shown)} ms)"
    notes = [times + (f"; {off} of {len(shown)} were more than {TOLERANCE_MS} ms off" if off else "")]
    restarted = [str(answers.participant) for answers in valid if answers.earlier_starts]
    if restarted:
        notes.append(
            f"began before in the same browser, and may have seen pairs twice: participant {', '.join(restarted)}"
        )
    one_side = [str(number) for number, answers in scored.items() if len({answer.chosen for answer in answers}) == 1]
    if one_side and study.scored > 1:
        notes.append(f"chose the same side in every scored pair: participant {', '.join(one_side)}")
    return notes


def _method(answers: Answers, study: Study) -> str:
    return study.sessions[answers.participant - 1].method


def _has_labels(study: Study) -> bool:
    """Return whether the study translates between photos and label maps, as the paper's does."""
    return study.kinds in (("labels", "photo"), ("photo", "labels"))


def _heading(outcome: Outcome) -> str:
    return f"{outcome.study.run}: images judged real, {outcome.study.direction_name}"


def _headers(outcome: Outcome) -> tuple[str, ...]:
    paper = ("paper, on maps",) if any(row.paper for row in outcome.rows) else ()
    return ("method", "participants", "trials", "% judged real", "95 % interval", *paper)


def _cells(outcome: Outcome) -> Callable[[Row], tuple[str, ...]]:
    with_paper = any(row.paper for row in outcome.rows)

    def cells(row: Row) -> tuple[str, ...]:
        percent, interval = "no answers", NONE
        if row.percent:
            percent = f"{row.percent.mean:.1f}"
            if not math.isnan(row.percent.error):
                percent += f" ± {row.percent.error:.1f}"
                interval = f"{row.percent.low:.1f} to {row.percent.high:.1f}"
        paper = f"{row.paper.value:.1f} ± {row.paper.error:.1f}" if row.paper else NONE
        return (
            row.method,
            str(row.participants),
            str(row.trials),
            percent,
            interval,
            *((paper,) if with_paper else ()),
        )

    return cells
