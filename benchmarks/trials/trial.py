"""A trial: one method, seed and configuration on one dataset; what identifies it and what is recorded of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cgbench.api.dataset import Dataset
from cgbench.api.graph_analysis import untrained
from cgbench.api.method import Method
from cgbench.api.method_description import describe, identity
from cgbench.api.registry import METHODS
from cgbench.config import FIELDS, PRIVATE, Resolved, TrialConfig, preset_values, resolve, split_assignments
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.files import TrialFolder
from cgbench.results.records import digest, read_trial

SCHEMA = 1


@dataclass(frozen=True)
class Trial:
    """One cell of the comparison. `method` already carries the term weights that were set by hand. `extended` holds
    the steps at which its training had ended before it was extended to more, first to last."""

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
    """Return the trials of a run, seed by seed, with the untrained reference rows first.

    `assignments` are the texts of `--set`; `suite` the values of a suite file. Anything unknown raises `CgbenchError`,
    and so does a method that does not fit the dataset or the configuration; where `left_out` is given, such a method
    is left out and its reason put there.
    """
    shared, own = _assignments(assignments, methods)
    chosen = [METHODS.get(name) for name in with_references(methods, dataset)]
    every_term = {term.name for method in chosen for term in method.terms}
    classes = {"classes": len(dataset.palette)} if dataset.palette else {}
    resolved = {}
    for method in chosen:
        name, terms = method.name, {term.name for term in method.terms}
        # what is set for all methods goes to those that have the term or use the setting
        foreign = (every_term - terms) | unused(method)
        refuse_unused(method, own.get(name, {}))
        layers = [
            ("preset", preset_values(preset)),
            ("method", method.defaults),
            ("dataset", {**classes, **dataset.settings.get(preset, {})}),
            ("suite", suite or {}),
            ("--set", shared),
        ]
        layers = [
            (layer, {key: value for key, value in given.items() if key not in foreign}) for layer, given in layers
        ]
        result = resolve([*layers, ("--set", own.get(name, {}))], terms)
        if problem := unfit(method, result.config, dataset):
            if left_out is None:
                raise CgbenchError(f"{name}: {problem}")
            left_out[name] = problem
            continue
        weighted = method.weighted(result.weights)
        for direction, network in (untrained(weighted) if method.reference is None else {}).items():
            raise CgbenchError(f"{name}: with these weights no term trains {network}, which translates {direction}")
        resolved[name] = (weighted, result)
    side = next(iter(resolved.values()))[1].config.crop_size
    if dataset.palette and side % 8:
        raise CgbenchError(f"crop_size ({side}) must be a multiple of 8: the scorer of '{dataset.label}' needs it")
    return [Trial(method, seed, preset, result) for seed in seeds for method, result in resolved.values()]


def resolve_one(name: str, preset: str, assignments: Sequence[str]) -> Trial:
    """Return the trial of one method without a dataset's layer, for looking at it."""
    method = METHODS.get(name)
    shared, own = _assignments(assignments, [name])
    refuse_unused(method, own.get(name, {}))
    layers = [("preset", preset_values(preset)), ("method", method.defaults), ("--set", shared | own.get(name, {}))]
    layers = [(layer, {key: given[key] for key in given if key not in unused(method)}) for layer, given in layers]
    result = resolve(layers, [term.name for term in method.terms])
    return Trial(method.weighted(result.weights), 0, preset, result)


def unused(method: Method) -> set[str]:
    """Return the settings that a method has no use for, though others have."""
    return (PRIVATE - set(method.settings)) | set(method.ignores)


def refuse_unused(method: Method, own: Mapping[str, str]) -> None:
    """Raise where something is set for a method alone that it has no use for."""
    for key in own:
        if key in unused(method):
            raise CgbenchError(f"--set {method.name}.{key}: {method.name} has no use for '{key}'")


def with_references(methods: Sequence[str], dataset: Dataset) -> list[str]:
    """Return the rows of the table: the reference rows that fit the dataset, then the methods asked for."""
    rows = [name for name in METHODS.names() if (reference := METHODS.get(name).reference) is not None
            and (dataset.paired_test or not reference.needs_pairs)]  # fmt: skip
    return rows + [name for name in dict.fromkeys(methods) if METHODS.get(name).reference is None]


def unfit(method: Method, config: TrialConfig, dataset: Dataset) -> str | None:
    """Return why a method cannot be trained on a dataset with a configuration, and what to do; None where it can."""
    if method.supervised and "pairs" not in dataset.splits:
        return f"trained on pairs, and dataset '{dataset.label}' has none to train on"
    if method.reads_labels and not (dataset.palette and all(labelled(dataset, domain) for domain in "AB")):
        return f"needs class labels of the training images, and dataset '{dataset.label}' has none for both domains"
    if method.reads_labels and config.classes != len(dataset.palette):
        return f"classes={config.classes}, but dataset '{dataset.label}' has {len(dataset.palette)}: leave it unset"
    if config.batch < method.least_batch:
        return f"compares the images of a batch: needs batch={method.least_batch} or more, for all methods"
    if config.features == "scorer" and "features" in method.settings and not dataset.palette:
        return f"features=scorer needs labels, and dataset '{dataset.label}' has none"
    missing = (network.missing(config) for network in method.networks.values() if network.missing)
    return next(filter(None, missing), None)


