"""The drift gate's arithmetic: hand-computed values, laws, and the noise of seeds alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cgbench.benchmarks.regression.gate import (
    FAIL,
    INCONCLUSIVE,
    NEW,
    PASS,
    SKIPPED,
    Rules,
    check,
    make_tolerance,
    outcome,
)
from cgbench.benchmarks.regression.run_numbers import (
    COUNT,
    NOT_TRAINED,
    Key,
    RunNumbers,
    SeedValues,
    UnfinishedTrial,
    last_losses,
)
from cgbench.benchmarks.regression.seed_tests import MEANS, PAIRED, SPREAD, Pair, unpaired_effect
from cgbench.errors import CgbenchError

IOU = Key("shapes", "cyclegan", "AtoB", "fcn_iou")
LOSS = Key("shapes", "cyclegan", "", "loss/cycle_a")
ERROR = Key("shapes", "cyclegan", "AtoB", "reconstruction_l1")
BETTER = {IOU: "higher", LOSS: "", ERROR: "lower"}


def measured(protocols=None, unfinished=(), absent=None, first=0, **numbers):
    """Numbers of IOU, LOSS and ERROR: a list of values is one per seed, from the seed `first` on."""
    keys = {"iou": IOU, "loss": LOSS, "error": ERROR}
    by_key = {}
    for name, values in numbers.items():
        key = keys[name]
        protocol = "p" if key is IOU else ""
        by_seed = values if isinstance(values, SeedValues) else dict(enumerate(map(float, values), first))
        by_key[key] = values if isinstance(values, SeedValues) else SeedValues(by_seed, BETTER[key], 12, protocol)
    return RunNumbers(by_key, protocols or {"p": {"images": 12}}, {}, {}, tuple(unfinished), absent or {})


def judged(baseline, run, rules=Rules(), **options):  # noqa: B008 (frozen)
    tolerances = {key: make_tolerance(number, key.metric, rules) for key, number in baseline.numbers.items()}
    return {verdict.key: verdict for verdict in check(baseline, run, tolerances, rules, **options)}


NOISE = np.random.default_rng(5).normal(size=16)
BASE = (0.5 + 0.02 * (NOISE - NOISE.mean()) / NOISE.std(ddof=1)).tolist()  # mean 0.5, spread 0.02


def test_the_error_of_a_change_is_that_of_a_prediction():
    before, after = SeedValues({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}), SeedValues({7: 3.0, 8: 5.0})
    change = unpaired_effect(Pair(before, after, make_tolerance(before, "x", Rules()).spread))
    assert change.mean == 1.5 and change.freedom == 3
    assert change.error == pytest.approx(
        math.sqrt(5 / 3) * math.sqrt(1 / 4 + 1 / 2), rel=1e-3
    )  # tolerances have 4 digits


def test_p_is_a_permutations_and_the_interval_students():
    after = [0.46, 0.47, 0.44, 0.45]
    verdict = judged(measured(iou=BASE), measured(first=100, iou=after))[IOU]
    spread, change = np.std(BASE, ddof=1), np.mean(after) - np.mean(BASE)
    error = spread * math.sqrt(1 / 16 + 1 / 4)
    expected = stats.permutation_test(
        (after, BASE), lambda x, y, axis: np.abs(x.mean(axis) - y.mean(axis)), n_resamples=np.inf,
        alternative="greater", vectorized=True,
    )  # fmt: skip
    assert verdict.decisive.kind == MEANS and verdict.decisive.p == pytest.approx(expected.pvalue)
    low, high = stats.t.interval(0.9, 15, loc=change, scale=error)
    assert (verdict.low, verdict.high) == (pytest.approx(low, rel=1e-3), pytest.approx(high, rel=1e-3))


def test_three_spreads_fail_a_reseeding_passes_and_one_seed_is_inconclusive():
    base = measured(iou=BASE)
    assert judged(base, measured(iou=[0.42, 0.45, 0.44, 0.46, 0.43]))[IOU].status == FAIL
    assert judged(base, measured(iou=[0.52, 0.49, 0.47, 0.51, 0.50]))[IOU].status == PASS
    assert judged(base, measured(iou=[0.30]))[IOU].status == INCONCLUSIVE
    assert judged(measured(iou=[0.5]), measured(iou=[0.3, 0.31]))[IOU].status == INCONCLUSIVE


def test_few_seeds_are_inconclusive_where_many_pass():
    few = measured(first=100, iou=[0.47, 0.50])
    assert judged(measured(iou=[0.48, 0.50, 0.52]), few)[IOU].status == INCONCLUSIVE
    assert judged(measured(iou=BASE), measured(iou=BASE[:5]))[IOU].status == PASS


def test_the_same_seeds_are_compared_one_by_one():
    """A change hidden by the noise of other seeds is evident where every seed shows it; p is a paired t-test's."""
    lower = [value - 0.012 - 0.002 * (index % 2) for index, value in enumerate(BASE[:8])]
    verdict = judged(measured(iou=BASE), measured(iou=lower))[IOU]
    assert verdict.status == FAIL and verdict.paired and verdict.decisive.kind == PAIRED
    assert verdict.decisive.p == pytest.approx(stats.ttest_rel(lower, BASE[:8]).pvalue)
    unpaired = judged(measured(iou=BASE), measured(first=100, iou=lower))[IOU]
    assert unpaired.status == PASS and not unpaired.paired


