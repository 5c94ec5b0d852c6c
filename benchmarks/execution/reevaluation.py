"""Re-evaluation of finished trials from their checkpoints, with the metrics of the present version."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cgbench.api.dataset import Dataset, Item
from cgbench.api.method_description import describe, trained_part
from cgbench.api.names import Role, Split, TrialState
from cgbench.api.registry import DATASETS, METHODS
from cgbench.benchmarks.data.windows import domains_as_recorded
from cgbench.benchmarks.evaluation.context import (
    EvaluationContext,
    combined_digest,
    open_evaluation_context,
    open_validation_context,
    with_scorers,
)
from cgbench.benchmarks.evaluation.evaluator import evaluate, evaluate_alternatives
from cgbench.benchmarks.execution.run_lock import ensure_held
from cgbench.benchmarks.execution.saved_outputs import record_not_measured, with_saved_outputs
from cgbench.benchmarks.runtime.progress import console, progress
from cgbench.benchmarks.runtime.trial_errors import failure_reason, is_fatal
from cgbench.benchmarks.training.alternative_weights import alternative_weights
from cgbench.benchmarks.training.checkpoint import (
    checkpoint_metadata,
    ensure_same_checkpoint,
    metadata_number,
    read_checkpoint,
    restore,
)
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.benchmarks.trials.comparison_checks import changed_test_images
from cgbench.benchmarks.trials.external_method import external_method, is_external
from cgbench.benchmarks.trials.request import open_dataset
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.config_layers import Resolved
from cgbench.datasets.dataset_views import RecordedLabel, with_domains
from cgbench.datasets.validation_split import hold_out
from cgbench.digests import digest
from cgbench.errors import CgbenchError, Diverged
from cgbench.files import write_json
from cgbench.methods.blocks.model import Model
from cgbench.results.record_files import read_metric_rows, read_protocols_file
from cgbench.results.records import TEST, VALIDATION, read_trial
from cgbench.results.run_folder import TrialFolder, trial_folders

Member = tuple[TrialFolder, Trial]


class AvailableImages(RecordedLabel):
    """A view of a dataset for an evaluation; images that are not there leave a split empty."""

    def missing(self) -> str | None:
        """Return None: an evaluation reads what is there."""
        return None

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the images of a domain that are there."""
        return self.listing(split, domain).sound()

    def identity(self) -> str | None:
        """Return the identity of the wrapped dataset. It is defined here because an inherited one does not count."""
        return super().identity()


def open_test_data(name: str, data_root: Path | None, config: TrialConfig) -> Dataset:
    """Return the dataset `name`, with the settings of `config`, for an evaluation; where only its test images are
    there, these alone."""
    data = DATASETS.chosen(name)(data_root)
    data.configure(config.split, config.paired)
    if data.root is not None and data.missing() is not None:
        try:
            if all(data.listing(Split.TEST, domain).sound() for domain in "AB"):
                return AvailableImages(data, data.label)
        except (CgbenchError, OSError):
            pass  # what is missing is said below
    return open_dataset(name, data_root, config.split, config.paired)


def reevaluate(folders: Sequence[TrialFolder], open_data: Callable[[str, TrialConfig], Dataset], device: str) -> bool:
    """Measure all finished trials again, those of one dataset and test setting with one evaluation context.

    Returns whether every trial could be. `open_data(name, config)` returns a dataset whose test images are there; one
    whose label is not the recorded one, and whose test images are others, raises `CgbenchError` before anything is
    overwritten.
    """
    groups: dict[str, list[Member]] = {}
    records: dict[str, dict[str, Any]] = {}
    complete = True
    for folder in folders:
        record = read_trial(folder)
        try:
            trial = load_trial(folder, record)
        except CgbenchError as error:
            console.print(f"left out: {error}", style="yellow")
            complete = False
            continue
        config = trial.config
        key = digest(
            [
                record["dataset"]["label"],
                record["dataset"].get("paired"),
                config.crop_shape,
                config.resize_mode,
                config.validation_images,
                config.evaluate_every > 0,
                config.affecting("evaluation"),
            ]
        )
        groups.setdefault(key, []).append((folder, trial))
        records[key] = record
    datasets = {key: recorded_dataset(record, groups[key], open_data) for key, record in records.items()}
    for key, members in groups.items():
        config = members[0][1].config
        images = recorded_test_images(datasets[key], records[key], config)
        changes = (changed_test_images(folder, images.image_facts()) for folder, _ in members)
        if changed := next(filter(None, changes), ""):
            console.print(
                f"the test images are others than before ({changed}); all is measured on these", style="yellow"
            )
        evaluation = with_scorers(images, config, device)
        validation = open_validation_context(evaluation, config)
        complete &= all([_reevaluate_one(trial, folder, evaluation, validation, device) for folder, trial in members])
    return complete


