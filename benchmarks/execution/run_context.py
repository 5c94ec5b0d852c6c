"""The context that the trials of one run share (images, evaluators, device), and one trial prepared for the runner."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cgbench.api.dataset import Dataset
from cgbench.api.names import Split
from cgbench.benchmarks.data.geometry import training_geometry
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.data.loading import load_images
from cgbench.benchmarks.data.windows import domains_as_measured, domains_as_set, with_windows
from cgbench.benchmarks.evaluation.context import (
    EvaluationContext,
    combined_digest,
    ensure_same_keys,
    open_evaluation_context,
    open_validation_context,
    with_scorers,
)
from cgbench.benchmarks.runtime.progress import progress
from cgbench.benchmarks.trials.comparison_checks import (
    ensure_comparable,
    ensure_examined_alike,
    ensure_measured_alike,
    ensure_same_test_images,
    ensure_same_trial,
)
from cgbench.benchmarks.trials.external_method import is_external
from cgbench.benchmarks.trials.fingerprint import trial_fingerprint
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.datasets.dataset_views import with_domains
from cgbench.files import safe_name
from cgbench.progress import ProgressCallback
from cgbench.results.record_files import read_run_file
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder

Pair = tuple[ImageSet, ImageSet]  # of domains A and B


@dataclass(frozen=True)
class PreparedTrial:
    """A trial with all that the runner needs of it: its folder, fingerprint, training images and their digests, the
    number of training steps, the steps after which the learning rate may change, and its title for messages."""

    trial: Trial
    folder: TrialFolder
    fingerprint: str
    images: Pair
    data_digests: dict[str, str]
    total_steps: int
    steps_per_epoch: int
    title: str


@dataclass(frozen=True)
class RunContext:
    """All that the trials of one run share: images in memory, test images and evaluators, the device.

    `labelled` is `train` with the class ids of its images, where a method reads them. `validation` is the context that
    checkpoints are chosen by, where trials are evaluated while they train.
    """

    run: Path
    dataset: Dataset
    train: Pair
    labelled: Pair | None
    pairs: Pair | None
    evaluation: EvaluationContext
    device: str
    validation: EvaluationContext | None = None

    @property
    def evaluation_digest(self) -> str:
        """The digest of all protocols: a trial evaluated under another digest is evaluated again."""
        return combined_digest(self.evaluation, self.validation)

    def prepare(self, trial: Trial, title: str = "") -> PreparedTrial:
        """Return a trial with its folder, fingerprint, training images and numbers of steps."""
        folder = TrialFolder.of(self.run, self.dataset.label, trial.method.name, trial.seed)
        images = self._training_images(trial)
        digests = {"a": images[0].digest, "b": images[1].digest}
        total_steps, steps_per_epoch = 0, 1
        if trial.method.reference is None:
            counts = len(self.train[0]), len(self.train[1])  # the same budget for all, supervised or not
            total_steps = trial.config.total_steps(*counts)
            steps_per_epoch = 1 if trial.config.steps else trial.config.steps_per_epoch(*counts)
        return PreparedTrial(
            trial, folder, trial_fingerprint(trial, digests), images, digests, total_steps, steps_per_epoch, title
        )

    def prepare_all(self, trials: Sequence[Trial]) -> list[PreparedTrial]:
        """Return all trials prepared, with titles such as "[2/6] cyclegan, seed 0"."""
        return [
            self.prepare(trial, f"[{number}/{len(trials)}] {trial.method.name}, seed {trial.seed}")
            for number, trial in enumerate(trials, 1)
        ]

    def _training_images(self, trial: Trial) -> Pair:
        """Return the pairs for a supervised method, else the unpaired sets, with class ids if the method reads them."""
        if trial.method.supervised:
            assert self.pairs is not None  # loaded where any trial is supervised
            return self.pairs
        if trial.method.reads_labels:
            assert self.labelled is not None
            return self.labelled
        return self.train


def open_run_context(run: Path, dataset: Dataset, trials: Sequence[Trial], device: str) -> RunContext:
    """Decode the images that the trials need. Scorers are added by `with_evaluators`, which may take a while."""
    config = trials[0].config
    dataset = with_domains(dataset, domains_as_set(dataset, config))
    supervised = any(trial.method.supervised for trial in trials)
    labels = any(trial.method.reads_labels for trial in trials)
    with progress(f"reading {dataset.label}") as update:
        train = _load_split(dataset, Split.TRAIN, config, labels, update)
        pairs = _load_split(dataset, Split.PAIRS, config, False, update) if supervised else None
    dataset = with_domains(dataset, domains_as_measured(dataset, *train))
    train = with_windows(dataset, *train)
    if pairs is not None:
        pairs = with_windows(dataset, *pairs)
        ensure_same_keys(dataset, Split.PAIRS, *pairs)
    return RunContext(
        run, dataset, (train[0].without_labels(), train[1].without_labels()), train if labels else None, pairs,
        open_evaluation_context(dataset, config), device,
    )  # fmt: skip


def _load_split(dataset: Dataset, split: str, config: TrialConfig, labels: bool, update: ProgressCallback) -> Pair:
    """Return the training images of both domains of a split, with their class ids if `labels` are read."""
    a, b = (
        load_images(
            dataset, split, domain, training_geometry(config), config.max_train_images, progress=update, labels=labels
        )
        for domain in "AB"
    )
    return a, b


def with_evaluators(context: RunContext, config: TrialConfig) -> RunContext:
    """Return the context with all that trials are evaluated with: scorers, trained or from the cache, other feature
    extractors, and the validation images of intermediate evaluations."""
    evaluation = with_scorers(context.evaluation, config, context.device)
    return replace(context, evaluation=evaluation, validation=open_validation_context(evaluation, config))


def recorded_label(run: Path, dataset: Dataset, config: TrialConfig) -> str:
    """Return the label under which a run folder holds a comparison on the training images of `dataset`; where there is
    none, the label of the dataset. The folder of the images may have been renamed since the run began."""
    path = run / "run.json"
    label = read_run_file(path)["dataset"] if path.exists() else dataset.label
    if label == dataset.label:
        return label
    records = [read_trial(TrialFolder(found.parent)) for found in sorted(_trial_files(run, label))]
    stored = [record["data"] for record in records if record["dataset"]["name"] == dataset.name and "data" in record]
    if not stored:
        return dataset.label
    with progress(f"reading {dataset.label}") as update:
        a, b = _load_split(dataset, Split.TRAIN, config, False, update)
    return label if {"a": a.digest, "b": b.digest} in stored else dataset.label


def ensure_one_comparison(trials: Sequence[PreparedTrial], context: RunContext) -> None:
    """Raise `CgbenchError` where the run holds a different trial in the place of one of these, one of another
    comparison, or numbers of other test images."""
    for prepared in trials:
        ensure_same_trial(prepared.trial, prepared.folder, prepared.fingerprint)
    first = next((prepared for prepared in trials if not prepared.trial.method.role), trials[0])
    others = _other_trials(trials, context)
    for folder in others:
        ensure_comparable(first.trial, folder, first.data_digests)
    for folder in [*(prepared.folder for prepared in trials), *others]:
        ensure_same_test_images(folder, context.evaluation.image_facts())


def ensure_one_protocol(trials: Sequence[PreparedTrial], context: RunContext) -> None:
    """Raise `CgbenchError` where finished trials of the run, apart from these, were measured, or examined for
    failures, by other protocols than these will be. `context` has its evaluators. Rows of other programs are measured
    again by `reevaluate_external`."""
    protocols, settings = context.evaluation.protocols(), context.evaluation.detector_settings()
    for folder in (it for it in _other_trials(trials, context) if not is_external(read_trial(it))):
        ensure_measured_alike(folder, protocols)
        ensure_examined_alike(folder, settings)


def _other_trials(trials: Sequence[PreparedTrial], context: RunContext) -> list[TrialFolder]:
    """Return the trials of the run and the dataset that are not among these."""
    requested = {prepared.folder.path for prepared in trials}
    stored = {path.parent for path in _trial_files(context.run, context.dataset.label)}
    return [TrialFolder(path) for path in sorted(stored - requested)]


def _trial_files(run: Path, label: str) -> Iterator[Path]:
    """Return the paths of `trial.json` of the trials that a run has begun on a dataset."""
    return run.glob(f"{safe_name(label)}/*/seed-*/trial.json")
