"""`cgbench extend`: more steps for a finished run."""

from pathlib import Path

import click

from cgbench.benchmarks.cli import commands
from cgbench.benchmarks.cli.options import DATA_ROOT, DETERMINISTIC, DEVICE, WAIT, one_line_errors
from cgbench.benchmarks.execution.run_lock import exclusive_run
from cgbench.benchmarks.trials.request import open_dataset
from cgbench.errors import EXIT_OK, EXIT_TRIAL_FAILED
from cgbench.results.run_folder import trial_folders


@click.command()
@click.argument("run_folder", type=click.Path(path_type=Path))
@click.option("--steps", type=click.IntRange(min=1), required=True, help="Training steps in all, more than so far.")
@DATA_ROOT
@DEVICE
@click.option("--dry-run", is_flag=True, help="Show the learning-rate plan, and train nothing.")
@DETERMINISTIC
@WAIT
@one_line_errors
def extend(
    run_folder: Path, steps: int, data_root: Path | None, device: str, dry_run: bool, deterministic: bool, wait: bool
) -> int:
    """Train the finished trials of RUN_FOLDER on to more steps, measure them, and write the report.

    The plan of the learning rate is printed first: it has fallen already, and goes back up to where the longer
    schedule has it. Tables mark extended methods. The old records are kept. Stopped, the same command goes on.
    """
    from cgbench.benchmarks.execution import extension
    from cgbench.benchmarks.runtime.determinism import deterministic_kernels

    folders, device = trial_folders(run_folder), commands.choose_device(device)
    if dry_run:
        extension.print_plan(extension.plan_extensions(folders, steps), steps)
        return EXIT_OK
    with deterministic_kernels(deterministic), exclusive_run(run_folder, wait):
        extensions = extension.plan_extensions(folders, steps)
        extension.print_plan(extensions, steps)
        ended = extension.extend(run_folder, extensions, lambda name: open_dataset(name, data_root), device)
        commands.report(run_folder)
    return EXIT_OK if set(ended) == {"done"} else EXIT_TRIAL_FAILED
