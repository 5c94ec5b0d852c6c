"""Inference: translates every image of an evaluation context exactly once, into all that metrics may use."""

import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from cgbench.api.metric import StoredImages, Translations
from cgbench.api.names import Role
from cgbench.benchmarks.data.conversion import as_tensor, read_only, shown_to_signed, signed_batch, to_signed, to_stored
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.evaluation.context import EvaluationContext
from cgbench.benchmarks.evaluation.ood_split import ood_translations
from cgbench.benchmarks.trials.trial import Trial
from cgbench.methods.blocks.model import Model
from cgbench.methods.blocks.whole_images import size_multiple, translate_whole
from cgbench.pixel_format import PixelFormat, display_rgb
from cgbench.seeds import generator

Images = np.ndarray | None
Record = TypeVar("Record", bound=Translations | StoredImages)
BATCH_PIXELS = 64 * 128 * 128  # pixels translated at once; bounds the memory of evaluation
RATE_IMAGES = 16  # images of the batch that translation is timed with


def translate_all(trial: Trial, model: Model | None, evaluation: EvaluationContext, direction: str) -> Translations:
    """Return every test image of a direction, translated once, with all that metrics may need; arrays are read-only.

    Raises `RuntimeError` where the outputs have another shape than the inputs.
    """
    source, target = evaluation.source(direction), evaluation.target(direction)
    scorers = evaluation.scorers.get(direction[-1])
    if model is None:
        outputs = _untrained_outputs(trial, source, target, direction)
        finite = reconstructions = other_outputs = identities = None
    else:
        outputs, finite, reconstructions, other_outputs = _translate_and_reconstruct(model, source, target, direction)
        identities = _identities(model, target, source.pixels, direction)
    if outputs.shape[:3] != source.images.shape[:3] or outputs.shape[3] != target.pixels.channels:
        raise RuntimeError(f"{trial.method.name}: {source.images.shape} went in, {outputs.shape} came out")
    training_photos = evaluation.training_photos.get(direction[-1])
    stored = None
    if not (source.pixels.is_rgb8 and target.pixels.is_rgb8):
        numbers = source.images, outputs, target.images
        stored = StoredImages(source.pixels, target.pixels, *numbers, source.measured())
    translations = Translations(
        direction=direction,
        keys=source.keys,
        sources=source.shown,
        outputs=display_rgb(outputs, target.pixels),
        target_kind=evaluation.dataset.target(direction).kind,
        targets=target.shown,
        target_keys=target.keys,
        paired=evaluation.paired,
        reconstructions=None if reconstructions is None else display_rgb(reconstructions, source.pixels),
        other_outputs=None if other_outputs is None else display_rgb(other_outputs, target.pixels),
        identities=None if identities is None else display_rgb(identities, target.pixels),
        labels=source.labels if source.labels is not None else target.labels if evaluation.paired else None,
        target_labels=target.labels,
        finite=finite,
        way_back=_backward_translation(model, source, target.pixels, direction) if model is not None else None,
        palette=evaluation.dataset.palette,
        scorer=scorers.first.predict if scorers else None,
        scorers=tuple((member.predict_or_reject, member.predict) for member in scorers.members) if scorers else (),
        scorer_features=evaluation.scorer_features.get(direction[-1]),
        inception=evaluation.feature_extractors.inception,
        lpips=evaluation.feature_extractors.lpips,
        training_photos=training_photos.shown if training_photos else None,
        real_outputs=model is None and _are_among(outputs, target.images),
        stored=stored,
        sizes=source.sizes,
        target_sizes=target.sizes,
        groups=tuple(map(evaluation.dataset.group, source.keys)) if evaluation.dataset.image_groups else (),
    )

    def translate(sources: ImageSet, targets: ImageSet) -> np.ndarray:
        if model is None:
            outputs = _untrained_outputs(trial, sources, targets, direction)
        else:
            outputs = _translate(model, sources, targets.pixels, direction)
        return display_rgb(outputs, targets.pixels)

    is_slow = model is not None and model.needs_latent_search(direction)
    left_out = is_slow or trial.method.role == Role.EXTERNAL  # another program has not seen these images
    ood = ood_translations({} if left_out else evaluation.ood_images, translations, translate)
    return _protected(replace(translations, ood=ood))


