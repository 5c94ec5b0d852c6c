"""Evaluation of a trial: translates the test images, saves the translations, and writes the records."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cgbench.api.metric import Metric, Scores, Translations
from cgbench.api.names import TrialState
from cgbench.api.registry import METRICS
from cgbench.benchmarks.evaluation import failure_detection, output_images
from cgbench.benchmarks.evaluation.context import EvaluationContext
from cgbench.benchmarks.evaluation.feature_extractors import FeatureExtractors
from cgbench.benchmarks.evaluation.inference import translate_all, translation_rate
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.trials.trial import Trial
from cgbench.digests import digest
from cgbench.files import PART, read_jsonl, write_json, write_jsonl
from cgbench.methods.blocks.model import Model
from cgbench.progress import ProgressCallback
from cgbench.results.run_folder import TrialFolder


@dataclass
class EvaluationResult:
    """Results of an evaluation: rows of records, rows of scores by image, and the protocols by digest."""

    metrics: list[dict] = field(default_factory=list)
    images: list[dict] = field(default_factory=list)
    protocols: dict[str, dict] = field(default_factory=dict)

    def add(self, translations: Translations, evaluation: EvaluationContext, step: int) -> None:
        """Compute every applicable metric on the translations of one direction and append the results."""
        direction = translations.direction
        for name in METRICS.names():
            metric = METRICS.get(name)
            if metric.not_applicable(translations) is not None:
                continue
            scores, reason = _compute_metric(metric, translations, evaluation.feature_extractors)
            details = evaluation.protocol(metric, direction)
            self.protocols[digest(details)] = details | evaluation.recipe(metric, direction)
            common = {"split": evaluation.split, "direction": direction, "step": step, "n": len(translations.keys)}
            for key, value in {**scores.values, **scores.details}.items():
                if key in scores.details and not np.isfinite(value):
                    continue  # a class that is absent from the test images
                row = {**common, "metric": key, "value": float(value), "protocol": digest(details)}
                self.metrics.append({**row, **({"reason": reason} if reason else {})})
            self.images.extend(_image_rows(direction, translations.keys, scores.per_image))


def evaluate_images(trial: Trial, model: Model | None, evaluation: EvaluationContext, step: int) -> EvaluationResult:
    """Translate and score the images of an evaluation context, without its OOD split; nothing is written to disk."""
    results, evaluation = EvaluationResult(), replace(evaluation, ood_images={})
    for direction in trial.method.directions:
        results.add(translate_all(trial, model, evaluation, direction), evaluation, step)
    return results


def evaluate(
    trial: Trial, model: Model | None, evaluation: EvaluationContext, validation: EvaluationContext | None,
    folder: TrialFolder, step: int, update: ProgressCallback,
) -> None:  # fmt: skip
    """Translate the test images of a trial, and write the images and the records.

    Earlier images and records stay in place until everything is computed. While they are replaced the trial counts as
    interrupted, so that a crash there leads to another evaluation, never to images of one setting beside numbers of
    another.

    Args:
        trial: The trial that is evaluated.
        model: The trained model; None for an untrained row.
        evaluation: The evaluation context of the test images.
        validation: The evaluation context of the validation images, or None.
        folder: The trial's folder.
        step: The training step that the records are labelled with.
        update: Called after each direction with (done, total).
    """
    results, directions, rates, failures = EvaluationResult(), trial.method.directions, {}, {}
    new_folder = TrialFolder(folder.path / f".pictures{PART}")
    shutil.rmtree(new_folder.path, ignore_errors=True)
    for index, direction in enumerate(directions):
        translations = translate_all(trial, model, evaluation, direction)
        output_images.save_images(new_folder, translations)
        failures[direction] = failure_detection.detect_failures(translations)
        results.add(translations, evaluation, step)
        if model is not None:
            rates[direction] = translation_rate(model, translations.sources, direction)
        update(index + 1, len(directions))
    if validation is not None and model is not None:
        validation_results = evaluate_images(trial, model, validation, step)
        results.metrics.extend(validation_results.metrics)
        results.protocols.update(validation_results.protocols)
    if folder.status()["state"] == TrialState.DONE:
        folder.mark_interrupted()
    output_images.replace_images(folder, new_folder)
    write_json(folder.protocols, results.protocols)
    write_json(folder.failures, failures)
    write_jsonl(folder.image_scores, results.images)
    write_jsonl(folder.metrics, results.metrics)
    if model is not None and not folder.cost.exists():  # measured once: a re-evaluation must not change a table
        write_json(folder.cost, {"images_per_second": rates})


def evaluate_intermediate(
    trial: Trial, model: Model, evaluations: Sequence[EvaluationContext], folder: TrialFolder, step: int
) -> None:
    """Append the scores of a model at `step` of its training to the trial's history, once.

    Args:
        trial: The trial in training.
        model: The model as it is at `step`.
        evaluations: The evaluation contexts to score it on, one per split.
        folder: The trial's folder.
        step: The training step.
    """
    rows = list(read_jsonl(folder.history))
    if any(row["step"] == step for row in rows):
        return
    results = [evaluate_images(trial, model, evaluation, step) for evaluation in evaluations]
    write_jsonl(folder.history, rows + [row for result in results for row in result.metrics])


def _compute_metric(
    metric: Metric, translations: Translations, feature_extractors: FeatureExtractors
) -> tuple[Scores, str]:
    """Return a metric's scores and "", or NaN and the reason: pretrained weights are absent, or the metric raised,
    which is printed and does not affect other metrics."""
    no_scores = Scores({value.name: float("nan") for value in metric.values})
    if reason := feature_extractors.absent.get(metric.needs):
        return no_scores, f"weights absent: {reason}"
    try:
        return metric.compute(translations), ""
    except Exception as error:
        console.print(f"metric '{metric.name}' failed: {type(error).__name__}: {error}", style="red")
        return no_scores, f"failed: {type(error).__name__}"


def _image_rows(direction: str, keys: tuple[str, ...], per_image: Mapping[str, np.ndarray]) -> Iterator[dict]:
    """Yield one row per image and score; a non-finite score yields no row."""
    for metric, scores in per_image.items():
        for key, score in zip(keys, scores, strict=True):
            if np.isfinite(score):
                yield {"direction": direction, "key": key, "metric": metric, "value": round(float(score), 6)}
