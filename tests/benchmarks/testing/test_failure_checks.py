"""Conformance of failure modes: every built-in one passes, one that breaks a promise is refused with a line."""

import itertools

import numpy as np
import pytest

from cgbench import FAILURES, Control, Detection, Failure
from cgbench.benchmarks.testing.conformance import check_failure

CALLS = itertools.count()


@pytest.mark.parametrize("name", FAILURES.names())
def test_built_in_failures_pass(name):
    check_failure(name)


def dark(translations):
    return Detection(translations.outputs.mean(axis=(1, 2, 3)))


def failure(detect=dark, **changes):
    words = {"name": "dark", "label": "dark", "summary": "outputs are dark", "evidence_definition": "mean level"}
    limits = {"threshold": 20.0, "above": False, "share": 0.5, "justified": "photos have 60 and more"}
    return Failure(**{**words, **limits, "detect": detect, **changes})


def refusal(component):
    with pytest.raises(AssertionError) as found:
        check_failure(component)
    assert str(found.value) and "\n" not in str(found.value)
    return str(found.value)


def test_a_sound_failure_passes_as_a_value_and_by_its_factory():
    check_failure(failure())
    check_failure(lambda: failure())
    check_failure(failure(control=Control("black images", black)))
    check_failure(failure(lambda t: Detection(np.full(len(t.keys), np.nan))))


def black(translations):
    return np.zeros_like(translations.outputs)


def brightening(translations):
    translations.sources[:] //= 2
    return dark(translations)


@pytest.mark.parametrize(
    ("component", "message"),
    [
        (failure(label=""), "needs `label`"),
        (failure(justified=""), "needs `justified`"),
        (failure(threshold=float("nan")), "the threshold is nan"),
        (failure(share=0), "above 0 and at most 1, not 0"),
        (failure(version=0), "has the version 0"),
        (failure(explained_by=("dusk",)), "explained by ['dusk'], which are no other failures"),
        (failure(not_applicable=lambda t: False), "not_applicable returns None or one line of text, not False"),
        (failure(not_applicable=lambda t: "never"), "applies to nothing that was tried"),
        (failure(lambda t: dark(t).evidence), "detect returns ndarray, not a Detection"),
        (failure(lambda t: Detection(dark(t).evidence[1:])), "the evidence has the shape (59,), not (60,)"),
        (failure(lambda t: Detection(np.array(["0"] * len(t.keys)))), "no array of numbers"),
        (failure(lambda t: Detection(dark(t).evidence + next(CALLS))), "changes from call to call"),
        (failure(lambda t: Detection(np.zeros(1), keys=("elsewhere",))), "['elsewhere'] is the key of no image"),
        (failure(lambda t: Detection(dark(t).evidence, "two\nlines")), "the detail is more than one line"),
        (failure(control="black"), "its control is no Control, but 'black'"),
        (failure(control=Control("", black)), "its control needs a description"),
        (failure(control=Control("black images", None)), "the outputs of its control are no function"),
        (failure(control=Control("one image", lambda t: black(t)[:1])), "its control gives no uint8 images (60, 32"),
        (failure(control=Control("as floats", lambda t: black(t) / 2)), "its control gives no uint8 images"),
        (failure(control=Control("new", lambda t: black(t) | np.uint8(next(CALLS) % 9))), "change from call to call"),
        (failure(brightening), "changes `sources`, which it must only read"),
    ],
)
def test_a_failure_that_breaks_a_promise(component, message):
    assert message in refusal(component)
