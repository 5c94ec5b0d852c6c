"""The extension of finished trials to more training steps, and what it does to the learning rate."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cgbench.api.dataset import Dataset
from cgbench.api.names import TrialState
from cgbench.benchmarks.execution.reevaluation import keep_pairing, load_trial, reevaluate_external
from cgbench.benchmarks.execution.run_context import (
    PreparedTrial,
    ensure_one_protocol,
    open_run_context,
    with_evaluators,
)
from cgbench.benchmarks.execution.runner import run_trials
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.training.checkpoint import checkpoint_metadata, rewrite_metadata
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.benchmarks.training.optimizers import learning_rate_factor
from cgbench.benchmarks.trials.comparison_checks import ensure_same_test_images
from cgbench.benchmarks.trials.external_method import is_external
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.datasets.dataset_views import under_label
from cgbench.datasets.validation_split import hold_out
from cgbench.errors import CgbenchError
from cgbench.files import PART, link_or_copy, write_json, write_jsonl
from cgbench.formatting import plural
from cgbench.results.record_files import read_metric_rows
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder

RECORDS = ("trial.json", "status.json", "metrics.jsonl", "history.jsonl", "alternatives.jsonl", "image_scores.jsonl",
           "steps.jsonl", "protocols.json", "cost.json", "checkpoint.safetensors")  # fmt: skip


@dataclass(frozen=True)
class Extension:
    """A trial that continues from step `first_steps`: `trial` has the new number of steps, `schedule` describes the
    learning rate in one sentence. `first_steps` is 0 for an untrained row."""

    folder: TrialFolder
    trial: Trial
    first_steps: int
    schedule: str


def plan_extensions(folders: Sequence[TrialFolder], steps: int) -> list[Extension]:
    """Return the extensions to `steps` steps. A run that is not finished, or that has as many steps, raises."""
    extensions = []
    for folder in folders:
        record, state = read_trial(folder), folder.status()["state"]
        if state in (TrialState.DIVERGED, TrialState.FAILED):
            console.print(f"left out: {record['method']['name']}, seed {record['seed']}: {state}", style="yellow")
            continue
        if is_external(record):
            console.print(f"left out: {record['method']['name']}: outputs of another program, nothing to train here")
            continue
        trial = load_trial(folder, record)
        begun = record["config"]["steps"] == steps and record["origins"]["steps"] == "extend"
        if not begun and state != TrialState.DONE and saved_step(folder.checkpoint) != record["steps"]:
            raise CgbenchError(f"{folder.path} is not finished ({state}): finish the run first, by its own command")
        if not begun and trial.method.reference is None and record["steps"] >= steps:
            raise CgbenchError(f"{folder.path} has {plural(record['steps'], 'step')} already: --steps must be more")
        extensions.append(_extension(folder, trial, record, steps, begun))
    if not any(extension.first_steps for extension in extensions):
        raise CgbenchError("there is nothing to extend: no trained trial of this run is finished")
    return extensions


def _extension(folder: TrialFolder, trial: Trial, record: dict[str, Any], steps: int, begun: bool) -> Extension:
    if begun or trial.method.reference is not None:
        last: dict[str, Any] = record["extended"][-1] if record.get("extended") else {"from": 0, "schedule": ""}
        return Extension(folder, _with_steps(trial, steps, trial.extended), last["from"], last["schedule"])
    counts, first_steps = record["dataset"]["counts"], record["steps"]
    epoch = 1 if trial.config.steps else trial.config.steps_per_epoch(counts["train A"], counts["train B"])
    schedule = schedule_text(trial.config, first_steps, epoch, steps)
    return Extension(folder, _with_steps(trial, steps, (*trial.extended, first_steps)), first_steps, schedule)


def _with_steps(trial: Trial, steps: int, extended: tuple[int, ...]) -> Trial:
    resolved = trial.resolved
    config, origins = replace(resolved.config, steps=steps), {**resolved.origins, "steps": "extend"}
    return replace(trial, resolved=replace(resolved, config=config, origins=origins), extended=extended)


def schedule_text(config: TrialConfig, first_steps: int, epoch: int, steps: int) -> str:
    """Return what an extension from `first_steps` to `steps` steps does to the learning rate, in one sentence.

    `epoch` is the number of steps after which the rate of the first training could change.
    """
    rate, share = config.learning_rate, config.decay_fraction
    ended = rate * learning_rate_factor(first_steps - 1, first_steps, epoch, share)
    resumed, last = (rate * learning_rate_factor(step, steps, 1, share) for step in (first_steps, steps - 1))
    falls = max(first_steps, steps - round(steps * share))
    fall = f"falls linearly from step {falls} to {last:.2g}" if share else "stays there"
    return (
        f"steps 1 to {first_steps} had the schedule of {plural(first_steps, 'step')}, which ended at {ended:.2g}; "
        f"steps {first_steps + 1} to {steps} have the schedule of {steps} steps: the rate goes back to "
        f"{resumed:.2g} and {fall}"
    )


def print_schedule(extensions: Sequence[Extension], steps: int) -> None:
    """Print the learning-rate schedule of every method, and how an extended run differs from a longer one."""
    methods_by_schedule: dict[tuple[int, str], dict[str, None]] = {}
    for extension in extensions:
        if extension.first_steps:
            methods = methods_by_schedule.setdefault((extension.first_steps, extension.schedule), {})
            methods[extension.trial.method.name] = None
    for (_, schedule), methods in methods_by_schedule.items():
        console.print(f"{', '.join(methods)}: {schedule}")
    console.print(
        f"This is not what {steps} steps from the start would give, and tables say 'extended' beside every method. "
        "The old records and checkpoints are kept in before-extension-STEPS in each trial's folder."
    )


def extend(
    run: Path, extensions: Sequence[Extension], open_data: Callable[[str, TrialConfig], Dataset], device: str
) -> dict[str, int]:
    """Train and evaluate the extended trials; return the number of trials per final state.

    `open_data(name, config)` returns a dataset whose data is present. The caller must hold the run's lock.
    """
    records = [read_trial(extension.folder) for extension in extensions]
    labels = sorted({record["dataset"]["label"] for record in records})
    if len(labels) > 1:
        raise CgbenchError(f"the run was trained on {', '.join(labels)}: only trials of one dataset can be extended")
    config = extensions[0].trial.config
    opened = open_data(records[0]["dataset"]["name"], config)
    dataset = keep_pairing(under_label(opened, labels[0]), records[0])
    trials = [extension.trial for extension in extensions]
    context = open_run_context(run, hold_out(dataset, config.validation_images), trials, device)
    prepared = context.prepare_all(trials)
    for record, trial in zip(records, prepared, strict=True):
        if record["data"] != trial.data_digests:
            raise CgbenchError(f"{trial.folder.path} was trained on other images than are in '{opened.label}' now")
        ensure_same_test_images(trial.folder, context.evaluation.image_facts())
    context = with_evaluators(context, config)
    ensure_one_protocol(prepared, context)
    for extension, trial in zip(extensions, prepared, strict=True):
        reopen_trial(extension, trial, context.dataset)
    ended = run_trials(prepared, context)
    reevaluate_external(run, context.evaluation, config, device)
    return ended


def reopen_trial(extension: Extension, prepared: PreparedTrial, dataset: Dataset) -> None:
    """Copy the old records aside and mark the trial as unfinished. It can be repeated after a kill at any point."""
    folder, record, config = extension.folder, read_trial(extension.folder), extension.trial.config
    first_steps, fingerprint = extension.first_steps, prepared.fingerprint
    origins = extension.trial.resolved.origins
    changed: dict[str, Any] = {"config": asdict(config), "origins": origins, "digest": fingerprint}
    if not first_steps:
        write_json(folder.trial, record | changed)
        return
    if record["digest"] != fingerprint:
        _copy_records(folder, first_steps)
        rows = [row for row in read_metric_rows(folder.history) if row["step"] != first_steps]
        write_jsonl(folder.history, [*rows, *read_metric_rows(folder.metrics)])
        folder.set_status(TrialState.INTERRUPTED, step=first_steps)
        entry = {"from": first_steps, "to": config.steps, "schedule": extension.schedule, "digest": record["digest"]}
        changed |= {"steps": config.steps, "extended": [*record.get("extended", []), entry]}
        record |= changed
        write_json(folder.trial, record)
    before = record["extended"][-1]["digest"]
    metadata = {"digest": fingerprint, **checkpoint_metadata(config, dataset)}
    for path in (folder.checkpoint, folder.best):  # the best step so far may stay the best
        if path.exists():
            rewrite_metadata(path, before, metadata)


def _copy_records(folder: TrialFolder, steps: int) -> None:
    """Copy the records of the finished training of `steps` steps to a folder of their own, all or none."""
    copy, part = folder.path / f"before-extension-{steps}", folder.path / f".before-extension{PART}"
    if copy.exists():
        return
    shutil.rmtree(part, ignore_errors=True)
    for name in RECORDS:
        if (folder.path / name).exists():
            link_or_copy(folder.path / name, part / name)
    part.rename(copy)
