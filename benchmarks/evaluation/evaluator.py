"""Evaluation of a trial: translates the test images, saves the translations, and writes the records."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cgbench.api.dataset import Dataset
from cgbench.api.metric import GROUP, SOURCE, TARGET, Metric, Scores, Translations, Value
from cgbench.api.names import TrialState, Weights
from cgbench.api.registry import METRICS
from cgbench.benchmarks.data.conversion import as_numbers
from cgbench.benchmarks.evaluation import failure_detection, output_images
from cgbench.benchmarks.evaluation.context import EvaluationContext
from cgbench.benchmarks.evaluation.feature_extractors import FeatureExtractors
from cgbench.benchmarks.evaluation.inference import translate_all, translation_rate
from cgbench.benchmarks.metrics.functional.group_scores import unmeasured
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.trials.trial import Trial
from cgbench.digests import digest
from cgbench.errors import Diverged
from cgbench.files import PART, write_json, write_jsonl
from cgbench.methods.blocks.model import Model
from cgbench.progress import ProgressCallback
from cgbench.results.record_files import read_metric_rows
from cgbench.results.run_folder import TrialFolder

REASON_LENGTH = 500  # of what a metric says about a value that it could not measure


@dataclass
class EvaluationResult:
    """Results of an evaluation: rows of records, rows of scores by image, the protocols by digest, and by direction and
    value why a metric does not apply."""

    metrics: list[dict] = field(default_factory=list)
    images: list[dict] = field(default_factory=list)
    protocols: dict[str, dict] = field(default_factory=dict)
    not_applicable: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, translations: Translations, evaluation: EvaluationContext, step: int) -> None:
        """Compute every applicable metric on the translations of one direction and append the results."""
        direction = translations.direction
        for name in METRICS.names():
            metric = METRICS.get(name)
            scores = _compute_metric(metric, translations, evaluation.feature_extractors)
            if isinstance(scores, str):
                self.not_applicable.setdefault(direction, {}).update({value.name: scores for value in metric.values})
                continue
            details = evaluation.protocol(metric, direction)
            self.protocols[digest(details)] = details | evaluation.recipe(metric, direction)
            counts = {value.name: len(translations.keys_of(_images_of(value))) for value in metric.values}
            for key, value in {**scores.values, **scores.details}.items():
                if key in scores.details and not np.isfinite(value):
                    continue  # a class that is absent from the test images
                row = {
                    "split": evaluation.split, "direction": direction, "step": step, "n": counts[key.partition("/")[0]],
                    "metric": key, "value": float(value), "protocol": digest(details),
                }  # fmt: skip
                error, reason = scores.errors.get(key, float("nan")), scores.reasons.get(key, "")
                row |= {"error_images": float(error)} if np.isfinite(error) else {}
                row |= {"by_scorer": list(scores.by_scorer[key])} if key in scores.by_scorer else {}
                self.metrics.append(row | ({"reason": reason} if reason else {}))
            self.images.extend(_image_rows(translations, metric, scores, evaluation.dataset))


def evaluate_images(trial: Trial, model: Model | None, evaluation: EvaluationContext, step: int) -> EvaluationResult:
    """Translate and score the images of an evaluation context, without its OOD split; nothing is written to disk."""
    results, evaluation = EvaluationResult(), replace(evaluation, ood_images={})
    for direction in trial.method.directions:
        results.add(translate_all(trial, model, evaluation, direction), evaluation, step)
    return results


def evaluate(
    trial: Trial, model: Model | None, evaluation: EvaluationContext, validation: EvaluationContext | None,
    folder: TrialFolder, step: int, update: ProgressCallback,
) -> EvaluationResult:  # fmt: skip
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

    Returns:
        What was written.

    Raises:
        Diverged: where an output is not finite; nothing is replaced then.
    """
    results, directions, rates, failures = EvaluationResult(), trial.method.directions, {}, {}
    new_folder = TrialFolder(folder.path / f".pictures{PART}")
    shutil.rmtree(new_folder.path, ignore_errors=True)
    for index, direction in enumerate(directions):
        translations = translate_all(trial, model, evaluation, direction)
        _ensure_finite(translations, step)
        output_images.save_images(new_folder, translations)
        output_images.save_numbers(new_folder, translations, evaluation.dataset)
        calibrations = evaluation.calibrations(translations)
        failures[direction] = failure_detection.detect_failures(translations, calibrations)
        results.add(translations, evaluation, step)
        if model is not None:
            rates[direction] = translation_rate(model, evaluation.source(direction), direction)
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
    return results


def evaluate_alternatives(
    trial: Trial, model: Model, evaluation: EvaluationContext, folder: TrialFolder,
    alternatives: Iterable[tuple[Weights, int]],
) -> None:  # fmt: skip
    """Score the test images with other weights than the last ones, and write the records of that.

    Args:
        trial: The trial that is evaluated.
        model: Its model, which holds the weights of each alternative in turn.
        evaluation: The evaluation context of the test images.
        folder: The trial's folder.
        alternatives: What the model holds, and of which step.
    """
    rows = [
        {**row, "weights": weights.value}
        for weights, step in alternatives
        for row in evaluate_images(trial, model, evaluation, step).metrics
    ]
    if rows:
        write_jsonl(folder.alternatives, rows)
    else:
        folder.alternatives.unlink(missing_ok=True)


