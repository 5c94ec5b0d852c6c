"""The cache of trained scorers on disk."""

from pathlib import Path
from typing import Any

import numpy as np

from cgbench.benchmarks.evaluation.scorer import Scorer, content_digest, scorer_settings
from cgbench.benchmarks.evaluation.scorer_training import check_training_data, train_scorer
from cgbench.benchmarks.runtime.progress import console
from cgbench.config import TrialConfig
from cgbench.digests import digest
from cgbench.errors import DataBroken
from cgbench.progress import ProgressCallback


def cached_scorer(
    cache: Path,
    photos: np.ndarray,
    labels: np.ndarray,
    classes: int,
    config: TrialConfig,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> Scorer:
    """Return the scorer of these photos and labels from the cache; train and store it where it is missing.

    The file is named after the content of the arrays, the settings and `VERSION`: this name is the scorer's recipe, put
    into `info`, and the same on every machine, while the last digits of the weights are not. A file that cannot be read
    is trained again, with a warning; one that cannot be written is a warning as well.

    Args:
        cache: The folder of the cache.
        photos: Real photos, uint8 (N, S, S, 3).
        labels: Their class ids, uint8 (N, S, S), 255 ignored.
        classes: The number of classes.
        config: The configuration with the scorer's settings.
        device: The device of the network.
        progress: Called after each training step with (done, total).

    Returns:
        The scorer, on `device`.

    Raises:
        CgbenchError: The photos or labels cannot be used for training.
        Diverged: The loss of the training is not finite.
    """
    check_training_data(photos, labels, classes)
    recipe = digest(scorer_settings(classes, config) | {"content": content_digest(photos, labels)})
    path = cache / f"scorer-{recipe}.safetensors"
    console.debug(f"scorer: {'from the cache' if path.exists() else 'trained and stored as'} {path}")
    scorer = _load(path, device) or _train_and_store(path, photos, labels, classes, config, device, progress)
    scorer.info["recipe"] = recipe
    return scorer


def _load(path: Path, device: str) -> Scorer | None:
    """Return the scorer of a cache file; None where there is none, and with a warning where it cannot be read."""
    if not (path.exists() or path.is_symlink()):
        return None
    try:
        return Scorer.load(path, device)
    except DataBroken as error:
        console.print(str(error), style="yellow")
        return None


def _train_and_store(path: Path, *training: Any) -> Scorer:
    """Return a scorer trained with the arguments of `train_scorer`, and store it as `path`."""
    scorer = train_scorer(*training)
    try:
        scorer.save(path)
    except OSError as error:
        again = f"{path} cannot be written ({error}): the scorer will be trained again next time"
        console.print(again, style="yellow")
    return scorer