def test_the_tests_of_a_check_share_its_error():
    base = measured(iou=BASE, loss=BASE)
    same = judged(base, measured(iou=BASE[:4], loss=BASE[:4]))[IOU].tests
    assert {test.kind: test.level for test in same} == {MEANS: pytest.approx(0.03), SPREAD: 0.01, PAIRED: 0.01}
    other = judged(base, measured(first=100, iou=BASE[:4], loss=BASE[:4]))[IOU].tests
    assert {test.kind: test.level for test in other} == {MEANS: pytest.approx(0.04), SPREAD: 0.01}


@pytest.mark.parametrize("name", ["iou", "error", "loss"])
def test_a_wider_spread_fails_whichever_way_is_better(name):
    wide = [0.5 + 0.02 * step for step in (-6, 5, -5.5, 6, 0.5)]
    (verdict,) = judged(measured(**{name: BASE}), measured(first=100, **{name: wide})).values()
    assert verdict.status == FAIL and verdict.decisive.kind == SPREAD and "times as wide" in verdict.note
    narrow = [0.5 + 0.0002 * step for step in (-6, 5, -5.5, 6, 0.5)]
    (verdict,) = judged(measured(**{name: BASE}), measured(first=100, **{name: narrow})).values()
    assert verdict.status == PASS


def test_a_better_number_does_not_fail_by_its_spread():
    (verdict,) = judged(measured(iou=BASE), measured(first=100, iou=[0.9, 0.92, 0.88, 0.91, 0.89])).values()
    assert verdict.status == PASS and verdict.improved


def test_a_seed_that_the_baseline_lacks_in_one_number_is_no_obstacle():
    gap = SeedValues({seed: value for seed, value in enumerate(BASE) if seed != 3}, "lower", 12, "")
    verdicts = judged(
        measured(iou=BASE, error=gap), measured(first=100, iou=BASE[:5], error=[0.9, 0.91, 0.9, 0.89, 0.9])
    )
    assert verdicts[IOU].status == PASS and verdicts[ERROR].status == FAIL


def test_more_seeds_than_can_be_compared_are_refused():
    with pytest.raises(CgbenchError, match="1,001 seeds together"):
        judged(measured(iou=np.linspace(0, 1, 996)), measured(first=2_000, iou=BASE[:5]))
    assert judged(measured(iou=np.linspace(0, 1, 995)), measured(first=2_000, iou=BASE[:5]))[IOU].status == PASS


def test_seeds_that_the_baseline_lacks_are_not_paired():
    run = SeedValues({**dict(enumerate(BASE[:3])), 99: 0.5}, "higher", 12, "p")
    assert not judged(measured(iou=BASE), measured(iou=run))[IOU].paired


def test_a_repeated_run_passes_and_is_called_identical():
    verdict = judged(measured(iou=BASE), measured(iou=BASE[:3]))[IOU]
    assert verdict.identical and verdict.status == PASS
    assert not judged(measured(iou=BASE), measured(iou=[*BASE[:2], 0.5]))[IOU].identical


@pytest.mark.parametrize(
    ("name", "values", "status", "improved"),
    [("iou", 0.6, PASS, True), ("error", 0.6, FAIL, False), ("loss", 0.6, FAIL, False),
     ("iou", 0.4, FAIL, False), ("error", 0.4, PASS, True), ("loss", 0.4, FAIL, False)],
)  # fmt: skip
def test_which_way_is_worse_comes_from_the_metric(name, values, status, improved):
    after = [values, values + 0.01, values - 0.01]
    (verdict,) = judged(measured(**{name: BASE}), measured(**{name: after})).values()
    assert (verdict.status, verdict.improved) == (status, improved)
    (strict_verdict,) = judged(measured(**{name: BASE}), measured(**{name: after}), strict=True).values()
    assert strict_verdict.status == FAIL


