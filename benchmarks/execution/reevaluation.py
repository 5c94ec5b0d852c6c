"""`cgbench evaluate`: measure finished trials again from their checkpoints, with the metrics there are now."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cgbench.api.dataset import Dataset
from cgbench.api.method_description import describe, trained_part
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
        facts = read_trial(folder)
        try:
            trial = load_trial(folder, facts)
        except CgbenchError as error:
            console.print(f"left out: {error}", style="yellow")
            complete = False
            continue
        config = trial.config
        key = digest(
            [
                facts["dataset"]["label"],
                config.crop_size,
                config.resize_mode,
                config.validation_images,
                config.evaluate_every > 0,
                config.affecting("evaluation"),
            ]
        )
        groups.setdefault(key, []).append((folder, trial))
        labels[key] = facts["dataset"]["name"], facts["dataset"]["label"]
    datasets = {key: _same_dataset(open_dataset(name), label) for key, (name, label) in labels.items()}
    for key, members in groups.items():
        config = members[0][1].config
        data = hold_out(datasets[key], config.validation_images)
        evaluation = with_scorers(open_evaluation_context(data, config), config, device)
        validation = open_validation_context(evaluation, config)
        complete &= all([_reevaluate_one(trial, folder, evaluation, validation, device) for folder, trial in members])
    return complete


def load_trial(folder: TrialFolder, facts: dict) -> Trial:
    """Return the trial that `trial.json` describes; a method or a setting that has changed since raises."""
    method = METHODS.get(facts["method"]["name"]).weighted(facts["weights"])
    if trained_part(describe(method)) != trained_part(facts["method"]):
        raise CgbenchError(f"{folder.path}: method '{method.name}' is declared differently now; train it again")
    try:
        config = TrialConfig(**facts["config"])
    except TypeError:
        raise CgbenchError(
            f"{folder.trial} was written by another version: its settings are not those of now"
        ) from None
    resolved = Resolved(config, facts["weights"], facts["origins"])
    extended = tuple(entry["from"] for entry in facts.get("extended", []))
    return Trial(method, facts["seed"], facts["preset"], resolved, extended)


def _same_dataset(dataset: Dataset, label: str) -> Dataset:
    if dataset.label != label:
        raise CgbenchError(f"the run was measured on '{label}', but --data-root holds '{dataset.label}'")
    return dataset


def _reevaluate_one(
    trial: Trial, folder: TrialFolder, evaluation: EvaluationContext, validation: EvaluationContext | None, device: str
) -> bool:
    """Measure one trial; return False for one that is not finished."""
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
    done = {"state": "done", "step": total, "evaluation": combined_digest(evaluation, validation)}
    folder.set_status(**{**status, **done})
    return True


def is_finished(folder: TrialFolder, total: int) -> bool:
    """Say whether a trial is trained to its last step, `total`; one that was stopped in its evaluation is."""
    state = folder.status()["state"]
    return state == "done" or (state == "interrupted" and saved_step(folder.checkpoint) == total)


def trained_model(trial: Trial, folder: TrialFolder, device: str, evaluation: EvaluationContext) -> Model:
    """Return a finished trial's model, with the weights of its checkpoint."""
    model = Model(trial.method, trial.config, trial.seed, device, evaluation.feature_network)
    take_weights(model, folder.checkpoint, read_trial(folder), checkpoint_metadata(trial.config, evaluation.dataset))
    return model


def take_weights(model: Model, path: Path, facts: Mapping[str, Any], about: Mapping[str, str]) -> int:
    """Give a model the weights of a checkpoint and return its step. One that is not of the trial that `facts`, its
    `trial.json`, and `about` describe raises `CgbenchError`."""
    tensors, known = read_checkpoint(path)
    ensure_same_checkpoint(path, known, {"digest": facts["digest"], "method": facts["method"]["name"], **about})
    restore(model, {}, tensors, path)
    return int(metadata_number(known, "step"))
