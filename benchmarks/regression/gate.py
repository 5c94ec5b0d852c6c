"""The drift gate: tests whether a run is worse than its baseline by more than seeds explain. Pure functions of numbers.

A number that varies with the seed has two tests, and Holm's procedure covers all tests of a check together.

other seeds  (mean of the run - mean of the baseline) / (s √(1/runs + 1/baselines)), s being the baseline's standard
             deviation: Student's with the baseline's seeds - 1 degrees of freedom, if the run's seeds are more of the
             same. The spread of the run is not used: a fault that widens it must not hide itself.
same seeds   the paired t-test of run - baseline, seed by seed, where the baseline has all of the run's seeds. The
             similarity of two machines is not assumed: their differences show it. This detects changes that the noise
             of other seeds would hide, and an unchanged program on the same machine differs by exactly nothing.

fail          one of them is significant, for the worse (or in either direction where neither is better), and the
              change is at least as large as the number's minimum effect
pass          the one-sided 95 % bound of the harmful change, by the sharper of the two, lies within the tolerance
inconclusive  neither: too few seeds, or too near to call

That every number must pass needs no correction (an intersection-union test). Numbers that no seed can change are
compared as they are.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

import numpy as np

from cgbench.api.names import TrialState
from cgbench.benchmarks.regression.run_numbers import (
    COUNT,
    NOT_TRAINED,
    ROUNDING,
    Key,
    RunNumbers,
    SeedValues,
    UnfinishedTrial,
)
from cgbench.errors import CgbenchError
from cgbench.results.significance import ALPHA, Effect, Verdict, holm, over_seeds

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
NEW, SKIPPED = "new", "skipped"  # not judged: no counterpart, or not comparable
REDRAWN = {"sources", "targets", "scorer", "scorer_recipe"}  # what differs where images were rendered again
MIN_SEEDS = 2  # of a baseline and of a run: one seed has no spread, and may be an outlier


@dataclass(frozen=True)
class Rules:
    """The thresholds of a change. `minimum` holds minimum effects of single metrics, in their own units.

    A spread is the baseline's standard deviation over seeds, a share is of the baseline's mean. `scorer_spreads` is the
    standard deviation, in spreads, that another training of the scorer, equal but for the last digits, gives a number
    that depends on it: 0.2 to 0.55, measured with six scorers on the suite `ci`.
    """

    minimum_spreads: float = 0.5
    minimum_share: float = 0.005
    tolerance_spreads: float = 3.0
    scorer_spreads: float = 0.5
    minimum: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Tolerance:
    """The tolerance of one number: the baseline's spread, the minimum effect that fails, and the non-inferiority margin
    that passes."""

    spread: float
    min_effect: float
    margin: float


@dataclass(frozen=True)
class NumberVerdict:
    """The verdict on one number. `low` to `high` is the 90 % interval of the change, whose harmful end is the one-sided
    95 % bound, by the sharper of the two tests, the paired one if `paired`; `p`, adjusted by Holm's procedure, is the
    smaller of both. NaN where nothing was tested."""

    key: Key
    status: str
    note: str = ""
    better: str = ""
    before: SeedValues | None = None
    after: SeedValues | None = None
    tolerance: Tolerance | None = None
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


def make_tolerance(number: SeedValues, metric: str, rules: Rules) -> Tolerance:
    """Return the tolerance of a baseline's number. Its spread is the standard deviation over seeds, but never less than
    a share of the mean, so that seeds that agree by chance (a collapse to one class) do not make a tolerance of
    zero."""
    values = np.array(list(number.values.values()))
    smallest = max(rules.minimum_share * abs(float(values.mean())), ROUNDING)
    if number.exact:
        min_effect = 0.0 if number.kind == COUNT else rules.minimum.get(metric, smallest)
        return Tolerance(0.0, _round_digits(min_effect), _round_digits(min_effect))
    spread = max(float(values.std(ddof=1)), smallest) if len(values) > 1 else math.nan
    min_effect = rules.minimum.get(metric, max(rules.minimum_spreads * spread, smallest))
    margin = max(rules.tolerance_spreads * spread, min_effect)
    return Tolerance(_round_digits(spread), _round_digits(min_effect), _round_digits(margin))


def check(
    baseline: RunNumbers, run: RunNumbers, tolerances: Mapping[Key, Tolerance], rules: Rules,
    strict: bool = False, allow_redrawn_images: bool = False,
) -> list[NumberVerdict]:  # fmt: skip
    """Return a verdict for every number of either side, in the baseline's order; the new ones last.

    Args:
        baseline: The numbers of the baseline.
        run: The numbers of the run.
        tolerances: The tolerances that the baseline states.
        rules: The thresholds of a change.
        strict: Whether a significant improvement fails as well.
        allow_redrawn_images: Whether the test images may differ from the baseline's; the untrained rows then show
            whether the difference matters.

    Returns:
        The verdicts.

    Raises:
        CgbenchError: Numbers were measured by another protocol than the baseline's.
    """
    retrained = retrained_scorers(baseline, run, allow_redrawn_images)
    unfinished = {trial.method: trial for trial in reversed(run.unfinished)}
    verdicts: list[NumberVerdict] = []
    tested: list[tuple[int, Effect]] = []  # the index of the verdict, and one of its effects
    for key, before in baseline.numbers.items():
        after, tolerance = run.numbers.get(key), tolerances[key]
        verdict = NumberVerdict(key, INCONCLUSIVE, "", before.better, before, after, tolerance)
        if after is None or key in run.absent or key.method in unfinished:
            verdict = _judge_missing(verdict, run, unfinished)
        elif before.kind == NOT_TRAINED and key in retrained:
            verdict = replace(verdict, status=SKIPPED, note="its scorer was trained again, which alone changes it")
        elif before.exact:
            verdict = _judge_exact(verdict)
        elif too_few := _too_few_seeds(before, after):
            verdict = replace(verdict, note=too_few)
        else:
            if key in retrained:
                tolerance = widen_tolerance(before, after, tolerance, rules)
                verdict = replace(verdict, tolerance=tolerance, note="another scorer")
            effects = [
                unpaired_effect(before, after, verdict.tolerance),
                None if key in retrained else paired_effect(before, after),
            ]
            tested += [(len(verdicts), effect) for effect in effects if effect is not None]
        verdicts.append(verdict)
    results_by_index: dict[int, list[Verdict]] = {}
    for (index, _), result in zip(tested, holm([effect for _, effect in tested]), strict=True):
        results_by_index.setdefault(index, []).append(result)
    for index, results in results_by_index.items():
        verdicts[index] = _judge(verdicts[index], results, strict)
    new_keys = [key for key in run.numbers if key not in baseline.numbers]
    return verdicts + [NumberVerdict(key, NEW, "not in the baseline", after=run.numbers[key]) for key in new_keys]


def retrained_scorers(baseline: RunNumbers, run: RunNumbers, allow_redrawn_images: bool) -> Set[Key]:
    """Return the keys whose scorer has other weights than the baseline's, but the same recipe: trained again on another
    machine; with `allow_redrawn_images` also on images that were rendered again there. Any other difference of protocol
    raises `CgbenchError`, which lists the differences."""
    retrained: set[Key] = set()
    refused: dict[tuple[str, ...], str] = {}
    for key, before in baseline.numbers.items():
        after = run.numbers.get(key)
        if after is None or before.protocol == after.protocol:
            continue
        first, second = baseline.protocols.get(before.protocol, {}), run.protocols.get(after.protocol, {})
        names = tuple(name for name in {**first, **second} if first.get(name) != second.get(name))
        same_recipe = names == ("scorer",) and first.get("scorer_recipe")
        if same_recipe or (allow_redrawn_images and names and set(names) <= REDRAWN):
            retrained |= {key} if "scorer" in names else set()
            continue
        differences = [f"{name} {first.get(name, 'unknown')} → {second.get(name, 'unknown')}" for name in names]
        refused.setdefault(names, f"{key.text}: {', '.join(differences) or 'not recorded'}")
    if refused:
        only_redrawn = not allow_redrawn_images and all(names and set(names) <= REDRAWN for names in refused)
        hint = (
            "; where images are drawn on the spot, as for 'streets', --allow-redrawn-images compares all the same"
            if only_redrawn
            else ""
        )
        raise CgbenchError(
            f"the run was not measured as the baseline was ({'; '.join(list(refused.values())[:3])}): nothing can be "
            f"compared{hint}; if that is intended, 'cgbench baseline update' makes a new baseline"
        )
    return retrained


def widen_tolerance(before: SeedValues, after: SeedValues, tolerance: Tolerance, rules: Rules) -> Tolerance:
    """Return the tolerance of numbers that depend on another scorer, whose own noise adds to that of the seeds."""
    seeds = 1 / len(before.values) + 1 / len(after.values)
    factor = math.sqrt(1 + 2 * rules.scorer_spreads**2 / seeds)
    return Tolerance(tolerance.spread * factor, tolerance.min_effect * factor, tolerance.margin * factor)


def outcome(verdicts: list[NumberVerdict]) -> str:
    """Return the verdict on the run: the worst of its numbers; a run that shares none with the baseline is
    inconclusive."""
    states = {verdict.status for verdict in verdicts}
    return next((state for state in (FAIL, INCONCLUSIVE) if state in states), PASS if PASS in states else INCONCLUSIVE)


def unpaired_effect(before: SeedValues, after: SeedValues, tolerance: Tolerance) -> Effect:
    """Return the change of the mean, with the standard error that the baseline's spread implies."""
    first, second = (np.array(list(number.values.values())) for number in (before, after))
    error = tolerance.spread * math.sqrt(1 / len(first) + 1 / len(second))
    return Effect(float(second.mean() - first.mean()), error, len(first) - 1)


