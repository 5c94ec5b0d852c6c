"""Conformance of a failure mode: the declaration, one number of evidence per image, unchanged inputs."""

from collections.abc import Callable

import numpy as np

from cgbench.api import declarations
from cgbench.api.declarations import is_line
from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.testing.components import require, require_declared, resolve
from cgbench.benchmarks.testing.purity import call_twice, same_numbers
from cgbench.benchmarks.testing.sample_translations import sample_translations


def check_failure(failure: str | Failure | Callable[[], Failure]) -> None:
    """Run all checks of a failure mode: a registered name, a `Failure`, or the function that makes one.

    Its detector and its control are called with made-up translations, none of which it has to call a failure; cases
    that it must find are for its own tests. Raises `AssertionError` with one line.
    """
    found = resolve(FAILURES, failure, Failure)
    check_declaration(found)
    reasons = {}
    for name, translations in sample_translations().items():
        reasons[name] = check_reason(found, translations)
        if reasons[name] is None:
            check_detection(found, translations, name)
            check_control(found, translations, name)
    require(None in reasons.values(), f"failure '{found.name}' applies to nothing that was tried: {reasons}")


def check_declaration(failure: Failure) -> None:
    """Check the words of the declaration, the threshold, the share, the version, and the failures that it names."""
    require_declared(declarations.check_failure, failure)
    for field in ("label", "summary", "evidence_definition", "justified"):
        require(is_line(getattr(failure, field)), f"failure '{failure.name}' needs `{field}`, one line of text")
    others = set(FAILURES.names()) - {failure.name}
    unknown = set(failure.explained_by) - others
    require(not unknown, f"failure '{failure.name}' is explained by {sorted(unknown)}, which are no other failures")


def check_reason(failure: Failure, translations: Translations) -> str | None:
    """Return why the failure cannot be looked for, which must be None or one line."""
    reason = failure.not_applicable(translations)
    valid = reason is None or is_line(reason)
    require(valid, f"failure '{failure.name}': not_applicable returns None or one line of text, not {reason!r}")
    return reason


def check_detection(failure: Failure, translations: Translations, name: str = "") -> None:
    """Check what the detector returns for translations that it applies to; `name` says which ones they are."""
    where = f"failure '{failure.name}'{name and f', {name}'}:"
    detection, again = call_twice(failure.detect, translations, where)
    require(isinstance(detection, Detection), f"{where} detect returns {type(detection).__name__}, not a Detection")
    keys, evidence = detection.keys or translations.keys, detection.evidence
    shape = np.shape(evidence)
    require(shape == (len(keys),), f"{where} the evidence has the shape {shape}, not ({len(keys)},)")
    require(np.asarray(evidence).dtype.kind in "fiu", f"{where} the evidence is no array of numbers")
    require(same_numbers(evidence, again.evidence), f"{where} the evidence changes from call to call")
    known = {*translations.keys, *(translations.ood.keys if translations.ood is not None else ())}
    foreign = [key for key in keys if key not in known]
    require(not foreign, f"{where} {foreign[:1]} is the key of no image")
    require("\n" not in detection.detail, f"{where} the detail is more than one line")


def check_control(failure: Failure, translations: Translations, name: str = "") -> None:
    """Check the control's outputs, if it has one, for translations that the failure applies to; `name` says which."""
    if failure.control is None:
        return
    where = f"failure '{failure.name}'{name and f', {name}'}:"
    outputs, again = call_twice(failure.control.outputs, translations, where)
    shape = translations.outputs.shape
    sound = isinstance(outputs, np.ndarray) and outputs.dtype == np.uint8 and outputs.shape == shape
    require(sound, f"{where} its control gives no uint8 images {shape}")
    require(bool((outputs == again).all()), f"{where} the outputs of its control change from call to call")
