"""From trials to records: load the data once, train what is missing, evaluate, go on when one trial fails."""

import errno
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cgbench.api.dataset import Dataset
from cgbench.benchmarks.data.batches import Feed, ImageSet, load_images
from cgbench.benchmarks.evaluation.context import (
    TestBench,
    evaluation_digest,
    open_bench,
    open_validation,
    same_keys,
    with_scorers,
)
from cgbench.benchmarks.evaluation.evaluator import evaluate, measure_on_the_way
from cgbench.benchmarks.runtime.environment import continued, environment, reason_of
from cgbench.benchmarks.runtime.progress import console, progress
from cgbench.benchmarks.runtime.signals import name_of
from cgbench.benchmarks.training.checkpoint import about_checkpoint
from cgbench.benchmarks.training.checkpoint_retention import keep_best, saved_step
from cgbench.benchmarks.training.trainer import Position, train
from cgbench.benchmarks.trials.trial import Trial, refuse_another, refuse_other_comparison, trial_digest, trial_facts
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError, Diverged
from cgbench.files import TrialFolder, read_jsonl, safe_name, write_json, write_jsonl, write_text
from cgbench.formatting import duration
from cgbench.methods.blocks.model import Model
from cgbench.results.records import read_trial

# A full disk, a quota, a disk that went read-only or broke, a reader of our output that left.
NO_WAY_ON = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EPIPE)


@dataclass(frozen=True)
class Workshop:
    """All that the trials of one run share: data in memory, the test bench, the device.

    `labelled` is `train` with the class ids of its images, where a method reads them. `validation` is the bench that
    checkpoints are chosen by, where trials are measured on their way.
    """

    run: Path
    dataset: Dataset
    train: tuple[ImageSet, ImageSet]
    labelled: tuple[ImageSet, ImageSet] | None
    pairs: tuple[ImageSet, ImageSet] | None
    bench: TestBench
    device: str
    validation: TestBench | None = None

    @property
    def evaluation(self) -> str:
        """What identifies all that trials are measured with: one measured under another digest is measured again."""
        return evaluation_digest(self.bench, self.validation)

    def folder(self, trial: Trial) -> TrialFolder:
        """Return the folder of a trial."""
        return TrialFolder.of(self.run, self.dataset.label, trial.method.name, trial.seed)

    def digest(self, trial: Trial) -> str:
        """Return what identifies a trial, with the content of the training images."""
        return trial_digest(trial, self.data_digests(trial))

    def data_digests(self, trial: Trial) -> dict[str, str]:
        """Return what identifies the training images of a trial."""
        a, b = self.images(trial)
        return {"a": a.digest, "b": b.digest}

    def images(self, trial: Trial) -> tuple[ImageSet, ImageSet]:
        """Return what a trial is trained on: pairs if it is supervised, else the unpaired sets, with labels if read."""
        if trial.method.supervised:
            return self.pairs
        return self.labelled if trial.method.reads_labels else self.train

    def steps(self, trial: Trial) -> tuple[int, int]:
        """Return the training steps of a trial, and the steps after which its learning rate may change."""
        if trial.method.reference is not None:
            return 0, 1
        counts = tuple(map(len, self.train))  # the same budget for all, supervised or not
        epoch = 1 if trial.config.steps else trial.config.steps_per_epoch(*counts)
        return trial.config.total_steps(*counts), epoch


def open_workshop(run: Path, dataset: Dataset, trials: Sequence[Trial], device: str) -> Workshop:
    """Decode the images that the trials need. The scorer comes later (`equipped`): it may take a while."""
    config = trials[0].config
    supervised = any(trial.method.supervised for trial in trials)
    labels = any(trial.method.reads_labels for trial in trials)
    with progress(f"reading {dataset.label}") as update:
        splits = {
            split: tuple(
                load_images(
                    dataset,
                    split,
                    domain,
                    config.load_size,
                    config,
                    config.train_limit,
                    progress=update,
                    labels=labels and split == "train",
                )
                for domain in "AB"
            )
            for split in (["train", "pairs"] if supervised else ["train"])
        }
    if supervised:
        same_keys(dataset, "pairs", *splits["pairs"])
    train = tuple(images.without_labels() for images in splits["train"])
    labelled = splits["train"] if labels else None
    return Workshop(run, dataset, train, labelled, splits.get("pairs"), open_bench(dataset, config), device)


def equipped(workshop: Workshop, config: TrialConfig) -> Workshop:
    """Return the workshop with all that trials are measured with: scorers, trained or from the cache, other
    instruments, and the validation images where they are asked for."""
    bench = with_scorers(workshop.bench, config, workshop.device)
    return replace(workshop, bench=bench, validation=open_validation(bench, config))


def refuse_mixture(trials: Sequence[Trial], workshop: Workshop) -> None:
    """Raise `CgbenchError` where the run holds another trial than one asked for, or one of another comparison."""
    for trial in trials:
        refuse_another(trial, workshop.folder(trial), workshop.digest(trial))
    asked = {workshop.folder(trial).path for trial in trials}
    others = [path.parent for path in workshop.run.glob(f"{safe_name(workshop.dataset.label)}/*/seed-*/trial.json")]
    compared = [trial for trial in trials if not trial.method.role] or trials
    for path in sorted(set(others) - asked):
        refuse_other_comparison(compared[0], TrialFolder(path), workshop.data_digests(compared[0]))