def paired_effect(before: SeedValues, after: SeedValues) -> Effect | None:
    """Return the change seed by seed; None where the baseline lacks one of the run's seeds."""
    if not set(after.values) <= set(before.values):
        return None
    return over_seeds([value - before.values[seed] for seed, value in after.values.items()])


def _judge(verdict: NumberVerdict, results: list[Verdict], strict: bool) -> NumberVerdict:
    """Return the verdict with its status, from the results of one test or two."""
    tolerance, sign = verdict.tolerance, {"higher": -1, "lower": 1}.get(verdict.better, 0)
    significant = [
        result.effect.mean
        for result in results
        if result.significant and abs(result.effect.mean) >= tolerance.min_effect
    ]
    worse = [change for change in significant if change * sign > 0 or not sign]
    sharper = min(
        (result.effect for result in results),
        key=lambda effect: np.diff(effect.interval(2 * ALPHA)).item(),
    )
    low, high = sharper.interval(2 * ALPHA)
    bound = {-1: -low, 1: high}.get(sign, max(-low, high))
    if worse or (strict and significant):
        largest = max(worse or significant, key=abs)
        direction = ("worse" if worse else "better (--strict)") if sign else "changed"
        status, note = FAIL, f"{direction} by {abs(largest) / tolerance.spread:.1f} spreads of the baseline's seeds"
    elif bound <= tolerance.margin:
        status, note = PASS, "better beyond the noise of seeds: update the baseline" if significant else ""
    else:
        status, note = INCONCLUSIVE, f"may be {'worse' if sign else 'off'} by more than the tolerance"
    return replace(
        verdict, status=status, note="; ".join(filter(None, [note, verdict.note])), change=sharper.mean, low=low,
        high=high, p=min(result.p for result in results), improved=bool(significant) and not worse and sign != 0,
        paired=sharper is results[-1].effect and len(results) > 1,
    )  # fmt: skip


