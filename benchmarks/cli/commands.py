"""What the commands do. Whatever needs torch is imported inside the function that needs it."""

import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cgbench.api.dataset import Dataset
from cgbench.api.metric import Value
from cgbench.api.registry import DATASETS, FAILURES, METHODS, METRICS
from cgbench.benchmarks.execution.parallelism import Parallelism
from cgbench.benchmarks.execution.run_lock import exclusive_run
from cgbench.benchmarks.execution.worker import WorkerSpec
from cgbench.benchmarks.runtime.signals import CTRL_C, Stopped
from cgbench.benchmarks.training.checkpoint_retention import ensure_selectable
from cgbench.benchmarks.trials.request import RunRequest, open_dataset
from cgbench.benchmarks.trials.suite import read_suite
from cgbench.errors import EXIT_OK, EXIT_TRIAL_FAILED, CgbenchError
from cgbench.files import read_json, safe_name, write_json
from cgbench.results.run_folder import trial_folders

SUITE_SEEDS = [0, 1, 2]  # a suite makes a table, and a table needs a spread


def run(
    methods: str | None, dataset: str | None, seeds: str | None, preset: str | None, suite: str | None,
    assignments: Sequence[str], data_root: Path | None, device: str, name: str | None, runs: Path, dry_run: bool,
    wait: bool, deterministic: bool, jobs: int | str,
) -> int:  # fmt: skip
    """Carry out `cgbench run` and return the exit code."""
    given = read_suite(suite) if suite else {}
    names = methods.split(",") if methods else given.get("methods") or _required("--methods", "cyclegan,gan_only")
    names = [text.strip() for text in names if text.strip()]
    everything = names == ["all"]  # then what does not fit is left out; a method asked for by name is an error instead
    chosen = dataset or given.get("dataset") or _required("--dataset", "streets")
    numbers = parse_seeds(seeds) if seeds else given.get("seeds") or (SUITE_SEEDS if suite else [0])
    level = preset or given.get("preset") or "demo"

    names = tuple(_trainable() if everything else names)
    request = RunRequest(
        names, chosen, data_root, tuple(numbers), level, tuple(assignments), given.get("set"), everything
    )
    trials, data, left_out = request.resolve()
    for method, reason in left_out.items():
        click.echo(f"left out: {method}: {reason}")
    folder = runs / safe_name(name or given.get("name") or f"{data.label}-{level}")
    device = choose_device(device)
    ensure_selectable(trials[0].config, data)

    from cgbench.benchmarks.data.loading import suggest_dataset_check
    from cgbench.benchmarks.execution.run_plan import print_plan
    from cgbench.benchmarks.runtime.determinism import deterministic_kernels

    if dry_run:
        with deterministic_kernels(deterministic), suggest_dataset_check(data):
            print_plan(trials, data, folder, device, jobs)
        return EXIT_OK
    with deterministic_kernels(deterministic), exclusive_run(folder, wait):
        with suggest_dataset_check(data):
            decided = print_plan(trials, data, folder, device, jobs)
        return _run_trials(request, trials, data, folder, device, deterministic, decided)


def _run_trials(
    request: RunRequest, trials: list, data: Dataset, folder: Path, device: str, deterministic: bool, jobs: Parallelism
) -> int:
    """Train, evaluate and report."""
    from cgbench.benchmarks.execution.run_context import ensure_one_comparison, open_run_context, with_evaluators
    from cgbench.benchmarks.execution.runner import run_trials
    from cgbench.benchmarks.execution.worker_pool import run_in_pool

    context = open_run_context(folder, data, trials, device)
    ensure_one_comparison(trials, context)
    write_run(folder, trials, data.label, request.preset)
    context = with_evaluators(context, trials[0].config)
    try:
        if jobs.workers > 1:
            order = WorkerSpec(
                request, folder, device, deterministic, jobs.threads, context.evaluation_digest, os.getpid()
            )
            ended = run_in_pool(order, trials, context, jobs.workers)
        else:
            ended = run_trials(trials, context)
    except BaseException as stop:
        hurried = isinstance(stop, Stopped) and stop.number != CTRL_C  # whoever sends SIGTERM waits for seconds only
        if not hurried and not isinstance(stop, OSError):  # nor would a report find room
            _report_what_is_there(folder)
        raise
    report(folder)
    return EXIT_OK if set(ended) == {"done"} else EXIT_TRIAL_FAILED


def _report_what_is_there(folder: Path) -> None:
    """Report a run that was stopped; what goes wrong here must not hide why it stopped."""
    try:
        if any(folder.glob("*/*/seed-*/metrics.jsonl")):
            report(folder)
    except (CgbenchError, OSError) as error:
        click.echo(f"cgbench: no report: {error}", err=True)


