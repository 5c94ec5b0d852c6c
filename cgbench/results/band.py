"""The moderated many-to-one band: simultaneous intervals of the differences of methods from one reference, few seeds.

Seeds of different methods are treated as independent. With three seeds a method's own variance is nearly unknown, so
the variances of all methods of a column inform each other (Smyth 2004, "Linear models and empirical Bayes methods"),
their common distribution is averaged over instead of estimated, and the draws share the error of the reference, as
Dunnett's procedure does. Two methods, two seeds, and unequal numbers of seeds are no special cases.

Methods that are all equal get a false difference in about 5 % of columns, not in 5 % at most. Simulated with this code
(README.md has the tables), 2 to 8 seeds: 7.6 % or fewer for normal noise, heavy tails, broken seeds and measured shapes
with drawn variances, 9.3 % with the variances of the worst recorded column. The worst found is 18.8 %, for exponential
noise in methods of very unequal variances, where Welch's test makes 15.1 % and a paired one 11.8 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, ndtri

from cgbench.results.significance import ALPHA, POWER, MeanDifference

PRIOR_FREEDOMS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # what few seeds can support: larger ones make false differences
REFERENCE_FREEDOM = 1.0  # the reference borrows least from the others: its error enters every difference
LOG_SCALES = np.linspace(-2.5, 3.5, 61)  # of the common variance, around the mean of the logarithms
DRAWS = 20_000
STREAM = 20040203  # any number: the draws are the same in every report
EQUAL = 1e-12  # numbers that differ by less, relatively, differ by rounding


@dataclass(frozen=True)
class VariancePart:
    """What other test images, or other scorers, would add to the variance of a mean difference, and the degrees of
    freedom of that."""

    variance: float
    freedom: int


@dataclass(frozen=True)
class _Column:
    """Per method, the reference first: seeds, variance between seeds, degrees of freedom of its prior (infinite where
    the variance is known to be 0), and the further parts of variance of each method compared."""

    seeds: np.ndarray
    variances: np.ndarray
    prior: np.ndarray  # (methods, d0 of the grid)
    parts: Sequence[Sequence[VariancePart]]


def band(
    reference: Sequence[float], others: Sequence[Sequence[float]], parts: Sequence[Sequence[VariancePart]] = (),
    deterministic_reference: bool = False, prior_freedoms: Sequence[float] = PRIOR_FREEDOMS,
    reference_freedom: float | None = REFERENCE_FREEDOM,
) -> list[MeanDifference]:  # fmt: skip
    """Return the difference of each method from the reference, with intervals that hold together with probability 0.95.

    A difference is significant exactly where its interval excludes zero. Equal input gives equal digits, and the order
    of the methods does not matter. Numbers without any variance are compared exactly.

    Args:
        reference: The numbers of the reference, one per seed, two or more.
        others: The same of each method compared.
        parts: What other test images, and other scorers, would add to the variance of each difference; empty for these.
        deterministic_reference: The reference has one number by its nature, as a copy of the input has.
        prior_freedoms: The degrees of freedom of the common distribution of variances that are averaged over.
        reference_freedom: The same for the reference; None treats it as the others.

    Returns:
        One difference per method compared, in the given order.

    Raises:
        ValueError: A method or the reference has fewer than two numbers.
    """
    samples = [np.asarray(values, float) for values in (reference, *others)]
    if any(len(values) < 2 for values in samples):
        raise ValueError("a band needs two seeds or more of every method")
    means = np.array([values.mean() for values in samples])
    seeds, variances = (
        np.array([len(values) for values in samples]),
        np.array([_variance(values) for values in samples]),
    )
    differences = means[1:] - means[0]
    prior = np.tile(np.asarray(prior_freedoms, float), (len(samples), 1))
    if reference_freedom is not None:
        prior[0] = reference_freedom
    if deterministic_reference and variances[0] == 0:
        prior[0] = np.inf
    parts = parts or [()] * len(others)
    if not variances.any() and not any(part.variance for entry in parts for part in entry):
        equal = np.isclose(means[1:], means[0], rtol=EQUAL, atol=0)
        return [_exact(0.0 if same else float(value)) for same, value in zip(equal, differences, strict=True)]
    # equal streams for equal methods: drawn in the order of what a method's draws depend on
    further = [sum(part.variance for part in entry) for entry in parts]
    order = np.lexsort(np.array([differences, further, seeds[1:], variances[1:]]))
    rows = np.array([0, *(order + 1)])
    column = _Column(seeds[rows], variances[rows], prior[rows], [parts[index] for index in order])
    found = _intervals(column, differences[order])
    return [found[index] for index in np.argsort(order)]


def image_part(table: np.ndarray, reference: np.ndarray) -> VariancePart:
    """Return the image part of a difference from scores (seeds, images) of a method and of the reference, images in one
    order; two or more of each.

    The variance between the images' mean differences contains that of seed and image together, which the variance
    between seeds contains already: it is taken off.
    """
    images = table.shape[1]
    between = (table.mean(axis=0) - reference.mean(axis=0)).var(ddof=1)
    within = sum(_residual(scores) / len(scores) for scores in (table, reference))
    return VariancePart(max(0.0, float(between - within)) / images, images - 1)


def scorer_part(differences: Sequence[float]) -> VariancePart:
    """Return the scorer part of a difference that several scorers measured, two or more, as their mean is reported."""
    values = np.asarray(differences, float)
    return VariancePart(float(values.var(ddof=1)) / len(values), len(values) - 1)


def _residual(table: np.ndarray) -> float:
    """Return the mean square of what neither seed nor image explains in scores (seeds, images)."""
    rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    return float((rest**2).sum() / ((table.shape[0] - 1) * (table.shape[1] - 1)))


def _variance(values: np.ndarray) -> float:
    """Return the sample variance; 0 for values that differ by rounding only."""
    return 0.0 if np.ptp(values) <= EQUAL * np.abs(values).max() else float(values.var(ddof=1))


def _exact(difference: float) -> MeanDifference:
    return MeanDifference(difference, difference, difference, float(difference == 0), 0.0)


def _intervals(column: _Column, differences: np.ndarray) -> list[MeanDifference]:
    """Return the differences with their intervals, p-values and detectable sizes, from the draws of their errors."""
    rng = np.random.default_rng(STREAM)
    squares = _squared_errors(column, rng)
    normal = rng.standard_normal(squares.shape)
    normal *= np.sqrt(squares)
    errors = normal[1:] - normal[0]
    medians = np.median(squares, axis=1)
    spread = medians[1:] + medians[0]
    for row, part in ((row, part) for row, entry in enumerate(column.parts) for part in entry):
        if part.variance:
            variance = part.variance * part.freedom / rng.chisquare(part.freedom, DRAWS)
            errors[row] += np.sqrt(variance) * rng.standard_normal(DRAWS)
            spread[row] += np.median(variance)
    errors = np.abs(errors)
    single = np.quantile(errors, 1 - ALPHA, axis=1)
    largest = np.sort((errors / single[:, None]).max(axis=0))
    # the largest statistic that is not significant, so that p <= ALPHA exactly where the interval excludes zero
    critical = largest[DRAWS - int(ALPHA * (DRAWS + 1))]
    half = critical * single
    reached = DRAWS - np.searchsorted(largest, np.abs(differences) / single, side="left")
    p = (1 + reached) / (DRAWS + 1)
    detectable = half + ndtri(POWER) * np.sqrt(spread)
    columns = (differences, differences - half, differences + half, p, detectable)
    return [MeanDifference(*map(float, row)) for row in zip(*columns, strict=True)]


def _squared_errors(column: _Column, rng: np.random.Generator) -> np.ndarray:
    """Return draws (methods, DRAWS) of the variance of each method's mean."""
    squares = np.zeros((len(column.seeds), DRAWS))
    if not column.variances.any():
        return squares
    grid, weights = _posterior(column)
    chosen = np.searchsorted(np.cumsum(weights.ravel()), rng.random(DRAWS) * weights.sum(), side="right")
    freedom, scale = np.divmod(np.minimum(chosen, weights.size - 1), len(grid))
    rows = zip(squares, column.seeds, column.variances, column.prior, strict=True)
    for square, seeds, variance, prior in rows:
        if np.isfinite(prior).all():
            total = prior[freedom] * np.exp(grid[scale]) + (seeds - 1) * variance
            square[:] = total / (rng.chisquare(prior[freedom] + seeds - 1) * seeds)
    return squares


def _posterior(column: _Column) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithms of the common variance, and the weights (prior degrees of freedom, common variance).

    A method's variance over the common one follows F with the freedoms of the two. A variance of 0 fits no such
    distribution; what such a method tells is its mean.
    """
    varies = column.variances > 0
    log, freedom = np.log(column.variances[varies])[:, None, None], (column.seeds[varies] - 1)[:, None, None]
    prior = column.prior[varies][:, :, None]
    grid = log.mean() + LOG_SCALES
    ratio = log - grid  # (methods, 1, common variance)
    density = freedom / 2 * (np.log(freedom / prior) + ratio) - betaln(freedom / 2, prior / 2)
    density = density - (freedom + prior) / 2 * np.log1p(freedom * np.exp(ratio) / prior)
    likelihood = density.sum(axis=0)
    return grid, np.exp(likelihood - likelihood.max())
