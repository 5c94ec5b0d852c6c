"""Checkpoint retention: the last N, and the best by a validation metric."""

import math
from collections.abc import Iterable, Mapping

from cgbench.api.dataset import Dataset
from cgbench.api.metric import Value
from cgbench.api.registry import metric_values
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.files import link_or_copy
from cgbench.results.record_files import read_metric_rows
from cgbench.results.records import VALIDATION
from cgbench.results.run_folder import TrialFolder


def retain_previous(folder: TrialFolder, step: int, count: int) -> None:
    """Retain the present checkpoint under its step before that of `step` replaces it, and remove the oldest, so that
    `count` checkpoints exist afterwards."""
    present = saved_step(folder.checkpoint)
    if count > 1 and 0 < present < step:
        link_or_copy(folder.checkpoint, folder.checkpoint_at(present))
    earlier = folder.earlier_checkpoints()
    kept = sorted(number for number in earlier if number < step)[-(count - 1) :] if count > 1 else []
    for number, path in earlier.items():
        if number not in kept:
            path.unlink(missing_ok=True)


def retain_best(folder: TrialFolder, metric: str) -> None:
    """Retain the present checkpoint as the best if no evaluated step has a better mean on validation images.

    The mean is over the directions that have the metric; of two equal steps the earlier one counts. Idempotent.
    """
    rows = [*read_metric_rows(folder.history), *read_metric_rows(folder.metrics)]
    if best_step(rows, metric, selection_metric(metric)) == saved_step(folder.checkpoint):
        link_or_copy(folder.checkpoint, folder.best)


def best_step(rows: Iterable[Mapping], metric: str, value: Value) -> int:
    """Return the step with the best mean score on validation images; 0 where none was evaluated."""
    scores: dict[int, list[float]] = {}
    for row in rows:
        if row.get("split") == VALIDATION and row["metric"] == metric and math.isfinite(row["value"]):
            scores.setdefault(row["step"], []).append(row["value"])
    sign = -1 if value.better == "higher" else 1
    means = {step: sign * sum(values) / len(values) for step, values in scores.items()}
    return min(means, key=lambda step: (means[step], step), default=0)


def selection_metric(metric: str) -> Value:
    """Return the declaration of the number that checkpoints are selected by."""
    values = metric_values()
    names = [name for name, value in values.items() if value.better]
    if metric not in names:
        raise CgbenchError(f"keep_best={metric}: no number that can be better or worse: {did_you_mean(metric, names)}")
    return values[metric]


def ensure_selectable(config: TrialConfig, dataset: Dataset) -> None:
    """Raise `CgbenchError` where the best checkpoint is to be kept and nothing would be evaluated to select it by."""
    if not config.keep_best:
        return
    selection_metric(config.keep_best)
    if not config.evaluate_every:
        raise CgbenchError("keep_best needs measurements on the way: --set evaluate_every=STEPS")
    if VALIDATION not in dataset.splits:
        raise CgbenchError(
            "keep_best is judged on validation images, and there are none: --set validation_images=COUNT"
        )