def _protected(record: Record) -> Record:
    """Return translations, or their stored images, with every array read-only: what one metric writes would change the
    others' numbers."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    guarded: dict[str, Any] = {name: read_only(it) for name, it in values.items() if isinstance(it, np.ndarray)}
    guarded |= {name: _protected(it) for name, it in values.items() if isinstance(it, Translations | StoredImages)}
    return replace(record, **guarded)


def _are_among(images: np.ndarray, others: np.ndarray) -> bool:
    """Return whether each of the images (N, H, W, C) is one of the others (M, H, W, C)."""
    known = {hash(image.tobytes()) for image in others}
    return all(hash(image.tobytes()) in known for image in images)


def _untrained_outputs(trial: Trial, source: ImageSet, target: ImageSet, direction: str) -> np.ndarray:
    """Return the outputs of an untrained row, in the format of the target domain."""
    rng = generator(trial.seed, "reference", trial.method.name, direction)
    sources = _in_format(source, target.pixels)
    return trial.method.reference.function(read_only(sources), read_only(target.images), rng)


def _in_format(source: ImageSet, pixels: PixelFormat) -> np.ndarray:
    """Return images in another format, the ends of their window as those of the other; where the numbers of bands
    differ, every band is the mean of theirs."""
    if source.pixels == pixels:
        return source.images
    signed = to_signed(as_tensor(source.images).permute(0, 3, 1, 2), source.pixels)
    if source.pixels.channels != pixels.channels:
        signed = signed.mean(1, keepdim=True).expand(-1, pixels.channels, -1, -1)
    return to_stored(signed, pixels)


def _identities(model: Model, target: ImageSet, source_pixels: PixelFormat, direction: str) -> Images:
    """Return the real target images, translated; None where a method searches codes or the numbers of bands differ."""
    if model.needs_latent_search(direction) or target.pixels.channels != source_pixels.channels:
        return None
    return _translate(model, target, target.pixels, direction)


def _backward_translation(
    model: Model, source: ImageSet, target_pixels: PixelFormat, direction: str
) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    """Return a function of (image numbers, outputs as 8-bit pictures) that translates outputs of the `source` images
    back; None where the model has no backward translation, or pictures do not hold all that it needs."""
    if not model.can_translate_back(direction) or not target_pixels.fits_in_pictures:
        return None

    def translate_back(numbers: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        back = np.empty((*outputs.shape[:3], 3), np.uint8)
        for rows, (height, width) in _equal_sizes(source, numbers):
            signed = shown_to_signed(outputs[rows, :height, :width], target_pixels)
            sources = signed_batch(source.images[numbers[rows], :height, :width], source.pixels, model.device)
            both = torch.cat([signed.to(model.device), sources], dim=1)

            def back_from(images: Tensor, bands: int = signed.shape[1]) -> Tensor:
                return model.translate_back(images[:, :bands], images[:, bands:], direction)

            result = translate_whole(back_from, both, _multiple(model, direction))
            back[rows] = 0
            back[rows, :height, :width] = display_rgb(to_stored(result, source.pixels), source.pixels)
        return back

    return translate_back


def _translate_and_reconstruct(
    model: Model, source: ImageSet, target: ImageSet, direction: str
) -> tuple[np.ndarray, np.ndarray, Images, Images]:
    """Return outputs in the target's format, whether each is finite, reconstructions, and outputs of a second draw."""
    outputs, finite = _canvas(source, target.pixels), np.empty(len(source), bool)
    multiple = _multiple(model, direction)
    reconstructions = others = None
    for rows, (height, width) in _equal_sizes(source):
        part = signed_batch(source.images[rows, :height, :width], source.pixels, model.device)

        def there_and_back(images: Tensor, first: int = int(rows[0])) -> Tensor:
            made = model.translate_and_reconstruct(images, direction, first)
            return torch.cat([tensor for tensor in made if tensor is not None], dim=1)

        made = translate_whole(there_and_back, part, multiple)
        translated, reconstructed = made[:, : target.pixels.channels], made[:, target.pixels.channels :]
        outputs[rows, :height, :width] = to_stored(translated, target.pixels)
        finite[rows] = translated.isfinite().flatten(1).all(1).cpu().numpy()
        if reconstructed.shape[1]:
            reconstructions = _canvas(source, source.pixels) if reconstructions is None else reconstructions
            reconstructions[rows, :height, :width] = to_stored(reconstructed, source.pixels)
        if model.is_stochastic(direction):
            others = _canvas(source, target.pixels) if others is None else others
            other = translate_whole(_one_way(model, direction, rows[0], style_index=1), part, multiple)
            others[rows, :height, :width] = to_stored(other, target.pixels)
    return outputs, finite, reconstructions, others


def _translate(model: Model, images: ImageSet, target: PixelFormat, direction: str) -> np.ndarray:
    """Return the outputs only, (N, H, W, D) in the `target` format."""
    outputs = _canvas(images, target)
    for rows, (height, width) in _equal_sizes(images):
        part = signed_batch(images.images[rows, :height, :width], images.pixels, model.device)
        output = translate_whole(_one_way(model, direction, rows[0]), part, _multiple(model, direction))
        outputs[rows, :height, :width] = to_stored(output, target)
    return outputs


def _one_way(model: Model, direction: str, first: int, style_index: int = 0) -> Callable[[Tensor], Tensor]:
    """Return a function that translates the images `first` and following."""
    return lambda images: model.translate(images, direction, int(first), style_index)


def _multiple(model: Model, direction: str) -> int:
    """Return what the sides of images must be multiples of; 1 for a method that renders images of one size."""
    return size_multiple(model, direction) or 1


def _canvas(images: ImageSet, pixels: PixelFormat) -> np.ndarray:
    """Return an array for outputs of `images` in a format, filled with the lower end of its window."""
    return np.full((*images.images.shape[:3], pixels.channels), pixels.ends[0], pixels.dtype)


def _equal_sizes(images: ImageSet, numbers: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, tuple[int, int]]]:
    """Yield the rows of images of one size that follow each other, with their height and width, in batches. `numbers`
    are the images that the rows are, by default all in their order."""
    numbers = np.arange(len(images)) if numbers is None else numbers
    start = 0
    while start < len(numbers):
        height, width = images.size(numbers[start])
        most = max(1, BATCH_PIXELS // (height * width))
        end = start + 1
        while end < len(numbers) and end - start < most and images.size(numbers[end]) == (height, width):
            end += 1
        yield np.arange(start, end), (height, width)
        start = end


def translation_rate(model: Model, images: ImageSet, direction: str) -> float:
    """Return the images per second that the model translates, in batches of `RATE_IMAGES`; the model must be warmed
    up."""
    rows, (height, width) = next(_equal_sizes(images))
    part = signed_batch(images.images[rows[:RATE_IMAGES], :height, :width], images.pixels, model.device)
    started = time.perf_counter()
    translate_whole(_one_way(model, direction, 0), part, _multiple(model, direction)).cpu()  # waits for a GPU
    return round(len(part) / (time.perf_counter() - started), 2)
