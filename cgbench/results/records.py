"""Records: one measured number with everything that identifies it, and the long table of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgbench.errors import CgbenchError
from cgbench.files import read_json, read_jsonl, safe_name
from cgbench.results.run_folder import TrialFolder, trial_folders

if TYPE_CHECKING:
    import pandas as pd

TEST, VALIDATION = "test", "val"
SCHEMA = 2  # of a run's files; 1 had other names for settings, graph nodes and image_scores.jsonl
REQUIRED_FIELDS = {
    "method": dict,
    "method.name": str,
    "method.parent": str,
    "dataset": dict,
    "dataset.name": str,
    "dataset.label": str,
    "dataset.directions": dict,
    "seed": int,
    "steps": int,
    "config": dict,
    "weights": dict,
    "origins": dict,
    "digest": str,
}  # fmt: skip; what must be in every trial.json


@dataclass(frozen=True)
class Record:
    """One number. `split` is "test" or "val", `protocol` the digest of what it was measured with, `n` the number of
    images, `status` the trial's state; a trial without numbers has one record with an empty metric. `reason` says why a
    value is not a number."""

    run: str
    dataset: str
    direction: str
    method: str
    parent: str
    seed: int
    step: int
    metric: str
    value: float
    n: int
    protocol: str
    status: str
    reason: str = ""
    split: str = TEST


COLUMNS = [item.name for item in fields(Record)]


def read_trial(folder: TrialFolder) -> dict[str, Any]:
    """Return a trial's `trial.json`. One that lacks what every reader needs, has it in another kind, or names another
    method or seed than its folder raises `CgbenchError`: it may come from elsewhere."""
    facts = read_json(folder.trial)
    schema = facts.get("schema") if isinstance(facts, dict) else None
    if isinstance(schema, int) and schema != SCHEMA:
        raise CgbenchError(
            f"{folder.trial} was written by another version of cgbench (schema {schema}, this one reads {SCHEMA}): "
            "run it anew under another --name, or read it with that version"
        )
    for path, kind in REQUIRED_FIELDS.items():
        value: Any = facts
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise CgbenchError(f"{folder.trial} is not a trial's record: '{path}' must be a {kind.__name__}")
    for entry in facts.get("extended", []):
        if not isinstance(entry, dict) or not isinstance(entry.get("from"), int):
            raise CgbenchError(f"{folder.trial} is not a trial's record: 'extended' does not say from which steps")
    label, method, seed = folder.path.parts[-3:]
    try:
        named = safe_name(facts["dataset"]["label"]), safe_name(facts["method"]["name"]), f"seed-{facts['seed']}"
    except CgbenchError as error:
        raise CgbenchError(f"{folder.trial} is not a trial's record: {error}") from None
    if named != (label, method, seed):
        raise CgbenchError(f"{folder.trial} is the record of {'/'.join(named)}: it lies in the wrong folder")
    return facts


def trial_records(run: str, folder: TrialFolder) -> list[Record]:
    """Return the records of one trial; one with an empty metric and value NaN where nothing was measured."""
    trial = read_trial(folder)
    status = folder.status()
    common = {
        "run": run,
        "dataset": trial["dataset"]["label"],
        "method": trial["method"]["name"],
        "parent": trial["method"]["parent"],
        "seed": trial["seed"],
        "status": status["state"],
    }
    rows = measured_rows(folder) if status["state"] == "done" else []
    if not rows:
        nothing = {"direction": "", "step": status.get("step", 0), "metric": "", "value": float("nan")}
        rows = [{**nothing, "n": 0, "protocol": ""}]
    try:
        records = [Record(**common, **row) for row in rows]
    except TypeError:
        raise CgbenchError(f"{folder.metrics} holds a row that is no record of a number") from None
    for record in records:
        if not isinstance(record.value, int | float) or not isinstance(record.step, int):
            raise CgbenchError(f"{folder.metrics} holds a value or a step that is no number: {record.value!r}"[:300])
    return records


def measured_rows(folder: TrialFolder) -> list[dict]:
    """Return the numbers of a finished trial: those of its last step, and those taken on the way there by the same
    protocols; numbers by others, which a later `cgbench evaluate` left behind, cannot be compared and are left out."""
    last = list(read_jsonl(folder.metrics))
    protocols = {row["protocol"] for row in last}
    return [row for row in read_jsonl(folder.history) if row["protocol"] in protocols] + last


def collect(run: Path) -> pd.DataFrame:
    """Return the long table of a run folder, one row per record."""
    import pandas as pd  # takes as long as the rest of a listing

    records = [record for folder in trial_folders(run) for record in trial_records(run.name, folder)]
    return pd.DataFrame([asdict(record) for record in records], columns=COLUMNS)


def one_protocol(table: pd.DataFrame) -> None:
    """Raise where the numbers of one metric and direction were measured by different protocols."""
    measured = table[(table["metric"] != "") & (table["split"] == TEST)]
    for key, group in measured.groupby(["dataset", "direction", "metric"]):
        protocols = sorted(group["protocol"].unique())
        if len(protocols) > 1:
            sides = "; ".join(
                f"{name}: {', '.join(sorted(set(group[group['protocol'] == name]['method'])))}" for name in protocols
            )
            raise CgbenchError(
                f"{' '.join(key)}: measured by {len(protocols)} protocols ({sides}); "
                "they cannot stand in one table: run 'cgbench evaluate' on the run, and see protocols.json"
            )


def not_measured(records: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return why a metric has no number in a direction, by (direction, metric): those that nobody has a number of."""
    measured = records[records["metric"] != ""]
    return {
        key: rows["reason"].iloc[0]
        for key, rows in measured.groupby(["direction", "metric"], sort=False)
        if (rows["reason"] != "").all()
    }
