"""The runner: from prepared trials to records, one trial after another; a failed trial does not stop the others."""

import time
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cgbench.api.names import TrialState
from cgbench.benchmarks.data.batches import BatchSampler
from cgbench.benchmarks.evaluation.evaluator import evaluate, evaluate_alternatives, evaluate_intermediate
from cgbench.benchmarks.execution.run_context import PreparedTrial, RunContext
from cgbench.benchmarks.execution.run_lock import ensure_held, is_held
from cgbench.benchmarks.runtime.environment import environment, environment_changes
from cgbench.benchmarks.runtime.progress import console, progress
from cgbench.benchmarks.runtime.signals import signal_name
from cgbench.benchmarks.runtime.trial_errors import failure_reason, is_fatal
from cgbench.benchmarks.training.alternative_weights import alternative_weights
from cgbench.benchmarks.training.checkpoint import checkpoint_metadata
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.benchmarks.training.checkpoint_retention import retain_best
from cgbench.benchmarks.training.trainer import TrainingState, train
from cgbench.benchmarks.trials import finished_records
from cgbench.benchmarks.trials.trial_record import trial_record
from cgbench.errors import Diverged
from cgbench.files import write_json, write_jsonl, write_text
from cgbench.formatting import duration
from cgbench.methods.blocks.model import Model
from cgbench.progress import ProgressCallback
from cgbench.results.record_files import read_metric_rows
from cgbench.results.records import read_trial


def run_trials(trials: Sequence[PreparedTrial], context: RunContext) -> dict[str, int]:
    """Train and evaluate every trial; return the number of trials per final state.

    A signal to stop leaves the current trial `interrupted`, with a checkpoint, and is raised again. An error of the run
    folder itself (a full disk) does the same; the checkpoint is then the previous one. A folder that was removed or
    renamed meanwhile raises `RunFolderGone`.
    """
    ended = dict(Counter(run_trial(trial, context) for trial in trials))
    ensure_held(context.run)
    return ended


def run_trial(prepared: PreparedTrial, context: RunContext) -> str:
    """Train and evaluate one trial, unless that is done, and return its final state."""
    folder, title = prepared.folder, prepared.title
    before = folder.status()
    if is_complete(prepared, context):
        _print_kept(prepared, before["state"])
        return before["state"]
    if before["state"] == TrialState.DONE:
        _print_repair(prepared, context)
    started = time.perf_counter()
    try:
        details = _train_and_evaluate(prepared, context)
    except KeyboardInterrupt as stop:
        leave_interrupted(prepared, f"stopped by {signal_name(stop)}")
        raise
    except (Exception, SystemExit) as error:  # a loss of another package may call `sys.exit`
        ensure_held(context.run)  # nothing is written into another folder of that name
        if isinstance(error, Diverged):
            return _record_divergence(prepared, error)
        if isinstance(error, OSError) and is_fatal(error, context.run):
            leave_interrupted(prepared, "stopped")
            raise
        return _record_crash(prepared, error)
    ensure_held(context.run)
    folder.set_status(TrialState.DONE, **details)
    console.print(f"{title}: done in {duration(time.perf_counter() - started)}")
    return TrialState.DONE


def is_complete(prepared: PreparedTrial, context: RunContext) -> bool:
    """Return whether a trial needs no more work: it diverged, or it is done, evaluated by the present protocols, and
    its records are there."""
    keys = _test_keys(prepared, context)
    return finished_records.is_complete(prepared.folder, prepared.total_steps, keys, context.evaluation_digest)


def leave_interrupted(prepared: PreparedTrial, reason: str) -> None:
    """Mark a trial as interrupted, if the disk permits, and print which checkpoint is left."""
    if not is_held(prepared.folder.path.parents[2]):
        return
    step = saved_step(prepared.folder.checkpoint)
    with suppress(OSError):
        prepared.folder.mark_interrupted(step)
    left = f"its checkpoint of step {step} is whole" if step else "nothing of it saved"
    with suppress(BrokenPipeError):
        console.print(f"{prepared.title}: {reason}; {left}")


def _test_keys(prepared: PreparedTrial, context: RunContext) -> dict[str, tuple[str, ...]]:
    return {direction: context.evaluation.source(direction).keys for direction in prepared.trial.method.directions}


def _print_kept(prepared: PreparedTrial, state: str) -> None:
    """Print that a trial is complete, and which files of its training are lost, which no evaluation brings back."""
    folder, title, config = prepared.folder, prepared.title, prepared.trial.config
    console.print(f"{title}: {state} before, kept")
    if state != TrialState.DONE or prepared.trial.method.reference is not None:
        return
    lost = [] if saved_step(folder.checkpoint) == prepared.total_steps else [folder.checkpoint.name]
    evaluated_before_the_end = 0 < config.evaluate_every < prepared.total_steps
    logs = (folder.steps, folder.history) if evaluated_before_the_end else (folder.steps,)
    if lost := [*lost, *(path.name for path in logs if not path.is_file())]:
        again = f"to train it again, delete {folder.path}"
        console.print(f"{title}: its numbers are there, its {', '.join(lost)} is not; {again}", style="yellow")


