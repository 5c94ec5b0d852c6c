"""From trials to records: load the data once, train what is missing, evaluate, go on when one trial fails."""

import errno
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cgbench.benchmarks.data.batches import BatchSampler
from cgbench.benchmarks.evaluation.evaluator import evaluate, evaluate_intermediate
from cgbench.benchmarks.execution.run_context import RunContext
from cgbench.benchmarks.runtime.determinism import reason_of
from cgbench.benchmarks.runtime.environment import continued, environment
from cgbench.benchmarks.runtime.progress import console, progress
from cgbench.benchmarks.runtime.signals import name_of
from cgbench.benchmarks.training.checkpoint import checkpoint_metadata
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.benchmarks.training.checkpoint_retention import retain_best
from cgbench.benchmarks.training.trainer import TrainingState, train
from cgbench.benchmarks.trials.trial import Trial
from cgbench.benchmarks.trials.trial_record import trial_record
from cgbench.errors import CgbenchError, Diverged
from cgbench.files import read_jsonl, write_json, write_jsonl, write_text
from cgbench.formatting import duration
from cgbench.methods.blocks.model import Model
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder

# A full disk, a quota, a disk that went read-only or broke, a reader of our output that left.
NO_WAY_ON = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EPIPE)


def run_trials(trials: Sequence[Trial], context: RunContext) -> dict[str, int]:
    """Bring every trial to an end and return how many ended in which state. A failed trial does not stop the others.

    A signal to stop leaves the trial in hand as `interrupted`, with a checkpoint, and is raised again; so is a folder
    that cannot be written, where the checkpoint is the one before.
    """
    ended: dict[str, int] = {}
    for number, trial in enumerate(trials):
        state = run_trial(trial, context, title_of(number, trials))
        ended[state] = ended.get(state, 0) + 1
    return ended


def title_of(number: int, trials: Sequence[Trial]) -> str:
    """Return how users are told of trial `number`, from 0."""
    trial = trials[number]
    return f"[{number + 1}/{len(trials)}] {trial.method.name}, seed {trial.seed}"


def run_trial(trial: Trial, context: RunContext, title: str) -> str:
    """Train and evaluate one trial, unless that is done, and return the state it ended in."""
    folder = context.folder(trial)
    known = folder.status()
    if is_complete(known, context):
        console.print(f"{title}: {known['state']} before, kept")
        return known["state"]
    started = time.perf_counter()
    try:
        status = _train_and_evaluate(trial, context, folder, title)
    except KeyboardInterrupt as stop:
        mark_interrupted(folder, title, f"stopped by {name_of(stop)}")
        raise
    except Diverged as error:
        folder.set_status("diverged", step=saved_step(folder.checkpoint), found=error.step, reason=str(error))
        kept = f"the checkpoint of step {saved_step(folder.checkpoint)} is kept" if folder.checkpoint.exists() else ""
        console.print(f"{title}: diverged: {error}{kept and '; ' + kept}", style="yellow")
        return "diverged"
    except Exception as error:
        if isinstance(error, OSError) and _stops_the_run(error, context.run):
            mark_interrupted(folder, title, "stopped")
            raise
        write_text(folder.path / "error.txt", traceback.format_exc())
        reason = str(error) if isinstance(error, CgbenchError) else f"{type(error).__name__}: {reason_of(error)}"
        folder.set_status("failed", step=saved_step(folder.checkpoint), reason=reason)
        console.print(f"{title}: failed: {reason} (see {folder.path / 'error.txt'})", style="red")
        return "failed"
    folder.set_status("done", **status)
    console.print(f"{title}: done in {duration(time.perf_counter() - started)}")
    return "done"


def mark_interrupted(folder: TrialFolder, title: str, why: str) -> None:
    """Record that a trial was left before its end, if the disk lets us, and say what of it is safe."""
    step = saved_step(folder.checkpoint)
    with suppress(OSError):
        folder.set_status("interrupted", step=step)
    with suppress(BrokenPipeError):
        console.print(f"{title}: {why}; {f'its checkpoint of step {step} is whole' if step else 'nothing of it saved'}")


