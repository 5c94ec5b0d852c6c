"""`cgbench evaluate`: finished trials evaluated again."""

from pathlib import Path

import click

from cgbench.benchmarks.cli import report
from cgbench.benchmarks.cli.listings import print_broken_plugins
from cgbench.benchmarks.cli.options import (
    DATA_ROOT,
    DEVICE,
    RUN_FOLDER,
    WAIT,
    Command,
    one_line_run_errors,
    resolve_device,
    verbosity,
)
from cgbench.benchmarks.execution.run_lock import exclusive_run
from cgbench.benchmarks.trials.request import recorded_data_root
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