def _print_repair(prepared: PreparedTrial, context: RunContext) -> None:
    """Print why a trial that is done is not kept, where its records are missing."""
    keys = _test_keys(prepared, context)
    if missing := finished_records.missing_records(prepared.folder, prepared.total_steps, keys):
        untrained = prepared.trial.method.reference is not None
        whole = untrained or saved_step(prepared.folder.checkpoint) == prepared.total_steps
        repair = "evaluated again" if whole else "trained again, for its checkpoint is not whole either"
        console.print(f"{prepared.title}: done before, but {missing}: it is {repair}", style="yellow")


def _record_divergence(prepared: PreparedTrial, error: Diverged) -> str:
    folder = prepared.folder
    step = saved_step(folder.checkpoint)
    folder.set_status(TrialState.DIVERGED, step=step, found=error.step, reason=str(error))
    kept = f"; the checkpoint of step {step} is kept" if folder.checkpoint.exists() else ""
    console.print(f"{prepared.title}: diverged: {error}{kept}", style="yellow")
    return TrialState.DIVERGED


def _record_crash(prepared: PreparedTrial, error: Exception | SystemExit) -> str:
    """Record an error that ends this trial alone; the traceback goes to `error.txt`."""
    folder = prepared.folder
    write_text(folder.path / "error.txt", traceback.format_exc())
    reason = failure_reason(prepared.trial.method.name, error)
    folder.set_status(TrialState.FAILED, step=saved_step(folder.checkpoint), reason=reason)
    console.print(f"{prepared.title}: failed: {reason} (see {folder.path / 'error.txt'})", style="red")
    console.debug(traceback.format_exc())
    return TrialState.FAILED


def _train_and_evaluate(prepared: PreparedTrial, context: RunContext) -> dict[str, Any]:
    """Return the details of a finished trial's status."""
    trial, folder = prepared.trial, prepared.folder
    model, costs = None, {"seconds": 0.0}
    if trial.method.reference is None:
        model = Model(trial.method, trial.config, trial.seed, context.device, context.evaluation.feature_network)
    resumed_step = saved_step(folder.checkpoint)
    _write_record(prepared, context, model, resumed_step)
    folder.set_status(TrialState.RUNNING, step=resumed_step)
    if model is not None:
        with progress(prepared.title) as update:
            state = _train(prepared, context, model, resumed_step, _watched(update, context.run))
        costs = {"seconds": round(state.seconds, 2), "memory": state.memory}
    with progress(f"{prepared.title}: evaluation") as update:
        evaluate(trial, model, context.evaluation, context.validation, folder, prepared.total_steps, update)
    if model is not None:
        alternatives = alternative_weights(model, folder, prepared.fingerprint)
        evaluate_alternatives(trial, model, context.evaluation, folder, alternatives)
    if model is not None and trial.config.keep_best:
        retain_best(folder, trial.config.keep_best)
    return {"step": prepared.total_steps, **costs, "evaluation": context.evaluation_digest}


def _watched(update: ProgressCallback, run: Path) -> ProgressCallback:
    """Return the callback with a look, at every step, whether the run folder is still there."""

    def watched(step: int, total: int) -> None:
        ensure_held(run)
        update(step, total)

    return watched


def _train(
    prepared: PreparedTrial, context: RunContext, model: Model, resumed_step: int, update: ProgressCallback
) -> TrainingState:
    """Train to the last step, with an intermediate evaluation every `evaluate_every` steps."""
    trial, folder, config, total = prepared.trial, prepared.folder, prepared.trial.config, prepared.total_steps
    sampler = BatchSampler(*prepared.images, config, trial.seed, context.device, paired=trial.method.supervised)
    evaluations = [evaluation for evaluation in (context.validation, context.evaluation) if evaluation is not None]
    if resumed_step < total:
        folder.cost.unlink(missing_ok=True)  # of the previous model
    write_jsonl(folder.history, [row for row in read_metric_rows(folder.history) if row["step"] <= resumed_step])
    metadata = checkpoint_metadata(config, context.dataset)

    def train_until(step: int | None) -> TrainingState:
        return train(
            model, sampler, config, total, prepared.steps_per_epoch, folder, prepared.fingerprint, update, until=step,
            metadata=metadata,
        )  # fmt: skip

    for step in range(config.evaluate_every, total, config.evaluate_every) if config.evaluate_every else ():
        if train_until(step).step == step:
            evaluate_intermediate(trial, model, evaluations, folder, step)
            if config.keep_best:
                retain_best(folder, config.keep_best)
    return train_until(None)


def _write_record(prepared: PreparedTrial, context: RunContext, model: Model | None, resumed_step: int) -> None:
    """Write `trial.json`; an existing one keeps how it was trained and takes over how it is evaluated now."""
    trial, folder = prepared.trial, prepared.folder
    tests = context.evaluation.domains
    counts = dict(zip(("train A", "train B"), map(len, prepared.images), strict=True))
    counts |= {"test A": len(tests["A"]), "test B": len(tests["B"])}
    present = environment(context.device, trial.config.precision)
    record = trial_record(
        trial, context.dataset, present, prepared.fingerprint, counts, prepared.total_steps,
        model.parameter_counts() if model else {}, prepared.data_digests,
    )  # fmt: skip
    if folder.trial.exists():
        before = read_trial(folder)
        evaluation = trial.config.affecting("evaluation")
        before["config"] |= evaluation
        before["origins"] |= {name: trial.resolved.origins[name] for name in evaluation}
        before["dataset"] = record["dataset"]
        if changes := environment_changes(before, present, resumed_step):
            before["continued"] = changes
        record = before
    write_json(folder.trial, record)
