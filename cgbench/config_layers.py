"""Layers of a configuration: presets, method, dataset, suite and `--set`, merged into one, later ones winning."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cgbench.config import FIELDS, FORMER_NAMES, WHOLE_NUMBER_BOUND, TrialConfig
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.formatting import shortened

WIDTHS = {"load_size": "load_width", "crop_size": "crop_width"}  # settings that may be written HEIGHTxWIDTH
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "steps": 6, "batch_size": 2, "load_size": 36, "crop_size": 32, "blocks": 1, "ngf": 8, "ndf": 8,
        "discriminator_layers": 2, "pool_size": 4, "max_train_images": 12, "max_test_images": 6, "scorers": 1,
        "scorer_limit": 24, "scorer_steps": 30, "scorer_batch": 8, "scorer_width": 8, "log_every": 2, "save_every": 3,
        "search_steps": 5,
    },
    "demo": {
        "steps": 1500, "batch_size": 4, "load_size": 72, "crop_size": 64, "blocks": 3, "ngf": 16, "ndf": 16,
        "scorer_steps": 1200, "scorer_batch": 16, "scorer_width": 16, "save_every": 250,
    },
    "paper": {},
}  # fmt: skip
PRESET_SUMMARIES = {
    "smoke": "seconds on a CPU: does everything run?",
    "demo": "minutes on two CPU cores, 64 pixels: see the methods differ",
    "paper": "the published recipe: batch 1, 100 + 100 epochs, 256 pixels; wants a GPU",
}


def preset_values(preset: str) -> dict[str, Any]:
    """Return the values of a preset; an unknown name raises."""
    if preset not in PRESETS:
        raise CgbenchError(f"unknown preset '{preset}': {did_you_mean(preset, list(PRESETS))}")
    return dict(PRESETS[preset])


@dataclass(frozen=True)
class Resolved:
    """A configuration, the term weights set by hand, and the layer that each value came from."""

    config: TrialConfig
    weights: dict[str, float]
    origins: dict[str, str]


def resolve(layers: Iterable[tuple[str, Mapping[str, Any]]], term_names: Iterable[str] = ()) -> Resolved:
    """Merge `layers` of (name, values), later ones winning; values that are text are read as their field's type.

    A key is a field of `TrialConfig` or the name of one of the method's terms, whose weight it sets. Unknown keys,
    wrong types, values out of bounds and method layers that set a suite's field raise `CgbenchError`.
    """
    terms = set(term_names)
    values: dict[str, Any] = {}
    weights: dict[str, float] = {}
    origins = dict.fromkeys(FIELDS, "recipe")
    for layer, given in layers:
        if "epochs" in given and "steps" not in given:
            given = {**given, "steps": 0}  # the later word counts: a preset's steps must not silence it
        given = _with_widths(given)
        for key, value in given.items():
            if key in terms:
                weights[key] = _number(key, value, layer)
                _check_bounds(key, weights[key], 0, None, layer)
            elif key not in FIELDS:
                raise CgbenchError(f"{layer}: unknown setting '{key}': {_setting_hint(key, [*FIELDS, *terms])}")
            elif layer == "method" and not FIELDS[key].metadata["method"]:
                raise CgbenchError(f"{layer}: '{key}' belongs to the comparison and cannot be set by one method")
            else:
                values[key] = _typed(key, value, layer)
            origins[key] = layer
    config = TrialConfig(**values)
    _ensure_shapes(config)
    return Resolved(config, weights, origins)


def _with_widths(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with every HEIGHTxWIDTH as two numbers; a size without a width is that of a square."""
    values = dict(given)
    for size, width in WIDTHS.items():
        if size in given:
            parts = str(given[size]).lower().split("x")
            values[size] = parts[0] if len(parts) == 2 else given[size]
            values.setdefault(width, parts[1] if len(parts) == 2 else 0)
    return values


def _ensure_shapes(config: TrialConfig) -> None:
    """Raise where crops do not fit into loaded images, or the generators cannot halve them twice."""
    crop, load = config.crop_shape, config.load_shape
    crop_text, load_text = ("x".join(map(str, dict.fromkeys(shape))) for shape in (crop, load))
    if config.resize_mode != "none" and (crop[0] > load[0] or crop[1] > load[1]):
        raise CgbenchError(f"crop_size ({crop_text}) is larger than load_size ({load_text})")
    if config.resize_mode == "keep" and load[0] != load[1]:
        raise CgbenchError(f"resize_mode=keep: load_size ({load_text}) is the short side of an image: write one number")
    if crop[0] % 4 or crop[1] % 4:
        raise CgbenchError(f"crop_size ({crop_text}) must be a multiple of 4: the generators halve it twice")


def split_assignments(assignments: Iterable[str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Split `key=value` and `method.key=value` into those for all methods and those for one method each."""
    shared: dict[str, str] = {}
    own: dict[str, dict[str, str]] = {}
    for text in assignments:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key or not value:
            raise CgbenchError(f"--set '{shortened(text)}': write key=value, for example --set steps=500")
        method, dot, rest = key.partition(".")
        if dot:
            own.setdefault(method, {})[rest] = value
        else:
            shared[key] = value
    return shared, own


def _setting_hint(key: str, known: list[str]) -> str:
    """Return which setting was meant: the present name of one that was renamed, else the nearest."""
    return f"it is called '{FORMER_NAMES[key]}' now" if key in FORMER_NAMES else did_you_mean(key, known)


def _typed(key: str, value: Any, layer: str) -> Any:
    """Return `value` as the type of field `key`, checked against its bounds."""
    kind: type[Any] = type(FIELDS[key].default)
    meta = FIELDS[key].metadata
    typed: Any
    try:
        if kind is bool:
            typed = {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]
        elif kind is int:
            typed = int(value) if isinstance(value, str) else value
            if not isinstance(typed, int) or isinstance(typed, bool):
                raise ValueError
        elif kind is float:
            typed = _number(key, value, layer)
        else:
            typed = str(value)
    except (KeyError, ValueError):
        raise CgbenchError(f"{layer}: '{key}' must be {_kind_name(kind)}, not '{_shown(value)}'") from None
    if meta["choices"] and typed not in meta["choices"]:
        raise CgbenchError(f"{layer}: '{key}' must be one of {', '.join(meta['choices'])}, not '{_shown(value)}'")
    below = WHOLE_NUMBER_BOUND if kind is int and meta["below"] is None else meta["below"]
    _check_bounds(key, typed, meta["minimum"], below, layer)
    return typed


def _check_bounds(key: str, number: float, minimum: float | None, below: float | None, layer: str) -> None:
    """Raise `CgbenchError` for a number that is smaller than `minimum` or not below `below`."""
    if minimum is not None and number < minimum:
        raise CgbenchError(f"{layer}: '{key}' must be at least {_shown(minimum)}, not {_shown(number)}")
    if below is not None and number >= below:
        raise CgbenchError(f"{layer}: '{key}' must be below {_shown(below)}, not {_shown(number)}")


def _number(key: str, value: Any, layer: str) -> float:
    """Return `value` as a finite float."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise CgbenchError(f"{layer}: '{key}' must be a number, not '{_shown(value)}'") from None
    if number - number != 0:
        raise CgbenchError(f"{layer}: '{key}' must be finite, not {_shown(value)}")
    return number


def _shown(value: Any) -> str:
    """Return a value for a message of one line."""
    return shortened(f"{value:g}" if isinstance(value, float) else str(value))


def _kind_name(kind: type[Any]) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[kind]
