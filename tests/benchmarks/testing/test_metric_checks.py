"""Conformance of metrics: every built-in one passes, one that breaks a promise is refused with a line that names it."""

import itertools

import numpy as np
import pytest

from cgbench import METRICS, Metric, Scores, Value
from cgbench.benchmarks.testing.conformance import check_metric
from cgbench.benchmarks.testing.sample_translations import sample_translations

CALLS = itertools.count()


@pytest.mark.parametrize("name", METRICS.names())
def test_built_in_metrics_pass(name):
    check_metric(name)


def brightness(translations):
    by_image = translations.outputs.mean(axis=(1, 2, 3)) / 255
    return Scores({"brightness": float(by_image.mean())}, {"brightness": by_image})


def metric(compute=brightness, value=None, **changes):
    values = (value or Value("brightness", "brightness", "", minimum=0, maximum=1),)
    return Metric(**{"name": "brightness", "summary": "mean level", "values": values, "compute": compute, **changes})


def refusal(component):
    with pytest.raises(AssertionError) as failure:
        check_metric(component)
    assert str(failure.value) and "\n" not in str(failure.value)
    return str(failure.value)


def test_a_sound_metric_passes_as_a_value_and_by_its_factory():
    check_metric(metric())
    check_metric(lambda: metric())


def scores(value=0.5, **more):
    return lambda translations: Scores({"brightness": value}, **more)


def shifting(translations):
    translations.outputs[:] //= 2
    return brightness(translations)


def pairs_only(translations):
    distances = np.abs(translations.outputs - translations.targets).mean(axis=(1, 2, 3)) / 255
    return Scores({"brightness": float(distances.mean())}, {"brightness": distances})


@pytest.mark.parametrize(
    ("component", "message"),
    [
        (metric(summary=""), "needs a name and a summary"),
        (metric(values=()), "needs values of different names"),
        (metric(value=Value("a/b", "a", "")), "has no '/'"),
        (metric(value=Value("brightness", "", "")), "needs a label"),
        (metric(value=Value("brightness", "b", "up")), "better is 'higher', 'lower' or ''"),
        (metric(value=Value("brightness", "b", "", minimum=1, maximum=1)), "its minimum is not below its maximum"),
        (metric(needs="clip"), "needs 'clip', which nothing provides"),
        (metric(version=0), "has the version 0"),
        (metric(not_applicable=lambda t: ""), "not_applicable returns None or one line of text, not ''"),
        (metric(not_applicable=lambda t: "never"), "applies to nothing that was tried"),
        (metric(lambda t: 0.5), "compute returns float, not Scores"),
        (metric(lambda t: Scores({})), "declares ['brightness'] and computes []"),
        (metric(lambda t: Scores({"brightness": 0.5, "more": 1})), "computes ['brightness', 'more']"),
        (metric(scores(float("nan"))), "'brightness' is nan"),
        (metric(scores(float("nan"), reasons={"brightness": "two\nlines"})), "'brightness' is nan"),
        (metric(scores(errors={"brightness": -1.0})), "the standard error of 'brightness' is -1"),
        (metric(scores(errors={"darkness": 1.0})), "a standard error for 'darkness', which is no declared value"),
        (metric(scores(1.5)), "'brightness' is 1.5, outside of [0, 1]"),
        (metric(lambda t: scores(next(CALLS) / 1e4)(t)), "changes from call to call"),
        (metric(scores(per_image={"darkness": np.zeros(12)})), "for 'darkness', which is no declared value"),
        (metric(scores(per_image={"brightness": np.zeros(11)})), "scores per image (11,), not (12,)"),
        (metric(scores(per_image={"brightness": np.array(["0"] * 12)})), "that are no numbers"),
        (metric(scores(per_image={"brightness": np.full(12, np.inf)})), "infinite for an image; say NaN"),
        (metric(scores(details={"road": 0.5})), "the detail 'road' is not named VALUE/DETAIL"),
        (metric(scores(details={"brightness/road": np.inf})), "the detail 'brightness/road' is infinite"),
        (metric(shifting), "changes `outputs`, which it must only read"),
    ],
)
def test_a_metric_that_breaks_a_promise(component, message):
    assert message in refusal(component)


def test_a_value_that_could_not_be_measured_has_a_reason():
    check_metric(metric(scores(float("nan"), reasons={"brightness": "needs two images or more"})))


def test_a_metric_that_needs_pairs_and_does_not_say_so():
    with pytest.raises(ValueError, match="could not be broadcast"):
        check_metric(metric(pairs_only))
    paired = metric(pairs_only, not_applicable=lambda t: None if t.paired else "needs paired test images")
    check_metric(paired)


def test_scores_per_image_are_of_the_set_that_the_value_names():
    def of_targets(translations):
        by_image = translations.targets.mean(axis=(1, 2, 3)) / 255
        return Scores({"brightness": float(by_image.mean())}, {"brightness": by_image})

    names = {"not_applicable": lambda t: None if t.targets is not None else "needs targets"}
    value = Value("brightness", "brightness", "", minimum=0, maximum=1, of="target")
    check_metric(metric(of_targets, value, **names))
    assert "scores per image (8,), not (12,)" in refusal(metric(of_targets, **names))
    assert "of is 'source', 'target' or 'group', not 'both'" in refusal(
        metric(value=Value("brightness", "b", "", of="both"))
    )


def test_the_sample_translations_are_what_they_are_called():
    found = sample_translations(12)
    unpaired = found["unpaired photos, fewer targets than outputs"]
    assert len(unpaired.targets) == len(unpaired.identities) == 8 and len(unpaired.outputs) == 12
    assert (unpaired.labels[-1] == 255).all() and not unpaired.paired
    more = found["unpaired photos, more targets than outputs"]
    assert len(more.targets) == len(more.identities) == len(more.target_keys) == 16 and not more.paired
    assert not set(more.target_keys) & set(more.keys)
    bare = found["photos and nothing else"]
    assert bare.labels is bare.scorer is bare.inception is bare.ood is bare.reconstructions is None
    for translations in found.values():
        assert translations.outputs.dtype == np.uint8 and translations.outputs.shape == (12, 32, 32, 3)
        assert len(translations.keys) == 12 == len(set(translations.keys))
