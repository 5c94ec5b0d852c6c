"""The drift gate: is a run worse than its baseline by more than seeds explain? Pure functions of numbers.

A number that varies with the seed is tested against the band of the baseline's seeds. If the run's seeds came from the
same program, then (mean of the run - mean of the baseline) / (s √(1/runs + 1/baselines)), s being the baseline's
standard deviation, has Student's distribution with the baseline's seeds - 1 degrees of freedom. The spread of the run
is not used: a fault that widens it must not hide behind it.

fail          the change is significant by Holm's procedure over all tested numbers, for the worse (or in any way where
              no way is better), and at least as large as the number's minimum effect
pass          the one-sided 95 % bound of the harmful change lies within the tolerance
inconclusive  neither: too few seeds, or too near to call

That every number must pass needs no correction (an intersection-union test): where one has truly changed for the worse
by its tolerance, a run passes in 5 % of cases at most. Numbers that no seed can change are compared as they are.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

import numpy as np

from cgbench.errors import CgbenchError
from cgbench.reports.measurements import COUNT, NOT_TRAINED, ROUNDING, Key, Measurements, Number, Trouble
from cgbench.reports.statistics import ALPHA, Effect, Verdict, holm

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
NEW, SKIPPED = "new", "skipped"  # not judged: nothing to compare with, or not comparable
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
class Limits:
    """The band of one number: the baseline's spread, the minimum effect that fails, the tolerance that passes."""

    spread: float
    minimum: float
    tolerance: float


@dataclass(frozen=True)
class Finding:
    """The verdict on one number. `low` to `high` is the 90 % interval of the change, whose harmful end is the one-sided
    95 % bound; `p` is adjusted by Holm's procedure; both are NaN where nothing was tested."""

    key: Key
    status: str
    note: str = ""
    better: str = ""
    before: Number | None = None
    after: Number | None = None
    limits: Limits | None = None
    change: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    improved: bool = False

    @property
    def identical(self) -> bool:
        """Whether the run repeats the baseline's values, digit for digit, in every seed it has."""
        if not self.before or not self.after or not self.after.values:
            return False
        return all(self.before.values.get(seed) == value for seed, value in self.after.values.items())


def limits(number: Number, metric: str, rules: Rules) -> Limits:
    """Return the band of a baseline's number. Its spread is the standard deviation over seeds, but never less than a
    share of the mean, so that seeds that agree by chance (a collapse to one class) make no band without width."""
    values = np.array(list(number.values.values()))
    floor = max(rules.minimum_share * abs(float(values.mean())), ROUNDING)
    if number.exact:
        least = 0.0 if number.kind == COUNT else rules.minimum.get(metric, floor)
        return Limits(0.0, _short(least), _short(least))
    spread = max(float(values.std(ddof=1)), floor) if len(values) > 1 else math.nan
    least = rules.minimum.get(metric, max(rules.minimum_spreads * spread, floor))
    return Limits(_short(spread), _short(least), _short(max(rules.tolerance_spreads * spread, least)))


def check(
    baseline: Measurements, run: Measurements, bands: Mapping[Key, Limits], rules: Rules, strict: bool = False
) -> list[Finding]:
    """Return a finding for every number of either side, in the baseline's order; the new ones last.

    `bands` are the limits that the baseline states. `strict` makes a significant improvement a failure as well.
    Numbers that were measured by another protocol than the baseline's raise `CgbenchError`.
    """
    retrained = other_scorers(baseline, run)
    stopped = {trouble.method: trouble for trouble in reversed(run.troubles)}
    findings: list[Finding] = []
    tested: list[tuple[int, Effect]] = []
    for key, before in baseline.numbers.items():
        after, band = run.numbers.get(key), bands[key]
        finding = Finding(key, INCONCLUSIVE, "", before.better, before, after, band)
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
            tested.append((len(findings), effect(before, after, finding.limits)))
        findings.append(finding)
    for (place, _), verdict in zip(tested, holm([effect for _, effect in tested]), strict=True):
        findings[place] = _judged(findings[place], verdict, strict)
    new = [key for key in run.numbers if key not in baseline.numbers]
    return findings + [Finding(key, NEW, "not in the baseline", after=run.numbers[key]) for key in new]


