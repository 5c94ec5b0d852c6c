"""A trial: one method, seed and configuration on one dataset, and the resolution of a request into trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cgbench.api.dataset import Dataset
from cgbench.api.graph_analysis import unequal_channels, untrained
from cgbench.api.graph_nodes import LatentSearch
from cgbench.api.method import Method
from cgbench.api.names import Split
from cgbench.api.registry import METHODS
from cgbench.config import FIELDS, ONE_SHAPE, PRIVATE, TRAINED, TrialConfig
from cgbench.config_layers import Resolved, preset_values, resolve, split_assignments
from cgbench.errors import CgbenchError, did_you_mean, error_line
from cgbench.pixel_format import RGB8, with_window

TRAINED_SCORER_SETTINGS = ("scorers", "scorer_limit", "scorer_steps", "scorer_batch", "scorer_width")


@dataclass(frozen=True)
class Trial:
    """One cell of the comparison. `method` has the term weights that were set by hand. `extended` holds the numbers of
    steps at which its training ended before each extension, first to last."""

    method: Method
    seed: int
    preset: str
    resolved: Resolved
    extended: tuple[int, ...] = ()

    @property
    def config(self) -> TrialConfig:
        """The resolved configuration."""
        return self.resolved.config


def resolve_trials(
    methods: Sequence[str], dataset: Dataset, seeds: Sequence[int], preset: str,
    assignments: Sequence[str] = (), suite: Mapping[str, Any] | None = None, left_out: dict[str, str] | None = None,
) -> list[Trial]:  # fmt: skip
    """Return the trials of a run, seed by seed, with the untrained rows first.

    Args:
        methods: Names of methods; the untrained rows are added.
        dataset: The dataset, whose palette and settings are a layer of the configuration.
        seeds: Random seeds.
        preset: The name of the preset.
        assignments: The texts of `--set`.
        suite: The settings of a suite file.
        left_out: Receives the reason of every method that does not fit the dataset or the configuration; without it
            such a method raises.

    Returns:
        The trials, each with its resolved configuration.

    Raises:
        CgbenchError: where a name or a setting is unknown, or a method does not fit.
    """
    shared, own = _assignments(assignments, methods)
    chosen = [METHODS.get(name) for name in with_untrained_rows(methods, dataset)]
    every_term = {term.name for method in chosen for term in method.terms}
    of_data = _settings_of_data(dataset)
    resolved = {}
    for method in chosen:
        name, terms = method.name, {term.name for term in method.terms}
        # settings for all methods apply to those that have the term or use the setting
        foreign = (every_term - terms) | unused(method)
        ensure_settings_used(method, own.get(name, {}))
        layers = [
            ("preset", preset_values(preset)),
            ("method", method.defaults),
            ("dataset", {**of_data, **dataset.settings.get(preset, {})}),
            ("suite", suite or {}),
            ("--set", shared),
        ]
        layers = [
            (layer, {key: value for key, value in given.items() if key not in foreign}) for layer, given in layers
        ]
        result = resolve([*layers, ("--set", own.get(name, {}))], terms)
        weighted = method.weighted(result.weights)
        if problem := _why_left_out(weighted, result.config, dataset):
            if left_out is None:
                raise CgbenchError(f"{name}: {problem}")
            left_out[name] = problem
            continue
        for direction, network in (untrained(weighted) if method.reference is None else {}).items():
            raise CgbenchError(f"{name}: with these weights no term trains {network}, which translates {direction}")
        resolved[name] = (weighted, result)
    shared_by_all = next(iter(resolved.values()))[1]
    _ensure_scorer_used(shared_by_all, dataset)
    _ensure_windows(shared_by_all.config, dataset)
    crop = shared_by_all.config.crop_shape
    if dataset.palette and any(side % 8 for side in crop):
        text = "x".join(map(str, dict.fromkeys(crop)))
        raise CgbenchError(f"crop_size ({text}) must be a multiple of 8: the scorer of '{dataset.label}' needs it")
    return [Trial(method, seed, preset, result) for seed in seeds for method, result in resolved.values()]


def _settings_of_data(dataset: Dataset) -> dict[str, int]:
    """Return the settings that the images and labels of a dataset decide, where these are not the usual ones."""
    pixels = zip("ab", (domain.pixels for domain in dataset.domains), strict=True)
    found = {f"channels_{letter}": it.channels for letter, it in pixels if it.channels != RGB8.channels}
    return found | ({"classes": len(dataset.palette)} if dataset.palette else {})


def _ensure_windows(config: TrialConfig, dataset: Dataset) -> None:
    """Raise where a window cannot be set: it is none, or the domain is one of label images."""
    settings = {"window_a": config.window_a, "window_b": config.window_b}
    for (name, setting), domain in zip(settings.items(), dataset.domains, strict=True):
        with_window(domain.pixels, setting, name)
        if setting and domain.kind != "photo":
            raise CgbenchError(f"{name}={setting}: {domain.name} are label images, whose colours are no numbers")


def _ensure_scorer_used(resolved: Resolved, dataset: Dataset) -> None:
    """Raise where a published network is named and nothing could use it, or where settings beside it are those of
    scorers that are trained."""
    name = resolved.config.scorer
    if name == TRAINED:
        return
    if not dataset.palette:
        raise CgbenchError(f"scorer={name}: dataset '{dataset.label}' has no labels, so that no scorer judges it")
    for key in TRAINED_SCORER_SETTINGS:
        if resolved.origins[key] == "--set":
            raise CgbenchError(f"--set {key}: scorer={name} is one network that is not trained here: leave '{key}' out")


def resolve_one(name: str, preset: str, assignments: Sequence[str]) -> Trial:
    """Return the trial of one method without a dataset's layer, for `cgbench show`."""
    METHODS.chosen(name)
    method = METHODS.get(name)
    shared, own = _assignments(assignments, [name])
    ensure_settings_used(method, own.get(name, {}))
    layers = [("preset", preset_values(preset)), ("method", method.defaults), ("--set", shared | own.get(name, {}))]
    layers = [(layer, {key: given[key] for key in given if key not in unused(method)}) for layer, given in layers]
    result = resolve(layers, [term.name for term in method.terms])
    return Trial(method.weighted(result.weights), 0, preset, result)


