"""What a report reads: the trials of a run folder, their records in one table, and their losses in another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cgbench.config import FIELDS
from cgbench.errors import CgbenchError
from cgbench.files import read_json
from cgbench.results.records import COLUMNS, TEST, collect, read_trial
from cgbench.results.run_folder import TrialFolder, trial_folders

NOT_STARTED = "not started"
ROLE_RANK = {"floor": 0, "": 1, "supervised": 2, "ceiling": 3}
UNTRAINED = ("floor", "ceiling")


@dataclass(frozen=True)
class TrialResult:
    """One trial as it lies on disk: `spec` is its trial.json, `status` its status.json."""

    folder: TrialFolder
    spec: dict[str, Any]
    status: dict[str, Any]

    @property
    def method(self) -> str:
        return self.spec["method"]["name"]

    @property
    def seed(self) -> int:
        return self.spec["seed"]

    @property
    def state(self) -> str:
        return self.status["state"] or NOT_STARTED


@dataclass(frozen=True)
class Run:
    """A run of one dataset. `about` is run.json, `order` the methods as every table and figure shows them (floors,
    trained ones as asked for, supervised ones, ceilings). `records` are the numbers of the test images at the end of
    each trial, `history` those of test and validation images at every step that was measured. `roles` maps each method
    to "floor", "ceiling", "supervised" (trained on pairs or labels) or "" (trained), `remarks` to what was set for it
    by hand, "" for nothing."""

    path: Path
    about: dict[str, Any]
    trials: tuple[TrialResult, ...]
    records: pd.DataFrame
    history: pd.DataFrame
    order: tuple[str, ...]
    roles: Mapping[str, str]
    remarks: Mapping[str, str]
    seeds: tuple[int, ...]
    other_datasets: tuple[str, ...]

    @property
    def trained(self) -> tuple[str, ...]:
        return tuple(name for name in self.order if self.roles[name] not in UNTRAINED)

    @property
    def dataset(self) -> dict[str, Any]:
        return self.trials[0].spec["dataset"]

    def protocols(self) -> dict[str, Any]:
        """Return what every number was measured with, by the digest of its protocol."""
        found: dict[str, Any] = {}
        for trial in self.trials:
            if trial.folder.protocols.exists():
                found |= read_json(trial.folder.protocols)
        return found

    def of(self, method: str) -> list[TrialResult]:
        """Return the trials of a method, by seed."""
        return [trial for trial in self.trials if trial.method == method]


def read_run(path: Path) -> Run:
    """Read the run folder `path`; trials that run.json asks for and that have not begun get a record that says so."""
    about = read_json(path / "run.json")
    found = [TrialResult(folder, read_trial(folder), folder.status()) for folder in trial_folders(path)]
    labels = {trial.spec["dataset"]["label"] for trial in found}
    if about["dataset"] not in labels:
        raise CgbenchError(f"{path / 'run.json'} names the dataset {about['dataset']}, of which no trial has begun")
    trials = [trial for trial in found if trial.spec["dataset"]["label"] == about["dataset"]]
    roles = {trial.method: trial.spec["method"].get("role", "") for trial in trials}
    asked = list(about["methods"])
    methods = [*asked, *sorted(set(roles) - set(asked))]
    roles = {name: roles.get(name, "") for name in methods}
    records = collect(path)
    records = records[records["dataset"] == about["dataset"]].replace({"status": {"": NOT_STARTED}})
    history = records[records["metric"] != ""]
    last = records.groupby(["method", "seed"])["step"].transform("max")
    records = records[(records["split"] == TEST) & (records["step"] == last)]
    missing = _not_started(about, records, roles)
    order = row_order(methods, roles)
    trained_seeds = [trial.seed for trial in trials if roles[trial.method] not in UNTRAINED]
    return Run(
        path=path,
        about=about,
        trials=tuple(sorted(trials, key=lambda trial: (order.index(trial.method), trial.seed))),
        history=history.reset_index(drop=True),
        records=pd.concat([records, missing], ignore_index=True) if len(missing) else records.reset_index(drop=True),
        order=order,
        roles=roles,
        remarks={name: " / ".join(sorted({overrides(t.spec) for t in trials if t.method == name})) for name in methods},
        seeds=tuple(sorted({*about["seeds"], *trained_seeds})),
        other_datasets=tuple(sorted(labels - {about["dataset"]})),
    )


def row_order(methods: Iterable[str], roles: Mapping[str, str]) -> tuple[str, ...]:
    """Return the methods with floors first and ceilings last, each group in the given order."""
    return tuple(sorted(methods, key=lambda name: ROLE_RANK[roles.get(name, "")]))


def overrides(spec: Mapping[str, Any]) -> str:
    """Return what a suite or `--set` changed of a method's own settings and term weights: "cycle_a=5, features=scorer",
    and the steps of a training that was extended: "extended 1500 → 3000".

    What belongs to the whole comparison is left out, and so is what the method does not read.
    """
    config, weights = spec.get("config", {}), spec.get("weights", {})
    changed = {name: f"{weight:g}" for name, weight in weights.items()}
    for name, layer in spec.get("origins", {}).items():
        own = name in FIELDS and FIELDS[name].metadata["method"]
        if own and layer in ("suite", "--set") and spec["method"]["role"] not in UNTRAINED:
            changed[name] = str(config[name])
    parts = [f"{name}={value}" for name, value in sorted(changed.items())]
    if extended := spec.get("extended"):
        parts.append("extended " + " → ".join(str(steps) for steps in [*(e["from"] for e in extended), spec["steps"]]))
    return ", ".join(parts)


def _not_started(about: Mapping[str, Any], records: pd.DataFrame, roles: Mapping[str, str]) -> pd.DataFrame:
    """Return one empty record per trained method and seed that was asked for and has no folder yet."""
    begun = set(zip(records["method"], records["seed"], strict=True))
    common = dict.fromkeys(["direction", "parent", "metric", "protocol", "reason"], "")
    common |= {"run": about["name"], "dataset": about["dataset"], "step": 0, "value": float("nan"), "n": 0}
    common["split"] = TEST
    rows = [
        {**common, "method": method, "seed": seed, "status": NOT_STARTED}
        for method in about["methods"]
        for seed in about["seeds"]
        if roles[method] not in UNTRAINED and (method, seed) not in begun
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
