"""Provenance of a comparison: the methods, every setting and its layer, protocols, software and hardware."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from cgbench.api.metric import Value
from cgbench.config import FIELDS
from cgbench.formatting import listed
from cgbench.reports.formats.numbers import declared
from cgbench.results.run import RunRecords, TrialResult

LABELS = {"precision": "precision", "deterministic": "--deterministic", "continued": "went on with"}


@dataclass(frozen=True)
class TermRow:
    """One loss term: `function` if all methods use the same, else "", and the weight in each trained method as text."""

    term: str
    player: str
    function: str
    weights: tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """One value of the configuration, and the methods that it holds for; `methods` is "" for all."""

    name: str
    value: str
    layer: str
    doc: str
    methods: str


@dataclass(frozen=True)
class Fact:
    """A property of trials, its value, and the trials that have it; `trials` is "" for all."""

    name: str
    value: str
    trials: str


def term_names(run: RunRecords) -> list[str]:
    """Return the names of all loss terms, in the order of declaration."""
    return list(dict.fromkeys(term["name"] for name in run.trained for term in _terms(run, name)))


def term_rows(run: RunRecords) -> list[TermRow]:
    """Return one row per term with its weight in each trained method; "–" where a method does not have it."""
    rows = []
    for name in term_names(run):
        terms = {method: term for method in run.trained for term in _terms(run, method) if term["name"] == name}
        functions = {term["function"] for term in terms.values()}
        players = list(dict.fromkeys(term["player"] for term in terms.values()))
        shared = functions.pop() if len(functions) == 1 else ""
        weights = tuple(_weight(terms.get(method), shared) for method in run.trained)
        rows.append(TermRow(name, ", ".join(players), shared, weights))
    return rows


def settings(run: RunRecords) -> list[Setting]:
    """Return every setting of the trained methods with the layer that set it; a row per value where methods differ."""
    specs = {name: run.trials_of(name)[0].spec for name in run.trained if run.trials_of(name)}
    keys = dict.fromkeys(key for spec in specs.values() for key in [*spec["config"], *spec["weights"]])
    rows = []
    for key in keys:
        holders: dict[tuple[str, str], list[str]] = {}
        for method, spec in specs.items():
            if key in spec["config"] or key in spec["weights"]:
                value = spec["config"].get(key, spec["weights"].get(key))
                holders.setdefault((_plain(value), spec["origins"].get(key, "recipe")), []).append(method)
        doc = FIELDS[key].metadata["doc"].replace("`", "") if key in FIELDS else "Weight of this loss term."
        for (value, layer), methods in holders.items():
            shared = len(methods) == len(specs)
            rows.append(Setting(key, value, layer, doc, "" if shared else ", ".join(methods)))
    return rows


def facts(run: RunRecords) -> list[Fact]:
    """Return device, hardware, precision, determinism, data, git commit and package versions, with the trials of each
    value where they differ, and the changes of environment of trials that were resumed in another one."""
    rows = _fact("device", run.trials, lambda spec: spec.get("device", ""))
    for name in dict.fromkeys(key for trial in run.trials for key in trial.spec.get("hardware", {})):
        rows += _fact(name, run.trials, partial(_entry, "hardware", name))
    for name in ("precision", "deterministic", "continued"):
        if any(name in trial.spec for trial in run.trials):
            rows += _fact(LABELS[name], run.trials, partial(_field, name))
    data = [trial for trial in run.trials if trial.method in run.trained and "data" in trial.spec]
    rows += _fact("training images (digest)", data, lambda spec: _text(spec["data"]))
    rows += _fact("git commit", run.trials, lambda spec: spec.get("git", ""))
    packages = dict.fromkeys(package for trial in run.trials for package in trial.spec.get("versions", {}))
    for package in packages:
        rows += _fact(package, run.trials, partial(_entry, "versions", package))
    return rows


def pairing_facts(run: RunRecords) -> list[Fact]:
    """Return whether the test images are treated as pairs, by which rule and what was left over, as recorded."""
    trials = [trial for trial in run.trials if trial.spec["dataset"].get("test_images")]
    return _fact("test images", trials, partial(_entry, "dataset", "test_images"))


def not_known(run: RunRecords) -> dict[str, str]:
    """Return what is not known of each row of another program: "training, selection and seed"."""
    found = {}
    for name in run.external:
        told = [trial.spec.get("external") or {} for trial in run.trials_of(name)]
        missing = [] if all(entry.get("training") for entry in told) else ["training", "selection"]
        missing += [] if all(entry.get("seed") is not None for entry in told) else ["seed"]
        found[name] = listed(missing)
    return found


def external_note(run: RunRecords, direction: str, values: Mapping[str, Value]) -> str:
    """Return what to know about the rows of other programs in the tables of a direction, "" without any."""
    parts, unknown = [], not_known(run)
    measured = run.records[(run.records["direction"] == direction) & ~run.records["method"].isin(run.external)]
    for name in run.external:
        told = [trial.spec["external"] for trial in run.trials_of(name) if trial.spec.get("external")]
        if told and told[0]["direction"] == direction:
            text = f"{name} from {'; '.join(dict.fromkeys(entry['origin'] for entry in told))}"
            text += f", told and not checked: {told[0]['training']}" if told[0]["training"] else ""
            text += f", not known: {unknown[name]}" if unknown[name] else ""
            reasons = {key: why for key, why in told[0]["not_measured"].items() if key in set(measured["metric"])}
            absent = [f"{declared(values, key).label} ({why})" for key, why in reasons.items()]
            parts.append(text + (f", not measured: {', '.join(absent)}" if absent else ""))
    if not parts:
        return ""
    return f" External: outputs of another program, not trained here, measured as the others are: {'; '.join(parts)}."


def _entry(group: str, name: str, spec: Mapping[str, Any]) -> Any:
    return spec.get(group, {}).get(name, "")


def _field(name: str, spec: Mapping[str, Any]) -> str:
    return _text(spec.get(name, ""))


def _text(value: Any) -> str:
    """Return a recorded value as text: "a 0123, b 4567" for a dictionary, "no" for False."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return "; ".join(map(_text, value)) or "the same"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def protocols(run: RunRecords) -> list[dict[str, str]]:
    """Return each protocol of the run's numbers: its digest, the metrics measured by it, and its details as JSON."""
    details = run.protocols()
    rows = []
    for digest, group in run.records[run.records["protocol"] != ""].groupby("protocol", sort=True):
        pairs = sorted(set(zip(group["direction"], group["metric"], strict=True)))
        text = json.dumps(details.get(digest, "not recorded"), indent=2, ensure_ascii=False)
        measures = ", ".join(f"{metric} ({direction})" for direction, metric in pairs)
        rows.append({"digest": digest, "measures": measures, "details": text})
    return rows


def _terms(run: RunRecords, method: str) -> list[dict[str, Any]]:
    trials = run.trials_of(method)
    return trials[0].spec["method"]["terms"] if trials else []


def _weight(term: dict[str, Any] | None, shared: str) -> str:
    if term is None:
        return "–"
    return f"{term['weight']:g}" if shared else f"{term['weight']:g} {term['function']}"


def _plain(value: Any) -> str:
    """Return a setting in the syntax of the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fact(name: str, trials: Iterable[TrialResult], value_of: Callable[[dict[str, Any]], Any]) -> list[Fact]:
    """Return one fact where all trials agree, else one for each value with the trials that have it. `value_of` returns
    the value of a trial.json."""
    holders: dict[str, list[str]] = {}
    for trial in trials:
        holders.setdefault(str(value_of(trial.spec)), []).append(f"{trial.method} seed {trial.seed}")
    return [
        Fact(name, value or "unknown", "" if len(holders) == 1 else ", ".join(names))
        for value, names in holders.items()
    ]
