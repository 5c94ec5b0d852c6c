"""The drift gate: is a run worse than its baseline by more than seeds explain? Pure functions of numbers.

A number that varies with the seed is tested in two ways, and Holm's procedure covers all tests of a check together.

other seeds  (mean of the run - mean of the baseline) / (s √(1/runs + 1/baselines)), s being the baseline's standard
             deviation: Student's with the baseline's seeds - 1 degrees of freedom, if the run's seeds are more of the
             same. The spread of the run is not used: a fault that widens it must not hide behind it.
same seeds   the paired t-test of run - baseline, seed by seed, where the baseline has all of the run's seeds. Nothing
             is taken for granted of how alike two machines are: their differences show it. This finds what other seeds
             would drown, and an unchanged program on the same machine differs by exactly nothing.

fail          one of them is significant, for the worse (or in any way where no way is better), and the change is at
              least as large as the number's minimum effect
pass          the one-sided 95 % bound of the harmful change, by the sharper of the two, lies within the tolerance
inconclusive  neither: too few seeds, or too near to call

That every number must pass needs no correction (an intersection-union test). Numbers that no seed can change are
compared as they are.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

import numpy as np

from cgbench.benchmarks.regression.run_numbers import (
    COUNT,
    NOT_TRAINED,
    ROUNDING,
    Key,
    Measurements,
    SeedValues,
    UnfinishedTrial,
)
from cgbench.errors import CgbenchError
from cgbench.results.significance import ALPHA, Effect, Verdict, holm, over_seeds

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
NEW, SKIPPED = "new", "skipped"  # not judged: nothing to compare with, or not comparable
REDRAWN = {"sources", "targets", "scorer", "scorer_recipe"}  # what differs where images were drawn again
LEAST_SEEDS = 2  # of a baseline and of a run: one seed has no spread, and may be an unlucky one


@dataclass(frozen=True)
class Rules:
    """What a change must be to count. `minimum` holds minimum effects of single metrics, in their own units.

    A spread is the baseline's standard deviation over seeds, a share is of the baseline's mean. `scorer_spreads` is the
    standard deviation, in spreads, that another training of the scorer, equal but for the last digits, gives a number
    that looks through it: 0.2 to 0.55, measured with six scorers on the suite `ci`.
    """

    minimum_spreads: float = 0.5
    minimum_share: float = 0.005
    tolerance_spreads: float = 3.0
    scorer_spreads: float = 0.5
    minimum: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Tolerance:
    """The band of one number: the baseline's spread, the minimum effect that fails, the tolerance that passes."""

    spread: float
    minimum: float
    tolerance: float


@dataclass(frozen=True)
class NumberVerdict:
    """The verdict on one number. `low` to `high` is the 90 % interval of the change, whose harmful end is the one-sided
    95 % bound, by the sharper way, which `paired` names; `p`, adjusted by Holm's procedure, is the smaller of both.
    NaN where nothing was tested."""

    key: Key
    status: str
    note: str = ""
    better: str = ""
    before: SeedValues | None = None
    after: SeedValues | None = None
    limits: Tolerance | None = None
    change: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    improved: bool = False
    paired: bool = False

    @property
    def identical(self) -> bool:
        """Whether the run repeats the baseline's values, digit for digit, in every seed it has."""
        if not self.before or not self.after or not self.after.values:
            return False
        return all(self.before.values.get(seed) == value for seed, value in self.after.values.items())


def limits(number: SeedValues, metric: str, rules: Rules) -> Tolerance:
    """Return the band of a baseline's number. Its spread is the standard deviation over seeds, but never less than a
    share of the mean, so that seeds that agree by chance (a collapse to one class) make no band without width."""
    values = np.array(list(number.values.values()))
    floor = max(rules.minimum_share * abs(float(values.mean())), ROUNDING)
    if number.exact:
        least = 0.0 if number.kind == COUNT else rules.minimum.get(metric, floor)
        return Tolerance(0.0, _short(least), _short(least))
    spread = max(float(values.std(ddof=1)), floor) if len(values) > 1 else math.nan
    least = rules.minimum.get(metric, max(rules.minimum_spreads * spread, floor))
    return Tolerance(_short(spread), _short(least), _short(max(rules.tolerance_spreads * spread, least)))