def reevaluate_external(run: Path, evaluation: EvaluationContext, config: TrialConfig, device: str) -> None:
    """Measure those rows of other programs again that were measured otherwise than the trained trials of `config` are
    now; one that cannot be is left out with the reason."""
    for folder in trial_folders(run):
        record = read_trial(folder)
        ours = is_external(record) and record["dataset"]["label"] == evaluation.dataset.label
        if ours and folder.status().get("evaluation") != evaluation.digest():
            record["config"] |= config.affecting("evaluation")
            write_json(folder.trial, record)
            _reevaluate_one(load_trial(folder, record), folder, evaluation, None, device)


def recorded_dataset(
    record: Mapping[str, Any], members: Sequence[Member], open_data: Callable[[str, TrialConfig], Dataset]
) -> Dataset:
    """Return the dataset that `record`, the trial.json of one of the `members`, names, under its recorded label and
    with its recorded pairing; one whose label and test images are others raises `CgbenchError`."""
    data = keep_pairing(open_data(record["dataset"]["name"], members[0][1].config), record)
    return _same_dataset(data, record["dataset"]["label"], members)


def recorded_test_images(dataset: Dataset, record: Mapping[str, Any], config: TrialConfig) -> EvaluationContext:
    """Return the context of the test images, without scorers, with the windows that `record`, a trial.json, has."""
    if not isinstance(dataset, AvailableImages) or dataset.items(Split.TRAIN, "A"):
        dataset = hold_out(dataset, config.validation_images)
    return open_evaluation_context(with_domains(dataset, domains_as_recorded(dataset, record)), config)


def keep_pairing(dataset: Dataset, record: Mapping[str, Any]) -> Dataset:
    """Return the dataset with its test images treated as pairs, or not, as `record`, a trial.json, says.

    Where the files would be treated otherwise now, that is said; where they cannot be pairs any more, `CgbenchError` is
    raised.
    """
    recorded, text = record["dataset"].get("paired"), record["dataset"].get("test_images", "")
    if recorded is None or dataset.paired_test == recorded:
        return dataset
    now = f"{'pairs' if dataset.paired_test else 'not pairs'} ({dataset.pair_rule})"
    try:
        dataset.configure(record["config"].get("split", ""), "yes" if recorded else "no")
    except CgbenchError:
        raise CgbenchError(
            f"the test images of '{dataset.label}' were measured as {text}, and are {now} now: restore their names"
        ) from None
    console.print(f"test images: kept as recorded, {text}; now they would be {now}", style="yellow")
    return dataset


def load_trial(folder: TrialFolder, record: dict[str, Any]) -> Trial:
    """Return the trial that `trial.json` describes; a method or a setting that has changed since, and a method that two
    packages give, raise. An external one has no outputs yet: see `with_saved_outputs`."""
    if is_external(record):
        method = external_method(record["method"]["name"], record["external"]["direction"])
    else:
        METHODS.chosen(record["method"]["name"])
        method = METHODS.get(record["method"]["name"]).weighted(record["weights"])
        if trained_part(describe(method)) != trained_part(record["method"]):
            raise CgbenchError(f"{folder.path}: method '{method.name}' is declared differently now; train it again")
    config = load_config(folder, record)
    resolved = Resolved(config, record["weights"], record["origins"])
    extended = tuple(entry["from"] for entry in record.get("extended", []))
    return Trial(method, record["seed"], record["preset"], resolved, extended)


def load_config(folder: TrialFolder, record: Mapping[str, Any]) -> TrialConfig:
    """Return the configuration that `record`, the trial.json of a folder, has; one of another version raises."""
    try:
        return TrialConfig(**record["config"])
    except TypeError:
        raise CgbenchError(
            f"{folder.trial} was written by another version: its settings are not those of now"
        ) from None