def labelled(dataset: Dataset, domain: str) -> bool:
    """Say whether the training images of a domain carry class ids."""
    return all(item.labels is not None for item in dataset.items("train", domain))


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


def trial_digest(trial: Trial, data: Mapping[str, str]) -> str:
    """Return what identifies a training: method, configuration, seed and the content of the training images."""
    config = trial.config.affecting("training")
    if "features" in trial.method.settings and trial.config.features == "scorer":
        config |= {name: value for name, value in asdict(trial.config).items() if name.startswith("scorer_")}
    return digest(
        {
            "schema": SCHEMA,
            "method": identity(describe(trial.method)),
            "config": config if trial.method.reference is None else {},
            "seed": trial.seed,
            "data": dict(data) if trial.method.reference is None else {},
            **({"extended": list(trial.extended)} if trial.extended else {}),
        }
    )


def refuse_another(trial: Trial, folder: TrialFolder, wanted: str) -> None:
    """Raise if the folder already holds a trial that is not this one, and say where they differ."""
    if not folder.trial.exists():
        return
    known = read_trial(folder)
    if known.get("digest") == wanted:
        return
    mine, theirs = asdict(trial.config), known.get("config", {})
    fields = trial.config.affecting("training")
    if lengths := extensions(known):
        raise CgbenchError(
            f"{folder.path} was extended ({lengths} steps): 'cgbench extend' goes on with it, 'cgbench evaluate' "
            "measures it; to train anew, choose another --name"
        )
    differing = [f"{key} {theirs.get(key)} → {mine[key]}" for key in fields if theirs.get(key) != mine[key]]
    reason = ", ".join(differing) or "its method, its data or this program's version changed"
    raise CgbenchError(
        f"{folder.path} holds another trial ({reason}); choose another --name, or delete that folder to train it again"
    )


def refuse_other_comparison(trial: Trial, folder: TrialFolder, data: Mapping[str, str]) -> None:
    """Raise if a folder of the same run holds a trial of another budget, resolution or data: no fair table has both."""
    known = read_trial(folder)
    mine = asdict(trial.config)
    shared = [name for name, item in FIELDS.items() if not item.metadata["method"]]
    shared = [name for name in shared if FIELDS[name].metadata["affects"] != "bookkeeping"]
    theirs = known.get("config", {})
    differing = [f"{name} {theirs.get(name)} → {mine[name]}" for name in shared if theirs.get(name) != mine[name]]
    if lengths := extensions(known):
        differing = [f"extended {lengths} steps"]
    if (
        not differing
        and not (known["method"].get("role") or trial.method.supervised)
        and known.get("data") != dict(data)
    ):
        differing = ["its training images"]
    if differing:
        raise CgbenchError(
            f"{folder.path} belongs to another comparison ({', '.join(differing)}); "
            "choose another --name, or ask for all its methods and seeds again"
        )


def extensions(facts: Mapping[str, Any]) -> str:
    """Return the steps at which a trial ended, one after the other: "1500 → 3000"; "" for one never extended."""
    steps = [entry["from"] for entry in facts.get("extended", [])]
    return " → ".join(map(str, [*steps, facts["steps"]])) if steps else ""


def trial_facts(
    trial: Trial, dataset: Dataset, environment: Mapping[str, Any], wanted: str, counts: Mapping[str, int], total: int,
    parameters: Mapping[str, int], data: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """Return the content of `trial.json`: everything resolved, with where it came from."""
    return {
        "schema": SCHEMA,
        "method": describe(trial.method),
        "dataset": {
            "name": dataset.name,
            "label": dataset.label,
            "domains": [asdict(domain) for domain in dataset.domains],
            "directions": {direction: dataset.direction_name(direction) for direction in ("AtoB", "BtoA")},
            "palette": [[entry.name, *entry.colour] for entry in dataset.palette],
            "licence": dataset.licence,
            "source": dataset.source,
            "split_rule": dataset.split_rule,
            "label_source": dataset.label_source,
            "counts": dict(counts),
        },
        "seed": trial.seed,
        "preset": trial.preset,
        "steps": total,
        "config": asdict(trial.config),
        "weights": trial.resolved.weights,
        "origins": trial.resolved.origins,
        "digest": wanted,
        "data": dict(data),
        "parameters": dict(parameters),
        **environment,
    }
