"""A run folder, read into one value: its trials, and their records as tables."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from cgbench.api.names import Direction, Role, TrialState
from cgbench.config import FIELDS
from cgbench.errors import CgbenchError
from cgbench.results.record_files import (
    read_alternative_rows,
    read_metric_rows,
    read_protocols_file,
    read_run_file,
)
from cgbench.results.records import COLUMNS, TEST, read_trial, trial_records
from cgbench.results.run_folder import TrialFolder, trial_folders
from cgbench.results.uniformity import ensure_uniform

NOT_STARTED = "not started"
ROLE_RANK: Mapping[str, int] = {
    Role.FLOOR: 0, Role.COMPARED: 1, Role.SUPERVISED: 2, Role.EXTERNAL: 3, Role.CEILING: 4,
}  # fmt: skip
ALTERNATIVE_COLUMNS = ["direction", "method", "seed", "metric", "weights", "step", "value"]
UNTRAINED = (Role.FLOOR, Role.CEILING)
TRAINED = (Role.COMPARED, Role.SUPERVISED)
SHOWN_ONCE = (*UNTRAINED, Role.EXTERNAL)  # whose images are shown once, whatever the seed


@dataclass(frozen=True)
class TrialResult:
    """One trial of a run folder: `spec` is its trial.json, `status` its status.json."""

    folder: TrialFolder
    spec: dict[str, Any]
    status: dict[str, Any]

    @property
    def method(self) -> str:
        name: str = self.spec["method"]["name"]
        return name

    @property
    def seed(self) -> int:
        seed: int = self.spec["seed"]
        return seed

    @property
    def state(self) -> str:
        state: str = self.status["state"]
        return state or NOT_STARTED


@dataclass(frozen=True)
class RunRecords:
    """A run of one dataset. `metadata` is run.json, `order` the methods as every table and figure shows them (floors,
    trained ones in the order of run.json, supervised ones, those of other programs, ceilings). `roles` maps each method
    to "floor", "ceiling", "supervised" (trained on pairs or labels), "external" (outputs of another program) or ""
    (trained), `overrides` to the settings changed for it by hand, ""
    for none. `read_run` describes `records`, `history` and `all_records`, whose columns are the fields of `Record`, and
    `alternatives`, with the columns `ALTERNATIVE_COLUMNS`."""

    path: Path
    metadata: dict[str, Any]
    trials: tuple[TrialResult, ...]
    records: pd.DataFrame
    history: pd.DataFrame
    all_records: pd.DataFrame
    alternatives: pd.DataFrame
    order: tuple[str, ...]
    roles: Mapping[str, str]
    overrides: Mapping[str, str]
    seeds: tuple[int, ...]
    other_datasets: tuple[str, ...]

    @property
    def trained(self) -> tuple[str, ...]:
        return tuple(name for name in self.order if self.roles[name] in TRAINED)

    @property
    def external(self) -> tuple[str, ...]:
        return tuple(name for name in self.order if self.roles[name] == Role.EXTERNAL)

    @property
    def compared(self) -> tuple[str, ...]:
        """The methods that differences are computed for: the trained ones, and those of other programs."""
        return self.trained + self.external

    @property
    def dataset(self) -> dict[str, Any]:
        dataset: dict[str, Any] = self.trials[0].spec["dataset"]
        return dataset

    @property
    def units(self) -> dict[str, str]:
        """The unit of the numbers of the domain that a direction translates to, by direction; "" for none."""
        units = [(domain.get("pixels") or {}).get("unit", "") for domain in self.dataset.get("domains", ())]
        return {Direction.A_TO_B: units[1], Direction.B_TO_A: units[0]} if len(units) == 2 else {}

    def protocols(self) -> dict[str, Any]:
        """Return the conditions of measurement of all numbers, by the digest of their protocol."""
        protocols: dict[str, Any] = {}
        for trial in self.trials:
            protocols |= read_protocols_file(trial.folder.protocols)
        return protocols

    def own(self) -> "RunRecords":
        """Return the run without the rows of other programs."""
        names = set(self.external)
        tables = {
            name: table[~table["method"].isin(names)].reset_index(drop=True)
            for name in ("records", "history", "all_records", "alternatives") for table in [getattr(self, name)]
        }  # fmt: skip
        trials = tuple(trial for trial in self.trials if trial.method not in names)
        return replace(self, trials=trials, order=tuple(name for name in self.order if name not in names), **tables)

    def trials_of(self, method: str) -> list[TrialResult]:
        """Return the trials of a method, by seed."""
        return [trial for trial in self.trials if trial.method == method]


def read_run(path: Path, uniform: bool = True) -> RunRecords:
    """Read the run folder `path`: the only place where the records of a run are read, and each is read once.

    The tables need no further selection by split, step or state of the trial's files:

    - `records` are the numbers of the test images at the last step of each trial of the run's dataset: of a trial,
      direction, metric and protocol at most one. A trial without numbers has one record with an empty metric, and so
      has a trial that run.json names and that has not begun, with the status "not started".
    - `history` are the numbers of test and validation images at all steps that were measured.
    - `alternatives` are the numbers of the test images by other weights than the last ones: moving averages, and
      checkpoints before the last, `weights` saying which.
    - `all_records` are those of all trials in the folder, of other datasets too: the content of `results.csv`.

    A folder without a trial of the run's dataset, or with a malformed file, raises `CgbenchError`. So does one whose
    trials no table may mix, unless `uniform` is false.
    """
    metadata = read_run_file(path / "run.json")
    dataset = metadata["dataset"]
    all_trials = [TrialResult(folder, read_trial(folder), folder.status()) for folder in trial_folders(path)]
    labels = {trial.spec["dataset"]["label"] for trial in all_trials}
    if dataset not in labels:
        raise CgbenchError(f"{path / 'run.json'} names the dataset {dataset}, of which no trial has begun")
    trials = [trial for trial in all_trials if trial.spec["dataset"]["label"] == dataset]
    if uniform:
        ensure_uniform(path, [trial.spec for trial in trials])
    roles = {trial.method: trial.spec["method"].get("role", "") for trial in trials}
    methods = [*metadata["methods"], *sorted(set(roles) - set(metadata["methods"]))]
    roles = {name: roles.get(name, "") for name in methods}
    all_records = _record_table(path.name, all_trials)
    of_dataset = all_records[all_records["dataset"] == dataset].replace({"status": {"": NOT_STARTED}})
    order = row_order(methods, roles)
    trained_seeds = [trial.seed for trial in trials if roles[trial.method] in TRAINED]
    return RunRecords(
        path=path,
        metadata=metadata,
        trials=tuple(sorted(trials, key=lambda trial: (order.index(trial.method), trial.seed))),
        records=_final_records(of_dataset, metadata, roles),
        history=of_dataset[of_dataset["metric"] != ""].reset_index(drop=True),
        all_records=all_records,
        alternatives=_alternative_table(trials),
        order=order,
        roles=roles,
        overrides={name: _all_overrides(trial for trial in trials if trial.method == name) for name in methods},
        seeds=tuple(sorted({*metadata["seeds"], *trained_seeds})),
        other_datasets=tuple(sorted(labels - {dataset})),
    )


def row_order(methods: Iterable[str], roles: Mapping[str, str]) -> tuple[str, ...]:
    """Return the methods with floors first and ceilings last, each group in the given order."""
    return tuple(sorted(methods, key=lambda name: ROLE_RANK[roles.get(name, "")]))


def overrides(spec: Mapping[str, Any]) -> str:
    """Return the settings and term weights of a method that a suite or `--set` changed, "cycle_a=5, features=scorer",
    and the steps of a training that was extended, "extended 1500 → 3000".

    Settings of the whole comparison are left out, and so are settings that the method does not read.
    """
    config, weights = spec.get("config", {}), spec.get("weights", {})
    changed = {name: f"{weight:g}" for name, weight in weights.items()}
    for name, layer in spec.get("origins", {}).items():
        own = name in FIELDS and FIELDS[name].metadata["method"]
        if own and layer in ("suite", "--set") and spec["method"].get("role", "") in TRAINED:
            changed[name] = str(config[name])
    parts = [f"{name}={value}" for name, value in sorted(changed.items())]
    if extended := spec.get("extended"):
        steps = [*(entry["from"] for entry in extended), spec["steps"]]
        parts.append("extended " + " → ".join(map(str, steps)))
    return ", ".join(parts)


def _all_overrides(trials: Iterable[TrialResult]) -> str:
    """Return the overrides of a method's trials; where they differ, all of them."""
    return " / ".join(sorted({overrides(trial.spec) for trial in trials}))


