"""The moderated band: against scipy where its assumptions are those of Dunnett and Student, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from cgbench.results import band as band_module
from cgbench.results.band import VariancePart, band, image_part, scorer_part
from cgbench.results.significance import welch

POOLED = {"prior_freedoms": (1e5,), "reference_freedom": None}  # one variance for all methods


def samples(seed, sizes, levels=None):
    rng = np.random.default_rng(seed)
    return [rng.normal(level, 1, size) for size, level in zip(sizes, levels or [0] * len(sizes), strict=True)]


def half_widths(found):
    return np.array([(difference.high - difference.low) / 2 for difference in found])


def facts(found):
    return [(entry.mean, entry.low, entry.high, entry.p, entry.detectable) for entry in found]


@pytest.mark.parametrize("sizes", [(8,) * 13, (6, 9, 12, 7, 8)])
def test_with_one_variance_for_all_it_is_dunnetts(monkeypatch, sizes):
    monkeypatch.setattr(band_module, "DRAWS", 200_000)
    reference, *others = samples(1, sizes, [0, 1.4, *[0] * (len(sizes) - 2)])
    expected = stats.dunnett(*others, control=reference, random_state=np.random.default_rng(2))
    interval = expected.confidence_interval()
    found = band(reference, others, **POOLED)
    assert half_widths(found) == pytest.approx((interval.high - interval.low) / 2, rel=0.01)
    assert [difference.p for difference in found] == pytest.approx(expected.pvalue, abs=0.01)


def test_with_two_methods_of_one_variance_it_is_students(monkeypatch):
    monkeypatch.setattr(band_module, "DRAWS", 200_000)
    reference, other = samples(3, (8, 6), [0, 1])
    expected = stats.ttest_ind(other, reference)
    (found,) = band(reference, [other], **POOLED)
    interval = expected.confidence_interval(0.95)
    assert half_widths([found]) == pytest.approx([(interval.high - interval.low) / 2], rel=0.01)
    assert found.p == pytest.approx(expected.pvalue, abs=0.003)


def test_shift_scale_and_the_order_of_methods_change_nothing_else():
    reference, *others = samples(4, (3, 3, 4, 3, 5), [0, 1, 2, 0, 3])
    found = band(reference, others)
    moved = band(7 + 1000 * reference, [7 + 1000 * values for values in others])
    scaled = [(1000 * mean, 1000 * low, 1000 * high, p, 1000 * size) for mean, low, high, p, size in facts(found)]
    assert np.array(facts(moved)) == pytest.approx(np.array(scaled), rel=1e-6)
    order = [2, 0, 3, 1]
    permuted = band(reference, [others[index] for index in order])
    assert facts(permuted) == [facts(found)[index] for index in order]
    assert facts(band(reference, others)) == facts(found)


def test_an_interval_excludes_zero_exactly_where_p_is_five_per_cent_or_less():
    rng = np.random.default_rng(5)
    marked = 0
    for _ in range(60):
        reference, *others = [rng.normal(level, 1, 3) for level in (0, *rng.uniform(0, 9, 6))]
        for difference in band(reference, others):
            assert (difference.p <= 0.05) == difference.significant == (difference.low > 0 or difference.high < 0)
            marked += difference.significant
    assert 50 < marked < 310


def false_differences(spreads, seeds, tables=300):
    """The share of tables of methods with equal means in which some difference is called one."""
    rng = np.random.default_rng(6)
    wrong = 0
    for _ in range(tables):
        reference, *others = [rng.normal(0, spread, seeds) for spread in spreads(rng)]
        wrong += any(difference.significant for difference in band(reference, others))
    return wrong / tables


@pytest.mark.parametrize(("seeds", "methods"), [(2, 5), (3, 5), (3, 13), (5, 3)])
@pytest.mark.parametrize("kind", ["equal", "unequal", "noisy reference"])
def test_equal_methods_are_called_different_in_about_one_table_of_twenty(monkeypatch, kind, seeds, methods):
    monkeypatch.setattr(band_module, "DRAWS", 4000)
    spreads = {
        "equal": lambda rng: np.ones(methods),
        "unequal": lambda rng: np.sqrt(2 / rng.chisquare(2, methods)),
        "noisy reference": lambda rng: np.array([2, *np.ones(methods - 1)]),
    }[kind]
    assert false_differences(spreads, seeds) < 0.07


def test_one_variance_for_all_invents_differences_where_spreads_differ(monkeypatch):
    """Why variances are not pooled: far more than one table of twenty would have a false difference."""
    monkeypatch.setattr(band_module, "DRAWS", 4000)
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(100):
        reference, *others = [rng.normal(0, np.sqrt(1.5 / rng.chisquare(1.5)), 3) for _ in range(12)]
        wrong += any(difference.significant for difference in band(reference, others, **POOLED))
    assert wrong > 12


def test_the_detectable_difference_is_found_about_four_times_in_five(monkeypatch):
    """It is that of a repetition with these errors: here the median of many tables."""
    monkeypatch.setattr(band_module, "DRAWS", 4000)
    rng = np.random.default_rng(8)
    sizes = [band(numbers[0], numbers[1:])[0].detectable for numbers in rng.normal(0, 1, (60, 6, 5))]
    found = 0
    for _ in range(300):
        reference, shifted, *others = rng.normal(0, 1, (6, 5))
        found += band(reference, [shifted + np.median(sizes), *others])[0].significant
    assert 0.7 < found / 300 < 0.92


def test_unequal_seeds_give_more_certainty_to_more_seeds():
    few = [0.4, 0.5, 0.6]
    found = band([0.1, 0.2, 0.15], [few, few * 4])
    assert found[1].high - found[1].low < found[0].high - found[0].low


def test_fewer_than_two_seeds_are_refused():
    with pytest.raises(ValueError, match="two seeds"):
        band([0.1, 0.2], [[0.1]])


def test_numbers_without_variance_are_compared_exactly():
    equal, other, rounded = band([0.3] * 3, [[0.3] * 3, [0.4] * 2, [0.1 + 0.2] * 3])
    assert (equal.p, equal.low, equal.significant) == (1, 0, False)
    assert (other.p, other.significant, other.detectable) == (0, True, 0)
    assert other.low == other.high == pytest.approx(0.1)
    assert (rounded.mean, rounded.p) == (0, 1)


def test_one_method_without_variance_has_an_error_all_the_same():
    """Three seeds that agree by chance prove nothing; a reference that cannot vary has no error."""
    reference, still, lively = [0.5, 0.5, 0.5], [0.4, 0.4, 0.4], [0.3, 0.45, 0.38]
    found = band(reference, [still, lively])
    assert found[0].low < found[0].mean < found[0].high
    sure = band(reference, [still, lively], deterministic_reference=True)
    assert (half_widths(sure) < half_widths(found)).all()


def test_images_add_their_variance_and_no_more():
    reference, others = [0.1, 0.2, 0.15], [[0.3, 0.4, 0.35]]
    next_to_nothing = band(reference, others, [[VariancePart(1e-12, 99)]] * len(others))
    assert half_widths(next_to_nothing) == pytest.approx(half_widths(band(reference, others)), rel=0.001)
    known = band([0.2] * 3, [[0.3] * 3], [[VariancePart(0.01, 20)]])  # seeds agree: Student's over images
    assert half_widths(known) == pytest.approx(0.1 * stats.t.isf(0.025, 20), rel=0.03)


def test_the_image_part_by_hand():
    """Two seeds, three images: the variance of the images' means, less that of seed and image together."""
    table, reference = np.array([[0.1, 0.2, 0.6], [0.3, 0.1, 0.5]]), np.zeros((2, 3))
    between = np.var([0.2, 0.15, 0.55], ddof=1)
    rest = np.array([[-0.1, 0.05, 0.05], [0.1, -0.05, -0.05]])
    part = image_part(table, reference)
    assert part.variance == pytest.approx((between - (rest**2).sum() / 2 / 2) / 3) and part.freedom == 2


