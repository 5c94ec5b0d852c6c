"""What a reader needs to check a comparison: what each method is, every setting and its layer, and what it ran on."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cgbench.config import FIELDS
from cgbench.results.run import Run, TrialResult

CALLED = {"precision": "precision", "deterministic": "--deterministic", "continued": "went on with"}


@dataclass(frozen=True)
class TermRow:
    """One loss term: `function` where all methods use the same, and a text per trained method: its weight."""

    term: str
    player: str
    function: str
    weights: tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """One value of the configuration. `methods` is empty where it holds for all of them."""

    name: str
    value: str
    layer: str
    doc: str
    methods: str


@dataclass(frozen=True)
class Fact:
    """A property of trials, its value, and which trials have it; `trials` is empty where all do."""

    name: str
    value: str
    trials: str


def term_names(run: Run) -> list[str]:
    """Return the names of all terms, in the order in which the methods declare them."""
    return list(dict.fromkeys(term["name"] for name in run.trained for term in _terms(run, name)))


def term_rows(run: Run) -> list[TermRow]:
    """Return one row per term with its weight in each trained method; "–" where a method does not have it."""
    rows = []
    for name in term_names(run):
        found = {method: term for method in run.trained for term in _terms(run, method) if term["name"] == name}
        functions = {term["function"] for term in found.values()}
        players = list(dict.fromkeys(term["player"] for term in found.values()))
        shared = functions.pop() if len(functions) == 1 else ""
        weights = tuple(_weight(found.get(method), shared) for method in run.trained)
        rows.append(TermRow(name, ", ".join(players), shared, weights))
    return rows


def settings(run: Run) -> list[Setting]:
    """Return every setting of the trained methods, with the layer it came from; several rows where methods differ."""
    specs = {name: run.of(name)[0].spec for name in run.trained if run.of(name)}
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
            everywhere = len(methods) == len(specs)
            rows.append(Setting(key, value, layer, doc, "" if everywhere else ", ".join(methods)))
    return rows


def facts(run: Run) -> list[Fact]:
    """Return device, hardware, precision, determinism, data, git commit and package versions, with the trials that
    differ, and what changed for those that went on in another environment."""
    found = _fact("device", run.trials, lambda spec: spec.get("device", ""))
    for name in dict.fromkeys(key for trial in run.trials for key in trial.spec.get("hardware", {})):
        found += _fact(name, run.trials, lambda spec, name=name: spec.get("hardware", {}).get(name, ""))
    for name in ("precision", "deterministic", "continued"):
        if any(name in trial.spec for trial in run.trials):
            found += _fact(CALLED[name], run.trials, lambda spec, name=name: _text(spec.get(name, "")))
    data = [trial for trial in run.trials if trial.method in run.trained and "data" in trial.spec]
    found += _fact("training images (digest)", data, lambda spec: _text(spec["data"]))
    found += _fact("git commit", run.trials, lambda spec: spec.get("git", ""))
    packages = dict.fromkeys(package for trial in run.trials for package in trial.spec.get("versions", {}))
    for package in packages:
        found += _fact(package, run.trials, lambda spec, package=package: spec.get("versions", {}).get(package, ""))
    return found


def _text(value: Any) -> str:
    """Return a recorded value in plain words: "a 0123, b 4567" for a dictionary, "no" for False."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return "; ".join(map(_text, value)) or "the same"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def protocols(run: Run) -> list[dict[str, str]]:
    """Return each protocol that a number was measured by: its digest, what it measured, and its details as JSON."""
    details = run.protocols()
    rows = []
    for digest, group in run.records[run.records["protocol"] != ""].groupby("protocol", sort=True):
        pairs = sorted(set(zip(group["direction"], group["metric"], strict=True)))
        text = json.dumps(details.get(digest, "not recorded"), indent=2, ensure_ascii=False)
        measures = ", ".join(f"{metric} ({direction})" for direction, metric in pairs)
        rows.append({"digest": digest, "measures": measures, "details": text})
    return rows


def _terms(run: Run, method: str) -> list[dict[str, Any]]:
    trials = run.of(method)
    return trials[0].spec["method"]["terms"] if trials else []


def _weight(term: dict[str, Any] | None, shared: str) -> str:
    if term is None:
        return "–"
    return f"{term['weight']:g}" if shared else f"{term['weight']:g} {term['function']}"


def _plain(value: Any) -> str:
    """Return a setting as it would be written on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fact(name: str, trials: Iterable[TrialResult], value_of) -> list[Fact]:
    """Return one fact where all trials agree, else one for each value with the trials that have it."""
    holders: dict[str, list[str]] = {}
    for trial in trials:
        holders.setdefault(str(value_of(trial.spec)), []).append(f"{trial.method} seed {trial.seed}")
    return [
        Fact(name, value or "unknown", "" if len(holders) == 1 else ", ".join(names))
        for value, names in holders.items()
    ]