def test_a_change_below_the_stated_minimum_never_fails():
    worse = measured(iou=[0.44, 0.45, 0.43, 0.44])
    assert judged(measured(iou=BASE), worse)[IOU].status == FAIL
    verdict = judged(measured(iou=BASE), worse, Rules(minimum={"fcn_iou": 0.1}))[IOU]
    assert verdict.status == PASS and verdict.tolerance.min_effect == verdict.tolerance.margin == 0.1


def test_seeds_that_agree_by_chance_make_no_band_without_width():
    collapsed = measured(iou=[0.125] * 8)
    assert judged(collapsed, measured(iou=[0.125, 0.1251, 0.125]))[IOU].status == PASS
    assert judged(collapsed, measured(iou=[0.1, 0.1, 0.1]))[IOU].status == FAIL


def test_what_no_seed_can_change_is_compared_as_it_is():
    def constant(value, kind):
        return measured(iou=SeedValues(dict.fromkeys(range(3), value), "higher", 12, "p", kind))

    assert judged(constant(0.8, NOT_TRAINED), constant(0.8 + 1e-9, NOT_TRAINED))[IOU].status == PASS
    for value in (0.78, 0.82):
        assert judged(constant(0.8, NOT_TRAINED), constant(value, NOT_TRAINED))[IOU].status == FAIL
    assert judged(constant(1e-15, NOT_TRAINED), constant(0.0, NOT_TRAINED))[IOU].status == PASS
    assert judged(constant(180419.0, COUNT), constant(180420.0, COUNT))[IOU].status == FAIL
    single = measured(iou=SeedValues({0: 180419.0}, kind=COUNT, protocol="p"))
    assert judged(constant(180419.0, COUNT), single)[IOU].status == PASS  # one seed is enough
    drawn = measured(iou=SeedValues({0: 0.8}, "higher", 12, "p", NOT_TRAINED))  # may be random: one seed cannot tell
    assert judged(drawn, constant(0.7, NOT_TRAINED))[IOU].status == INCONCLUSIVE


@pytest.mark.parametrize(
    ("state", "status"),
    [("diverged", FAIL), ("failed", FAIL), ("interrupted", INCONCLUSIVE), ("running", INCONCLUSIVE)],
)
def test_a_trial_without_numbers_is_said(state, status):
    run = measured(iou=BASE[:4], unfinished=[UnfinishedTrial("cyclegan", 4, state, "cycle_a is not finite")])
    verdict = judged(measured(iou=BASE), run)[IOU]
    assert verdict.status == status and verdict.note == f"seed 4 {state}: cycle_a is not finite"


def test_numbers_that_are_missing_fail_and_new_ones_are_not_judged():
    verdicts = judged(measured(iou=BASE, loss=BASE), measured(iou=BASE, error=BASE))
    assert (verdicts[LOSS].status, verdicts[LOSS].note) == (FAIL, "not in this run")
    assert verdicts[ERROR].status == NEW
    verdicts = judged(measured(iou=BASE), measured(iou=BASE, absent={IOU: "weights absent"}))
    assert (verdicts[IOU].status, verdicts[IOU].note) == (FAIL, "not measured: weights absent")


def scored(weights, recipe="r", kind="trained", images=12, values=BASE):
    number = SeedValues(dict(enumerate(values)), "higher", 12, weights, kind)
    return measured({weights: {"images": images, "scorer": weights, "scorer_recipe": recipe}}, iou=number)


def test_a_scorer_trained_again_widens_the_band_by_its_own_noise():
    low = [0.47, 0.46, 0.48, 0.465, 0.475]  # 1.5 spreads
    assert judged(scored("one"), scored("one", values=low))[IOU].status == FAIL
    verdict = judged(scored("one"), scored("two", values=low))[IOU]
    assert verdict.status == PASS and "another scorer" in verdict.note
    expected = 0.02 * math.sqrt(1 + 2 * 0.5**2 / (1 / 16 + 1 / 5))
    assert verdict.tolerance.spread == pytest.approx(expected, rel=1e-3)
    assert verdict.tolerance.margin == pytest.approx(3 * expected, rel=1e-3)
    gone = [0.3, 0.31, 0.29, 0.3, 0.3]
    assert judged(scored("one"), scored("two", values=gone))[IOU].status == FAIL
    rows = scored("one", kind=NOT_TRAINED), scored("two", kind=NOT_TRAINED, values=gone)
    assert judged(*rows)[IOU].status == SKIPPED


