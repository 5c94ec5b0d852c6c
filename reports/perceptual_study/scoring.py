"""Scores of a study: how often each method's images were judged real, with an interval over participants (CycleGAN,
Table 1).

How often the 95 % interval covers the true percentage, simulated (2,000 studies a number, of 5 / 10 / 25 participants
with 40 answers each, whose true percentages follow a beta distribution):

    true mean ± SD of participants   this interval    Student's       percentile bootstrap
     1 % ±  2 %                      100 / 99 / 94    68 / 78 / 86    70 / 78 / 85
     3 % ±  4 %                      100 / 96 / 95    82 / 87 / 91    79 / 83 / 91
    10 % ±  7 %                       97 / 96 / 95    92 / 93 / 93    83 / 90 / 90
    27 % ±  0 %                      100 / 99 / 97    95 / 95 / 95    85 / 88 / 94
    27 % ± 10 %                       97 / 96 / 96    94 / 94 / 94    86 / 91 / 92
    50 % ± 10 %                       97 / 95 / 95    94 / 94 / 94    82 / 89 / 92
    50 % ± 22 %                       96 / 96 / 96    94 / 94 / 95    82 / 90 / 94

It is up to a quarter wider than Student's where participants are all alike, else less than a tenth from 27 % on. The
worst found: 80 % for 25 participants of 1 % ± 4 %, nearly all of whom are never fooled and a few often.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from cgbench.reports.formats.blocks import Block
from cgbench.reports.formats.csv import csv_lines, six_digits
from cgbench.reports.formats.latex import tex_table
from cgbench.reports.formats.markdown import bullet, escaped, markdown_table
from cgbench.reports.paper_tables.published import CYCLEGAN_PAPER, JUDGED_REAL, SLIDES, Judged
from cgbench.reports.perceptual_study.answers import Answers
from cgbench.reports.perceptual_study.study import Study
from cgbench.results.significance import ALPHA, clopper_pearson

TOLERANCE_MS = 100  # deviation of the time that a pair was shown, beyond which it is reported
NONE = "–"
CSV_COLUMNS = (
    "study", "run", "dataset", "direction", "method", "participants", "trials", "judged_real_percent",
    "error", "low", "high", "paper_percent", "paper_error",
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A percentage with its standard error and 95 % interval over participants. NaN are all three of one participant,
    and the error of 0 % and 100 %."""

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
    """Return the scores of valid answers."""
    rows = []
    for method in study.methods:
        shares = [judged_real(answers, study) for answers in valid if _method(answers, study) == method]
        percent = estimate(shares, study.scored) if shares else None
        paper = JUDGED_REAL.get(method, {}).get(study.target_kind) if _has_labels(study) else None
        rows.append(Row(method, len(shares), len(shares) * study.scored, percent, paper))
    return Outcome(study, tuple(rows), tuple(_notes(study, rows, valid)))


def judged_real(answers: Answers, study: Study) -> float:
    """Return the share of a participant's scored trials, from 0 to 1, in which the translated image was judged real."""
    scored = answers.answers[study.practice :]
    return sum(answer.chosen != study.real_side((answer.left, answer.right)) for answer in scored) / len(scored)


def estimate(shares: Sequence[float], trials: int) -> Estimate:
    """Return the mean of shares (participants,), from 0 to 1, of `trials` answers each, as a percentage with its error
    and its interval for other participants.

    The interval is that of Korn and Graubard (1998, Survey Methodology 24:193): Clopper and Pearson's for as many
    independent answers as would have the observed variance between participants, reduced for the degrees of freedom of
    that variance as Student's interval is. In the middle of the scale it is Student's; it never leaves 0 to 100 %. The
    variance is never taken to be below that of independent answers, so participants who all agree have an interval
    too: five with 0 of 40 answers give 0 to 3.6 %.
    """
    values = np.sort(np.asarray(shares, float))
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return Estimate(100 * mean, math.nan, math.nan, math.nan)
    independent = mean * (1 - mean) / (count * trials)
    variance = max(float(values.var(ddof=1)) / count, independent)
    answers = mean * (1 - mean) / variance if variance else count * trials
    answers *= (ndtri(1 - ALPHA / 2) / stdtrit(count - 1, 1 - ALPHA / 2)) ** 2
    low, high = clopper_pearson(mean * answers, answers)
    return Estimate(100 * mean, 100 * math.sqrt(variance) if variance else math.nan, 100 * low, 100 * high)


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
            numbers |= {"judged_real_percent": row.percent.mean, "error": row.percent.error}
            numbers |= {"low": row.percent.low, "high": row.percent.high}
        lines.append(line | {name: six_digits(value) for name, value in numbers.items()})
    return csv_lines(CSV_COLUMNS, lines)


FORMATS: dict[str, Callable[[Outcome], str]] = {"md": markdown, "latex": latex, "csv": csv}


def _notes(study: Study, rows: Sequence[Row], valid: Sequence[Answers]) -> list[str]:
    """Return notes on how the numbers were computed, then on their limitations."""
    notes = [
        "% judged real: how often the method's image was called the real one of a pair; 50 % is guessing, as with "
        "images that nobody can tell from real ones",
        "± is the standard error over participants, never below that of independent answers; the interval (Korn and "
        "Graubard 1998) stays within 0 to 100 % and has a width where all participants agree. They speak of other "
        "participants, not of other images or training seeds",
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
            if not math.isnan(row.percent.low):
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
