"""The record of a run: the content of `run.json`."""

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cgbench.benchmarks.trials.trial import Trial
from cgbench.files import write_json
from cgbench.results.record_files import read_run_file


def write_run(folder: Path, trials: Sequence[Trial], label: str, preset: str) -> None:
    """Write or extend `run.json`: a second command with the same name adds its methods and seeds to the first."""
    path = folder / "run.json"
    before = read_run_file(path) if path.exists() else {"methods": [], "seeds": []}
    methods = [trial.method.name for trial in trials if trial.method.reference is None]
    write_json(
        path,
        {
            "name": folder.name,
            "command": shlex.join(["cgbench", *sys.argv[1:]]),
            "methods": list(dict.fromkeys([*before["methods"], *methods])),
            "seeds": sorted({*before["seeds"], *(trial.seed for trial in trials)}),
            "preset": preset,
            "dataset": label,
            "created": before.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
