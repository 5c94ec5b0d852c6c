"""The lock of a run folder, and the recovery after a process that was killed while it held it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cgbench.api.names import TrialState
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.files import remove_partial_files
from cgbench.lock import locked
from cgbench.results.run_folder import TrialFolder


@contextmanager
def exclusive_run(run: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a run folder. Trials that a killed process left as running are marked as interrupted.

    Raises `InUse` where another process holds the lock; with `wait`, waits for it instead.
    """
    with locked(run, wait, click.echo) as killed:
        if killed:
            click.echo(f"the process that worked on {run} before was killed; going on from what it had saved")
        remove_partial_files(run)
        for path in run.glob("*/*/seed-*/trial.json"):
            folder = TrialFolder(path.parent)
            if folder.status()["state"] == TrialState.RUNNING:
                folder.mark_interrupted(saved_step(folder.checkpoint))
        yield
