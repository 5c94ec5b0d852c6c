"""The cache of trained scorers."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.benchmarks.evaluation.scorer import Scorer, content_digest, scorer_settings
from cgbench.benchmarks.evaluation.scorer_training import check_training_data, train_scorer
from cgbench.config import TrialConfig
from cgbench.digests import digest
from cgbench.errors import DataBroken


def cached_scorer(
    cache: Path,
    photos: np.ndarray,
    labels: np.ndarray,
    classes: int,
    config: TrialConfig,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Scorer:
    """Return the scorer of these photos and labels from the folder `cache`; train it, and keep it there, if need be.

    The file is named after the content of the arrays, the settings and `VERSION`: this name is the scorer's recipe, put
    into `info`, and the same on every machine, while the last digits of the weights are not. A file that cannot be read
    is trained anew, with a warning; one that cannot be written is a warning as well.
    """
    check_training_data(photos, labels, classes)
    recipe = digest(scorer_settings(classes, config) | {"content": content_digest(photos, labels)})
    path = cache / f"scorer-{recipe}.safetensors"
    scorer = _kept(path, device) or _trained(path, photos, labels, classes, config, device, progress)
    scorer.info["recipe"] = recipe
    return scorer


def _kept(path: Path, device: str) -> Scorer | None:
    """Return the scorer of a cache file; None where there is none, and with a warning where it cannot be read."""
    if not path.exists():
        return None
    try:
        return Scorer.load(path, device)
    except DataBroken as error:
        warnings.warn(str(error), stacklevel=3)
        return None


def _trained(path: Path, *training: Any) -> Scorer:
    """Return a scorer trained with the arguments of `train_scorer`, and keep it as `path`."""
    scorer = train_scorer(*training)
    try:
        scorer.save(path)
    except OSError as error:
        warnings.warn(f"{path} cannot be written ({error}): the scorer will be trained again next time", stacklevel=3)
    return scorer
