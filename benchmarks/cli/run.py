"""`cgbench run`: the main job, from options or a suite to trained, evaluated and reported trials."""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import CompletionItem

from cgbench.api.names import TrialState
from cgbench.api.registry import METHODS
from cgbench.benchmarks.cli import report
from cgbench.benchmarks.cli.datasets import check_before_training
from cgbench.benchmarks.cli.listings import print_broken_plugins
from cgbench.benchmarks.cli.options import (
    DATA_ROOT,
    DATASET_NAMES,
    DETERMINISTIC,
    DEVICE,
    JOBS,
    METHOD_NAMES,
    PRESET,
    SET,
    WAIT,
    Command,
    comma_separated,
    one_line_run_errors,
    resolve_device,
    verbosity,
)
from cgbench.benchmarks.execution.run_lock import RunFolderGone, ensure_writable, exclusive_run
from cgbench.benchmarks.execution.worker import WorkerSpec
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.runtime.signals import CTRL_C, Stopped
from cgbench.benchmarks.training.checkpoint_retention import ensure_selectable
from cgbench.benchmarks.trials.comparison_checks import ensure_same_dataset
from cgbench.benchmarks.trials.request import RunRequest
from cgbench.benchmarks.trials.run_record import write_run
from cgbench.benchmarks.trials.seed_lists import parse_seeds
from cgbench.benchmarks.trials.suite import read_suite, suite_names
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TRAINED
from cgbench.errors import EXIT_OK, EXIT_TRIAL_FAILED, CgbenchError
from cgbench.files import safe_name

if TYPE_CHECKING:
    from cgbench.benchmarks.execution.run_plan import RunPlan

SUITE_SEEDS = [0, 1, 2, 3, 4]  # a suite makes a table, and a table needs a spread
EXAMPLES = (
    "cgbench run --methods cyclegan,gan_only --dataset streets",
    "cgbench run --methods all --dataset streets --preset smoke --dry-run",
    "cgbench run --methods cyclegan,cut --dataset folder --data-root DIR \\",
    "    --seeds 0-4 --jobs auto --set batch_size=4 --set cut.nce_b=0.5",
    "cgbench run --suite family --dataset cityscapes --data-root DIR --name paper",
)


