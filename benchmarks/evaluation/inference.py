"""Inference: translates every image of an evaluation context exactly once, into all that metrics may use."""

import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from cgbench.api.metric import Translations
from cgbench.benchmarks.data.conversion import as_tensor, read_only, to_bytes, to_signed
from cgbench.benchmarks.evaluation.context import EvaluationContext
from cgbench.benchmarks.evaluation.ood_split import ood_translations
from cgbench.benchmarks.trials.trial import Trial
from cgbench.errors import Diverged
from cgbench.methods.blocks.model import Model
from cgbench.seeds import generator

Images = np.ndarray | None
BATCH_PIXELS = 64 * 128 * 128  # pixels translated at once; bounds the memory of evaluation
RATE_IMAGES = 16  # images of the batch that translation is timed with


def translate_all(trial: Trial, model: Model | None, evaluation: EvaluationContext, direction: str) -> Translations:
    """Return every test image of a direction, translated once, with all that metrics may need; arrays are read-only.

    Raises `RuntimeError` where the outputs have another shape than the inputs.
    """
    source, target = evaluation.source(direction), evaluation.target(direction)
    scorers = evaluation.scorers.get(direction[-1])
    if model is None:
        outputs = _untrained_outputs(trial, source.images, target.images, direction)
        finite = reconstructions = other_outputs = identities = None
    else:
        outputs, finite, reconstructions, other_outputs = _translate_and_reconstruct(model, source.images, direction)
        identities = None if model.needs_latent_search(direction) else _translate(model, target.images, direction)
    training_photos = evaluation.training_photos.get(direction[-1])
    if outputs.shape != source.images.shape:
        raise RuntimeError(f"{trial.method.name}: {source.images.shape} went in, {outputs.shape} came out")
    translations = Translations(
        direction=direction,
        keys=source.keys,
        sources=source.images,
        outputs=outputs,
        target_kind=evaluation.dataset.target(direction).kind,
        targets=target.images,
        target_keys=target.keys,
        paired=evaluation.paired,
        reconstructions=reconstructions,
        other_outputs=other_outputs,
        identities=identities,
        labels=source.labels if source.labels is not None else target.labels if evaluation.paired else None,
        target_labels=target.labels,
        finite=finite,
        way_back=_backward_translation(model, source.images, direction) if model is not None else None,
        palette=evaluation.dataset.palette,
        scorer=scorers.first.predict if scorers else None,
        scorers=tuple((member.predict_or_reject, member.predict) for member in scorers.members) if scorers else (),
        scorer_features=evaluation.scorer_features.get(direction[-1]),
        inception=evaluation.feature_extractors.inception,
        lpips=evaluation.feature_extractors.lpips,
        training_photos=training_photos.images if training_photos else None,
        real_outputs=model is None and _are_among(outputs, target.images),
    )

    def translate(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return (
            _translate(model, sources, direction) if model else _untrained_outputs(trial, sources, targets, direction)
        )

    is_slow = model is not None and model.needs_latent_search(direction)
    ood = ood_translations({} if is_slow else evaluation.ood_images, translations, translate)
    return replace(_protected(translations), ood=_protected(ood) if ood else None)


def _protected(translations: Translations) -> Translations:
    """Return the translations with every array read-only: what one metric writes would change the others' numbers."""
    values = {field.name: getattr(translations, field.name) for field in fields(translations)}
    arrays: dict[str, Any] = {name: read_only(it) for name, it in values.items() if isinstance(it, np.ndarray)}
    return replace(translations, **arrays)


def _are_among(images: np.ndarray, others: np.ndarray) -> bool:
    """Return whether each of the images (N, S, S, 3) is one of the others (M, S, S, 3)."""
    known = {hash(image.tobytes()) for image in others}
    return all(hash(image.tobytes()) in known for image in images)


def _untrained_outputs(trial: Trial, sources: np.ndarray, targets: np.ndarray, direction: str) -> np.ndarray:
    """Return the outputs of an untrained row."""
    rng = generator(trial.seed, "reference", trial.method.name, direction)
    return trial.method.reference.function(read_only(sources), read_only(targets), rng)


def _backward_translation(
    model: Model, sources: np.ndarray, direction: str
) -> Callable[[np.ndarray, np.ndarray], Images] | None:
    """Return a function of (image numbers, outputs) that translates outputs of the `sources` back; None where the model
    has no backward translation."""
    if not model.can_translate_back(direction):
        return None

    def translate_back(numbers: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        parts = []
        for first, part in _batches(outputs):
            batch_sources = sources[numbers[first : first + len(part)]]
            parts.append(to_bytes(model.translate_back(_tensor(part, model), _tensor(batch_sources, model), direction)))
        return np.concatenate(parts)

    return translate_back


def _translate_and_reconstruct(
    model: Model, images: np.ndarray, direction: str
) -> tuple[np.ndarray, np.ndarray, Images, Images]:
    """Return outputs, whether each is finite, reconstructions and outputs of a second draw, of all `images`, uint8
    (N, S, S, 3)."""
    outputs, finite, reconstructions, other_outputs = [], [], [], []
    for first, part in _batches(images):
        tensor = _tensor(part, model)
        output, reconstruction = model.translate_and_reconstruct(tensor, direction, first)
        outputs.append(to_bytes(output))
        finite.append(output.isfinite().flatten(1).all(1).cpu().numpy())
        if reconstruction is not None:
            reconstructions.append(to_bytes(reconstruction))
        if model.is_stochastic(direction):
            other_outputs.append(to_bytes(model.translate(tensor, direction, first, style_index=1)))
    return np.concatenate(outputs), np.concatenate(finite), _concatenate(reconstructions), _concatenate(other_outputs)


def translate_batches(model: Model, images: np.ndarray, direction: str) -> Iterator[np.ndarray]:
    """Yield the outputs of `images`, uint8 (N, S, S, 3), batch by batch; image k has the random draws of test image k.

    Outputs that are not finite raise `Diverged`.
    """
    for first, part in _batches(images):
        output = model.translate(_tensor(part, model), direction, first)
        if broken := int((~output.isfinite().flatten(1).all(1)).sum()):
            raise Diverged(f"{broken} of {len(part)} translations {direction} are infinite or not a number: train anew")
        yield to_bytes(output)


def _translate(model: Model, images: np.ndarray, direction: str) -> np.ndarray:
    """Return the outputs only, uint8 (N, S, S, 3)."""
    parts = [to_bytes(model.translate(_tensor(part, model), direction, first)) for first, part in _batches(images)]
    return np.concatenate(parts)


def _tensor(images: np.ndarray, model: Model) -> torch.Tensor:
    """Return uint8 (N, S, S, 3) in the model's format: (N, 3, S, S) in [-1, 1] on its device."""
    return to_signed(as_tensor(images).to(model.device).permute(0, 3, 1, 2).contiguous())


def _concatenate(parts: list[np.ndarray]) -> Images:
    return np.concatenate(parts) if parts else None


def _batches(images: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number of the first image, batch)."""
    size = max(1, BATCH_PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), size):
        yield start, images[start : start + size]


def translation_rate(model: Model, images: np.ndarray, direction: str) -> float:
    """Return the images per second that the model translates, in batches of `RATE_IMAGES`; the model must be warmed
    up."""
    tensor = _tensor(images[:RATE_IMAGES], model)
    started = time.perf_counter()
    to_bytes(model.translate(tensor, direction))  # waits for a GPU: the bytes are copied to the CPU
    return round(len(tensor) / (time.perf_counter() - started), 2)
