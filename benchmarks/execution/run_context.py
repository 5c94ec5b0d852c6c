"""What the trials of one run share: images in memory, evaluators, the device."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cgbench.api.dataset import Dataset
from cgbench.benchmarks.data.batches import ImageSet
from cgbench.benchmarks.data.loading import load_images
from cgbench.benchmarks.evaluation.context import (
    EvaluationContext,
    combined_digest,
    ensure_same_keys,
    open_evaluation_context,
    open_validation_context,
    with_scorers,
)
from cgbench.benchmarks.runtime.progress import progress
from cgbench.benchmarks.trials.fingerprint import ensure_comparable, ensure_same_trial, trial_fingerprint
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.files import safe_name
from cgbench.results.run_folder import TrialFolder


@dataclass(frozen=True)
class RunContext:
    """All that the trials of one run share: data in memory, the test images and evaluators, the device.

    `labelled` is `train` with the class ids of its images, where a method reads them. `validation` is the context that
    checkpoints are chosen by, where trials are evaluated while they train.
    """

    run: Path
    dataset: Dataset
    train: tuple[ImageSet, ImageSet]
    labelled: tuple[ImageSet, ImageSet] | None
    pairs: tuple[ImageSet, ImageSet] | None
    evaluation: EvaluationContext
    device: str
    validation: EvaluationContext | None = None

    @property
    def evaluation_digest(self) -> str:
        """What identifies all that trials are measured with: one measured under another digest is measured again."""
        return combined_digest(self.evaluation, self.validation)

    def folder(self, trial: Trial) -> TrialFolder:
        """Return the folder of a trial."""
        return TrialFolder.of(self.run, self.dataset.label, trial.method.name, trial.seed)

    def digest(self, trial: Trial) -> str:
        """Return what identifies a trial, with the content of the training images."""
        return trial_fingerprint(trial, self.data_digests(trial))

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


def open_run_context(run: Path, dataset: Dataset, trials: Sequence[Trial], device: str) -> RunContext:
    """Decode the images that the trials need. The scorer comes later (`with_evaluators`): it may take a while."""
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
                    config.max_train_images,
                    progress=update,
                    labels=labels and split == "train",
                )
                for domain in "AB"
            )
            for split in (["train", "pairs"] if supervised else ["train"])
        }
    if supervised:
        ensure_same_keys(dataset, "pairs", *splits["pairs"])
    train = tuple(images.without_labels() for images in splits["train"])
    labelled = splits["train"] if labels else None
    return RunContext(
        run, dataset, train, labelled, splits.get("pairs"), open_evaluation_context(dataset, config), device
    )


def with_evaluators(context: RunContext, config: TrialConfig) -> RunContext:
    """Return the workshop with all that trials are measured with: scorers, trained or from the cache, other
    instruments, and the validation images where they are asked for."""
    evaluation = with_scorers(context.evaluation, config, context.device)
    return replace(context, evaluation=evaluation, validation=open_validation_context(evaluation, config))


def ensure_one_comparison(trials: Sequence[Trial], context: RunContext) -> None:
    """Raise `CgbenchError` where the run holds another trial than one asked for, or one of another comparison."""
    for trial in trials:
        ensure_same_trial(trial, context.folder(trial), context.digest(trial))
    asked = {context.folder(trial).path for trial in trials}
    others = [path.parent for path in context.run.glob(f"{safe_name(context.dataset.label)}/*/seed-*/trial.json")]
    compared = [trial for trial in trials if not trial.method.role] or trials
    for path in sorted(set(others) - asked):
        ensure_comparable(compared[0], TrialFolder(path), context.data_digests(compared[0]))