def _suites(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of bundled suites, then file names."""
    names = [CompletionItem(name) for name in suite_names() if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


@click.command(
    cls=Command,
    short_help="Train, evaluate and compare methods.",
    examples=EXAMPLES,
    former={"--runs": "--runs-dir"},
)
@click.option("--methods", metavar="NAMES", shell_complete=METHOD_NAMES,
              help="Comma-separated method names, or 'all' (see 'cgbench methods').")  # fmt: skip
@click.option("--dataset", metavar="NAME", shell_complete=DATASET_NAMES,
              help="Dataset to train and evaluate on (see 'cgbench datasets').")  # fmt: skip
@click.option("--seeds", metavar="SEEDS",
              help="Random seeds: comma-separated integers or a range such as 0-4.  [default: 0; 0-4 with a suite]"
              )  # fmt: skip
@PRESET
@click.option("--suite", metavar="NAME|FILE", shell_complete=_suites,
              help=f"Suite to run: a bundled name ({', '.join(suite_names())}) or a TOML file.")  # fmt: skip
@SET
@DATA_ROOT
@click.option("--name", help="Name of the run's folder.  [default: DATASET-PRESET]")
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, metavar="DIR",
    help="Directory that contains all runs.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the plan with measured times and train nothing.")
@DEVICE
@JOBS
@DETERMINISTIC
@WAIT
@verbosity
@one_line_run_errors
def run(**options: Any) -> int:
    """Train, evaluate and compare methods, and write the report.

    The untrained rows 'copy', 'shuffled' and 'real' are always added: the floors and the ceiling of every score.
    Stop it with Ctrl-C or SIGTERM; the same command goes on where it was.

    \b
    Exit code 0    all trials are done
              1    some failed or diverged, or the disk is full
              2    something is wrong with the command or the data
              130  stopped by Ctrl-C (143 by SIGTERM)
    """
    return execute(**options)[1]


def execute(
    methods: str | None, dataset: str | None, seeds: str | None, preset: str | None, suite: str | None,
    assignments: tuple[str, ...], data_root: Path | None, name: str | None, runs_dir: Path, dry_run: bool,
    device: str, jobs: int | str, deterministic: bool, wait: bool,
) -> tuple[Path, int]:  # fmt: skip
    """Do what the command `run` does, and return the folder of the run and the exit code.

    Args:
        methods, dataset, seeds, preset, suite, assignments, data_root: As in `build_request`; of a suite the name.
        name, runs_dir: The name of the run's folder, "" or None for the default one, and its directory.
        dry_run: Whether the plan alone is printed.
        device, jobs: The device, and how many trials are trained at the same time, or "auto".
        deterministic, wait: Whether GPU kernels are deterministic, and whether to wait for the run's lock.

    Returns:
        The folder of the run, and the exit code.

    Raises:
        CgbenchError: Something is wrong with the request or the data.
    """
    from cgbench.benchmarks.data.loading import suggest_dataset_check
    from cgbench.benchmarks.evaluation.scorer import described_scorer
    from cgbench.benchmarks.execution.run_context import recorded_label
    from cgbench.benchmarks.execution.run_plan import plan_run, print_plan
    from cgbench.benchmarks.runtime.determinism import deterministic_kernels

    values = read_suite(suite) if suite else {}
    request = build_request(values, methods, dataset, seeds, preset, assignments, data_root)
    print_broken_plugins()
    trials, data, left_out = request.resolve()
    for method, reason in left_out.items():
        click.echo(f"left out: {method}: {reason}")
    folder = runs_dir / folder_name(name or values.get("name") or f"{data.label}-{request.preset}", runs_dir)
    device = resolve_device(device)
    ensure_selectable(trials[0].config, data)
    print_settings(trials)
    if (label := recorded_label(folder, data, trials[0].config)) != data.label:
        click.echo(f"the images in '{data.label}' are those of '{label}', on which {folder} is: it goes on with them")
        request = replace(request, label=label)
        trials, data, _ = request.resolve()
    ensure_same_dataset(folder, data.label)
    check_before_training(data)
    if trials[0].config.scorer != TRAINED:
        click.echo(described_scorer(trials[0].config.scorer, data))
    with deterministic_kernels(deterministic):
        if dry_run:
            ensure_writable(folder)
            with suggest_dataset_check(data):
                print_plan(plan_run(trials, data, folder, device, jobs))
            return folder, EXIT_OK
        with exclusive_run(folder, wait):
            with suggest_dataset_check(data):
                plan = plan_run(trials, data, folder, device, jobs)
            print_plan(plan)
            return folder, train_and_report(request, plan, deterministic)


def build_request(
    suite: dict[str, Any], methods: str | None, dataset: str | None, seeds: str | None, preset: str | None,
    assignments: Sequence[str], data_root: Path | None,
) -> RunRequest:  # fmt: skip
    """Return the request of a command line: options over the values of a suite over defaults.

    Args:
        suite: the values of the suite file; empty without one.
        methods: the text of `--methods`: comma-separated names, or "all".
        dataset: the text of `--dataset`.
        seeds: the text of `--seeds`.
        preset: the name of a preset.
        assignments: the texts of `--set`.
        data_root: the directory that contains the datasets.

    Returns:
        The request, not resolved yet.

    Raises:
        CgbenchError: where methods or dataset are missing, or the seeds cannot be read.
    """
    names = comma_separated(methods) if methods else tuple(suite.get("methods", ()))
    names = names or _missing("--methods", "cyclegan,gan_only")
    everything = names == ("all",)  # then what does not fit is left out; a method asked for by name is an error instead
    if everything:
        names = tuple(name for name in METHODS.names() if METHODS.get(name).reference is None)
    numbers = parse_seeds(seeds) if seeds is not None else suite.get("seeds") or (SUITE_SEEDS if suite else [0])
    return RunRequest(
        names, dataset or suite.get("dataset") or _missing("--dataset", "streets"), data_root, tuple(numbers),
        preset or suite.get("preset") or "demo", tuple(assignments), suite.get("set"), everything,
    )  # fmt: skip


def folder_name(name: str, runs_dir: Path) -> str:
    """Return the name of the folder of the run `name`, with a note where it is not the same. A path that leads out of
    `runs_dir` raises `CgbenchError`, which says how to choose the directory."""
    path, parts = PurePath(name), re.split(r"[/\\]", name)
    if path.is_absolute() or PureWindowsPath(name).drive or {".", "..", "~"} & set(parts):
        example = f": --runs-dir {shlex.quote(str(runs_dir / path.parent))} --name {shlex.quote(path.name)}"
        plain = "\\" not in name and "~" not in parts and path.name not in ("", "..")
        raise CgbenchError(
            f"--name {name}: a name is no path; --runs-dir chooses the directory of the run{example if plain else ''}"
        )
    if (folder := safe_name(name)) != name:
        click.echo(f"--name {name}: not every file system can hold this name; the folder is called {folder} instead")
    return folder


def _missing(option: str, example: str) -> NoReturn:
    raise CgbenchError(f"{option} is missing, for example {option} {example} (or give a --suite)")


def print_settings(trials: Sequence[Trial]) -> None:
    """Print the settings that differ from the published recipe, with their layer, at level `VERBOSE`."""
    first_of = {trial.method.name: trial for trial in reversed(trials)}
    for method, trial in first_of.items():
        config, origins = trial.config, trial.resolved.origins
        changed = [f"{key}={getattr(config, key, trial.resolved.weights.get(key))} ({layer})"
                   for key, layer in origins.items() if layer != "recipe"]  # fmt: skip
        console.debug(f"{method}: {', '.join(changed) or 'the published recipe'}")


def train_and_report(request: RunRequest, plan: "RunPlan", deterministic: bool) -> int:
    """Train and evaluate the trials of a plan, write the report, and return the exit code.

    The caller must hold the run's lock.
    """
    from cgbench.benchmarks.execution.reevaluation import reevaluate_external
    from cgbench.benchmarks.execution.run_context import (
        ensure_one_comparison,
        ensure_one_protocol,
        open_run_context,
        with_evaluators,
    )
    from cgbench.benchmarks.execution.runner import run_trials
    from cgbench.benchmarks.execution.worker_pool import run_in_pool

    trials, folder, parallelism = plan.trials, plan.folder, plan.parallelism
    context = open_run_context(folder, plan.dataset, trials, plan.device)
    prepared = context.prepare_all(trials)
    ensure_one_comparison(prepared, context)
    context = with_evaluators(context, trials[0].config)
    ensure_one_protocol(prepared, context)
    write_run(folder, trials, plan.dataset.label, request.preset)  # the first change of the run
    try:
        if parallelism.workers > 1:
            spec = WorkerSpec(
                request, folder, plan.device, deterministic, parallelism.threads, context.evaluation_digest,
                os.getpid(), console.verbosity,
            )  # fmt: skip
            ended = run_in_pool(spec, prepared, context, parallelism.workers)
        else:
            ended = run_trials(prepared, context)
        reevaluate_external(folder, context.evaluation, trials[0].config, plan.device)
    except BaseException as stop:
        hurried = isinstance(stop, Stopped) and stop.number != CTRL_C  # whoever sends SIGTERM waits for seconds only
        if not hurried and not isinstance(stop, OSError | RunFolderGone):  # nor would a report find room
            _report_finished_trials(folder)
        raise
    report.write_and_print(folder)
    return EXIT_OK if set(ended) == {TrialState.DONE} else EXIT_TRIAL_FAILED


def _report_finished_trials(folder: Path) -> None:
    """Report a run that was stopped; what goes wrong here must not hide why it stopped."""
    try:
        if any(folder.glob("*/*/seed-*/metrics.jsonl")):
            report.write_and_print(folder)
    except (CgbenchError, OSError) as error:
        click.echo(f"cgbench: no report: {error}", err=True)