def check(
    baseline: Measurements,
    run: Measurements,
    bands: Mapping[Key, Tolerance],
    rules: Rules,
    strict: bool = False,
    redrawn: bool = False,
) -> list[NumberVerdict]:
    """Return a finding for every number of either side, in the baseline's order; the new ones last.

    `bands` are the limits that the baseline states. `strict` makes a significant improvement a failure as well.
    Numbers that were measured by another protocol than the baseline's raise `CgbenchError`; `redrawn` lets the test
    images be others, and leaves it to the untrained rows to say whether they are others that matter.
    """
    retrained = other_scorers(baseline, run, redrawn)
    stopped = {trouble.method: trouble for trouble in reversed(run.troubles)}
    findings: list[NumberVerdict] = []
    tested: list[tuple[int, Effect]] = []  # the finding's place, and one way to test it
    for key, before in baseline.numbers.items():
        after, band = run.numbers.get(key), bands[key]
        finding = NumberVerdict(key, INCONCLUSIVE, "", before.better, before, after, band)
        if after is None or key in run.absent or key.method in stopped:
            finding = _missing(finding, run, stopped)
        elif before.kind == NOT_TRAINED and key in retrained:
            finding = replace(finding, status=SKIPPED, note="its scorer was trained again, which alone changes it")
        elif before.exact:
            finding = _exact(finding)
        elif too_few := _too_few(before, after):
            finding = replace(finding, note=too_few)
        else:
            if key in retrained:
                finding = replace(finding, limits=widened(before, after, band, rules), note="another scorer")
            ways = [effect(before, after, finding.limits), None if key in retrained else paired(before, after)]
            tested += [(len(findings), way) for way in ways if way is not None]
        findings.append(finding)
    verdicts: dict[int, list[Verdict]] = {}
    for (place, _), verdict in zip(tested, holm([way for _, way in tested]), strict=True):
        verdicts.setdefault(place, []).append(verdict)
    for place, found in verdicts.items():
        findings[place] = _judged(findings[place], found, strict)
    new = [key for key in run.numbers if key not in baseline.numbers]
    return findings + [NumberVerdict(key, NEW, "not in the baseline", after=run.numbers[key]) for key in new]


def other_scorers(baseline: Measurements, run: Measurements, redrawn: bool) -> Set[Key]:
    """Return the keys whose scorer has other weights than the baseline's, but the same recipe: trained again on another
    machine; with `redrawn` on images that were drawn again there. Any other difference of protocol raises
    `CgbenchError`, with what differs."""
    retrained: set[Key] = set()
    refused: dict[tuple[str, ...], str] = {}
    for key, before in baseline.numbers.items():
        after = run.numbers.get(key)
        if after is None or before.protocol == after.protocol:
            continue
        first, second = baseline.protocols.get(before.protocol, {}), run.protocols.get(after.protocol, {})
        names = tuple(name for name in {**first, **second} if first.get(name) != second.get(name))
        same_recipe = names == ("scorer",) and first.get("scorer_recipe")
        if same_recipe or (redrawn and names and set(names) <= REDRAWN):
            retrained |= {key} if "scorer" in names else set()
            continue
        parts = [f"{name} {first.get(name, 'unknown')} → {second.get(name, 'unknown')}" for name in names]
        refused.setdefault(names, f"{key.text}: {', '.join(parts) or 'not recorded'}")
    if refused:
        drawn = not redrawn and all(names and set(names) <= REDRAWN for names in refused)
        hint = (
            "; where images are drawn on the spot, as for 'streets', --redrawn compares all the same" if drawn else ""
        )
        raise CgbenchError(
            f"the run was not measured as the baseline was ({'; '.join(list(refused.values())[:3])}): nothing can be "
            f"compared{hint}; if that is intended, 'cgbench baseline update' makes a new baseline"
        )
    return retrained


def widened(before: SeedValues, after: SeedValues, band: Tolerance, rules: Rules) -> Tolerance:
    """Return limits for numbers that look through another scorer, whose own noise adds to that of the seeds."""
    seeds = 1 / len(before.values) + 1 / len(after.values)
    factor = math.sqrt(1 + 2 * rules.scorer_spreads**2 / seeds)
    return Tolerance(band.spread * factor, band.minimum * factor, band.tolerance * factor)


