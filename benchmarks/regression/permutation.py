"""Permutation tests of two groups of seeds over many numbers at once: the single-step max-T procedure of Westfall and
Young (1993, Resampling-based multiple testing). Pure functions of arrays.

Whole seeds are reassigned to the two groups, so the dependence of the numbers of one seed is kept. If the seeds of both
groups are exchangeable, the chance that any p-value is at most α is at most α, whatever the distribution of the numbers
(the observed assignment is among those counted: Phipson, Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39).
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import combinations

import numpy as np

REASSIGNMENTS = 9_999  # drawn besides the observed assignment; all are enumerated where there are no more than these
STREAM = 0  # seed of the draw: equal numbers give equal p-values
ROUNDING = 1e-9  # relative; what is nearer to each other is equal: sums in another order differ in their last digits
CHUNK = 4_000_000  # values of one statistic held at a time


def count_assignments(first: int, second: int) -> int:
    """Return the number of assignments that `p_values` compare for groups of these sizes, the observed one included."""
    return min(math.comb(first + second, second), REASSIGNMENTS + 1)


def least_p_value(first: int, second: int) -> float:
    """Return the smallest p-value that a difference of means can have: with groups of one size the mirrored assignment
    differs as much as the observed one."""
    return (2 if first == second else 1) / count_assignments(first, second)


def assignments(first: int, second: int) -> np.ndarray:
    """Return the indices of the seeds that form the second group, (assignments, second), of `first` + `second` seeds.

    The first row is the observed assignment, the last `second` indices. All assignments, where they are at most 9,999;
    otherwise 9,999 drawn at random from a fixed stream.
    """
    return _assignments(first, second, REASSIGNMENTS)


def mean_p_values(first: np.ndarray, second: np.ndarray, inflation: np.ndarray | float = 1.0) -> np.ndarray:
    """Return the adjusted p-values (numbers,) of a difference of means, two-sided.

    The statistic is |difference of means| / (pooled standard deviation · √(1/n + 1/m)), of the values that there are. A
    number that does not vary, up to rounding, has p = 1.

    Args:
        first: The numbers of the first group, (numbers, seeds); NaN where a value is missing.
        second: The numbers of the second group, (numbers, its seeds).
        inflation: Factor of each number by which its error exceeds that of seeds, (numbers,): the observed statistic is
            divided by it.
    """
    sizes = first.shape[1], second.shape[1]

    def statistic(values: np.ndarray) -> np.ndarray:
        members, present = _members(*sizes, REASSIGNMENTS), ~np.isnan(values)
        totals = present.sum(axis=1)
        centred = np.where(present, values, 0.0)
        centred = np.where(present, centred - _ratio(centred.sum(axis=1), totals)[:, None], 0.0)
        counts = members @ present.T.astype(float)
        # centred values sum to zero: the sum of the second group times (1/n + 1/m) is the difference of means
        weights = _ratio(np.broadcast_to(totals, counts.shape), counts * (totals - counts))  # 1/n + 1/m
        scores = members @ centred.T * np.sqrt(weights)
        return np.abs(_ratio(scores, np.sqrt(_ratio((centred**2).sum(axis=1), totals))))

    return _max_t(first, second, statistic, inflation)


def spread_p_values(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the adjusted p-values (numbers,) of a wider spread in the second group, one-sided.

    The statistic is the second group's mean |x - its median|, in standard deviations of this over all assignments, from
    their mean. A missing value counts as the median of its number in both groups. Arguments as of `mean_p_values`.
    """
    chosen = assignments(first.shape[1], second.shape[1])

    def statistic(values: np.ndarray) -> np.ndarray:
        ordered = np.sort(_without_gaps(values)[:, chosen], axis=2)  # (numbers, assignments, seeds)
        half = ordered.shape[2] // 2
        deviations = (ordered[:, :, -half:].sum(axis=2) - ordered[:, :, :half].sum(axis=2)).T / ordered.shape[2]
        return _ratio(deviations - deviations.mean(axis=0), deviations.std(axis=0))

    return _max_t(first, second, statistic, 1.0)


def _max_t(
    first: np.ndarray, second: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray],
    inflation: np.ndarray | float,
) -> np.ndarray:  # fmt: skip
    """Return the share of assignments whose largest statistic reaches that of each number as observed."""
    values = np.hstack([first, second])
    filled = _without_gaps(values)
    varies = np.ptp(filled, axis=1) > ROUNDING * np.abs(filled).max(axis=1)  # otherwise its scores would be of rounding
    values, inflation = values[varies], np.broadcast_to(inflation, len(varies))[varies]
    count = count_assignments(first.shape[1], second.shape[1])
    largest, observed = np.full(count, -np.inf), np.empty(len(values))
    for part in _parts(len(values), count * values.shape[1]):
        found = statistic(values[part])
        largest = np.maximum(largest, found.max(axis=1))
        observed[part] = found[0]
    scores = observed / inflation
    smaller = np.searchsorted(np.sort(largest), scores - ROUNDING * np.maximum(1, np.abs(scores)))
    p_values = np.ones(len(varies))
    p_values[varies] = (count - smaller) / count
    return p_values


@lru_cache(4)
def _assignments(first: int, second: int, limit: int) -> np.ndarray:
    total = first + second
    if math.comb(total, second) <= limit:
        return np.array(list(combinations(range(total), second)))[::-1]
    keys = np.random.default_rng(STREAM).random((limit, total))
    drawn = np.argpartition(keys, second - 1, axis=1)[:, :second]
    return np.vstack([np.arange(first, total), np.sort(drawn, axis=1)])


@lru_cache(4)
def _members(first: int, second: int, limit: int) -> np.ndarray:
    """Return the assignments as zeros and ones, (assignments, seeds)."""
    chosen = _assignments(first, second, limit)
    members = np.zeros((len(chosen), first + second))
    np.put_along_axis(members, chosen, 1.0, axis=1)
    return members


def _without_gaps(values: np.ndarray) -> np.ndarray:
    """Return (numbers, seeds) with the median of its number for every missing value, 0 where all are missing: a rule
    that does not know the groups, so the test stays exact."""
    if not np.isnan(values).any():
        return values
    medians = np.array([np.median(row[~np.isnan(row)]) if not np.isnan(row).all() else 0.0 for row in values])
    return np.where(np.isnan(values), medians[:, None], values)


def _parts(numbers: int, size: int) -> Iterator[slice]:
    """Yield slices of the numbers, so that one statistic of a slice takes bounded memory."""
    step = max(1, CHUNK // size)
    for start in range(0, numbers, step):
        yield slice(start, start + step)


def _ratio(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return values / scale, 0 where the scale is 0."""
    return np.divide(values, scale, out=np.zeros(values.shape), where=scale > 0)
