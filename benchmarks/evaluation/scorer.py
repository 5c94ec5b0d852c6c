"""The scorer: a small segmentation network, trained on real photos, that judges translated ones (the FCN score).

Isola et al. 2017 (pix2pix, section 4.1) judge a photo made from labels by how well a network trained on real photos
finds these labels in it. Theirs is FCN-8s (Long et al. 2015); ours is a small U-Net, trained at the resolution
of the translations, the same for every method of a comparison.
"""

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional

from cgbench.api.dataset import IGNORE
from cgbench.benchmarks.data.batches import to_signed
from cgbench.benchmarks.evaluation.memoize import Remembered
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError, DataBroken, Diverged
from cgbench.files import write_bytes
from cgbench.methods.blocks.segmentation import SegmentationNet
from cgbench.results.records import digest
from cgbench.seeds import derive, generator

VERSION = 1  # rises whenever training changes: it is part of the name of the cache file
SEED = 0  # one fixed scorer for all seeds of all methods
MULTIPLE = 8  # three halvings
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 2e-2
WARM_UP = 0.15  # share of the steps in which the learning rate rises
SCALES = (0.8, 1.5)  # zoom of a training crop; below 1 the photo's border is repeated and its labels ignored
COLOUR = 0.08  # spread of the random gain and offset of photos on the scale -1 to 1
CLASS_POWER = 0.25  # class weight = frequency ** -CLASS_POWER: rare classes count a little more
PIXELS_AT_ONCE = 2**18  # of a batch in prediction, which bounds the memory


def build_network(classes: int, width: int) -> SegmentationNet:
    """Return the network with He-normal weights from the scorer's own streams; no global generator is touched."""
    with torch.device("meta"):
        network = SegmentationNet(classes, width)
    network.to_empty(device="cpu")
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            stream = torch.Generator().manual_seed(derive(SEED, "scorer/init", name))
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=stream)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


