"""Training of the scorer on a dataset's real pairs."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from cgbench.api.names import IGNORE
from cgbench.benchmarks.evaluation.scorer import SEED, Scorer, build_network, check_photos, scorer_settings, to_float
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError, Diverged
from cgbench.progress import ProgressCallback
from cgbench.seeds import generator

LEARNING_RATE = 1e-2
WEIGHT_DECAY = 2e-2
WARM_UP = 0.15  # share of the steps in which the learning rate rises
SCALES = (0.8, 1.5)  # zoom of a training crop; below 1 the photo's border is repeated and its labels ignored
COLOUR = 0.08  # spread of the random gain and offset of photos on the scale -1 to 1
CLASS_POWER = 0.25  # class weight = frequency ** -CLASS_POWER: rare classes count a little more


def train_scorer(
    photos: np.ndarray,
    labels: np.ndarray,
    classes: int,
    config: TrialConfig,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> Scorer:
    """Train a scorer on photos and their class ids.

    AdamW, learning rate with linear warm-up and cosine decay, cross-entropy with mild class weights; crops are
    mirrored, zoomed, shifted and changed in colour. Every draw comes from streams of the fixed scorer seed: on a CPU
    two trainings with the same number of threads agree bit for bit.

    Args:
        photos: Real photos, uint8 (N, S, S, 3).
        labels: Their class ids, uint8 (N, S, S), 255 ignored.
        classes: The number of classes.
        config: The configuration with the scorer's settings.
        device: The device to train on.
        progress: Called after each step with (done, total).

    Returns:
        The trained scorer, on `device`.

    Raises:
        CgbenchError: The photos or labels cannot be used for training.
        Diverged: The last loss is not finite.
    """
    check_training_data(photos, labels, classes)
    network = build_network(classes, config.scorer_width).to(device).to(memory_format=torch.channels_last).train()
    weights = torch.from_numpy(class_weights(labels, classes)).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for step, indices in enumerate(_batches(len(photos), config.scorer_steps, config.scorer_batch)):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * schedule(step, config.scorer_steps)
        x, y = _augmented(torch.from_numpy(photos[indices]), torch.from_numpy(labels[indices]), step, device)
        loss = _loss(network(x), y, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if progress is not None:
            progress(step + 1, config.scorer_steps)
    if not math.isfinite(loss.item()):
        raise Diverged(f"the scorer's loss became {loss.item()} within {config.scorer_steps} steps")
    scorer = Scorer(
        network, scorer_settings(classes, config) | {"side": photos.shape[1], "images": len(photos)}, device
    )
    scorer.info["training_accuracy"] = _accuracy(scorer, photos, labels)
    return scorer


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


def _batches(images: int, steps: int, batch: int) -> Iterator[np.ndarray]:
    """Yield the image indices of each step: epoch after epoch, each in its own order."""
    epochs = -(-steps * batch // images)
    order = np.concatenate([generator(SEED, "scorer/order", number).permutation(images) for number in range(epochs)])
    for step in range(steps):
        yield order[step * batch : (step + 1) * batch]


def _augmented(photos: torch.Tensor, labels: torch.Tensor, step: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return photos as floats and labels as int64, randomly mirrored, zoomed, shifted and changed in colour."""
    count = len(photos)
    random = generator(SEED, "scorer/augment", step)
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


def _accuracy(scorer: Scorer, photos: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of labelled pixels classified correctly in at most 256 training photos of the scorer."""
    subset = slice(None, None, -(-len(photos) // 256))
    counted = labels[subset] != IGNORE
    return round(float((scorer.predict(photos[subset]) == labels[subset])[counted].mean()), 4)


def check_training_data(photos: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Raise `CgbenchError` unless photos and labels can train a scorer of `classes` classes."""
    check_photos(photos)
    if labels.shape != photos.shape[:3] or labels.dtype != np.uint8:
        raise CgbenchError(f"the scorer's labels must be uint8 {photos.shape[:3]}, not {labels.dtype} {labels.shape}")
    counted = np.flatnonzero(_class_counts(labels)[:IGNORE])
    if not counted.size:
        raise CgbenchError("the scorer has nothing to learn from: no pixel of its photos has a label")
    if counted.max() >= classes:
        raise CgbenchError(f"the scorer's labels hold class {counted.max()}, but there are only {classes} classes")
