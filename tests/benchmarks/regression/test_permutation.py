"""Permutation tests over many numbers: scipy for one number, exactness under exchangeability, and laws."""

import math

import numpy as np
import pytest
from scipy import stats

from cgbench.benchmarks.regression import permutation
from cgbench.benchmarks.regression.permutation import (
    assignments,
    count_assignments,
    least_p_value,
    mean_p_values,
    spread_p_values,
)


def mean_difference(x, y, axis):
    return np.abs(x.mean(axis) - y.mean(axis))


def deviation(x, y, axis):
    return np.abs(x - np.median(x, axis, keepdims=True)).mean(axis)


@pytest.mark.parametrize(("function", "statistic"), [(mean_p_values, mean_difference), (spread_p_values, deviation)])
@pytest.mark.parametrize("sizes", [(7, 4), (4, 7), (3, 3), (9, 2)])
def test_one_number_is_scipys_exact_test(function, statistic, sizes):
    rng = np.random.default_rng(sum(sizes))
    first, second = rng.normal(size=sizes[0]), rng.normal(0.5, 2, size=sizes[1])
    expected = stats.permutation_test(
        (second, first), statistic, n_resamples=np.inf, alternative="greater", vectorized=True
    )
    assert function(first[None], second[None])[0] == pytest.approx(expected.pvalue)


def test_drawn_assignments_come_near_to_all_of_them(monkeypatch):
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(1, 12)), rng.normal(1.2, 1, size=(1, 5))  # 6,188 assignments
    exact = mean_p_values(first, second)[0]
    monkeypatch.setattr(permutation, "REASSIGNMENTS", 2_000)
    drawn = mean_p_values(first, second)[0]
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 2_000)) and drawn != exact


@pytest.mark.parametrize("sizes", [(3, 3), (12, 5), (30, 5)])
def test_the_observed_assignment_comes_first_and_all_are_of_one_size(sizes):
    chosen = assignments(*sizes)
    assert chosen[0].tolist() == list(range(sizes[0], sum(sizes)))
    assert chosen.shape == (count_assignments(*sizes), sizes[1])
    assert (np.diff(chosen, axis=1) > 0).all() and chosen.min() == 0 and chosen.max() == sum(sizes) - 1


@pytest.mark.parametrize("function", [mean_p_values, spread_p_values])
@pytest.mark.parametrize("draw", ["normal", "cauchy", "gaps"])
def test_exchangeable_seeds_differ_as_often_as_stated(function, draw):
    """With 20 of 495 assignments significant, the chance of any p ≤ .05 is between 3 and 5 %; 400 data sets."""
    rng, alarms = np.random.default_rng(11), 0
    for _ in range(400):
        seeds = rng.standard_cauchy((6, 12)) if draw == "cauchy" else rng.normal(size=(6, 12))
        seeds[3:] += seeds[:3] + seeds[:1]  # numbers that depend on each other
        if draw == "gaps":
            seeds[rng.random(seeds.shape) < 0.2] = np.nan
        alarms += function(seeds[:, :8], seeds[:, 8:]).min() <= 0.05
    assert alarms <= stats.binom.ppf(0.999, 400, 0.05)
    assert alarms >= stats.binom.ppf(0.001, 400, 0.03) or draw == "gaps"


@pytest.mark.parametrize("function", [mean_p_values, spread_p_values])
def test_order_units_and_repetition_change_nothing(function):
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(20, 16)), rng.normal(0.3, 1.5, size=(20, 5))
    p, order = function(first, second), rng.permutation(20)
    assert np.array_equal(function(first, second), p)
    assert np.array_equal(function(first[order], second[order]), p[order])
    assert function(7 + 3 * first, 7 + 3 * second) == pytest.approx(p, abs=2e-3)


@pytest.mark.parametrize(("sizes", "least"), [((3, 3), 0.1), ((4, 3), 1 / 35), ((6, 2), 1 / 28), ((30, 5), 1e-4)])
def test_the_smallest_p_is_that_of_groups_wholly_apart(sizes, least):
    first, second = np.arange(sizes[0]), np.arange(sizes[1]) + 100.0
    assert least_p_value(*sizes) == least
    p = mean_p_values(first[None], second[None])[0]
    assert p == pytest.approx(least) or (least < 1e-3 and p <= 3 * least)


def test_many_numbers_are_cut_into_parts_with_the_same_result(monkeypatch):
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=(9, 7)), rng.normal(size=(9, 4))
    whole = mean_p_values(first, second), spread_p_values(first, second)
    monkeypatch.setattr(permutation, "CHUNK", 1)
    assert np.array_equal([mean_p_values(first, second), spread_p_values(first, second)], whole)


def test_a_constant_number_never_differs_and_changes_no_other():
    rng = np.random.default_rng(7)
    first, second = rng.normal(size=(2, 8)), rng.normal(1, 1, size=(2, 4))
    more = [np.vstack([side, np.full(side.shape[1], 0.1), np.full(side.shape[1], np.nan)]) for side in (first, second)]
    for function in (mean_p_values, spread_p_values):
        p = function(*more)
        assert np.array_equal(p[:2], function(first, second)) and p[2] == p[3] == 1


def test_a_larger_error_makes_the_difference_less_sure():
    rng = np.random.default_rng(9)
    first, second = rng.normal(size=(3, 9)), rng.normal(1, 1, size=(3, 4))
    p, inflated = mean_p_values(first, second), mean_p_values(first, second, np.array([1.0, 2.0, 1.0]))
    assert inflated[1] > p[1] and p[[0, 2]].tolist() == inflated[[0, 2]].tolist()


def test_a_shift_is_no_wider_spread_and_a_wider_spread_is_no_shift():
    rng = np.random.default_rng(10)
    first, second = rng.normal(size=(1, 30)), rng.normal(size=(1, 5))
    shifted, wide = second + 5, (second - second.mean()) * 8
    assert mean_p_values(first, shifted)[0] < 0.001 and spread_p_values(first, shifted)[0] > 0.05
    assert spread_p_values(first, wide)[0] < 0.01 and mean_p_values(first, wide)[0] > 0.05