def test_images_drawn_again_are_compared_if_asked_for():
    run = scored("two", recipe="s", values=[value - 0.001 for value in BASE[:5]])
    with pytest.raises(CgbenchError, match="--allow-redrawn-images"):
        judged(scored("one"), run)
    assert judged(scored("one"), run, allow_redrawn_images=True)[IOU].status == PASS
    with pytest.raises(CgbenchError, match="images 12 → 11") as refused:
        judged(scored("one"), scored("two", images=11), allow_redrawn_images=True)
    assert "--allow-redrawn-images" not in str(refused.value)
    copies = [measured({name: {"sources": name}}, iou=SeedValues({0: value, 1: value}, "higher", 12, name, NOT_TRAINED))
              for name, value in (("a", 0.5), ("b", 0.5001), ("c", 0.6))]  # fmt: skip
    assert judged(copies[0], copies[1], allow_redrawn_images=True)[IOU].status == PASS
    assert judged(copies[0], copies[2], allow_redrawn_images=True)[IOU].status == FAIL


@pytest.mark.parametrize("allowed", [True, False])
def test_numbers_by_another_published_network_are_refused(allowed):
    base, run = (
        measured(
            {name: {"images": 12, "scorer": name, "scorer_network": "drivers", "scorer_weights": name}},
            iou=SeedValues(dict(enumerate(BASE)), "higher", 12, name, "trained"),
        )
        for name in ("one", "two")
    )
    with pytest.raises(CgbenchError, match="scorer_weights one → two"):
        judged(base, run, allow_redrawn_images=allowed)


@pytest.mark.parametrize(("run", "difference"), [
    (scored("two", recipe="s"), "scorer one → two, scorer_recipe r → s"),
    (scored("two", images=11), "images 12 → 11"),
])  # fmt: skip
def test_another_protocol_is_refused_with_what_differs(run, difference):
    with pytest.raises(CgbenchError, match="not measured as the baseline was") as refused:
        judged(scored("one"), run)
    assert difference in str(refused.value) and "fcn_iou" in str(refused.value)


def test_the_outcome_is_that_of_the_worst_number():
    base = measured(iou=BASE, loss=BASE)
    assert outcome(list(judged(base, measured(iou=BASE, loss=[0.9, 0.9])).values())) == FAIL
    assert outcome(list(judged(base, measured(iou=BASE, loss=[0.5])).values())) == INCONCLUSIVE
    assert outcome(list(judged(base, measured(iou=BASE, loss=BASE)).values())) == PASS
    assert outcome([]) == INCONCLUSIVE


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 1e4), st.lists(st.floats(0.3, 0.7), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_units_and_the_order_of_other_seeds_do_not_matter(scale, after, shuffler):
    unscaled = judged(measured(loss=BASE), measured(first=100, loss=after))[LOSS]
    shuffled = shuffler.sample(after, len(after))
    scaled = judged(measured(loss=[scale * v for v in BASE]), measured(first=100, loss=[scale * v for v in shuffled]))[
        LOSS
    ]
    margin = min(
        abs(abs(unscaled.change) - unscaled.tolerance.min_effect),
        abs(max(-unscaled.low, unscaled.high) - unscaled.tolerance.margin),
    )
    of_chance = any(abs(test.p - test.level) < 0.01 for test in unscaled.tests)  # the assignments drawn are others
    assert scaled.status == unscaled.status or margin < 1e-3 or of_chance


def test_a_number_more_makes_the_test_of_each_stricter_and_a_copy_of_one_does_not():
    other = np.random.default_rng(8).normal(size=21)
    low = [0.475, 0.478, 0.472, 0.476, 0.474]
    p = {
        name: judged(measured(iou=BASE, **more[0]), measured(first=100, iou=low, **more[1]))[IOU].tests[0].p
        for name, more in {
            "alone": ({}, {}),
            "copy": ({"loss": BASE}, {"loss": low}),
            "other": ({"loss": other[:16]}, {"loss": other[16:]}),
        }.items()
    }
    assert p["alone"] == p["copy"] < p["other"]


def test_last_losses_are_the_mean_over_the_last_fifth():
    lines = [{"step": step, "losses": {"cycle_a": float(step)}} for step in range(10, 101, 10)]
    assert last_losses(lines) == {"cycle_a": 95.0}  # 90 and 100: step 80 ends the earlier part
    assert last_losses([{"step": 5, "losses": {"a": 2.0, "b": math.inf}}]) == {"a": 2.0}
    assert last_losses([]) == {}
