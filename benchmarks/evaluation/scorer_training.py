"""Training of the scorer on a dataset's real pairs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from cgbench.api.names import IGNORE
from cgbench.benchmarks.data.conversion import to_bytes
from cgbench.benchmarks.evaluation.scorer import Scorer, build_network, check_photos, scorer_settings, to_float
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError, Diverged
from cgbench.progress import ProgressCallback
from cgbench.seeds import generator
from cgbench.selection import scorer_split

LEARNING_RATE = 1e-2
WEIGHT_DECAY = 2e-2
WARM_UP = 0.15  # share of the steps in which the learning rate rises
SCALES = (0.8, 1.5)  # zoom of a training crop; below 1 the photo's border is repeated and its labels ignored
COLOUR = 0.08  # spread of the random gain and offset of photos on the scale -1 to 1
PHOTOS_PER_NEGATIVE = 4
PATCHES = 8  # per side of a photo whose patches are shuffled
BINS = 15  # of the calibration error
CLASS_POWER = 0.25  # class weight = frequency ** -CLASS_POWER: rare classes count a little more


@dataclass(frozen=True)
class ScorerData:
    """What a scorer learns from: real photos, uint8 (N, S, S, 3), their class ids, uint8 (N, S, S), 255 ignored, and
    pictures of the other domain, uint8 (M, S, S, 3), which it learns to reject; M may be 0; perhaps the photos' groups,
    such as their patients."""

    photos: np.ndarray
    labels: np.ndarray
    others: np.ndarray
    groups: tuple[str, ...] = ()

    def split(self) -> tuple[list[int], list[int]]:
        """Return the indices of the photos to learn from, and of those that are held out (`scorer_split`)."""
        return scorer_split(len(self.photos), self.groups)


def train_scorer(
    data: ScorerData, classes: int, config: TrialConfig, seed: int = 0, device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> Scorer:  # fmt: skip
    """Train a scorer on photos and their class ids, and on pictures that it should reject.

    AdamW, learning rate with linear warm-up and cosine decay, cross-entropy with mild class weights; crops are
    mirrored, zoomed, shifted and changed in colour. Every draw comes from streams of the scorer's number: on a CPU two
    trainings with the same number of threads agree bit for bit. Some photos are held out (`scorer_split`): accuracy and
    calibration are measured on these.

    Args:
        data: Photos, class ids and other pictures.
        classes: The number of classes.
        config: The configuration with the scorer's settings.
        seed: The number of the scorer, from 0.
        device: The device to train on.
        progress: Called after each step with (done, total).

    Returns:
        The trained scorer, on `device`.

    Raises:
        CgbenchError: The photos or labels cannot be used for training.
        Diverged: The last loss is not finite.
    """
    check_training_data(data, classes)
    learnt, held_out = map(np.array, data.split())
    network = build_network(classes + 1, config.scorer_width, seed)
    network = network.to(device).to(memory_format=torch.channels_last).train()
    weights = torch.from_numpy(np.append(class_weights(data.labels, classes), np.float32(1))).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for step, indices in enumerate(_batches(len(learnt), config.scorer_steps, config.scorer_batch, seed)):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * schedule(step, config.scorer_steps)
        chosen = learnt[indices]
        negatives = _negatives(data, chosen, generator(seed, "scorer/negatives", step))
        photos = np.concatenate([data.photos[chosen], negatives])
        labels = np.concatenate([data.labels[chosen], np.full(negatives.shape[:3], classes, np.uint8)])
        stream = generator(seed, "scorer/augment", step)
        x, y = _augmented(torch.from_numpy(photos), torch.from_numpy(labels), stream, device)
        loss = _loss(network(x), y, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if progress is not None:
            progress(step + 1, config.scorer_steps)
    if not math.isfinite(loss.item()):
        raise Diverged(f"the scorer's loss became {loss.item()} within {config.scorer_steps} steps")
    info = scorer_settings(classes, config, seed) | {"side": data.photos.shape[1], "images": len(learnt)}
    scorer = Scorer(network, info, device)
    scorer.info |= _reached(scorer, data.photos[held_out], data.labels[held_out]) if len(held_out) else {}
    return scorer


def _negatives(data: ScorerData, chosen: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return pictures that are no photos, uint8 (n, S, S, 3), one for every `PHOTOS_PER_NEGATIVE` of the `chosen`.

    Half are of the other domain; the others are photos with their patches shuffled, pictures translated by an untrained
    network, and noise.
    """
    pictures = []
    for _ in range(max(1, len(chosen) // PHOTOS_PER_NEGATIVE)):
        kind = random.random()
        photo = data.photos[random.choice(chosen)]
        other = data.others[random.integers(len(data.others))] if len(data.others) else None
        if other is not None and kind < 0.5:
            pictures.append(other)
        elif kind < 0.7:
            pictures.append(shuffled_patches(photo, random))
        elif kind < 0.9:
            pictures.append(untrained_translation(photo if other is None or kind < 0.8 else other, random))
        else:
            level = random.uniform(0, 255, 3) + random.choice([0, 40]) * random.normal(size=photo.shape)
            pictures.append(level.clip(0, 255).astype(np.uint8))
    return np.stack(pictures)


def shuffled_patches(photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a photo, uint8 (S, S, 3), whose patches of S / 8 pixels are in random order."""
    rows, columns = (side // PATCHES for side in photo.shape[:2])
    patches = photo.reshape(PATCHES, rows, PATCHES, columns, 3).swapaxes(1, 2).reshape(-1, rows, columns, 3)
    shuffled = patches[random.permutation(len(patches))].reshape(PATCHES, PATCHES, rows, columns, 3)
    return shuffled.swapaxes(1, 2).reshape(photo.shape)


def untrained_translation(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a picture, uint8 (S, S, 3), as two layers of 3 × 3 convolutions with random weights make it."""
    x = to_float(torch.from_numpy(picture[None].copy()))
    for channels_in, channels_out in ((3, 8), (8, 3)):
        weight = random.normal(0, (2 / (9 * channels_in)) ** 0.5, (channels_out, channels_in, 3, 3))
        x = functional.conv2d(functional.pad(x, (1, 1, 1, 1), "reflect"), torch.from_numpy(weight).float())
        x = torch.relu(x) if channels_out > 3 else torch.tanh(x)
    return to_bytes(x)[0]


def _reached(scorer: Scorer, photos: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return what a scorer reaches on labelled photos: accuracy, where a rejected pixel is wrong, expected calibration
    error (Naeini et al. 2015, 15 bins of equal width), and the share of rejected pixels; {} without any."""
    counted = labels != IGNORE
    if not counted.any():
        return {}
    probabilities = scorer.probabilities(photos).transpose(0, 2, 3, 1)[counted]
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    right = predicted == labels[counted]
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    sums = [np.bincount(bins, values, BINS) for values in (right, confidence)]
    return {
        "held_out_accuracy": round(float(right.mean()), 4),
        "calibration_error": round(float(np.abs(sums[0] - sums[1]).sum() / len(right)), 4),
        "held_out_rejected": round(float((predicted == probabilities.shape[1] - 1).mean()), 4),
    }


def schedule(step: int, steps: int) -> float:
    """Return the factor of the learning rate in `step` (from 0): linear warm-up, then half a cosine down to 0."""
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return float32 (classes,): frequency ** -CLASS_POWER, scaled to a mean of 1 over pixels; 0 for absent classes."""
    counts = _class_counts(labels)[:classes]
    frequency = counts / counts.sum()
    weights = np.where(counts > 0, np.maximum(counts, 1.0) ** -CLASS_POWER, 0)
    return (weights / (weights * frequency).sum()).astype(np.float32)


def _class_counts(labels: np.ndarray) -> np.ndarray:
    """Return the number of pixels of each id, int64 (256,), of labels that need not fit in memory."""
    counts = np.zeros(IGNORE + 1, np.int64)
    for ids in labels:
        counts += np.bincount(ids.ravel(), minlength=IGNORE + 1)
    return counts


def _loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean cross-entropy over labelled pixels; 0 where no pixel is labelled."""
    if logits.is_cuda and torch.are_deterministic_algorithms_enabled():  # deterministic on rows, not on maps
        logits, labels = logits.permute(0, 2, 3, 1).flatten(0, 2), labels.flatten()
    total = functional.cross_entropy(logits, labels, weights, ignore_index=IGNORE, reduction="sum")
    counted = weights[labels[labels != IGNORE]].sum()
    return total / counted.clamp(min=1e-6)


def _batches(images: int, steps: int, batch: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the image indices of each step: epoch after epoch, each in its own order."""
    epochs = -(-steps * batch // images)
    order = np.concatenate([generator(seed, "scorer/order", number).permutation(images) for number in range(epochs)])
    for step in range(steps):
        yield order[step * batch : (step + 1) * batch]


def _augmented(
    photos: torch.Tensor, labels: torch.Tensor, random: np.random.Generator, device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return photos as floats and labels as int64, randomly mirrored, zoomed, shifted and changed in colour."""
    count = len(photos)
    low, high = np.log(SCALES)
    view = np.exp(-random.uniform(low, high, count))  # side of the crop as a share of the photo's
    mirror = np.where(random.random(count) < 0.5, -1.0, 1.0)
    shift = random.uniform(-1, 1, (2, count)) * np.abs(1 - view)
    zero = np.zeros(count)
    theta = np.array([[mirror * view, zero, shift[0]], [zero, view, shift[1]]]).transpose(2, 0, 1)
    jitter = COLOUR * (random.normal(size=(2, count, 1, 1, 1)) + 0.5 * random.normal(size=(2, count, 3, 1, 1)))

    x = to_float(photos.to(device))
    grid = functional.affine_grid(torch.from_numpy(theta).to(x), list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    x = x * torch.from_numpy(np.exp(jitter[0])).to(x) + torch.from_numpy(jitter[1]).to(x)
    # ids rise by one, 255 becomes 0: then pixels outside the photo, which are filled with 0, are ignored as well
    raised = (labels.to(device) + 1)[:, None].float()
    y = functional.grid_sample(raised, grid, mode="nearest", padding_mode="zeros", align_corners=False)[:, 0]
    return x.clamp(-1, 1), (y.round().long() - 1) % 256


def check_training_data(data: ScorerData, classes: int) -> None:
    """Raise `CgbenchError` unless photos, labels and other pictures can train a scorer of `classes` classes."""
    photos, labels = data.photos, data.labels
    check_photos(photos)
    if len(data.others):
        check_photos(data.others)
    if labels.shape != photos.shape[:3] or labels.dtype != np.uint8:
        raise CgbenchError(f"the scorer's labels must be uint8 {photos.shape[:3]}, not {labels.dtype} {labels.shape}")
    counted = np.flatnonzero(_class_counts(labels)[:IGNORE])
    if not counted.size:
        raise CgbenchError("the scorer has nothing to learn from: no pixel of its photos has a label")
    if counted.max() >= classes:
        raise CgbenchError(f"the scorer's labels hold class {counted.max()}, but there are only {classes} classes")