def _judge_exact(verdict: NumberVerdict) -> NumberVerdict:
    """Compare a number that no seed can change: any change of it is one of the data or of the arithmetic."""
    first, second = verdict.before.values, verdict.after.values
    reference = next(iter(first.values()))
    change = max((value - reference for value in second.values()), key=abs)
    changed = abs(change) > verdict.tolerance.min_effect
    note = "changed, and no seed can change it" if changed else ""
    return replace(verdict, status=FAIL if changed else PASS, note=note, change=change)


def _judge_missing(verdict: NumberVerdict, run: RunNumbers, unfinished: Mapping[str, UnfinishedTrial]) -> NumberVerdict:
    """Return the verdict on a number that a run lacks, entirely or for some seeds: fail if a trial failed, inconclusive
    if one is unfinished."""
    if verdict.key in run.absent:
        return replace(verdict, status=FAIL, note=f"not measured: {run.absent[verdict.key]}")
    trial = unfinished.get(verdict.key.method)
    if trial is None:
        return replace(verdict, status=FAIL, note="not in this run")
    reason = f"seed {trial.seed} {trial.state}" + (f": {trial.reason}" if trial.reason else "")
    ended_early = trial.state in (TrialState.FAILED, TrialState.DIVERGED)
    return replace(verdict, status=FAIL if ended_early else INCONCLUSIVE, note=reason)


def _too_few_seeds(before: SeedValues, after: SeedValues) -> str:
    """Return the reason why there are too few seeds for a test, "" where there are enough."""
    for name, number in (("baseline", before), ("run", after)):
        if len(number.values) < MIN_SEEDS:
            return f"one seed in the {name}: nothing can be said of the noise of seeds"
    return ""


def _round_digits(value: float) -> float:
    """Return four significant digits: tolerances are read and edited by people."""
    return float(f"{value:.4g}")
