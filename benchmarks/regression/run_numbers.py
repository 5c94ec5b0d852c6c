"""The numbers of a run by seed, with their protocols and settings, as the drift gate compares them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from cgbench.api.metric import Value
from cgbench.api.names import TrialState
from cgbench.config import FIELDS
from cgbench.results.record_files import read_step_rows
from cgbench.results.records import ensure_one_protocol
from cgbench.results.run import UNTRAINED, RunRecords, TrialResult

FINAL_SHARE = 0.2  # share of the training, at its end, over which losses are averaged
LOSS, WEIGHTS = "loss", "parameters"  # numbers of the training itself: "loss/cycle_a", "parameters/G_ab"
TRAINED, NOT_TRAINED, COUNT = "trained", "untrained", "count"
ROUNDING = 1e-6  # smaller changes do not count: 1e-15 on one machine may be 0 on another


class Key(NamedTuple):
    """Identity of a number; `direction` is "" for numbers of the training itself."""

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
    `protocol` the digest of its protocol, "" for numbers of the training itself. `kind` is "trained", "untrained" (a
    floor or ceiling of the table) or "count" (of weights)."""

    values: Mapping[int, float]
    better: str = ""
    n: int = 0
    protocol: str = ""
    kind: str = TRAINED

    @property
    def exact(self) -> bool:
        """Whether the seed cannot change it: a count, or an untrained row with equal values in two seeds or more."""
        spread = max(self.values.values()) - min(self.values.values())
        return self.kind == COUNT or (self.kind == NOT_TRAINED and len(self.values) > 1 and spread <= ROUNDING)


@dataclass(frozen=True)
class UnfinishedTrial:
    """A trial without numbers: its state, and the reason where one was recorded."""

    method: str
    seed: int
    state: str
    reason: str


@dataclass(frozen=True)
class RunNumbers:
    """All numbers of a run or of a baseline. `protocols` maps digests to their parts, `settings` methods to their
    settings, `absent` keys without a number to the reason; `provenance` records the program, command and machine."""

    numbers: Mapping[Key, SeedValues]
    protocols: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]
    unfinished: tuple[UnfinishedTrial, ...] = ()
    absent: Mapping[Key, str] = field(default_factory=dict)


def collect_numbers(run: RunRecords, values: Mapping[str, Value]) -> RunNumbers:
    """Return the numbers of a finished or unfinished run. Numbers of two protocols raise `CgbenchError`.

    Rows of other programs are left out: nothing here could make them better or worse.
    Besides the metrics: each term's loss, unweighted, as the mean over the last fifth of the training, and the number
    of weights of each network. Details of a metric ("fcn_iou/road") are left out.
    """
    run = run.own()
    ensure_one_protocol(run.records)
    dataset = run.metadata["dataset"]
    numbers: dict[Key, SeedValues] = {}
    absent: dict[Key, str] = {}
    for (method, direction, metric), rows in _metric_records(run).groupby(
        ["method", "direction", "metric"], sort=False
    ):
        key = Key(dataset, method, direction, metric)
        finite = rows[np.isfinite(rows["value"])]
        by_seed = dict(zip(map(int, finite["seed"]), map(float, finite["value"]), strict=True))
        if len(finite) < len(rows):
            absent[key] = next(filter(None, rows["reason"]), "not a number")
        if by_seed:
            better = values[metric].better if metric in values else ""
            kind = NOT_TRAINED if run.roles[method] in UNTRAINED else TRAINED
            first = finite.iloc[0]
            numbers[key] = SeedValues(by_seed, better, int(first["n"]), first["protocol"], kind)
    for method in run.trained:
        for name, by_seed in _training_numbers(run.trials_of(method)).items():
            numbers[Key(dataset, method, "", name)] = SeedValues(
                by_seed, kind=COUNT if name.startswith(f"{WEIGHTS}/") else TRAINED
            )
    return RunNumbers(
        numbers, run.protocols(),
        {name: _settings(run.trials_of(name)[0]) for name in run.order if run.trials_of(name)},
        _provenance(run), _unfinished_trials(run), absent,
    )  # fmt: skip


def _metric_records(run: RunRecords):
    """Return the records of the metrics of finished trials, without details ("fcn_iou/road")."""
    records = run.records
    done = records[(records["status"] == TrialState.DONE) & (records["metric"] != "")]
    return done[~done["metric"].str.contains("/")]


def _training_numbers(trials: list[TrialResult]) -> dict[str, dict[int, float]]:
    """Return the numbers of the training of one method's finished trials, by name and seed."""
    numbers: dict[str, dict[int, float]] = {}
    for trial in trials:
        if trial.state != TrialState.DONE:
            continue
        for name, count in trial.spec.get("parameters", {}).items():
            numbers.setdefault(f"{WEIGHTS}/{name}", {})[trial.seed] = float(count)
        for name, loss in last_losses(read_step_rows(trial.folder.steps)).items():
            numbers.setdefault(f"{LOSS}/{name}", {})[trial.seed] = loss
    return numbers


def last_losses(lines: list[dict]) -> dict[str, float]:
    """Return the mean of each term over the lines of the last fifth of the steps; each line is a mean itself."""
    if not lines:
        return {}
    start = (1 - FINAL_SHARE) * lines[-1]["step"]
    last = [line["losses"] for line in lines if line["step"] > start]
    means = {name: float(np.mean([losses[name] for losses in last if name in losses])) for name in last[-1]}
    return {name: mean for name, mean in means.items() if np.isfinite(mean)}


def _settings(trial: TrialResult) -> dict[str, Any]:
    """Return the settings of a method: its configuration, its weights of terms, and its training images."""
    spec = trial.spec
    config = {name: value for name, value in spec["config"].items() if _affects_results(name)}
    terms = {f"weight of {term['name']}": term["weight"] for term in spec["method"].get("terms", [])}
    data = {f"training images {domain}": digest for domain, digest in spec.get("data", {}).items()}
    trained = spec["method"].get("role", "") not in UNTRAINED
    return {"preset": spec["preset"], **(config if trained else {}), **terms, **data}


def _affects_results(name: str) -> bool:
    return name in FIELDS and FIELDS[name].metadata["affects"] != "bookkeeping"


def _provenance(run: RunRecords) -> dict[str, Any]:
    """Return the command, and every device, commit and set of versions that the trials record."""
    specs = [trial.spec for trial in run.trials]
    versions: dict[str, list[str]] = {}
    for spec in specs:
        for package, version in spec.get("versions", {}).items():
            if version not in versions.setdefault(package, []):
                versions[package].append(version)
    return {
        "run": run.metadata["name"],
        "command": "".join(letter if letter.isprintable() else "?" for letter in run.metadata["command"]),
        "created": run.metadata["created"],
        "git": list(dict.fromkeys(spec.get("git", "") for spec in specs)),
        "device": list(dict.fromkeys(spec.get("device", "") for spec in specs)),
        "versions": {package: ", ".join(values) for package, values in versions.items()},
    }


def _unfinished_trials(run: RunRecords) -> tuple[UnfinishedTrial, ...]:
    """Return the requested trials that are not done."""
    trials = [
        UnfinishedTrial(trial.method, trial.seed, trial.state, str(trial.status.get("reason", "")))
        for trial in run.trials
        if trial.state != TrialState.DONE
    ]
    started = {(trial.method, trial.seed) for trial in run.trials}
    requested = {(row.method, row.seed): row.status for row in run.records.itertuples() if row.metric == ""}
    trials += [UnfinishedTrial(*key, state, "") for key, state in requested.items() if key not in started]
    return tuple(trials)
