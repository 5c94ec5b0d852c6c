"""Re-evaluation of finished trials from their checkpoints, with the metrics of the present version."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cgbench.api.dataset import Dataset
from cgbench.api.method_description import describe, trained_part
from cgbench.api.names import TrialState
from cgbench.api.registry import METHODS
from cgbench.benchmarks.evaluation.context import (
    EvaluationContext,
    combined_digest,
    open_evaluation_context,
    open_validation_context,
    with_scorers,
)
from cgbench.benchmarks.evaluation.evaluator import evaluate
from cgbench.benchmarks.runtime.progress import console, progress
from cgbench.benchmarks.training.checkpoint import (
    checkpoint_metadata,
    ensure_same_checkpoint,
    metadata_number,
    read_checkpoint,
    restore,
)
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import Resolved, TrialConfig
from cgbench.datasets.validation_split import hold_out
from cgbench.digests import digest
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder


def reevaluate(folders: Sequence[TrialFolder], open_dataset: Callable[[str], Dataset], device: str) -> bool:
    """Measure all finished trials again, those of one dataset and test setting with one bench.

    Returns whether every trial could be. `open_dataset(name)` returns a dataset whose data is there; one whose label
    is not the recorded one raises `CgbenchError` before anything is overwritten.
    """
    groups: dict[str, list[tuple[TrialFolder, Trial]]] = {}
    labels: dict[str, tuple[str, str]] = {}
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
                config.crop_size,
                config.resize_mode,
                config.validation_images,
                config.evaluate_every > 0,
                config.affecting("evaluation"),
            ]
        )
        groups.setdefault(key, []).append((folder, trial))
        labels[key] = record["dataset"]["name"], record["dataset"]["label"]
    datasets = {key: _same_dataset(open_dataset(name), label) for key, (name, label) in labels.items()}
    for key, members in groups.items():
        config = members[0][1].config
        data = hold_out(datasets[key], config.validation_images)
        evaluation = with_scorers(open_evaluation_context(data, config), config, device)
        validation = open_validation_context(evaluation, config)
        complete &= all([_reevaluate_one(trial, folder, evaluation, validation, device) for folder, trial in members])
    return complete


def load_trial(folder: TrialFolder, record: dict[str, Any]) -> Trial:
    """Return the trial that `trial.json` describes; a method or a setting that has changed since raises."""
    method = METHODS.get(record["method"]["name"]).weighted(record["weights"])
    if trained_part(describe(method)) != trained_part(record["method"]):
        raise CgbenchError(f"{folder.path}: method '{method.name}' is declared differently now; train it again")
    try:
        config = TrialConfig(**record["config"])
    except TypeError:
        raise CgbenchError(
            f"{folder.trial} was written by another version: its settings are not those of now"
        ) from None
    resolved = Resolved(config, record["weights"], record["origins"])
    extended = tuple(entry["from"] for entry in record.get("extended", []))
    return Trial(method, record["seed"], record["preset"], resolved, extended)


def _same_dataset(dataset: Dataset, label: str) -> Dataset:
    if dataset.label != label:
        raise CgbenchError(f"the run was measured on '{label}', but --data-root holds '{dataset.label}'")
    return dataset


def _reevaluate_one(
    trial: Trial, folder: TrialFolder, evaluation: EvaluationContext, validation: EvaluationContext | None, device: str
) -> bool:
    """Evaluate one trial; return whether it is finished, and so could be."""
    status, title = folder.status(), f"{trial.method.name}, seed {trial.seed}"
    total = read_trial(folder)["steps"]
    if not is_finished(folder, total):
        console.print(f"{title}: {status['state'] or 'not begun'}, left out")
        return False
    model = None
    if trial.method.reference is None:
        model = trained_model(trial, folder, device, evaluation)
    with progress(title) as update:
        evaluate(trial, model, evaluation, validation, folder, total, update)
    done = {"state": TrialState.DONE, "step": total, "evaluation": combined_digest(evaluation, validation)}
    folder.set_status(**{**status, **done})
    return True


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
