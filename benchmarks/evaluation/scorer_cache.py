"""The cache of trained scorers on disk."""

from pathlib import Path
from typing import Any

from cgbench.benchmarks.evaluation.scorer import Scorer, ScorerEnsemble, scorer_settings
from cgbench.benchmarks.evaluation.scorer_training import ScorerData, check_training_data, train_scorer
from cgbench.benchmarks.runtime.progress import console
from cgbench.config import TrialConfig
from cgbench.digests import content_digest, digest
from cgbench.errors import DataBroken
from cgbench.progress import ProgressCallback
from cgbench.selection import scorer_split


def cached_scorers(
    cache: Path, data: ScorerData, classes: int, config: TrialConfig, device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> ScorerEnsemble:  # fmt: skip
    """Return the scorers of these photos and labels from the cache; train and store those that are missing.

    A file is named after the content of the arrays, which photos are held out where that is by group, the settings and
    `VERSION`. This name is the scorer's recipe, put into `info`: it is the same on every machine, while the last digits
    of the weights are not. A file that cannot be read is trained again, with a warning; one that cannot be written is a
    warning as well.

    Args:
        cache: The folder of the cache.
        data: Real photos, their class ids, and pictures that are no photos.
        classes: The number of classes.
        config: The configuration with the scorers' settings.
        device: The device of the networks.
        progress: Called after each training step with (done, total), of all scorers together.

    Returns:
        The scorers, on `device`.

    Raises:
        CgbenchError: The photos or labels cannot be used for training.
        Diverged: The loss of a training is not finite.
    """
    check_training_data(data, classes)
    content, members = content_digest(data.photos, data.labels, data.others), []
    held_out = data.split()[1]
    by_group = {} if held_out == scorer_split(len(data.photos))[1] else {"held_out": held_out}
    for seed in range(config.scorers):
        recipe = digest(scorer_settings(classes, config, seed) | {"content": content} | by_group)
        path = cache / f"scorer-{recipe}.safetensors"
        console.debug(f"scorer {seed}: {'from the cache' if path.exists() else 'trained and stored as'} {path}")

        def update(done: int, total: int, before: int = seed * config.scorer_steps) -> None:
            if progress is not None:
                progress(before + done, config.scorers * total)

        scorer = _load(path, device) or _train_and_store(path, data, classes, config, seed, device, update)
        scorer.info["recipe"] = recipe
        members.append(scorer)
    return ScorerEnsemble(tuple(members))


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
        again = f"{path} cannot be written ({error.strerror or error}): the scorer will be trained again next time"
        console.print(again, style="yellow")
    return scorer
