"""Measure a trial: translate the test images, keep the translations, and write the records."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cgbench.api.metric import Metric, Scores, Translations
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
from cgbench.results.run_folder import TrialFolder

Step = Callable[[int, int], None]


@dataclass
class Measurement:
    """What was measured: rows of records, rows of scores by image, and the protocols by digest."""

    metrics: list[dict] = field(default_factory=list)
    images: list[dict] = field(default_factory=list)
    protocols: dict[str, dict] = field(default_factory=dict)

    def add(self, translations: Translations, evaluation: EvaluationContext, step: int) -> None:
        """Measure the translations of one direction with every metric that fits."""
        direction = translations.direction
        for name in METRICS.names():
            metric = METRICS.get(name)
            if metric.not_applicable(translations) is not None:
                continue
            scores, reason = _computed(metric, translations, evaluation.feature_extractors)
            details = evaluation.protocol(metric, direction)
            self.protocols[digest(details)] = details | evaluation.recipe(metric, direction)
            common = {"split": evaluation.split, "direction": direction, "step": step, "n": len(translations.keys)}
            for key, value in {**scores.values, **scores.details}.items():
                if key in scores.details and not np.isfinite(value):
                    continue  # a class that the test images never show
                row = {**common, "metric": key, "value": float(value), "protocol": digest(details)}
                self.metrics.append({**row, **({"reason": reason} if reason else {})})
            self.images.extend(_image_rows(direction, translations.keys, scores.per_image))


def evaluate_images(trial: Trial, model: Model | None, evaluation: EvaluationContext, step: int) -> Measurement:
    """Translate and measure the images of a bench, without its strange scenes, and keep nothing of it on disk."""
    found, evaluation = Measurement(), replace(evaluation, ood_images={})
    for direction in trial.method.directions:
        found.add(translate_all(trial, model, evaluation, direction), evaluation, step)
    return found


def evaluate(
    trial: Trial, model: Model | None, evaluation: EvaluationContext, validation: EvaluationContext | None,
    folder: TrialFolder, step: int, update: Step,
) -> None:  # fmt: skip
    """Translate, write the images and the records of a trial. `model` is None for an untrained reference row.

    Images and records of before stay until all is measured. While they are replaced the trial is not done, so that a
    crash there leaves one that is measured again, never images of one setting beside numbers of another.
    """
    found, directions, rates, failures = Measurement(), trial.method.directions, {}, {}
    fresh = TrialFolder(folder.path / f".pictures{PART}")
    shutil.rmtree(fresh.path, ignore_errors=True)
    for number, direction in enumerate(directions):
        translations = translate_all(trial, model, evaluation, direction)
        output_images.save_images(fresh, translations)
        failures[direction] = failure_detection.detect_failures(translations)
        found.add(translations, evaluation, step)
        if model is not None:
            rates[direction] = translation_rate(model, translations.sources, direction)
        update(number + 1, len(directions))
    if validation is not None and model is not None:
        chosen = evaluate_images(trial, model, validation, step)
        found.metrics.extend(chosen.metrics)
        found.protocols.update(chosen.protocols)
    unfinish(folder)
    output_images.replace_images(folder, fresh)
    write_json(folder.protocols, found.protocols)
    write_json(folder.failures, failures)
    write_jsonl(folder.image_scores, found.images)
    write_jsonl(folder.metrics, found.metrics)
    if model is not None and not folder.cost.exists():  # measured once: a second look must not change a table
        write_json(folder.cost, {"images_per_second": rates})


def unfinish(folder: TrialFolder) -> None:
    """Let a finished trial count as interrupted, which keeps what its status knows."""
    status = folder.status()
    if status["state"] == "done":
        folder.set_status(**{**status, "state": "interrupted"})


def evaluate_intermediate(
    trial: Trial, model: Model, evaluations: Sequence[EvaluationContext], folder: TrialFolder, step: int
) -> None:
    """Add what a model scores at `step` of its training to the trial's history, once."""
    rows = list(read_jsonl(folder.history))
    if any(row["step"] == step for row in rows):
        return
    found = [evaluate_images(trial, model, evaluation, step) for evaluation in evaluations]
    write_jsonl(folder.history, rows + [row for measurement in found for row in measurement.metrics])


def _computed(metric: Metric, translations: Translations, feature_extractors: FeatureExtractors) -> tuple[Scores, str]:
    """Return a metric's scores and "", or NaN and the reason: what it looks through is absent, or it broke, which is
    said and costs no other metric its numbers."""
    nothing = Scores({value.name: float("nan") for value in metric.values})
    if reason := feature_extractors.absent.get(metric.needs):
        return nothing, f"weights absent: {reason}"
    try:
        return metric.compute(translations), ""
    except Exception as error:
        console.print(f"metric '{metric.name}' failed: {type(error).__name__}: {error}", style="red")
        return nothing, f"failed: {type(error).__name__}"


def _image_rows(direction: str, keys: tuple[str, ...], per_image: Mapping[str, np.ndarray]) -> Iterator[dict]:
    """One row per image and score; an image without a score has none, not a NaN."""
    for metric, scores in per_image.items():
        for key, score in zip(keys, scores, strict=True):
            if np.isfinite(score):
                yield {"direction": direction, "key": key, "metric": metric, "value": round(float(score), 6)}
