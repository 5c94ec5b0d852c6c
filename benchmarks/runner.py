"""From trials to records: load the data once, train what is missing, evaluate, go on when one trial fails."""

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from cgbench.benchmarks.checkpoint import read_checkpoint, restore
from cgbench.benchmarks.console import console, duration, progress
from cgbench.benchmarks.data import Feed, ImageSet, load_images
from cgbench.benchmarks.evaluation import TestBench, evaluate
from cgbench.benchmarks.scorer import cache_folder, cached_scorer
from cgbench.benchmarks.trainer import train
from cgbench.benchmarks.trial import Trial, refuse_another, trial_digest, trial_facts
from cgbench.config import Resolved, TrialConfig
from cgbench.dataset import Dataset
from cgbench.describe import describe, identity
from cgbench.errors import CgbenchError, DataBroken, Diverged
from cgbench.methods.blocks.model import Model
from cgbench.registry import METHODS
from cgbench.storage import TrialFolder, read_json, write_json, write_text


@dataclass(frozen=True)
class Workshop:
    """All that the trials of one run share: data in memory, the test bench, the device."""

    run: Path
    dataset: Dataset
    train: tuple[ImageSet, ImageSet]
    pairs: tuple[ImageSet, ImageSet] | None
    bench: TestBench
    device: str

    def folder(self, trial: Trial) -> TrialFolder:
        """Return the folder of a trial."""
        return TrialFolder.of(self.run, self.dataset.label, trial.method.name, trial.seed)

    def digest(self, trial: Trial) -> str:
        """Return what identifies a trial, with the content of the training images."""
        a, b = self.images(trial)
        return trial_digest(trial, {"a": a.digest, "b": b.digest})

    def images(self, trial: Trial) -> tuple[ImageSet, ImageSet]:
        """Return what a trial is trained on: the pairs if it is supervised, else the unpaired training sets."""
        return self.pairs if trial.method.supervised else self.train

    def steps(self, trial: Trial) -> tuple[int, int]:
        """Return the training steps of a trial, and the steps after which its learning rate may change."""
        if trial.method.reference is not None:
            return 0, 1
        counts = tuple(map(len, self.train))  # the same budget for all, supervised or not
        epoch = 1 if trial.config.steps else trial.config.steps_per_epoch(*counts)
        return trial.config.total_steps(*counts), epoch


def open_workshop(run: Path, dataset: Dataset, trials: Sequence[Trial], device: str) -> Workshop:
    """Decode the images that the trials need. The scorer comes later (`with_scorer`): it may take a while."""
    config = trials[0].config
    supervised = any(trial.method.supervised for trial in trials)
    with progress(f"reading {dataset.label}") as update:
        splits = {
            split: tuple(
                load_images(dataset, split, domain, config.load_size, config, config.train_limit, progress=update)
                for domain in "AB"
            )
            for split in (["train", "pairs"] if supervised else ["train"])
        }
        tests = {
            domain: load_images(dataset, "test", domain, config.crop_size, config, config.test_limit, True, update)
            for domain in "AB"
        }
    paired = {"test": tuple(tests.values())} if dataset.paired_test else {}
    for split, (a, b) in (paired | {key: sets for key, sets in splits.items() if key == "pairs"}).items():
        if a.keys != b.keys:
            raise DataBroken(f"dataset '{dataset.label}' says that its split '{split}' is paired, but the keys differ")
    bench = TestBench(dataset, config.fit, "test", tests)
    return Workshop(run, dataset, splits["train"], splits.get("pairs"), bench, device)


def with_scorer(workshop: Workshop, config: TrialConfig) -> Workshop:
    """Return the workshop with the dataset's scorer, trained or from the cache; as it is where there are no labels."""
    dataset = workshop.dataset
    photos = [domain for domain, kind in zip("AB", dataset.domains, strict=True) if kind.kind == "photo"]
    if not dataset.palette or "pairs" not in dataset.splits or not photos:
        return workshop
    with progress("reading photos for the scorer") as update:
        limit = config.scorer_limit
        real = load_images(dataset, "pairs", photos[-1], config.crop_size, config, limit, True, update)
    if real.labels is None:
        raise DataBroken(f"dataset '{dataset.label}' has a palette, but the photos of its split 'pairs' have no labels")
    with progress("training the scorer") as update:
        count, folder = len(dataset.palette), cache_folder()
        scorer = cached_scorer(folder, real.images, real.labels, count, config, workshop.device, update)
    return replace(workshop, bench=replace(workshop.bench, scorer=scorer))


def refuse_others(trials: Sequence[Trial], workshop: Workshop) -> None:
    """Raise `CgbenchError` where a folder of the run holds another trial than the one asked for."""
    for trial in trials:
        refuse_another(trial, workshop.folder(trial), workshop.digest(trial))


def run_trials(trials: Sequence[Trial], workshop: Workshop) -> dict[str, int]:
    """Bring every trial to an end and return how many ended in which state. A failed trial does not stop the others.

    Ctrl-C leaves the trial in hand as `interrupted`, with a checkpoint, and is raised again.
    """
    ended: dict[str, int] = {}
    for number, trial in enumerate(trials, 1):
        title = f"[{number}/{len(trials)}] {trial.method.name}, seed {trial.seed}"
        state = run_trial(trial, workshop, title)
        ended[state] = ended.get(state, 0) + 1
    return ended


