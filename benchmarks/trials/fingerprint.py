"""The fingerprint of a trial, and the checks that a folder holds the same trial and a comparable one."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cgbench.api.method_description import describe, trained_part
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import FIELDS
from cgbench.digests import digest
from cgbench.errors import CgbenchError
from cgbench.results.records import SCHEMA, read_trial
from cgbench.results.run_folder import TrialFolder


def trial_fingerprint(trial: Trial, data: Mapping[str, str]) -> str:
    """Return what identifies a training: method, configuration, seed and the content of the training images."""
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


def ensure_same_trial(trial: Trial, folder: TrialFolder, wanted: str) -> None:
    """Raise if the folder already holds a trial that is not this one, and say where they differ."""
    if not folder.trial.exists():
        return
    known = read_trial(folder)
    if known.get("digest") == wanted:
        return
    mine, theirs = asdict(trial.config), known.get("config", {})
    fields = trial.config.affecting("training")
    if lengths := extension_steps(known):
        raise CgbenchError(
            f"{folder.path} was extended ({lengths} steps): 'cgbench extend' goes on with it, 'cgbench evaluate' "
            "measures it; to train anew, choose another --name"
        )
    differing = [f"{key} {theirs.get(key)} → {mine[key]}" for key in fields if theirs.get(key) != mine[key]]
    reason = ", ".join(differing) or "its method, its data or this program's version changed"
    raise CgbenchError(
        f"{folder.path} holds another trial ({reason}); choose another --name, or delete that folder to train it again"
    )


def ensure_comparable(trial: Trial, folder: TrialFolder, data: Mapping[str, str]) -> None:
    """Raise if a folder of the same run holds a trial of another budget, resolution or data: no fair table has both."""
    known = read_trial(folder)
    mine = asdict(trial.config)
    shared = [name for name, item in FIELDS.items() if not item.metadata["method"]]
    shared = [name for name in shared if FIELDS[name].metadata["affects"] != "bookkeeping"]
    theirs = known.get("config", {})
    differing = [f"{name} {theirs.get(name)} → {mine[name]}" for name in shared if theirs.get(name) != mine[name]]
    if lengths := extension_steps(known):
        differing = [f"extended {lengths} steps"]
    if (
        not differing
        and not (known["method"].get("role") or trial.method.supervised)
        and known.get("data") != dict(data)
    ):
        differing = ["its training images"]
    if differing:
        raise CgbenchError(
            f"{folder.path} belongs to another comparison ({', '.join(differing)}); "
            "choose another --name, or ask for all its methods and seeds again"
        )


def extension_steps(facts: Mapping[str, Any]) -> str:
    """Return the steps at which a trial ended, one after the other: "1500 → 3000"; "" for one never extended."""
    steps = [entry["from"] for entry in facts.get("extended", [])]
    return " → ".join(map(str, [*steps, facts["steps"]])) if steps else ""
