"""Differences between methods: against scipy and formulas, and by simulation of methods that are all equal."""

import numpy as np
import pytest
from scipy import stats

from cgbench.results.significance import ALPHA, Effect, clopper_pearson, holm, mean_effect


def test_a_paired_difference_over_seeds_is_the_paired_t_test():
    one, other = [0.31, 0.35, 0.28, 0.33], [0.25, 0.30, 0.29, 0.24]
    effect = mean_effect(np.subtract(one, other))
    expected = stats.ttest_rel(one, other)
    assert effect.p == pytest.approx(expected.pvalue)
    assert effect.interval(0.05) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_one_seed_says_nothing():
    assert mean_effect([0.3]) is None


def test_a_constant_difference_is_certain_and_none_is_none():
    assert mean_effect([0.2, 0.2, 0.2]).p == 0 or mean_effect([0.2, 0.2, 0.2]).p < 1e-12
    assert mean_effect([0.0, 0.0]).p == 1
    assert holm([mean_effect([0.0, 0.0])])[0].p == 1


def effect_with(p, freedom=10):
    """An effect whose p-value is `p`."""
    return Effect(float(stats.t.isf(p / 2, freedom)), 1.0, freedom)


def test_holms_example():
    """Four p-values: .01, .04, .03, .005 become .03, .06, .06, .02."""
    found = [verdict.p for verdict in holm([effect_with(p) for p in (0.01, 0.04, 0.03, 0.005)])]
    assert found == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_an_interval_excludes_zero_exactly_where_holm_rejects():
    rng = np.random.default_rng(0)
    for _ in range(300):
        effects = [effect_with(p, rng.integers(2, 30)) for p in rng.uniform(0, 0.06, rng.integers(1, 9))]
        for verdict in holm(effects):
            assert (verdict.low > 0 or verdict.high < 0) == verdict.significant


def test_the_detectable_difference_is_found_four_times_in_five():
    rng = np.random.default_rng(1)
    size = Effect(0.0, 1.0, 9).detectable(0.05)
    draws = rng.normal(size, 10**0.5, (4000, 10))
    found = np.mean([mean_effect(row).p < 0.05 for row in draws])
    assert found == pytest.approx(0.8, abs=0.05)  # the error is estimated anew, so it is not exact


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_equal_methods_are_called_different_in_one_table_of_twenty_at_most(seeds):
    """Five methods and a reference, all equal, whose seeds have an effect in common that pairing takes away."""
    rng, wrong, tables = np.random.default_rng(seeds), 0, 300
    for _ in range(tables):
        numbers = rng.normal(0, 0.5, (1, seeds)) + rng.normal(0, 1, (6, seeds))
        wrong += any(verdict.significant for verdict in holm([mean_effect(row) for row in numbers[1:] - numbers[0]]))
    leeway = 3 * (ALPHA * (1 - ALPHA) / tables) ** 0.5  # three standard errors of 300 simulated tables
    assert wrong / tables <= ALPHA + leeway


def test_a_bootstrap_of_three_seeds_covers_less_than_it_says():
    """Why intervals are Student's: of 95 % percentile intervals, a quarter or so misses the true mean."""
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (1500, 3))
    means = values[:, rng.integers(0, 3, (1000, 3))].mean(axis=2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    bootstrap = np.mean((low <= 0) & (high >= 0))
    student = np.mean(
        [effect.interval(0.05)[0] <= 0 <= effect.interval(0.05)[1] for effect in map(mean_effect, values)]
    )
    assert bootstrap < 0.85 and student == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (0, 8), (1, 3), (7, 24), (24, 24), (300, 500)])
def test_the_interval_of_a_share_is_the_exact_one(count, total):
    exact = stats.binomtest(count, total).proportion_ci(0.95, method="exact")
    assert clopper_pearson(count, total) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_one_seed_of_three_says_little_of_a_share():
    assert clopper_pearson(1, 3) == pytest.approx((0.0084, 0.9057), abs=1e-4)
