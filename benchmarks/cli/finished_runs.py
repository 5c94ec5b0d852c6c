"""`cgbench evaluate` and `cgbench extend`: finished trials evaluated again, or trained for more steps."""

from pathlib import Path

import click

from cgbench.api.dataset import Dataset
from cgbench.api.names import TrialState
from cgbench.benchmarks.cli import report
from cgbench.benchmarks.cli.listings import print_broken_plugins
from cgbench.benchmarks.cli.options import (
    DATA_ROOT,
    DETERMINISTIC,
    DEVICE,
    RUN_FOLDER,
    WAIT,
    Command,
    one_line_run_errors,
    resolve_device,
    verbosity,
)
from cgbench.benchmarks.execution.run_lock import exclusive_run
from cgbench.benchmarks.trials.request import open_dataset, recorded_data_root
from cgbench.config import TrialConfig
from cgbench.errors import EXIT_OK, EXIT_TRIAL_FAILED
from cgbench.results.run_folder import trial_folders


@click.command(
    cls=Command,
    short_help="Evaluate the trials of a run again.",
    examples=("cgbench evaluate runs/streets-demo", "cgbench evaluate runs/camvid-demo --data-root DIR --wait"),
)
@RUN_FOLDER
@DATA_ROOT
@DEVICE
@WAIT
@verbosity
@one_line_run_errors
def evaluate(run_folder: Path, data_root: Path | None, device: str, wait: bool) -> int:
    """Evaluate the finished trials of RUN again, from their checkpoints, and write the report.

    Use it after a metric was added or changed, or when weights of a feature extractor have become available. It
    needs the test images and, where there are labels, those of the scorer: training images may be absent, and a folder
    of images may have another name. Exit code 0: every trial was evaluated, 1: some could not be, 2: something is wrong
    with the command or the data.
    """
    from cgbench.benchmarks.execution.reevaluation import open_test_data, reevaluate

    print_broken_plugins()
    folders, device = trial_folders(run_folder), resolve_device(device)
    with exclusive_run(run_folder, wait), recorded_data_root(run_folder):
        complete = reevaluate(folders, lambda name, config: open_test_data(name, data_root, config), device)
        report.write_and_print(run_folder)
    return EXIT_OK if complete else EXIT_TRIAL_FAILED


@click.command(
    cls=Command,
    short_help="Train a finished run for more steps.",
    examples=(
        "cgbench extend runs/streets-demo --steps 3000 --dry-run",
        "cgbench extend runs/streets-demo --steps 3000",
    ),
)
@RUN_FOLDER
@click.option("--steps", type=click.IntRange(min=1), required=True,
              help="Total number of training steps, more than so far.")  # fmt: skip
@DATA_ROOT
@DEVICE
@click.option("--dry-run", is_flag=True, help="Print the learning-rate schedule and train nothing.")
@DETERMINISTIC
@WAIT
@verbosity
@one_line_run_errors
def extend(
    run_folder: Path, steps: int, data_root: Path | None, device: str, dry_run: bool, deterministic: bool, wait: bool
) -> int:
    """Train the finished trials of RUN for more steps, evaluate them, and write the report.

    The schedule of the learning rate is printed first: it has fallen already, and goes back up to where the longer
    schedule has it. Tables mark extended methods. The old records are kept. Stopped, the same command goes on.
    """
    from cgbench.benchmarks.execution import extension
    from cgbench.benchmarks.runtime.determinism import deterministic_kernels

    print_broken_plugins()
    folders, device = trial_folders(run_folder), resolve_device(device)
    if dry_run:
        extension.print_schedule(extension.plan_extensions(folders, steps), steps)
        return EXIT_OK
    with deterministic_kernels(deterministic), exclusive_run(run_folder, wait), recorded_data_root(run_folder):
        extensions = extension.plan_extensions(folders, steps)

        def open_data(name: str, config: TrialConfig) -> Dataset:
            return open_dataset(name, data_root, config.split, config.paired)

        extension.print_schedule(extensions, steps)
        ended = extension.extend(run_folder, extensions, open_data, device)
        report.write_and_print(run_folder)
    return EXIT_OK if set(ended) == {TrialState.DONE} else EXIT_TRIAL_FAILED