def write_run(folder: Path, trials: list, label: str, preset: str) -> None:
    """Write or extend `run.json`: a second command with the same name adds its methods and seeds to the first."""
    path = folder / "run.json"
    known = read_json(path) if path.exists() else {"methods": [], "seeds": []}
    methods = [trial.method.name for trial in trials if trial.method.reference is None]
    write_json(
        path,
        {
            "name": folder.name,
            "command": shlex.join(["cgbench", *sys.argv[1:]]),
            "methods": list(dict.fromkeys([*known["methods"], *methods])),
            "seeds": sorted({*known["seeds"], *(trial.seed for trial in trials)}),
            "preset": preset,
            "dataset": label,
            "created": known.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def evaluate(run_folder: Path, data_root: Path | None, device: str, wait: bool) -> int:
    """Carry out `cgbench evaluate`: measure every finished trial again, from its checkpoint."""
    from cgbench.benchmarks.execution.reevaluation import reevaluate

    folders, device = trial_folders(run_folder), choose_device(device)
    with exclusive_run(run_folder, wait):
        complete = reevaluate(folders, lambda name: open_dataset(name, data_root), device)
        report(run_folder)
    return EXIT_OK if complete else EXIT_TRIAL_FAILED


def report_again(run_folder: Path, reference: str, wait: bool) -> None:
    """Carry out `cgbench report`."""
    trial_folders(run_folder)
    with exclusive_run(run_folder, wait):
        report(run_folder, reference, figures=True)


def report(run_folder: Path, reference: str = "", figures: bool = False) -> None:
    """Write tables and page, and the figures as files if asked for; print the table and where the page lies."""
    from cgbench.reports.report import write_report

    trial_folders(run_folder)
    page = write_report(run_folder, metric_values(), reference, figures)
    click.echo((page.parent / "table.md").read_text(encoding="utf-8"))
    click.echo(f"Report: {page}")


def print_report(run_folder: Path, reference: str, form: str) -> None:
    """Carry out `cgbench report --format`: print the report in one form, and nothing else."""
    from cgbench.reports.report import printed

    trial_folders(run_folder)
    click.echo(printed(run_folder, metric_values(), reference, form), nl=False)


def table(which: str, run_folder: Path, form: str) -> None:
    """Carry out `cgbench table`: print a run beside a published table, and nothing else."""
    from cgbench.reports.paper_tables.formats import FORMATS
    from cgbench.reports.paper_tables.published import TABLES
    from cgbench.results.run import read_run

    trial_folders(run_folder)
    click.echo(FORMATS[form](read_run(run_folder), TABLES[which]), nl=False)


def metric_values() -> dict[str, Value]:
    """Return the declarations of all numbers that metrics give, by name, in the order of tables."""
    metrics = sorted(map(METRICS.get, METRICS.names()), key=lambda metric: metric.rank)
    return {value.name: value for metric in metrics for value in metric.values}


def list_methods() -> None:
    """Print one line per method: its name, its parent, what it is."""
    rows = [METHODS.get(name) for name in METHODS.names()]
    wide = max(len(method.name) for method in rows)
    for method in rows:
        click.echo(f"{method.name:{wide}}  {method.summary}")
    click.echo("\n'cgbench show NAME' tells networks and losses. Reference rows (floor, ceiling) join every run.")
    _print_broken(METHODS)


def list_datasets(data_root: Path | None) -> None:
    """Print one line per dataset: its name, whether it is ready, what it is."""
    names = DATASETS.names()
    wide = max(map(len, names))
    for name in names:
        data = DATASETS.factory(name)(data_root)
        try:
            state = "ready" if data.missing() is None else "not there"
        except CgbenchError:  # a folder that may not be listed must not hide the others
            state = "unreadable"
        click.echo(f"{name:{wide}}  {state:10}  {data.summary}")
    click.echo(
        "\nData is looked for under --data-root or CGBENCH_DATA. 'cgbench run' says how to get what is not there,\n"
        "'cgbench datasets fetch' gets public sets, 'cgbench datasets check NAME' examines one."
    )
    _print_broken(DATASETS)


def list_metrics() -> None:
    """Print one line per metric with the numbers it gives."""
    names = METRICS.names()
    wide = max(map(len, names))
    for name in names:
        metric = METRICS.get(name)
        arrows = {"higher": "↑", "lower": "↓", "": ""}
        values = ", ".join(f"{value.name} {arrows[value.better]}".strip() for value in metric.values)
        click.echo(f"{name:{wide}}  {metric.summary} [{values}]")
    _print_broken(METRICS)


def list_failures() -> None:
    """Print one line per failure: its name, what it is, and from where on it counts."""
    rows = sorted(map(FAILURES.get, FAILURES.names()), key=lambda failure: failure.rank)
    wide = max(len(failure.name) for failure in rows)
    for failure in rows:
        sign = "≥" if failure.above else "≤"
        click.echo(f"{failure.name:{wide}}  {failure.summary} [{sign} {failure.threshold:g} in {failure.share:.0%}]")
    click.echo("\nIn brackets: the evidence of an image, and the share of images from which a trial has the failure.")
    _print_broken(FAILURES)


def show(name: str, preset: str, assignments: Sequence[str]) -> None:
    """Carry out `cgbench show`."""
    method = METHODS.get(name)
    if method.reference is not None:
        click.echo(f"{name}: {method.summary}\nuntrained: a {method.reference.role} row of every table")
        return
    from cgbench.benchmarks.cli.method_text import method_text
    from cgbench.benchmarks.trials.trial import resolve_one

    click.echo(method_text(resolve_one(name, preset, assignments)))


def choose_device(device: str) -> str:
    """Return `cpu` or `cuda[:N]`; one that is not there raises."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise CgbenchError(f"--device {device}: use auto, cpu, cuda or cuda:N")
    if kind == "cuda" and (not torch.cuda.is_available() or int(number or 0) >= torch.cuda.device_count()):
        raise CgbenchError(
            f"--device {device}: there is no such GPU here ({torch.cuda.device_count()} found); use --device cpu"
        )
    return device


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of `0,1,2` or `0-4`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or (dash and int(last) < int(first)):
            raise CgbenchError(f"--seeds {text}: write whole numbers with commas (0,1,2) or a range (0-4)")
        seeds.extend(range(int(first), int(last) + 1) if dash else [int(first)])
    return list(dict.fromkeys(seeds))


def _trainable() -> list[str]:
    return [name for name in METHODS.names() if METHODS.get(name).reference is None]


def _required(option: str, example: str) -> Any:
    raise CgbenchError(f"{option} is missing, for example {option} {example} (or give a --suite)")


def _print_broken(registry: Any) -> None:
    for name, why in registry.broken.items():
        click.echo(f"plugin '{name}' could not be loaded: {why}", err=True)
