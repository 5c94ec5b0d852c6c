"""Records: one measured number with everything that identifies it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from cgbench.api.names import Split, TrialState
from cgbench.errors import CgbenchError
from cgbench.files import read_json, read_jsonl, safe_name
from cgbench.results.run_folder import TrialFolder

if TYPE_CHECKING:
    import pandas as pd

TEST, VALIDATION = Split.TEST.value, Split.VAL.value  # plain text, for columns of tables
SCHEMA = 2  # of a run's files; 1 had other names for settings, graph nodes and image_scores.jsonl
REQUIRED_FIELDS: dict[str, type] = {
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
}  # of every trial.json


@dataclass(frozen=True)
class Record:
    """One number. `split` is "test" or "val", `protocol` the digest of the conditions of measurement, `n` the number of
    images, `status` the trial's state; a trial without numbers has one record with an empty metric. `reason` is why a
    value is not a number, "" if it is one."""

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
    """Return the content of a trial's `trial.json`. A file that lacks a required field, holds another type there, or
    names another dataset, method or seed than its folder raises `CgbenchError`: it may come from elsewhere."""
    spec: dict[str, Any] = read_json(folder.trial)
    schema = spec.get("schema") if isinstance(spec, dict) else None
    if isinstance(schema, int) and schema != SCHEMA:
        raise CgbenchError(
            f"{folder.trial} was written by another version of cgbench (schema {schema}, this one reads {SCHEMA}): "
            "run it anew under another --name, or read it with that version"
        )
    for path, kind in REQUIRED_FIELDS.items():
        value: Any = spec
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise CgbenchError(f"{folder.trial} is not a trial's record: '{path}' must be a {kind.__name__}")
    for entry in spec.get("extended", []):
        if not isinstance(entry, dict) or not isinstance(entry.get("from"), int):
            raise CgbenchError(f"{folder.trial} is not a trial's record: 'extended' does not say from which steps")
    label, method, seed = folder.path.parts[-3:]
    try:
        expected = safe_name(spec["dataset"]["label"]), safe_name(spec["method"]["name"]), f"seed-{spec['seed']}"
    except CgbenchError as error:
        raise CgbenchError(f"{folder.trial} is not a trial's record: {error}") from None
    if expected != (label, method, seed):
        raise CgbenchError(f"{folder.trial} is the record of {'/'.join(expected)}: it lies in the wrong folder")
    return spec


def trial_records(run: str, folder: TrialFolder, spec: Mapping[str, Any], status: Mapping[str, Any]) -> list[Record]:
    """Return the records of one trial, or one with an empty metric and the value NaN where it has no numbers. `spec` is
    its trial.json, `status` its status.json; a malformed row raises `CgbenchError`."""
    common = {
        "run": run,
        "dataset": spec["dataset"]["label"],
        "method": spec["method"]["name"],
        "parent": spec["method"]["parent"],
        "seed": spec["seed"],
        "status": status["state"],
    }
    rows = measured_rows(folder) if status["state"] == TrialState.DONE else []
    if not rows:
        empty = {"direction": "", "step": status.get("step", 0), "metric": "", "value": float("nan")}
        rows = [{**empty, "n": 0, "protocol": ""}]
    try:
        records = [Record(**common, **row) for row in rows]
    except TypeError:
        raise CgbenchError(f"{folder.metrics} holds a row that is no record of a number") from None
    for record in records:
        if not isinstance(record.value, int | float) or not isinstance(record.step, int):
            raise CgbenchError(f"{folder.metrics} holds a value or a step that is no number: {record.value!r}"[:300])
    return records


def measured_rows(folder: TrialFolder) -> list[dict[str, Any]]:
    """Return the rows of a finished trial: those of earlier steps by the protocols of the last step, then those of the
    last step. Rows by other protocols, which precede a `cgbench evaluate`, cannot be compared and are left out."""
    last = list(read_jsonl(folder.metrics))
    protocols = {row["protocol"] for row in last}
    return [row for row in read_jsonl(folder.history) if row["protocol"] in protocols] + last


def ensure_one_protocol(records: pd.DataFrame) -> None:
    """Raise `CgbenchError` where the numbers of one metric and direction were measured by different protocols.

    `records` are the final ones of a run, of test images only.
    """
    measured = records[records["metric"] != ""]
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
    """Return the reason why no trial has a number, by (direction, metric), for those that none has one of."""
    measured = records[records["metric"] != ""]
    return {
        key: rows["reason"].iloc[0]
        for key, rows in measured.groupby(["direction", "metric"], sort=False)
        if (rows["reason"] != "").all()
    }
