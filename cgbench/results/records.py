"""Records: one measured number with everything that identifies it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from cgbench.api.names import Split, TrialState
from cgbench.errors import CgbenchError
from cgbench.files import safe_name
from cgbench.results.record_files import read_metric_rows, read_trial_file
from cgbench.results.run_folder import TrialFolder

if TYPE_CHECKING:
    import pandas as pd

TEST, VALIDATION = Split.TEST.value, Split.VAL.value  # plain text, for columns of tables


@dataclass(frozen=True)
class Record:
    """One number. `split` is "test" or "val", `protocol` the digest of the conditions of measurement, `n` the number of
    images, `status` the trial's state; a trial without numbers has one record with an empty metric. `reason` is why a
    value is not a number, "" if it is one. `error_images` is the standard error of the value for other test images
    (other seeds are no part of it), NaN where it was not computed."""

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
    error_images: float = float("nan")


COLUMNS = [item.name for item in fields(Record)]


def read_trial(folder: TrialFolder) -> dict[str, Any]:
    """Return the content of a trial's `trial.json`. A file that is not as its schema says, or names another dataset,
    method or seed than its folder raises `CgbenchError`: it may come from elsewhere."""
    spec = read_trial_file(folder.trial)
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
    ensure_same_step(folder, rows, status)
    if not rows:
        empty = {"direction": "", "step": status.get("step", 0), "metric": "", "value": float("nan")}
        rows = [{**empty, "n": 0, "protocol": ""}]
    return [Record(**common, **{key: value for key, value in row.items() if key != "by_scorer"}) for row in rows]


def ensure_same_step(folder: TrialFolder, rows: Sequence[Mapping[str, Any]], status: Mapping[str, Any]) -> None:
    """Raise `CgbenchError` where the last numbers of a finished trial are of another step than its status says."""
    last = max((row["step"] for row in rows), default=0)
    if rows and last != status.get("step", last):
        raise CgbenchError(
            f"{folder.metrics} is of step {last}, but status.json says {status['step']}: restore the file, or give the "
            "command of the run again"
        )


def measured_rows(folder: TrialFolder) -> list[dict[str, Any]]:
    """Return the rows of a finished trial: those of earlier steps by the protocols of the last step, then those of the
    last step. Rows by other protocols, which precede a `cgbench evaluate`, cannot be compared and are left out."""
    last = read_metric_rows(folder.metrics)
    protocols = {row["protocol"] for row in last}
    return [row for row in read_metric_rows(folder.history) if row["protocol"] in protocols] + last


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