def run_trials(trials: Sequence[Trial], workshop: Workshop) -> dict[str, int]:
    """Bring every trial to an end and return how many ended in which state. A failed trial does not stop the others.

    A signal to stop leaves the trial in hand as `interrupted`, with a checkpoint, and is raised again; so is a folder
    that cannot be written, where the checkpoint is the one before.
    """
    ended: dict[str, int] = {}
    for number, trial in enumerate(trials):
        state = run_trial(trial, workshop, title_of(number, trials))
        ended[state] = ended.get(state, 0) + 1
    return ended


def title_of(number: int, trials: Sequence[Trial]) -> str:
    """Return how users are told of trial `number`, from 0."""
    trial = trials[number]
    return f"[{number + 1}/{len(trials)}] {trial.method.name}, seed {trial.seed}"


def run_trial(trial: Trial, workshop: Workshop, title: str) -> str:
    """Train and evaluate one trial, unless that is done, and return the state it ended in."""
    folder = workshop.folder(trial)
    known = folder.status()
    if is_over(known, workshop):
        console.print(f"{title}: {known['state']} before, kept")
        return known["state"]
    started = time.perf_counter()
    try:
        status = _train_and_evaluate(trial, workshop, folder, title)
    except KeyboardInterrupt as stop:
        leave(folder, title, f"stopped by {name_of(stop)}")
        raise
    except Diverged as error:
        folder.set_status("diverged", step=saved_step(folder.checkpoint), found=error.step, reason=str(error))
        kept = f"the checkpoint of step {saved_step(folder.checkpoint)} is kept" if folder.checkpoint.exists() else ""
        console.print(f"{title}: diverged: {error}{kept and '; ' + kept}", style="yellow")
        return "diverged"
    except Exception as error:
        if isinstance(error, OSError) and _stops_the_run(error, workshop.run):
            leave(folder, title, "stopped")
            raise
        write_text(folder.path / "error.txt", traceback.format_exc())
        reason = str(error) if isinstance(error, CgbenchError) else f"{type(error).__name__}: {reason_of(error)}"
        folder.set_status("failed", step=saved_step(folder.checkpoint), reason=reason)
        console.print(f"{title}: failed: {reason} (see {folder.path / 'error.txt'})", style="red")
        return "failed"
    folder.set_status("done", **status)
    console.print(f"{title}: done in {duration(time.perf_counter() - started)}")
    return "done"


def leave(folder: TrialFolder, title: str, why: str) -> None:
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


def is_over(status: dict, workshop: Workshop) -> bool:
    """Say whether there is nothing to do for a trial: it diverged, or is done and measured by the present protocols."""
    current = status["state"] == "done" and status.get("evaluation") == workshop.evaluation
    return current or status["state"] == "diverged"


def _train_and_evaluate(trial: Trial, workshop: Workshop, folder: TrialFolder, title: str) -> dict:
    """Return the details of a finished trial's status."""
    identity, (total, _) = workshop.digest(trial), workshop.steps(trial)
    model, spent = None, {"seconds": 0.0}
    if trial.method.reference is None:
        model = Model(trial.method, trial.config, trial.seed, workshop.device, workshop.bench.feature_network)
    _record(trial, workshop, folder, identity, total, model)
    folder.set_status("running", step=saved_step(folder.checkpoint))
    if model is not None:
        images = workshop.images(trial)
        feed = Feed(*images, trial.config, trial.seed, workshop.device, paired=trial.method.supervised)
        with progress(title) as update:
            at = _train(trial, workshop, model, feed, folder, update)
        spent = {"seconds": round(at.seconds, 2), "memory": at.memory}
    with progress(f"{title}: evaluation") as update:
        evaluate(trial, model, workshop.bench, workshop.validation, folder, total, update)
    if model is not None and trial.config.keep_best:
        keep_best(folder, trial.config.keep_best)
    return {"step": total, **spent, "evaluation": workshop.evaluation}


def _train(
    trial: Trial, workshop: Workshop, model: Model, feed: Feed, folder: TrialFolder, update: Callable[[int, int], None]
) -> Position:
    """Train to the end, and measure on the way where that is asked for: train to there, measure, and go on."""
    config, identity = trial.config, workshop.digest(trial)
    total, epoch = workshop.steps(trial)
    points = range(config.evaluate_every, total, config.evaluate_every) if config.evaluate_every else ()
    benches = [bench for bench in (workshop.validation, workshop.bench) if bench is not None]
    reached = saved_step(folder.checkpoint)
    if reached < total:
        folder.cost.unlink(missing_ok=True)  # of a model that is no more
    write_jsonl(folder.history, [row for row in read_jsonl(folder.history) if row["step"] <= reached])
    about = about_checkpoint(config, workshop.dataset)
    for point in points:
        at = train(model, feed, config, total, epoch, folder, identity, update, until=point, about=about)
        if at.step == point:
            measure_on_the_way(trial, model, benches, folder, point)
            if config.keep_best:
                keep_best(folder, config.keep_best)
    return train(model, feed, config, total, epoch, folder, identity, update, about=about)


def _record(
    trial: Trial, workshop: Workshop, folder: TrialFolder, identity: str, total: int, model: Model | None
) -> None:
    """Write `trial.json`; one that is there keeps how it was trained and takes over how it is measured now."""
    a, b = workshop.images(trial)
    tests = workshop.bench.domains
    counts = {"train A": len(a), "train B": len(b), "test A": len(tests["A"]), "test B": len(tests["B"])}
    parameters = model.counts() if model else {}
    now, data = environment(workshop.device, trial.config.precision), workshop.data_digests(trial)
    facts = trial_facts(trial, workshop.dataset, now, identity, counts, total, parameters, data)
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