def outcome(findings: list[NumberVerdict]) -> str:
    """Return the verdict on the run: the worst of its numbers; a run that shares none with the baseline is
    inconclusive."""
    states = {finding.status for finding in findings}
    return next((state for state in (FAIL, INCONCLUSIVE) if state in states), PASS if PASS in states else INCONCLUSIVE)


def effect(before: SeedValues, after: SeedValues, band: Tolerance) -> Effect:
    """Return the change of the mean, with the error that the baseline's spread gives it."""
    first, second = (np.array(list(number.values.values())) for number in (before, after))
    error = band.spread * math.sqrt(1 / len(first) + 1 / len(second))
    return Effect(float(second.mean() - first.mean()), error, len(first) - 1)


def paired(before: SeedValues, after: SeedValues) -> Effect | None:
    """Return the change seed by seed; None where the baseline lacks one of the run's seeds."""
    if not set(after.values) <= set(before.values):
        return None
    return over_seeds([value - before.values[seed] for seed, value in after.values.items()])


def _judged(finding: NumberVerdict, verdicts: list[Verdict], strict: bool) -> NumberVerdict:
    """Return the finding with its verdict, from one test or two."""
    band, sign = finding.limits, {"higher": -1, "lower": 1}.get(finding.better, 0)
    beyond = [v.effect.mean for v in verdicts if v.significant and abs(v.effect.mean) >= band.minimum]
    worse = [change for change in beyond if change * sign > 0 or not sign]
    sharper = min((v.effect for v in verdicts), key=lambda effect: np.diff(effect.interval(2 * ALPHA)).item())
    low, high = sharper.interval(2 * ALPHA)
    bound = {-1: -low, 1: high}.get(sign, max(-low, high))
    if worse or (strict and beyond):
        largest = max(worse or beyond, key=abs)
        way = ("worse" if worse else "better (--strict)") if sign else "changed"
        status, note = FAIL, f"{way} by {abs(largest) / band.spread:.1f} spreads of the baseline's seeds"
    elif bound <= band.tolerance:
        status, note = PASS, "better beyond the noise of seeds: update the baseline" if beyond else ""
    else:
        status, note = INCONCLUSIVE, f"may be {'worse' if sign else 'off'} by more than the tolerance"
    return replace(
        finding, status=status, note="; ".join(filter(None, [note, finding.note])), change=sharper.mean, low=low,
        high=high, p=min(v.p for v in verdicts), improved=bool(beyond) and not worse and sign != 0,
        paired=sharper is verdicts[-1].effect and len(verdicts) > 1,
    )  # fmt: skip


def _exact(finding: NumberVerdict) -> NumberVerdict:
    """Compare a number that no seed can change: any change of it is one of the data or of the arithmetic."""
    first, second = finding.before.values, finding.after.values
    reference = next(iter(first.values()))
    change = max((value - reference for value in second.values()), key=abs)
    changed = abs(change) > finding.limits.minimum
    note = "changed, and no seed can change it" if changed else ""
    return replace(finding, status=FAIL if changed else PASS, note=note, change=change)


def _missing(finding: NumberVerdict, run: Measurements, stopped: Mapping[str, UnfinishedTrial]) -> NumberVerdict:
    """Say why a run has no number, or not of all its seeds: a failure is one, an unfinished trial is not yet."""
    if finding.key in run.absent:
        return replace(finding, status=FAIL, note=f"not measured: {run.absent[finding.key]}")
    trouble = stopped.get(finding.key.method)
    if trouble is None:
        return replace(finding, status=FAIL, note="not in this run")
    reason = f"seed {trouble.seed} {trouble.state}" + (f": {trouble.reason}" if trouble.reason else "")
    return replace(finding, status=FAIL if trouble.state in ("failed", "diverged") else INCONCLUSIVE, note=reason)


def _too_few(before: SeedValues, after: SeedValues) -> str:
    for name, number in (("baseline", before), ("run", after)):
        if len(number.values) < LEAST_SEEDS:
            return f"one seed in the {name}: nothing can be said of the noise of seeds"
    return ""


def _short(value: float) -> float:
    """Return four significant digits: limits are for people to read and to change."""
    return float(f"{value:.4g}")
