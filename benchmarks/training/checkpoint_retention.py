"""Which checkpoints of a trial are kept beside the newest: the last few, and the best by validation images."""

import math
from collections.abc import Iterable, Mapping

from cgbench.api.dataset import Dataset
from cgbench.api.metric import Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.files import link_or_copy, read_jsonl
from cgbench.results.records import VALIDATION
from cgbench.results.run_folder import TrialFolder


def retain_previous(folder: TrialFolder, step: int, count: int) -> None:
    """Before the checkpoint of `step` replaces the last: give that one a name of its own, and let go of the oldest, so
    that `count` are there in the end."""
    before = saved_step(folder.checkpoint)
    if count > 1 and 0 < before < step:
        link_or_copy(folder.checkpoint, folder.checkpoint_at(before))
    earlier = folder.earlier_checkpoints()
    kept = sorted(number for number in earlier if number < step)[-(count - 1) :] if count > 1 else []
    for number, path in earlier.items():
        if number not in kept:
            path.unlink(missing_ok=True)


def retain_best(folder: TrialFolder, metric: str) -> None:
    """Keep the present checkpoint as the best if no step measured so far has a better mean on validation images.

    The mean is over the directions that have the metric; of two equal steps the earlier one counts. Calling it again
    changes nothing.
    """
    rows = [*read_jsonl(folder.history), *read_jsonl(folder.metrics)]
    if best_step(rows, metric, selection_metric(metric)) == saved_step(folder.checkpoint):
        link_or_copy(folder.checkpoint, folder.best)


def best_step(rows: Iterable[Mapping], metric: str, value: Value) -> int:
    """Return the step whose validation images score best; 0 where none was measured."""
    scores: dict[int, list[float]] = {}
    for row in rows:
        if row["split"] == VALIDATION and row["metric"] == metric and math.isfinite(row["value"]):
            scores.setdefault(row["step"], []).append(row["value"])
    sign = -1 if value.better == "higher" else 1
    means = {step: sign * sum(found) / len(found) for step, found in scores.items()}
    return min(means, key=lambda step: (means[step], step), default=0)


def selection_metric(metric: str) -> Value:
    """Return the declaration of the number that checkpoints are judged by."""
    values = {value.name: value for name in METRICS.names() for value in METRICS.get(name).values}
    known = [name for name, value in values.items() if value.better]
    if metric not in known:
        raise CgbenchError(f"keep_best={metric}: no number that can be better or worse: {did_you_mean(metric, known)}")
    return values[metric]


def ensure_selectable(config: TrialConfig, dataset: Dataset) -> None:
    """Raise `CgbenchError` where the best checkpoint is asked for and nothing would tell which one that is."""
    if not config.keep_best:
        return
    selection_metric(config.keep_best)
    if not config.evaluate_every:
        raise CgbenchError("keep_best needs measurements on the way: --set evaluate_every=STEPS")
    if VALIDATION not in dataset.splits:
        raise CgbenchError(
            "keep_best is judged on validation images, and there are none: --set validation_images=COUNT"
        )