def test_the_scorer_part_by_hand():
    part = scorer_part([0.1, 0.2, 0.6])
    assert part.variance == pytest.approx(0.07 / 3) and part.freedom == 2


def test_parts_of_a_difference_add_up():
    """Images and scorers together widen an interval as one part of the summed variance does, freedoms being large."""
    reference, others = [0.2] * 3, [[0.3] * 3]
    both = band(reference, others, [[VariancePart(0.01, 10**6), VariancePart(0.03, 10**6)]])[0]
    one = band(reference, others, [[VariancePart(0.04, 10**6)]])[0]
    assert both.high - both.low == pytest.approx(one.high - one.low, rel=0.03)


def test_the_image_part_is_that_of_the_images():
    """True value: variance 1 between images of the difference, whatever seed and image do together."""
    rng = np.random.default_rng(9)
    found = []
    for _ in range(200):
        images = rng.normal(0, 1, 40)
        table = images + rng.normal(0, 0.5, (3, 1)) + rng.normal(0, 2, (3, 40))
        found.append(40 * image_part(table, rng.normal(0, 2, (3, 40))).variance)
    assert np.mean(found) == pytest.approx(1, abs=0.15)


def test_welch_is_scipys():
    first, second = samples(10, (3, 5), [0, 2])
    effect, expected = welch(first, second), stats.ttest_ind(first, second, equal_var=False)
    assert effect.p == pytest.approx(expected.pvalue)
    assert effect.interval(0.05) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert welch([1.0], second) is None and welch([1.0, 1.0], [1.0, 1.0]).p == 1 and welch([2.0] * 2, [1.0] * 2).p == 0