def _record_table(run: str, trials: Iterable[TrialResult]) -> pd.DataFrame:
    """Return the long table of trials, one row per record."""
    records = [record for trial in trials for record in trial_records(run, trial.folder, trial.spec, trial.status)]
    return pd.DataFrame([asdict(record) for record in records], columns=COLUMNS)


def _alternative_table(trials: Iterable[TrialResult]) -> pd.DataFrame:
    """Return the numbers of finished trials by other weights, as far as their protocols are those of the last ones."""
    rows = []
    for trial in trials:
        if trial.state == TrialState.DONE and trial.folder.alternatives.exists():
            protocols = {row["protocol"] for row in read_metric_rows(trial.folder.metrics)}
            for row in read_alternative_rows(trial.folder.alternatives):
                if row["protocol"] in protocols:
                    rows.append({**row, "method": trial.method, "seed": trial.seed})
    return pd.DataFrame(rows, columns=ALTERNATIVE_COLUMNS)


def _final_records(records: pd.DataFrame, metadata: Mapping[str, Any], roles: Mapping[str, str]) -> pd.DataFrame:
    """Return the records of test images at the last step of each trial, without repetitions, then an empty one for each
    trial that has not begun."""
    last = records.groupby(["method", "seed"])["step"].transform("max")
    final = records[(records["split"] == TEST) & (records["step"] == last)]
    final = final.drop_duplicates(["method", "seed", "direction", "metric", "protocol"], keep="last")
    missing = _not_started(metadata, final, roles)
    return pd.concat([final, missing], ignore_index=True) if len(missing) else final.reset_index(drop=True)


def _not_started(metadata: Mapping[str, Any], records: pd.DataFrame, roles: Mapping[str, str]) -> pd.DataFrame:
    """Return one empty record per trained method and seed that run.json names and that `records` do not hold."""
    begun = set(zip(records["method"], records["seed"], strict=True))
    common = dict.fromkeys(["direction", "parent", "metric", "protocol", "reason"], "")
    values = {"run": metadata["name"], "dataset": metadata["dataset"], "step": 0, "value": float("nan"), "n": 0}
    rows = [
        {**common, **values, "split": TEST, "method": method, "seed": seed, "status": NOT_STARTED}
        for method in metadata["methods"]
        for seed in metadata["seeds"]
        if roles[method] not in UNTRAINED and (method, seed) not in begun
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
