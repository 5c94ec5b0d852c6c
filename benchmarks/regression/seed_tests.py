"""Tests of numbers that vary with the seed, with the error that each kind of test may make.

means       other seeds: permutation of whole seeds (max-T) between baseline and run, for a difference of means
spread      the same for a wider spread of the run: most of its seeds may be as before, and one broken
same seeds  the paired t-test of run - baseline, seed by seed, with Holm's procedure over the numbers, where the
            baseline has all of the run's seeds; not where the scorer was trained again
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgbench.benchmarks.regression.permutation import mean_p_values, spread_p_values
from cgbench.benchmarks.regression.run_numbers import SeedValues
from cgbench.errors import CgbenchError
from cgbench.results.significance import ALPHA, Effect, holm, mean_effect

MEANS, SPREAD, PAIRED = "means", "spread", "same seeds"
MOST_SEEDS = 1_000  # of both sides together: the assignments of more would fill the memory
SHARE = 0.01  # of ALPHA, for the spread and, where it is made, for the paired test; the means have the rest


@dataclass(frozen=True)
class Pair:
    """One number of the baseline and of the run; `spread` is the baseline's standard deviation over seeds. Where the
    scorer was trained again, the error of a change exceeds that of seeds by the factor `inflation`, and the same seed
    is another trial."""

    before: SeedValues
    after: SeedValues
    spread: float
    inflation: float = 1.0
    another_scorer: bool = False

    @property
    def paired(self) -> bool:
        return not self.another_scorer and set(self.after.values) <= set(self.before.values)


@dataclass(frozen=True)
class SeedTest:
    """The result of one test of one number: its kind, the error that all tests of this kind may make together, the
    p-value, adjusted for all numbers, and what changed: the mean, or for SPREAD the standard deviation over seeds."""

    kind: str
    level: float
    p: float
    change: float

    @property
    def significant(self) -> bool:
        return self.p <= self.level


def run_tests(pairs: Sequence[Pair]) -> list[list[SeedTest]]:
    """Return the tests of each number; the chance that any is significant, where nothing has changed, is ALPHA at most.
    More than 1,000 seeds raise `CgbenchError`."""
    if not pairs:
        return []
    first, second = _table([pair.before for pair in pairs]), _table([pair.after for pair in pairs])
    if (seeds := first.shape[1] + second.shape[1]) > MOST_SEEDS:
        raise CgbenchError(
            f"baseline and run have {seeds:,} seeds together, and at most {MOST_SEEDS:,} can be compared: "
            "make the baseline of fewer, or check a run of fewer"
        )
    paired = [index for index, pair in enumerate(pairs) if pair.paired]
    level = ALPHA - SHARE * (2 if paired else 1)
    means = mean_p_values(first, second, np.array([pair.inflation for pair in pairs]))
    spreads = spread_p_values(first, second)
    tests = []
    for pair, p_mean, p_spread in zip(pairs, means.tolist(), spreads.tolist(), strict=True):
        widening = float(np.std(list(pair.after.values.values()), ddof=1)) - pair.spread
        change = unpaired_effect(pair).mean
        tests.append([SeedTest(MEANS, level, p_mean, change), SeedTest(SPREAD, SHARE, p_spread, widening)])
    effects = [paired_effect(pairs[index]) for index in paired]
    for index, verdict in zip(paired, holm(effects), strict=True):
        tests[index].append(SeedTest(PAIRED, SHARE, verdict.p, verdict.mean))
    return tests


def unpaired_effect(pair: Pair) -> Effect:
    """Return the change of the mean, with the standard error that the baseline's spread implies: the run's spread is
    not used, a fault that widens it must not hide itself."""
    first, second = (np.array(list(number.values.values())) for number in (pair.before, pair.after))
    error = pair.spread * math.sqrt(1 / len(first) + 1 / len(second))
    return Effect(float(second.mean() - first.mean()), error, len(first) - 1)


def paired_effect(pair: Pair) -> Effect:
    """Return the change seed by seed; the baseline has all seeds of the run, which are two or more."""
    effect = mean_effect([value - pair.before.values[seed] for seed, value in pair.after.values.items()])
    assert effect is not None
    return effect


def _table(numbers: Sequence[SeedValues]) -> np.ndarray:
    """Return (numbers, seeds) in the order of the seeds, NaN where a number lacks one."""
    seeds = sorted({seed for number in numbers for seed in number.values})
    return np.array([[number.values.get(seed, math.nan) for seed in seeds] for number in numbers])