def run_trial(trial: Trial, workshop: Workshop, title: str) -> str:
    """Train and evaluate one trial, unless that is done, and return the state it ended in."""
    folder = workshop.folder(trial)
    known = folder.status()
    if known["state"] == "diverged" or is_current(known, workshop):
        console.print(f"{title}: {known['state']} before, kept")
        return known["state"]
    started = time.perf_counter()
    try:
        status = _train_and_evaluate(trial, workshop, folder, title)
    except KeyboardInterrupt:
        folder.set_status("interrupted", step=_saved_step(folder))
        raise
    except Diverged as error:
        folder.set_status("diverged", step=_saved_step(folder), reason=str(error))
        console.print(f"{title}: diverged: {error}", style="yellow")
        return "diverged"
    except Exception as error:
        write_text(folder.path / "error.txt", traceback.format_exc())
        reason = str(error) if isinstance(error, CgbenchError) else f"{type(error).__name__}: {error}"
        folder.set_status("failed", step=_saved_step(folder), reason=reason)
        console.print(f"{title}: failed: {reason} (see {folder.path / 'error.txt'})", style="red")
        return "failed"
    folder.set_status("done", **status)
    console.print(f"{title}: done in {duration(time.perf_counter() - started)}")
    return "done"


def is_current(status: dict, workshop: Workshop) -> bool:
    """Say whether a trial is done and was measured by the present protocols."""
    return status["state"] == "done" and status.get("evaluation") == workshop.bench.digest()


def _train_and_evaluate(trial: Trial, workshop: Workshop, folder: TrialFolder, title: str) -> dict:
    """Return the details of a finished trial's status."""
    digest, (total, epoch) = workshop.digest(trial), workshop.steps(trial)
    model, seconds = None, 0.0
    if trial.method.reference is None:
        model = Model(trial.method, trial.config, trial.seed, workshop.device)
    if not folder.trial.exists():
        a, b = workshop.images(trial)
        counts = {"train A": len(a), "train B": len(b),
                  "test A": len(workshop.bench.domains["A"]), "test B": len(workshop.bench.domains["B"])}  # fmt: skip
        parameters = model.counts() if model else {}
        device = device_name(workshop.device)
        write_json(folder.trial, trial_facts(trial, workshop.dataset, device, digest, counts, total, parameters))
    folder.set_status("running", step=_saved_step(folder))
    if model is not None:
        images = workshop.images(trial)
        feed = Feed(*images, trial.config, trial.seed, workshop.device, paired=trial.method.supervised)
        with progress(title) as update:
            seconds = train(model, feed, trial.config, total, epoch, folder, digest, update).seconds
    with progress(f"{title}: evaluation") as update:
        evaluate(trial, model, workshop.bench, folder, total, update)
    return {"step": total, "seconds": round(seconds, 2), "evaluation": workshop.bench.digest()}


def reopen_trial(folder: TrialFolder) -> Trial:
    """Return the trial that a folder holds; a method that has changed since raises."""
    facts = read_json(folder.trial)
    method = METHODS.get(facts["method"]["name"])
    method = method.weighted(facts["weights"]) if facts["weights"] else method
    if identity(describe(method)) != identity(facts["method"]):
        raise CgbenchError(
            f"{folder.path}: method '{method.name}' is declared differently now; it cannot be measured again"
        )
    resolved = Resolved(TrialConfig(**facts["config"]), facts["weights"], facts["origins"])
    return Trial(method, facts["seed"], facts["preset"], resolved)


def reevaluate(trial: Trial, workshop: Workshop, folder: TrialFolder) -> bool:
    """Measure a finished trial again, from its checkpoint; return False for one that is not finished."""
    status, title = folder.status(), f"{trial.method.name}, seed {trial.seed}"
    if status["state"] != "done":
        console.print(f"{title}: {status['state'] or 'not begun'}, left out")
        return False
    model = None
    if trial.method.reference is None:
        model = Model(trial.method, trial.config, trial.seed, workshop.device)
        tensors, facts = read_checkpoint(folder.checkpoint)
        if facts["digest"] != read_json(folder.trial)["digest"]:
            raise CgbenchError(f"{folder.checkpoint} does not belong to the trial.json beside it")
        restore(model, {}, tensors, folder.checkpoint)
    with progress(title) as update:
        evaluate(trial, model, workshop.bench, folder, status["step"], update)
    folder.set_status(**{**status, "evaluation": workshop.bench.digest()})
    return True


def _saved_step(folder: TrialFolder) -> int:
    """Return the step of the last checkpoint, 0 if there is none."""
    if not folder.checkpoint.exists():
        return 0
    return int(read_checkpoint(folder.checkpoint)[1].get("step", 0))


def device_name(device: str) -> str:
    """Return the device as it is recorded: `cpu (2 threads)` or the GPU's name."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.get_num_threads()} threads)"
