"""The drift gate: tests whether a run is worse than its baseline by more than seeds explain. Pure functions of numbers.

A number that varies with the seed has two tests or three (`seed_tests`), which share the error of 5 % of a check: of
the means and of the spread by permutation of whole seeds, and seed by seed where the baseline has all of the run's
seeds. The last detects changes that the noise of other seeds would hide. The similarity of two machines is not assumed:
their differences show it.

fail          one of them is significant, for the worse (or in either direction where neither is better; always for a
              wider spread), and the change is at least as large as the number's minimum effect
pass          the one-sided 95 % bound of the harmful change of the mean lies within the tolerance: Student's, paired or
              not, whichever is the sharper
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
from cgbench.benchmarks.regression.seed_tests import (
    SPREAD,
    Pair,
    SeedTest,
    paired_effect,
    run_tests,
    unpaired_effect,
)
from cgbench.errors import CgbenchError
from cgbench.results.significance import ALPHA

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
    95 % bound: Student's, over the seeds of both sides if `paired`. `tests` holds the tests made, `decisive` the one
    that made it fail, or the nearest to that. NaN and None where nothing was tested."""

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
    tests: tuple[SeedTest, ...] = ()
    decisive: SeedTest | None = None
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
        CgbenchError: Numbers were measured by another protocol than the baseline's, or there are over 1,000 seeds.
    """
    retrained = retrained_scorers(baseline, run, allow_redrawn_images)
    unfinished = {trial.method: trial for trial in reversed(run.unfinished)}
    verdicts: list[NumberVerdict] = []
    varying: dict[int, Pair] = {}  # by the index of the verdict
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
            inflation = scorer_inflation(before, after, rules) if key in retrained else 1.0
            tolerance = widen_tolerance(tolerance, inflation)
            verdict = replace(verdict, tolerance=tolerance, note="another scorer" if key in retrained else "")
            varying[len(verdicts)] = Pair(before, after, tolerance.spread, inflation, key in retrained)
        verdicts.append(verdict)
    for (index, pair), tests in zip(varying.items(), run_tests(list(varying.values())), strict=True):
        verdicts[index] = _judge(verdicts[index], pair, tests, strict)
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


def scorer_inflation(before: SeedValues, after: SeedValues, rules: Rules) -> float:
    """Return the factor of the error of numbers that depend on another scorer, whose own noise adds to that of the
    seeds."""
    seeds = 1 / len(before.values) + 1 / len(after.values)
    return math.sqrt(1 + 2 * rules.scorer_spreads**2 / seeds)


def widen_tolerance(tolerance: Tolerance, factor: float) -> Tolerance:
    """Return the tolerance times a factor."""
    return Tolerance(tolerance.spread * factor, tolerance.min_effect * factor, tolerance.margin * factor)


def outcome(verdicts: list[NumberVerdict]) -> str:
    """Return the verdict on the run: the worst of its numbers; a run that shares none with the baseline is
    inconclusive."""
    states = {verdict.status for verdict in verdicts}
    return next((state for state in (FAIL, INCONCLUSIVE) if state in states), PASS if PASS in states else INCONCLUSIVE)


def _judge(verdict: NumberVerdict, pair: Pair, tests: list[SeedTest], strict: bool) -> NumberVerdict:
    """Return the verdict with its status, from the tests of the number."""
    tolerance, sign = verdict.tolerance, {"higher": -1, "lower": 1}.get(verdict.better, 0)
    significant = [test for test in tests if test.significant and _is_large(test, tolerance)]
    worse = [test for test in significant if test.kind == SPREAD or test.change * sign > 0 or not sign]
    effects = [unpaired_effect(pair), *([paired_effect(pair)] if pair.paired else [])]
    sharper = min(effects, key=lambda effect: np.diff(effect.interval(2 * ALPHA)).item())
    low, high = sharper.interval(2 * ALPHA)
    bound = {-1: -low, 1: high}.get(sign, max(-low, high))
    failing = worse or (significant if strict else [])
    if failing:
        status, note = FAIL, _describe_failure(failing, verdict, bool(worse))
    elif bound <= tolerance.margin:
        status, note = PASS, "better beyond the noise of seeds: update the baseline" if significant else ""
    else:
        status, note = INCONCLUSIVE, f"may be {'worse' if sign else 'off'} by more than the tolerance"
    return replace(
        verdict, status=status, note="; ".join(filter(None, [note, verdict.note])), change=sharper.mean, low=low,
        high=high, tests=tuple(tests), decisive=min(failing or tests, key=lambda test: test.p / test.level),
        improved=bool(significant) and not worse and sign != 0, paired=sharper is not effects[0],
    )  # fmt: skip


def _is_large(test: SeedTest, tolerance: Tolerance) -> bool:
    """Whether a change reaches the minimum effect; a spread counts only if it grew."""
    return (test.change if test.kind == SPREAD else abs(test.change)) >= tolerance.min_effect


def _describe_failure(failing: list[SeedTest], verdict: NumberVerdict, worse: bool) -> str:
    """Return what the failing tests found, in spreads of the baseline."""
    shifts = [abs(test.change) / verdict.tolerance.spread for test in failing if test.kind != SPREAD]
    widenings = [test.change / verdict.tolerance.spread for test in failing if test.kind == SPREAD]
    direction = ("worse" if worse else "better (--strict)") if verdict.better else "changed"
    parts = [f"{direction} by {max(shifts):.1f} spreads of the baseline's seeds"] if shifts else []
    return "; ".join(parts + [f"its seeds spread {1 + factor:.1f} times as wide" for factor in widenings])


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
