"""Images in memory, and the batch of every step as a pure function of (seed, step)."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from cgbench.config import TrialConfig
from cgbench.dataset import IGNORE, Dataset, Item
from cgbench.datasets.images import same_shape, square
from cgbench.errors import DataBroken
from cgbench.seeds import generator

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one domain and split: uint8 (N, S, S, 3); `labels` are class ids, uint8 (N, S, S)."""

    keys: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def digest(self) -> str:
        """12 hex digits that identify the content: keys, pixels and labels."""
        content = hashlib.sha256("\n".join(self.keys).encode())
        for array in (self.images, self.labels):
            if array is not None:
                content.update(repr(array.shape).encode())
                content.update(np.ascontiguousarray(array))
        return content.hexdigest()[:12]


@contextmanager
def naming_the_doctor(dataset: Dataset) -> Iterator[None]:
    """Add to a `DataBroken` raised inside which command lists everything that is wrong with the dataset."""
    try:
        yield
    except DataBroken as error:
        raise DataBroken(f"{error} ('cgbench datasets check {dataset.name}' lists all that is wrong)") from None


def load_images(
    dataset: Dataset, split: str, domain: str, side: int, config: TrialConfig, limit: int = 0,
    spread: bool = False, progress: Progress | None = None, labels: bool = False,
) -> ImageSet:  # fmt: skip
    """Decode a domain of a split to squares of `side` pixels. `limit` takes the first images, or evenly `spread` ones.

    The class ids are decoded too if `labels` are asked for and every image has them. Raises `DataBroken`, before a
    picture is decoded where it can, if the domain is empty, keys are not unique, or a file cannot be used.
    """
    kind = dataset.domains[0 if domain == "A" else 1]
    with naming_the_doctor(dataset):
        items = list(dataset.items(split, domain))
        if not items:
            raise DataBroken(
                f"dataset '{dataset.label}': split '{split}' has no image of domain {domain} ({kind.name})"
            )
        if len({item.key for item in items}) < len(items):
            raise DataBroken(f"dataset '{dataset.label}': two images of split '{split}', domain {domain}, have one key")
        if limit and limit < len(items):
            chosen = np.linspace(0, len(items) - 1, limit).round().astype(int) if spread else range(limit)
            items = [items[index] for index in chosen]
        images, ids = [], []
        for number, item in enumerate(items):
            image = item.image(side)
            images.append(square(image, side, config.fit, blend=kind.kind == "photo"))
            if labels and item.labels is not None:
                ids.append(square(_fitting_labels(dataset, item, image, side), side, config.fit, blend=False))
            if progress:
                progress(number + 1, len(items))
    keys = tuple(item.key for item in items)
    return ImageSet(keys, np.stack(images), np.stack(ids) if len(ids) == len(items) else None)


def _fitting_labels(dataset: Dataset, item: Item, image: np.ndarray, side: int) -> np.ndarray:
    """Return an item's class ids, uint8 (H, W); ids beyond the palette and another shape than the image's raise."""
    ids, name = item.labels(side), item.labels_file or f"dataset '{dataset.label}', image '{item.key}'"
    if dataset.palette and (beyond := ids[(ids >= len(dataset.palette)) & (ids != IGNORE)]).size:
        raise DataBroken(f"{name}: class id {beyond.max()}, but the palette has {len(dataset.palette)} classes")
    if not same_shape(*image.shape[:2], *ids.shape):
        sizes = f"{ids.shape[1]} × {ids.shape[0]} labels for {image.shape[1]} × {image.shape[0]} pixels"
        raise DataBroken(f"{name}: {sizes}: a label map must show its photo, whole")
    return ids


@lru_cache(maxsize=16)
def _epoch_order(seed: int, domain: str, epoch: int, count: int) -> np.ndarray:
    return generator(seed, "data", "order", domain, epoch).permutation(count)


def batch_indices(seed: int, domain: str, step: int, batch: int, count: int) -> np.ndarray:
    """Return which images of a domain form the batch of `step`; every image comes once per epoch of its domain.

    The two domains are shuffled by streams of their own, so that nothing pairs them.
    """
    positions = np.arange(step * batch, (step + 1) * batch)
    return np.array([_epoch_order(seed, domain, int(p) // count, count)[p % count] for p in positions])


def crops(seed: int, domain: str, step: int, config: TrialConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the crop corners, int (batch, 2) as (row, column), and the mirror flags, bool (batch,), of a step."""
    rng = generator(seed, "data", "augment", domain, step)
    corners = rng.integers(0, config.load_size - config.crop_size + 1, size=(config.batch, 2))
    mirrored = rng.random(config.batch) < 0.5
    return corners, mirrored & config.flip


class Feed:
    """The training images of both domains on the device, as uint8, and their batches.

    `paired` says that row k of both sets shows one scene: then both are drawn, cropped and mirrored alike. Class ids
    are part of the batches where both sets have them.
    """

    def __init__(
        self, a: ImageSet, b: ImageSet, config: TrialConfig, seed: int, device: str = "cpu", paired: bool = False
    ) -> None:
        self.config, self.seed, self.paired = config, seed, paired
        self.epoch = config.steps_per_epoch(len(a), len(b))  # in steps
        self.domains = {
            "a": torch.from_numpy(a.images).to(device).permute(0, 3, 1, 2).contiguous(),
            "b": torch.from_numpy(b.images).to(device).permute(0, 3, 1, 2).contiguous(),
        }
        self.labels = {}
        if a.labels is not None and b.labels is not None:
            self.labels = {"a": torch.from_numpy(a.labels).to(device), "b": torch.from_numpy(b.labels).to(device)}

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return `real_a` and `real_b` of a step, float (batch, 3, crop, crop) in [-1, 1], and where the feed has them
        `labels_a` and `labels_b`, int64 (batch, crop, crop), 255 for no class."""
        batch = {}
        for domain, images in self.domains.items():
            stream = "pairs" if self.paired else domain
            chosen = batch_indices(self.seed, stream, step, self.config.batch, len(images)).tolist()
            corners, mirrored = crops(self.seed, stream, step, self.config)
            batch[f"real_{domain}"] = to_signed(self._cut(images, chosen, corners, mirrored))
            if self.labels:
                batch[f"labels_{domain}"] = self._cut(self.labels[domain], chosen, corners, mirrored).long()
        return batch

    def _cut(self, images: Tensor, chosen: list[int], corners: np.ndarray, mirrored: np.ndarray) -> Tensor:
        """Return the crops of the chosen images (count, …, S, S)."""
        side = self.config.crop_size
        parts = []
        for index, (row, column), mirror in zip(chosen, corners, mirrored, strict=True):
            part = images[index, ..., row : row + side, column : column + side]
            parts.append(part.flip(-1) if mirror else part)
        return torch.stack(parts)


def to_signed(images: Tensor) -> Tensor:
    """Return uint8 images as float in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_bytes(images: Tensor) -> np.ndarray:
    """Return float images (N, 3, S, S) in [-1, 1] as uint8 (N, S, S, 3), rounded to the nearest level; NaN is 0."""
    levels = ((images.float() + 1) * 127.5).round().clamp(0, 255).nan_to_num()
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
