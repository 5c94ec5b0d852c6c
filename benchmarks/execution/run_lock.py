"""What every command that writes into a run does first: take it for itself, and clear up after one that was killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.files import remove_partial_files
from cgbench.lock import locked
from cgbench.results.run_folder import TrialFolder


@contextmanager
def exclusive_run(run: Path, wait: bool = False) -> Iterator[None]:
    """Hold the run folder alone; a trial that a dead process left as running counts as interrupted from here on.

    Raises `InUse` where another process works on the run, or waits for it where `wait` is asked for.
    """
    with locked(run, wait, click.echo) as killed:
        if killed:
            click.echo(f"the process that worked on {run} before was killed; going on from what it had saved")
        remove_partial_files(run)
        for path in run.glob("*/*/seed-*/trial.json"):
            folder = TrialFolder(path.parent)
            if folder.status()["state"] == "running":
                folder.set_status("interrupted", step=saved_step(folder.checkpoint))
        yield
