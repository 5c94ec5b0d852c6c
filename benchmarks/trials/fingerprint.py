"""The fingerprint of a trial: what decides its training, as a digest."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cgbench.api.method_description import describe, trained_part
from cgbench.benchmarks.trials.trial import Trial
from cgbench.digests import digest
from cgbench.results.record_files import SCHEMA


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


def extension_steps(record: Mapping[str, Any]) -> str:
    """Return the numbers of steps at which a trial ended, as text: "1500 → 3000"; "" for one never extended."""
    steps = [entry["from"] for entry in record.get("extended", [])]
    return " → ".join(map(str, [*steps, record["steps"]])) if steps else ""