def _same_dataset(dataset: Dataset, label: str, members: Sequence[Member]) -> Dataset:
    """Return the dataset under its recorded label. One of another label raises `CgbenchError`, unless its test images
    are those that the trials were measured on: a folder may have another name on another machine."""
    if dataset.label == label:
        return dataset
    recorded = AvailableImages(dataset, label)
    for folder, trial in members:
        protocols = read_protocols_file(folder.protocols).values()
        measured = [details for details in protocols if details.get("split", TEST) == TEST]
        if measured:
            images = open_evaluation_context(recorded, trial.config)
            digests = {direction: images.source(direction).digest for direction in trial.method.directions}
            if all(details.get("sources") == digests.get(str(details.get("direction"))) for details in measured):
                return recorded
            break
    raise CgbenchError(
        f"the run was measured on '{label}', but --data-root holds '{dataset.label}', whose test images are others"
    )


def _reevaluate_one(
    trial: Trial, folder: TrialFolder, evaluation: EvaluationContext, validation: EvaluationContext | None, device: str
) -> bool:
    """Evaluate one trial; return whether it is finished, and so could be."""
    status, title, run = folder.status(), f"{trial.method.name}, seed {trial.seed}", folder.path.parents[2]
    total = read_trial(folder)["steps"]
    if not is_finished(folder, total):
        console.print(f"{title}: {status['state'] or 'not begun'}, left out")
        return False
    try:
        _ensure_validation_images(folder, validation)
        model = None
        if trial.method.role == Role.EXTERNAL:
            trial, validation = with_saved_outputs(trial, folder, evaluation), None
        elif trial.method.reference is None:
            _ensure_last_step(folder, total)
            model = trained_model(trial, folder, device, evaluation)
        with progress(title) as update:
            results = evaluate(trial, model, evaluation, validation, folder, total, update)
        if trial.method.role == Role.EXTERNAL:
            record_not_measured(folder, results.not_applicable)
        if model is not None:
            alternatives = alternative_weights(model, folder, read_trial(folder)["digest"])
            evaluate_alternatives(trial, model, evaluation, folder, alternatives)
    except Diverged as error:
        ensure_held(run)
        folder.set_status(**{**status, "state": TrialState.DIVERGED, "found": error.step, "reason": str(error)})
        console.print(f"{title}: diverged: {error}", style="yellow")
        return False
    except (Exception, SystemExit) as error:
        ensure_held(run)
        if isinstance(error, OSError) and is_fatal(error, run):
            raise
        console.print(f"{title}: left out: {failure_reason(trial.method.name, error)}", style="yellow")
        console.debug(traceback.format_exc())
        return False
    ensure_held(run)
    done = {"state": TrialState.DONE, "step": total, "evaluation": combined_digest(evaluation, validation)}
    folder.set_status(**{**status, **done})
    return True


def _ensure_last_step(folder: TrialFolder, total: int) -> None:
    """Raise where the checkpoint is not there, or not the one of the last step."""
    path, step = folder.checkpoint, saved_step(folder.checkpoint)
    if not path.exists():
        raise CgbenchError(f"{path} is not there: put it back, or train the trial again by the command of its run")
    if step not in (0, total):  # 0: it cannot be read, and whoever reads it says why
        raise CgbenchError(f"{path} is of step {step}, and the training ended with step {total}")


def _ensure_validation_images(folder: TrialFolder, validation: EvaluationContext | None) -> None:
    """Raise where a trial has scores of validation images and there are none to measure it on again."""
    if validation is None and any(row["split"] == VALIDATION for row in read_metric_rows(folder.metrics)):
        raise CgbenchError("its validation images are not there: put them there, or the training images they are of")


def is_finished(folder: TrialFolder, total: int) -> bool:
    """Return whether a trial is trained to its last step, `total`; one that was interrupted in its evaluation is."""
    state = folder.status()["state"]
    return state == TrialState.DONE or (state == TrialState.INTERRUPTED and saved_step(folder.checkpoint) == total)


def trained_model(trial: Trial, folder: TrialFolder, device: str, evaluation: EvaluationContext) -> Model:
    """Return a finished trial's model, with the weights of its checkpoint."""
    model = Model(trial.method, trial.config, trial.seed, device, evaluation.feature_network)
    load_weights(model, folder.checkpoint, read_trial(folder), checkpoint_metadata(trial.config, evaluation.dataset))
    return model


def load_weights(model: Model, path: Path, record: Mapping[str, Any], metadata: Mapping[str, str]) -> int:
    """Load the weights of a checkpoint into a model and return its step. A checkpoint that is not of the trial that
    `record`, its `trial.json`, and `metadata` describe raises `CgbenchError`."""
    tensors, stored = read_checkpoint(path)
    expected = {"digest": record["digest"], "method": record["method"]["name"], **metadata}
    ensure_same_checkpoint(path, stored, expected)
    restore(model, {}, tensors, path)
    return int(metadata_number(stored, "step"))
