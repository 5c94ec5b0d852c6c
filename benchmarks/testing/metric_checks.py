"""Conformance of a metric: the declared values, scores per image, NaN, bounds, unchanged inputs."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from cgbench.api import declarations
from cgbench.api.declarations import is_line
from cgbench.api.metric import Metric, Scores, Translations
from cgbench.api.registry import METRICS
from cgbench.benchmarks.testing.components import require, require_declared, resolve
from cgbench.benchmarks.testing.purity import call_twice, same_numbers
from cgbench.benchmarks.testing.sample_translations import sample_translations

IMAGES = 12  # that a metric is computed for


def check_metric(metric: str | Metric | Callable[[], Metric]) -> None:
    """Run all checks of a metric: a registered name, a `Metric`, or the function that makes one.

    It is computed for made-up translations: paired, unpaired with fewer targets than outputs, to label images, and
    without anything optional; where it says that it does not apply, it is not. Raises `AssertionError` with one line.
    """
    found = resolve(METRICS, metric, Metric)
    check_declaration(found)
    reasons = {}
    for name, translations in sample_translations(IMAGES).items():
        absent = found.needs and getattr(translations, found.needs) is None
        reasons[name] = f"no {found.needs}" if absent else check_reason(found, translations)
        if reasons[name] is None:
            check_scores(found, translations, name)
    require(None in reasons.values(), f"metric '{found.name}' applies to nothing that was tried: {reasons}")


def check_declaration(metric: Metric) -> None:
    """Check name, summary, values, version and the extractor that the metric needs."""
    require_declared(declarations.check_metric, metric)
    require(is_line(metric.summary), f"metric '{metric.name}' needs a name and a summary")


def check_reason(metric: Metric, translations: Translations) -> str | None:
    """Return why the metric does not apply, which must be None or one line."""
    reason = metric.not_applicable(translations)
    valid = reason is None or is_line(reason)
    require(valid, f"metric '{metric.name}': not_applicable returns None or one line of text, not {reason!r}")
    return reason


def check_scores(metric: Metric, translations: Translations, name: str = "") -> None:
    """Check what the metric computes for translations that it applies to; `name` says which ones they are.

    The whole set has a finite number for each declared value, within its bounds, or NaN and a reason; an image may have
    NaN.
    """
    where = f"metric '{metric.name}'{name and f', {name}'}:"
    scores, again = call_twice(metric.compute, translations, where)
    require(isinstance(scores, Scores), f"{where} compute returns {type(scores).__name__}, not Scores")
    declared = [value.name for value in metric.values]
    require(set(scores.values) == set(declared), f"{where} it declares {declared} and computes {list(scores.values)}")
    for value in metric.values:
        number = float(scores.values[value.name])
        if math.isnan(number) and is_line(scores.reasons.get(value.name)):
            continue
        require(math.isfinite(number), f"{where} '{value.name}' is {number}")
        inside = value.minimum <= number <= value.maximum
        require(inside, f"{where} '{value.name}' is {number:g}, outside of [{value.minimum:g}, {value.maximum:g}]")
        require(same_numbers(number, again.values[value.name]), f"{where} '{value.name}' changes from call to call")
    for key, error in scores.errors.items():
        require(key in declared, f"{where} it has a standard error for '{key}', which is no declared value")
        require(
            not float(error) < 0 and not math.isinf(float(error)), f"{where} the standard error of '{key}' is {error}"
        )
    _check_per_image(scores, {value.name: len(translations.keys_of(value.of)) for value in metric.values}, where)
    for key, number in scores.details.items():
        value_name, slash, detail = key.partition("/")
        require(slash and detail and value_name in declared, f"{where} the detail '{key}' is not named VALUE/DETAIL")
        require(not math.isinf(float(number)), f"{where} the detail '{key}' is infinite")


def _check_per_image(scores: Scores, counts: Mapping[str, int], where: str) -> None:
    """Check that scores per image belong to declared values and are one number, NaN or finite, for each image of their
    set; `counts` are its sizes by value."""
    for name, numbers in scores.per_image.items():
        require(name in counts, f"{where} it has scores per image for '{name}', which is no declared value")
        shape, count = np.shape(numbers), counts[name]
        require(shape == (count,), f"{where} '{name}' has scores per image {shape}, not ({count},)")
        kind = np.asarray(numbers).dtype.kind
        require(kind in "fiu", f"{where} '{name}' has scores per image that are no numbers")
        require(not np.isinf(np.asarray(numbers, float)).any(), f"{where} '{name}' is infinite for an image; say NaN")