def other_scorers(baseline: Measurements, run: Measurements) -> Set[Key]:
    """Return the keys whose scorer has other weights than the baseline's, but the same recipe: trained again on another
    machine. Any other difference of protocol raises `CgbenchError`, with what differs."""
    retrained: set[Key] = set()
    differing: dict[str, Key] = {}
    for key, before in baseline.numbers.items():
        after = run.numbers.get(key)
        if after is None or before.protocol == after.protocol:
            continue
        first, second = baseline.protocols.get(before.protocol, {}), run.protocols.get(after.protocol, {})
        names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
        if names == ["scorer"] and first.get("scorer_recipe"):
            retrained.add(key)
            continue
        parts = [f"{name} {first.get(name, 'unknown')} → {second.get(name, 'unknown')}" for name in names]
        differing.setdefault(", ".join(parts) or "not recorded", key)
    if differing:
        said = "; ".join(f"{key.text}: {text}" for text, key in list(differing.items())[:3])
        raise CgbenchError(
            f"the run was not measured as the baseline was ({said}): nothing can be compared; if that is intended, "
            "'cgbench baseline update' makes a new baseline"
        )
    return retrained


def widened(before: Number, after: Number, band: Limits, rules: Rules) -> Limits:
    """Return limits for numbers that look through another scorer, whose own noise adds to that of the seeds."""
    seeds = 1 / len(before.values) + 1 / len(after.values)
    factor = math.sqrt(1 + 2 * rules.scorer_spreads**2 / seeds)
    return Limits(band.spread * factor, band.minimum * factor, band.tolerance * factor)


def outcome(findings: list[Finding]) -> str:
    """Return the verdict on the run: the worst of its numbers; a run that shares none with the baseline is
    inconclusive."""
    states = {finding.status for finding in findings}
    return next((state for state in (FAIL, INCONCLUSIVE) if state in states), PASS if PASS in states else INCONCLUSIVE)


def effect(before: Number, after: Number, band: Limits) -> Effect:
    """Return the change of the mean, with the error that the baseline's spread gives it."""
    first, second = (np.array(list(number.values.values())) for number in (before, after))
    error = band.spread * math.sqrt(1 / len(first) + 1 / len(second))
    return Effect(float(second.mean() - first.mean()), error, len(first) - 1)


def _judged(finding: Finding, verdict: Verdict, strict: bool) -> Finding:
    change, band = verdict.effect.mean, finding.limits
    low, high = verdict.effect.interval(2 * ALPHA)
    harmful = {"higher": -change, "lower": change}.get(finding.better, abs(change))
    bound = {"higher": -low, "lower": high}.get(finding.better, max(-low, high))
    beyond = verdict.significant and abs(change) >= band.minimum
    improved = beyond and harmful < 0
    if beyond and (harmful > 0 or strict):
        way = "worse" if harmful > 0 and finding.better else "better (--strict)" if finding.better else "changed"
        status, note = FAIL, f"{way} by {abs(change) / band.spread:.1f} spreads of the baseline's seeds"
    elif bound <= band.tolerance:
        status, note = PASS, "better beyond the noise of seeds: update the baseline" if improved else ""
    else:
        status, note = INCONCLUSIVE, f"may be {'worse' if finding.better else 'off'} by more than the tolerance"
    note = "; ".join(filter(None, [note, finding.note]))
    return replace(finding, status=status, note=note, change=change, low=low, high=high, p=verdict.p, improved=improved)


def _exact(finding: Finding) -> Finding:
    """Compare a number that no seed can change: any change of it is one of the data or of the arithmetic."""
    first, second = finding.before.values, finding.after.values
    reference = next(iter(first.values()))
    change = max((value - reference for value in second.values()), key=abs)
    changed = abs(change) > finding.limits.minimum
    note = "changed, and no seed can change it" if changed else ""
    return replace(finding, status=FAIL if changed else PASS, note=note, change=change)


def _missing(finding: Finding, run: Measurements, stopped: Mapping[str, Trouble]) -> Finding:
    """Say why a run has no number, or not of all its seeds: a failure is one, an unfinished trial is not yet."""
    if finding.key in run.absent:
        return replace(finding, status=FAIL, note=f"not measured: {run.absent[finding.key]}")
    trouble = stopped.get(finding.key.method)
    if trouble is None:
        return replace(finding, status=FAIL, note="not in this run")
    reason = f"seed {trouble.seed} {trouble.state}" + (f": {trouble.reason}" if trouble.reason else "")
    return replace(finding, status=FAIL if trouble.state in ("failed", "diverged") else INCONCLUSIVE, note=reason)


def _too_few(before: Number, after: Number) -> str:
    for name, number in (("baseline", before), ("run", after)):
        if len(number.values) < LEAST_SEEDS:
            return f"one seed in the {name}: nothing can be said of the noise of seeds"
    return ""


def _short(value: float) -> float:
    """Return four significant digits: limits are for people to read and to change."""
    return float(f"{value:.4g}")