def _ensure_finite(translations: Translations, step: int) -> None:
    """Raise `Diverged` where an output is not finite: finite weights can be too large to compute with."""
    if translations.finite is not None and (broken := int((~translations.finite).sum())):
        count = f"{broken} of {len(translations.finite)} outputs {translations.direction}"
        raise Diverged(f"{count} are infinite or not a number after step {step}", step)


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
    rows = read_metric_rows(folder.history)
    if any(row["step"] == step for row in rows):
        return
    results = [evaluate_images(trial, model, evaluation, step) for evaluation in evaluations]
    write_jsonl(folder.history, rows + [row for result in results for row in result.metrics])


def _compute_metric(metric: Metric, translations: Translations, feature_extractors: FeatureExtractors) -> Scores | str:
    """Return a metric's scores, why it does not apply, or NaN and the reason: pretrained weights are absent, or the
    metric broke, which is printed and does not affect other metrics."""
    try:
        if (unfit := metric.not_applicable(translations)) is not None:
            return " ".join(str(unfit).split())[:REASON_LENGTH]
        if reason := feature_extractors.absent.get(metric.needs):
            return _no_scores(metric, f"weights absent: {reason}")
        return _validated(metric.compute(translations), metric, translations)
    except (Exception, SystemExit) as error:
        console.component_failure(f"metric '{metric.name}'", error, METRICS.package_of(metric.name))
        return _no_scores(metric, f"failed: {type(error).__name__}")


def _no_scores(metric: Metric, reason: str) -> Scores:
    return unmeasured((value.name for value in metric.values), reason)


def _validated(scores: Scores, metric: Metric, translations: Translations) -> Scores:
    """Return the scores as numbers and arrays of numbers; anything else than the metric declares raises."""
    if not isinstance(scores, Scores):
        raise TypeError(f"compute returned {type(scores).__name__}, not Scores")
    for value in metric.values:
        if value.of not in (SOURCE, TARGET, GROUP):
            raise ValueError(f"'{value.name}' is of a '{SOURCE}', '{TARGET}' or '{GROUP}', not of {value.of!r}")
    declared = {value.name: len(translations.keys_of(value.of)) for value in metric.values}
    if set(scores.values) != set(declared):
        raise ValueError(f"it declares {', '.join(declared)} and computed {', '.join(map(str, scores.values))}")
    of_values = (*scores.per_image, *scores.errors, *scores.reasons, *scores.by_scorer)
    unknown = [key for key in of_values if key not in declared]
    unknown += [key for key in scores.details if key in declared or key.partition("/")[0] not in declared]
    if unknown:
        raise ValueError(f"'{unknown[0]}' belongs to none of its values: {', '.join(declared)}")
    if any(error < 0 for error in scores.errors.values()):
        raise ValueError("a standard error is negative")
    return Scores(
        {key: float(as_numbers(key, value, ())) for key, value in scores.values.items()},
        {key: as_numbers(key, by_image, (declared[key],)) for key, by_image in scores.per_image.items()},
        {key: float(as_numbers(key, value, ())) for key, value in scores.details.items()},
        {key: float(as_numbers(key, value, ())) for key, value in scores.errors.items()},
        {key: " ".join(str(reason).split())[:REASON_LENGTH] for key, reason in scores.reasons.items()},
        {key: [float(as_numbers(key, value, ())) for value in values] for key, values in scores.by_scorer.items()},
    )


def _image_rows(translations: Translations, metric: Metric, scores: Scores, dataset: Dataset) -> Iterator[dict]:
    """Yield one row per image and score; a non-finite score yields no row.

    A row is of the source image with its key, of the target image of unpaired test sets, or of a group of source
    images with its name, where it says so: `of`. Where the dataset has groups of images that are not independent, it
    has the image's.
    """
    of = {value.name: value.of for value in metric.values}
    for name, by_image in scores.per_image.items():
        of_groups = of[name] == GROUP and bool(translations.groups)
        whose = TARGET if of[name] == TARGET and not translations.paired else GROUP if of_groups else SOURCE
        for key, score in zip(translations.keys_of(of[name]), by_image, strict=True):
            if np.isfinite(score):
                row = {"direction": translations.direction, "key": key, "metric": name}
                of_others = {"of": whose} if whose != SOURCE else {}
                yield {**row, "value": round(float(score), 6), **of_others, **_group(key, of_groups, dataset)}


def _group(key: str, is_group: bool, dataset: Dataset) -> dict[str, str]:
    """Return the group of an image, where the dataset has any, or of a score that is one's own, as a part of a row."""
    return {"group": key} if is_group else {"group": dataset.group(key)} if dataset.image_groups else {}


def _images_of(value: Value) -> str:
    """Return the set of images that a value is measured on: a group consists of source images."""
    return SOURCE if value.of == GROUP else value.of