class Scorer:
    """A trained network with `info`: classes, width, side, settings of its training and accuracy on its photos."""

    def __init__(self, network: SegmentationNet, info: dict[str, Any], device: str = "cpu") -> None:
        self.network = network.to(device, memory_format=torch.channels_last).eval()
        self.info = info
        self.device = device
        self.predict_once = Remembered(self.predict)  # metrics, detectors and pictures ask for the same images

    @torch.inference_mode()
    def predict(self, photos: np.ndarray) -> np.ndarray:
        """Return the class ids, uint8 (N, S, S), of photos, uint8 (N, S, S, 3); S must be a multiple of 8."""
        _check_photos(photos)
        count = max(1, PIXELS_AT_ONCE // photos.shape[1] ** 2)
        found = np.empty(photos.shape[:3], np.uint8)
        for start in range(0, len(photos), count):
            logits = self.network(_to_float(torch.from_numpy(photos[start : start + count].copy()).to(self.device)))
            found[start : start + count] = logits.argmax(1).to(torch.uint8).cpu().numpy()
        return found

    @property
    def digest(self) -> str:
        """12 hex digits of the weights' content: the same weights have the same digest on every machine."""
        return content_digest(*(tensor.numpy() for _, tensor in sorted(self._weights().items())))

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write weights and `info` as one safetensors file, atomically."""
        metadata = {"scorer": json.dumps(self.info), "digest": self.digest}
        write_bytes(path, safetensors.torch.save(self._weights(), metadata))

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> "Scorer":
        """Read what `save` wrote; a file that is no whole scorer raises `DataBroken`."""
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                metadata = file.metadata()
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            info = json.loads(metadata["scorer"])
            network = build_network(info["classes"], info["width"])
            network.load_state_dict(weights)
            scorer = cls(network, info, device)
            if scorer.digest != metadata["digest"]:
                raise ValueError("its weights do not match their digest")
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise DataBroken(f"{path} is not a readable scorer ({reason}): it must be trained again") from None
        return scorer


def train_scorer(
    photos: np.ndarray,
    labels: np.ndarray,
    classes: int,
    config: TrialConfig,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Scorer:
    """Train a scorer on photos, uint8 (N, S, S, 3), and their class ids, uint8 (N, S, S) with 255 ignored.

    AdamW, learning rate with linear warm-up and cosine decay, cross-entropy with mild class weights; crops are
    mirrored, zoomed, shifted and changed in colour. Every draw comes from streams of the fixed scorer seed: on a CPU
    two trainings with the same number of threads agree bit for bit. `progress(step, steps)` is called after a step.
    """
    _check_training_data(photos, labels, classes)
    network = build_network(classes, config.scorer_width).to(device, memory_format=torch.channels_last).train()
    weights = torch.from_numpy(class_weights(labels, classes)).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for step, chosen in enumerate(_batches(len(photos), config.scorer_steps, config.scorer_batch)):
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * schedule(step, config.scorer_steps)
        x, y = _augmented(torch.from_numpy(photos[chosen]), torch.from_numpy(labels[chosen]), step, device)
        loss = _loss(network(x), y, weights)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if progress is not None:
            progress(step + 1, config.scorer_steps)
    if not math.isfinite(loss.item()):
        raise Diverged(f"the scorer's loss became {loss.item()} within {config.scorer_steps} steps")
    scorer = Scorer(network, _settings(classes, config) | {"side": photos.shape[1], "images": len(photos)}, device)
    scorer.info["training_accuracy"] = _accuracy(scorer, photos, labels)
    return scorer


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
    _check_training_data(photos, labels, classes)
    recipe = digest(_settings(classes, config) | {"content": content_digest(photos, labels)})
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


def content_digest(*arrays: np.ndarray) -> str:
    """Return 12 hex digits that identify the shapes, types and values of arrays."""
    text = hashlib.sha256(" ".join(f"{array.shape} {array.dtype}" for array in arrays).encode())
    for array in arrays:
        text.update(np.ascontiguousarray(array))
    return text.hexdigest()[:12]


def schedule(step: int, steps: int) -> float:
    """Return the factor of the learning rate in `step` (from 0): linear rise, then half a cosine down to 0."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return float32 (classes,): frequency ** -CLASS_POWER, scaled to a mean of 1 over pixels; 0 for absent classes."""
    counts = _class_counts(labels)[:classes]
    frequency = counts / counts.sum()
    weights = np.where(counts > 0, np.maximum(counts, 1.0) ** -CLASS_POWER, 0)
    return (weights / (weights * frequency).sum()).astype(np.float32)


def _class_counts(labels: np.ndarray) -> np.ndarray:
    """Return the pixels of each id, int64 (256,), of labels that need not fit in memory."""
    counts = np.zeros(IGNORE + 1, np.int64)
    for ids in labels:
        counts += np.bincount(ids.ravel(), minlength=IGNORE + 1)
    return counts


def _settings(classes: int, config: TrialConfig) -> dict[str, int]:
    training = {"steps": config.scorer_steps, "batch": config.scorer_batch, "width": config.scorer_width}
    return training | {"classes": classes, "version": VERSION}


def _loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean cross-entropy over labelled pixels; 0 where no pixel is labelled."""
    if logits.is_cuda and torch.are_deterministic_algorithms_enabled():  # of rows it repeats bit for bit, of maps not
        logits, labels = logits.permute(0, 2, 3, 1).flatten(0, 2), labels.flatten()
    total = functional.cross_entropy(logits, labels, weights, ignore_index=IGNORE, reduction="sum")
    counted = weights[labels[labels != IGNORE]].sum()
    return total / counted.clamp(min=1e-6)


def _batches(images: int, steps: int, batch: int) -> Iterator[np.ndarray]:
    """Yield the image numbers of each step: pass after pass, each in its own order."""
    passes = -(-steps * batch // images)
    order = np.concatenate([generator(SEED, "scorer/order", number).permutation(images) for number in range(passes)])
    for step in range(steps):
        yield order[step * batch : (step + 1) * batch]


def _augmented(photos: torch.Tensor, labels: torch.Tensor, step: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return photos as floats and labels as int64, mirrored, zoomed, shifted and changed in colour by random."""
    count = len(photos)
    random = generator(SEED, "scorer/augment", step)
    view = np.exp(-random.uniform(*np.log(SCALES), count))  # side of the crop as a share of the photo's
    mirror = np.where(random.random(count) < 0.5, -1.0, 1.0)
    shift = random.uniform(-1, 1, (2, count)) * np.abs(1 - view)
    zero = np.zeros(count)
    theta = np.array([[mirror * view, zero, shift[0]], [zero, view, shift[1]]]).transpose(2, 0, 1)
    jitter = COLOUR * (random.normal(size=(2, count, 1, 1, 1)) + 0.5 * random.normal(size=(2, count, 3, 1, 1)))

    x = _to_float(photos.to(device))
    grid = functional.affine_grid(torch.from_numpy(theta).to(x), list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    x = x * torch.from_numpy(np.exp(jitter[0])).to(x) + torch.from_numpy(jitter[1]).to(x)
    # ids rise by one, 255 becomes 0: then what lies outside the photo, which is filled with 0, is ignored as well
    raised = (labels.to(device) + 1)[:, None].float()
    y = functional.grid_sample(raised, grid, mode="nearest", padding_mode="zeros", align_corners=False)[:, 0]
    return x.clamp(-1, 1), (y.round().long() - 1) % 256


def _to_float(photos: torch.Tensor) -> torch.Tensor:
    """uint8 (N, S, S, 3) to float (N, 3, S, S) in [-1, 1]."""
    return to_signed(photos.permute(0, 3, 1, 2))


def _accuracy(scorer: Scorer, photos: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of labelled pixels that the scorer finds in at most 256 of its training photos."""
    some = slice(None, None, -(-len(photos) // 256))
    counted = labels[some] != IGNORE
    return round(float((scorer.predict(photos[some]) == labels[some])[counted].mean()), 4)


def _check_photos(photos: np.ndarray) -> None:
    if photos.ndim != 4 or photos.shape[3] != 3 or photos.shape[1] != photos.shape[2] or photos.dtype != np.uint8:
        raise CgbenchError(f"the scorer takes uint8 photos (N, S, S, 3), not {photos.dtype} {photos.shape}")
    if photos.shape[1] % MULTIPLE or photos.shape[1] == 0:
        raise CgbenchError(
            f"the scorer needs photos whose side is a multiple of {MULTIPLE}: crop_size={photos.shape[1]}"
        )


def _check_training_data(photos: np.ndarray, labels: np.ndarray, classes: int) -> None:
    _check_photos(photos)
    if labels.shape != photos.shape[:3] or labels.dtype != np.uint8:
        raise CgbenchError(f"the scorer's labels must be uint8 {photos.shape[:3]}, not {labels.dtype} {labels.shape}")
    counted = np.flatnonzero(_class_counts(labels)[:IGNORE])
    if not counted.size:
        raise CgbenchError("the scorer has nothing to learn from: no pixel of its photos has a label")
    if counted.max() >= classes:
        raise CgbenchError(f"the scorer's labels hold class {counted.max()}, but there are only {classes} classes")