def _stops_the_run(error: OSError, run: Path) -> bool:
    """Say whether an error would meet the next trial as well: the run's own files cannot be read or written."""
    inside = isinstance(error.filename, str) and Path(error.filename).is_relative_to(run)
    return inside or error.errno in NO_WAY_ON


def is_complete(status: dict, context: RunContext) -> bool:
    """Say whether there is nothing to do for a trial: it diverged, or is done and measured by the present protocols."""
    current = status["state"] == "done" and status.get("evaluation") == context.evaluation_digest
    return current or status["state"] == "diverged"


def _train_and_evaluate(trial: Trial, context: RunContext, folder: TrialFolder, title: str) -> dict:
    """Return the details of a finished trial's status."""
    identity, (total, _) = context.digest(trial), context.steps(trial)
    model, spent = None, {"seconds": 0.0}
    if trial.method.reference is None:
        model = Model(trial.method, trial.config, trial.seed, context.device, context.evaluation.feature_network)
    _record(trial, context, folder, identity, total, model)
    folder.set_status("running", step=saved_step(folder.checkpoint))
    if model is not None:
        images = context.images(trial)
        feed = BatchSampler(*images, trial.config, trial.seed, context.device, paired=trial.method.supervised)
        with progress(title) as update:
            at = _train(trial, context, model, feed, folder, update)
        spent = {"seconds": round(at.seconds, 2), "memory": at.memory}
    with progress(f"{title}: evaluation") as update:
        evaluate(trial, model, context.evaluation, context.validation, folder, total, update)
    if model is not None and trial.config.keep_best:
        retain_best(folder, trial.config.keep_best)
    return {"step": total, **spent, "evaluation": context.evaluation_digest}


def _train(
    trial: Trial,
    context: RunContext,
    model: Model,
    feed: BatchSampler,
    folder: TrialFolder,
    update: Callable[[int, int], None],
) -> TrainingState:
    """Train to the end, and measure on the way where that is asked for: train to there, measure, and go on."""
    config, identity = trial.config, context.digest(trial)
    total, epoch = context.steps(trial)
    points = range(config.evaluate_every, total, config.evaluate_every) if config.evaluate_every else ()
    evaluations = [evaluation for evaluation in (context.validation, context.evaluation) if evaluation is not None]
    reached = saved_step(folder.checkpoint)
    if reached < total:
        folder.cost.unlink(missing_ok=True)  # of a model that is no more
    write_jsonl(folder.history, [row for row in read_jsonl(folder.history) if row["step"] <= reached])
    about = checkpoint_metadata(config, context.dataset)
    for point in points:
        at = train(model, feed, config, total, epoch, folder, identity, update, until=point, about=about)
        if at.step == point:
            evaluate_intermediate(trial, model, evaluations, folder, point)
            if config.keep_best:
                retain_best(folder, config.keep_best)
    return train(model, feed, config, total, epoch, folder, identity, update, about=about)


def _record(
    trial: Trial, context: RunContext, folder: TrialFolder, identity: str, total: int, model: Model | None
) -> None:
    """Write `trial.json`; one that is there keeps how it was trained and takes over how it is measured now."""
    a, b = context.images(trial)
    tests = context.evaluation.domains
    counts = {"train A": len(a), "train B": len(b), "test A": len(tests["A"]), "test B": len(tests["B"])}
    parameters = model.counts() if model else {}
    now, data = environment(context.device, trial.config.precision), context.data_digests(trial)
    facts = trial_record(trial, context.dataset, now, identity, counts, total, parameters, data)
    if folder.trial.exists():
        known = read_trial(folder)
        measured = trial.config.affecting("evaluation")
        known["config"] |= measured
        known["origins"] |= {name: trial.resolved.origins[name] for name in measured}
        known["dataset"] = facts["dataset"]
        if changes := continued(known, now, saved_step(folder.checkpoint)):
            known["continued"] = changes
        facts = known
    write_json(folder.trial, facts)
