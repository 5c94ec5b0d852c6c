"""Translate every image of a bench exactly once, into all that metrics may look at."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from cgbench.api.metric import Translations
from cgbench.benchmarks.data.conversion import as_tensor, to_bytes, to_signed
from cgbench.benchmarks.evaluation.context import EvaluationContext
from cgbench.benchmarks.evaluation.ood_split import ood_translations
from cgbench.benchmarks.trials.trial import Trial
from cgbench.methods.blocks.model import Model
from cgbench.seeds import generator

Images = np.ndarray | None
BATCH_PIXELS = 64 * 128 * 128  # pixels translated at once; bounds the memory of evaluation
RATE_IMAGES = 16  # images of the batch that translation is timed with


def translate_all(trial: Trial, model: Model | None, evaluation: EvaluationContext, direction: str) -> Translations:
    """Return every test image of a direction, translated once, with all that metrics may need."""
    source, target, scorer = (
        evaluation.source(direction),
        evaluation.target(direction),
        evaluation.scorers.get(direction[-1]),
    )
    if model is None:
        outputs = _reference(trial, source.images, target.images, direction)
        finite = reconstructions = others = identities = None
    else:
        outputs, finite, reconstructions, others = _through(model, source.images, direction)
        identities = None if model.searches(direction) else _plainly(model, target.images, direction)
    if outputs.shape != source.images.shape:
        raise RuntimeError(f"{trial.method.name}: {source.images.shape} went in, {outputs.shape} came out")
    translations = Translations(
        direction=direction,
        keys=source.keys,
        sources=source.images,
        outputs=outputs,
        target_kind=evaluation.dataset.target(direction).kind,
        targets=target.images,
        paired=evaluation.paired,
        reconstructions=reconstructions,
        other_outputs=others,
        identities=identities,
        labels=source.labels if source.labels is not None else target.labels if evaluation.paired else None,
        target_labels=target.labels,
        finite=finite,
        way_back=_way_back(model, source.images, direction) if model is not None else None,
        palette=evaluation.dataset.palette,
        scorer=scorer.predict_once if scorer else None,
        scorer_features=evaluation.scorer_features.get(direction[-1]),
        inception=evaluation.feature_extractors.inception,
        lpips=evaluation.feature_extractors.lpips,
    )

    def translate(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return _plainly(model, sources, direction) if model else _reference(trial, sources, targets, direction)

    slow = model is not None and model.searches(direction)
    return replace(translations, ood=ood_translations({} if slow else evaluation.ood_images, translations, translate))


def _reference(trial: Trial, sources: np.ndarray, targets: np.ndarray, direction: str) -> np.ndarray:
    """Return the outputs of an untrained reference row."""
    rng = generator(trial.seed, "reference", trial.method.name, direction)
    return trial.method.reference.function(sources, targets, rng)


def _way_back(model: Model, sources: np.ndarray, direction: str) -> Callable[[np.ndarray, np.ndarray], Images] | None:
    """Return what translates outputs of the `sources` back: of image numbers and outputs; None without a way back."""
    if not model.returns(direction):
        return None

    def back(numbers: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        parts = []
        for first, part in _batches(outputs):
            given = sources[numbers[first : first + len(part)]]
            parts.append(to_bytes(model.return_from(_tensor(part, model), _tensor(given, model), direction)))
        return np.concatenate(parts)

    return back


def _through(model: Model, images: np.ndarray, direction: str) -> tuple[np.ndarray, np.ndarray, Images, Images]:
    """Return outputs, whether each is finite, reconstructions and outputs of a second draw, of all `images`, uint8
    (N, S, S, 3)."""
    outputs, finite, reconstructions, others = [], [], [], []
    for first, part in _batches(images):
        tensor = _tensor(part, model)
        output, reconstruction = model.translate_and_reconstruct(tensor, direction, first)
        outputs.append(to_bytes(output))
        finite.append(output.isfinite().flatten(1).all(1).cpu().numpy())
        if reconstruction is not None:
            reconstructions.append(to_bytes(reconstruction))
        if model.draws(direction):
            others.append(to_bytes(model.translate(tensor, direction, first, style=1)))
    return np.concatenate(outputs), np.concatenate(finite), _whole(reconstructions), _whole(others)


def translated(model: Model, images: np.ndarray, direction: str) -> Iterator[np.ndarray]:
    """Yield the outputs of `images`, uint8 (N, S, S, 3), batch by batch; image k draws as test image k."""
    for first, part in _batches(images):
        yield to_bytes(model.translate(_tensor(part, model), direction, first))


def _plainly(model: Model, images: np.ndarray, direction: str) -> np.ndarray:
    """Return the outputs alone."""
    return np.concatenate(list(translated(model, images, direction)))


def _tensor(images: np.ndarray, model: Model) -> torch.Tensor:
    """Return uint8 (N, S, S, 3) as the model takes it: (N, 3, S, S) in [-1, 1] on its device."""
    return to_signed(as_tensor(images).to(model.device).permute(0, 3, 1, 2).contiguous())


def _whole(parts: list[np.ndarray]) -> Images:
    return np.concatenate(parts) if parts else None


def _batches(images: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of a batch's first image, and the batch."""
    size = max(1, BATCH_PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), size):
        yield start, images[start : start + size]


def translation_rate(model: Model, images: np.ndarray, direction: str) -> float:
    """Return how many images a second the model translates, in batches of `RATE_IMAGES`; it has done so before."""
    tensor = _tensor(images[:RATE_IMAGES], model)
    started = time.perf_counter()
    to_bytes(model.translate(tensor, direction))  # waits for a GPU: the bytes come to the CPU
    return round(len(tensor) / (time.perf_counter() - started), 2)
