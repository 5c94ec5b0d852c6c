"""Purity of a function of translations: it changes none of its inputs, and gives the same result twice."""

from collections.abc import Callable
from dataclasses import fields
from typing import TypeVar

import numpy as np

from cgbench.api.metric import StoredImages, Translations
from cgbench.benchmarks.testing.components import require

Result = TypeVar("Result")


def call_twice(
    function: Callable[[Translations], Result], translations: Translations, what: str
) -> tuple[Result, Result]:
    """Return two results of the function; raises `AssertionError` where it changes an array that it was given."""
    arrays = _arrays(translations)
    before = {name: array.copy() for name, array in arrays.items()}
    results = function(translations), function(translations)
    for name, array in arrays.items():
        require(np.array_equal(array, before[name]), f"{what} changes `{name}`, which it must only read")
    return results


def _arrays(translations: Translations, prefix: str = "") -> dict[str, np.ndarray]:
    """Return the arrays of the translations by field, those of the OOD split as `ood.FIELD`, those in the numbers of
    the domains as `stored.FIELD`."""
    values = {field.name: getattr(translations, field.name) for field in fields(translations)}
    if translations.stored is not None:
        values |= {f"stored.{item.name}": getattr(translations.stored, item.name) for item in fields(StoredImages)}
    arrays = {f"{prefix}{name}": value for name, value in values.items() if isinstance(value, np.ndarray)}
    return arrays | (_arrays(translations.ood, "ood.") if translations.ood is not None else {})


def same_numbers(first: object, second: object) -> bool:
    """Return whether two numbers or arrays are equal, NaN and NaN included."""
    return np.array_equal(np.asarray(first, float), np.asarray(second, float), equal_nan=True)
