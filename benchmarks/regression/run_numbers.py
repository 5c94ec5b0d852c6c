"""What a run has to say to a drift gate: its numbers by seed, what they were measured with, and what was set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from cgbench.api.metric import Value
from cgbench.config import FIELDS
from cgbench.files import read_jsonl
from cgbench.results.records import one_protocol
from cgbench.results.run import UNTRAINED, Run, TrialResult

LAST_PART = 0.2  # share of the training, at its end, over which the losses are averaged
LOSS, WEIGHTS = "loss", "parameters"  # numbers of the training itself: "loss/cycle_a", "parameters/G_ab"
TRAINED, NOT_TRAINED, COUNT = "trained", "untrained", "count"
ROUNDING = 1e-6  # no number is said to change by less: 1e-15 on one machine may be 0 on another


class Key(NamedTuple):
    """What a number is about; `direction` is "" for numbers of the training itself."""

    dataset: str
    method: str
    direction: str
    metric: str

    @property
    def text(self) -> str:
        return " ".join(filter(None, self))


@dataclass(frozen=True)
class SeedValues:
    """One number of a method by seed. `better` is "higher", "lower" or "" (neither), `n` the images it is a mean over,
    `protocol` the digest of what it was measured with, "" for numbers of the training itself. `kind` is "trained",
    "untrained" (a floor or ceiling of the table) or "count" (of weights)."""

    values: Mapping[int, float]
    better: str = ""
    n: int = 0
    protocol: str = ""
    kind: str = TRAINED

    @property
    def exact(self) -> bool:
        """Whether no seed can change it: a count, or an untrained row that is alike in two seeds or more."""
        spread = max(self.values.values()) - min(self.values.values())
        return self.kind == COUNT or (self.kind == NOT_TRAINED and len(self.values) > 1 and spread <= ROUNDING)


@dataclass(frozen=True)
class UnfinishedTrial:
    """A trial that gave no numbers: its state, and the reason where one was recorded."""

    method: str
    seed: int
    state: str
    reason: str


@dataclass(frozen=True)
class Measurements:
    """All of a run, or of a baseline. `protocols` maps digests to their parts, `settings` methods to what was set,
    `absent` keys without a number to the reason; `provenance` says what program made the numbers, where and how."""

    numbers: Mapping[Key, SeedValues]
    protocols: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]
    troubles: tuple[UnfinishedTrial, ...] = ()
    absent: Mapping[Key, str] = field(default_factory=dict)


def measurements(run: Run, values: Mapping[str, Value]) -> Measurements:
    """Return what a finished or unfinished run holds. Numbers measured by two protocols raise `CgbenchError`.

    Besides the metrics: each term's loss, unweighted, as the mean over the last fifth of the training, and the number
    of weights of each network. Details of a metric ("fcn_iou/road") are left out.
    """
    one_protocol(run.records)
    dataset = run.about["dataset"]
    numbers: dict[Key, SeedValues] = {}
    absent: dict[Key, str] = {}
    for (method, direction, metric), rows in _measured(run).groupby(["method", "direction", "metric"], sort=False):
        key = Key(dataset, method, direction, metric)
        finite = rows[np.isfinite(rows["value"])]
        found = dict(zip(map(int, finite["seed"]), map(float, finite["value"]), strict=True))
        if len(finite) < len(rows):
            absent[key] = next(filter(None, rows["reason"]), "not a number")
        if found:
            better = values[metric].better if metric in values else ""
            kind = NOT_TRAINED if run.roles[method] in UNTRAINED else TRAINED
            first = finite.iloc[0]
            numbers[key] = SeedValues(found, better, int(first["n"]), first["protocol"], kind)
    for method in run.trained:
        for name, by_seed in _of_training(run.of(method)).items():
            numbers[Key(dataset, method, "", name)] = SeedValues(
                by_seed, kind=COUNT if name.startswith(f"{WEIGHTS}/") else TRAINED
            )
    return Measurements(
        numbers, run.protocols(), {name: _settings(run.of(name)[0]) for name in run.order if run.of(name)},
        _provenance(run), _troubles(run), absent,
    )  # fmt: skip


def _measured(run: Run):
    """Return the numbers of finished trials, each at its last step."""
    records = run.records
    wanted = (records["status"] == "done") & (records["metric"] != "") & ~records["metric"].str.contains("/")
    ordered = records[wanted].sort_values("step", kind="stable")
    return ordered.drop_duplicates(["direction", "method", "seed", "metric"], keep="last").sort_index()


def _of_training(trials: list[TrialResult]) -> dict[str, dict[int, float]]:
    """Return the numbers of the training of one method's finished trials, by name and seed."""
    found: dict[str, dict[int, float]] = {}
    for trial in trials:
        if trial.state != "done":
            continue
        for name, count in trial.spec.get("parameters", {}).items():
            found.setdefault(f"{WEIGHTS}/{name}", {})[trial.seed] = float(count)
        for name, loss in last_losses(list(read_jsonl(trial.folder.steps))).items():
            found.setdefault(f"{LOSS}/{name}", {})[trial.seed] = loss
    return found


def last_losses(lines: list[dict]) -> dict[str, float]:
    """Return the mean of each term over the lines of the last fifth of the steps; each line is a mean itself."""
    if not lines:
        return {}
    start = (1 - LAST_PART) * lines[-1]["step"]
    last = [line["losses"] for line in lines if line["step"] > start]
    means = {name: float(np.mean([losses[name] for losses in last])) for name in last[-1]}
    return {name: mean for name, mean in means.items() if np.isfinite(mean)}


def _settings(trial: TrialResult) -> dict[str, Any]:
    """Return what was set for a method: its configuration, its weights as declared or set, and its training images."""
    spec = trial.spec
    config = {name: value for name, value in spec["config"].items() if _matters(name)}
    terms = {f"weight of {term['name']}": term["weight"] for term in spec["method"].get("terms", [])}
    data = {f"training images {domain}": digest for domain, digest in spec.get("data", {}).items()}
    trained = spec["method"].get("role", "") not in UNTRAINED
    return {"preset": spec["preset"], **(config if trained else {}), **terms, **data}


def _matters(name: str) -> bool:
    return name in FIELDS and FIELDS[name].metadata["affects"] != "bookkeeping"


def _provenance(run: Run) -> dict[str, Any]:
    """Return the command, and every device, commit and set of versions that the trials name."""
    specs = [trial.spec for trial in run.trials]
    versions: dict[str, list[str]] = {}
    for spec in specs:
        for package, version in spec.get("versions", {}).items():
            if version not in versions.setdefault(package, []):
                versions[package].append(version)
    return {
        "run": run.about["name"],
        "command": "".join(letter if letter.isprintable() else "?" for letter in run.about["command"]),
        "created": run.about["created"],
        "git": list(dict.fromkeys(spec.get("git", "") for spec in specs)),
        "device": list(dict.fromkeys(spec.get("device", "") for spec in specs)),
        "versions": {package: ", ".join(found) for package, found in versions.items()},
    }


def _troubles(run: Run) -> tuple[UnfinishedTrial, ...]:
    """Return the trials that were asked for and are not done."""
    found = [
        UnfinishedTrial(trial.method, trial.seed, trial.state, str(trial.status.get("reason", "")))
        for trial in run.trials
        if trial.state != "done"
    ]
    begun = {(trial.method, trial.seed) for trial in run.trials}
    asked = {(row.method, row.seed): row.status for row in run.records.itertuples() if row.metric == ""}
    found += [UnfinishedTrial(*key, state, "") for key, state in asked.items() if key not in begun]
    return tuple(found)
