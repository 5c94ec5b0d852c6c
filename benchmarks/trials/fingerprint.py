"""The fingerprint of a trial, and the checks that a folder holds the same trial and a comparable one."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cgbench.api.method_description import describe, trained_part
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import FIELDS
from cgbench.digests import digest
from cgbench.errors import CgbenchError
from cgbench.results.record_files import SCHEMA
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder


def trial_fingerprint(trial: Trial, data: Mapping[str, str]) -> str:
    """Return 12 hex digits that identify a training: method, configuration, seed and digests of the training images."""
    config = trial.config.affecting("training")
    if "features" in trial.method.settings and trial.config.features == "scorer":
        config |= {name: value for name, value in asdict(trial.config).items() if name.startswith("scorer_")}
    return digest(
        {
            "schema": SCHEMA,
            "method": trained_part(describe(trial.method)),
            "config": config if trial.method.reference is None else {},
            "seed": trial.seed,
            "data": dict(data) if trial.method.reference is None else {},
            **({"extended": list(trial.extended)} if trial.extended else {}),
        }
    )


def ensure_same_trial(trial: Trial, folder: TrialFolder, fingerprint: str) -> None:
    """Raise if the folder holds a trial with another fingerprint, and name what differs."""
    if not folder.trial.exists():
        return
    stored = read_trial(folder)
    if stored.get("digest") == fingerprint:
        return
    settings, stored_settings = asdict(trial.config), stored.get("config", {})
    fields = trial.config.affecting("training")
    if lengths := extension_steps(stored):
        raise CgbenchError(
            f"{folder.path} was extended ({lengths} steps): 'cgbench extend' goes on with it, 'cgbench evaluate' "
            "measures it; to train anew, choose another --name"
        )
    differing = [
        f"{key} {stored_settings.get(key)} → {settings[key]}"
        for key in fields
        if stored_settings.get(key) != settings[key]
    ]
    reason = ", ".join(differing) or "its method, its data or this program's version changed"
    raise CgbenchError(
        f"{folder.path} holds another trial ({reason}); choose another --name, or delete that folder to train it again"
    )


def ensure_comparable(trial: Trial, folder: TrialFolder, data: Mapping[str, str]) -> None:
    """Raise if a folder of the same run holds a trial of another budget, resolution or data: no table may mix them."""
    stored = read_trial(folder)
    settings = asdict(trial.config)
    shared = [name for name, item in FIELDS.items() if not item.metadata["method"]]
    shared = [name for name in shared if FIELDS[name].metadata["affects"] != "bookkeeping"]
    stored_settings = stored.get("config", {})
    differing = [
        f"{name} {stored_settings.get(name)} → {settings[name]}"
        for name in shared
        if stored_settings.get(name, FIELDS[name].default) != settings[name]
    ]
    if lengths := extension_steps(stored):
        differing = [f"extended {lengths} steps"]
    if (
        not differing
        and not (stored["method"].get("role") or trial.method.supervised)
        and stored.get("data") != dict(data)
    ):
        differing = ["its training images"]
    if differing:
        raise CgbenchError(
            f"{folder.path} belongs to another comparison ({', '.join(differing)}); "
            "choose another --name, or ask for all its methods and seeds again"
        )


def extension_steps(record: Mapping[str, Any]) -> str:
    """Return the numbers of steps at which a trial ended, as text: "1500 → 3000"; "" for one never extended."""
    steps = [entry["from"] for entry in record.get("extended", [])]
    return " → ".join(map(str, [*steps, record["steps"]])) if steps else ""