def unused(method: Method) -> frozenset[str]:
    """Return the settings that a method does not use, though others do."""
    return (PRIVATE - set(method.settings)) | set(method.ignores)


def ensure_settings_used(method: Method, own: Mapping[str, str]) -> None:
    """Raise where a setting of one method alone is one that it does not use."""
    for key in own:
        if key in unused(method):
            raise CgbenchError(f"--set {method.name}.{key}: {method.name} has no use for '{key}'")


def with_untrained_rows(methods: Sequence[str], dataset: Dataset) -> list[str]:
    """Return the rows of the table: the untrained rows that fit the dataset, then the trained methods."""
    rows = [name for name in METHODS.names() if (reference := METHODS.get(name).reference) is not None
            and (dataset.paired_test or not reference.needs_pairs)]  # fmt: skip
    return rows + [name for name in dict.fromkeys(methods) if METHODS.get(name).reference is None]


def _why_left_out(method: Method, config: TrialConfig, dataset: Dataset) -> str | None:
    """Return why a method cannot be trained, of another package's also what its own functions raise; None where it
    can."""
    try:
        return why_not_applicable(method, config, dataset)
    except CgbenchError:
        raise
    except (Exception, SystemExit) as error:
        if not METHODS.package_of(method.name):
            raise
        return f"{METHODS.package_of(method.name)} fails: {error_line(error)}"


def why_not_applicable(method: Method, config: TrialConfig, dataset: Dataset) -> str | None:
    """Return why a method cannot be trained on a dataset with a configuration, and what to do; None where it can."""
    if method.supervised and "pairs" not in dataset.splits:
        return f"trained on pairs, and dataset '{dataset.label}' has none to train on"
    if method.reads_labels and not (dataset.palette and all(labelled(dataset, domain) for domain in "AB")):
        return f"needs class labels of the training images, and dataset '{dataset.label}' has none for both domains"
    if method.reads_labels and config.classes != len(dataset.palette):
        return f"classes={config.classes}, but dataset '{dataset.label}' has {len(dataset.palette)}: leave it unset"
    for letter, domain in zip("ab", dataset.domains, strict=True):
        if method.reference is None and config.channels(letter) != domain.pixels.channels:
            bands = f"dataset '{dataset.label}' has {domain.pixels.channels}"
            return f"channels_{letter}={config.channels(letter)}, but {bands}: leave it unset"
    if config.test_resize_mode not in ONE_SHAPE and any(
        isinstance(node, LatentSearch) for node in method.graph.values()
    ):
        return "renders images of crop_size from a code: needs test_size=crop and resize_mode=squash or crop"
    if method.reference is None and (problem := unequal_channels(method, {x: config.channels(x) for x in "ab"})):
        return problem
    if config.batch_size < method.min_batch_size:
        return f"compares the images of a batch: needs batch_size={method.min_batch_size} or more, for all methods"
    if config.features == "scorer" and "features" in method.settings and not dataset.palette:
        return f"features=scorer needs labels, and dataset '{dataset.label}' has none"
    if config.features == "scorer" and "features" in method.settings and config.scorer != TRAINED:
        return f"features=scorer needs scorers that are trained, not scorer={config.scorer}: use features=vgg16"
    missing = (network.missing(config) for network in method.networks.values() if network.missing)
    return next(filter(None, missing), None)


def labelled(dataset: Dataset, domain: str) -> bool:
    """Return whether the training images of a domain have class ids."""
    return all(item.labels is not None for item in dataset.items(Split.TRAIN, domain))


def _assignments(texts: Sequence[str], methods: Sequence[str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return the `--set` values for all methods and those of one each; raise where one method may not have its own."""
    shared, own = split_assignments(texts)
    for name, values in own.items():
        if name not in methods:
            raise CgbenchError(f"--set {name}.…: no such method here: {did_you_mean(name, list(methods))}")
        for key in values:
            if key in FIELDS and not FIELDS[key].metadata["method"]:
                raise CgbenchError(
                    f"--set {name}.{key}: '{key}' must be the same for all methods; write --set {key}={values[key]}"
                )
    return shared, own
