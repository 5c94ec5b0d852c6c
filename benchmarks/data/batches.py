"""Batches of images: the batch of every step is a pure function of (seed, step)."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from cgbench.benchmarks.data.conversion import as_tensor, to_signed
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.config import TrialConfig
from cgbench.methods.functional.tensors import to_device
from cgbench.seeds import generator

DEVICE_SHARE = 0.5  # share of a GPU's free memory that images may take up


@lru_cache(maxsize=4)  # two epochs of both domains; an order of a million images takes 8 MB
def _epoch_order(seed: int, domain: str, epoch: int, count: int) -> np.ndarray:
    return generator(seed, "data", "order", domain, epoch).permutation(count)


def batch_indices(seed: int, domain: str, step: int, batch_size: int, count: int) -> np.ndarray:
    """Return the indices of the images in the batch of `step`; every image occurs once per epoch of its domain.

    The two domains are shuffled by separate random streams, so that the order does not pair their images.

    Args:
        seed: The seed of the trial.
        domain: The name of the random stream.
        step: The training step, from 0.
        batch_size: The number of images in a batch.
        count: The number of images of the domain.

    Returns:
        Image indices, int (batch_size,).
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    return np.array(
        [_epoch_order(seed, domain, int(position) // count, count)[position % count] for position in positions]
    )


def crops(seed: int, domain: str, step: int, config: TrialConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the crop corners, int (batch, 2) as (row, column), and the mirror flags, bool (batch,), of a step."""
    rng = generator(seed, "data", "augment", domain, step)
    corners = rng.integers(0, config.load_size - config.crop_size + 1, size=(config.batch_size, 2))
    mirrored = rng.random(config.batch_size) < 0.5
    return corners, mirrored & config.horizontal_flip


class BatchSampler:
    """The training images of both domains, uint8, and their batches.

    Images stay in host memory or in a mapped file, or are copied to the memory of the GPU where they fit. `paired`
    means that row k of both sets shows one scene: then both are drawn, cropped and mirrored alike. Class ids are part
    of the batches where both sets have them.
    """

    def __init__(
        self, a: ImageSet, b: ImageSet, config: TrialConfig, seed: int, device: str = "cpu", paired: bool = False
    ) -> None:
        self.config, self.seed, self.paired, self.device = config, seed, paired, device
        self.epoch = config.steps_per_epoch(len(a), len(b))  # in steps
        labels = {} if a.labels is None or b.labels is None else {"a": a.labels, "b": b.labels}
        arrays = [a.images, b.images, *labels.values()]
        self.resident = device.startswith("cuda") and fits_on_device(sum(x.nbytes for x in arrays), free_memory(device))
        storage_device = device if self.resident else "cpu"
        images = {"a": a.images, "b": b.images}
        self.domains = {name: as_tensor(array).to(storage_device).permute(0, 3, 1, 2) for name, array in images.items()}
        self.labels = {name: as_tensor(array).to(storage_device) for name, array in labels.items()}

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return `real_a` and `real_b` of a step, float (batch, 3, crop, crop) in [-1, 1], and where both sets have
        labels `labels_a` and `labels_b`, int64 (batch, crop, crop), 255 for no class."""
        batch = {}
        for domain, images in self.domains.items():
            stream = "pairs" if self.paired else domain
            chosen = batch_indices(self.seed, stream, step, self.config.batch_size, len(images))
            corners, mirrored = crops(self.seed, stream, step, self.config)
            batch[f"real_{domain}"] = to_signed(self._crop(images, chosen, corners, mirrored))
            if self.labels:
                batch[f"labels_{domain}"] = self._crop(self.labels[domain], chosen, corners, mirrored).long()
        return batch

    def _crop(self, images: Tensor, chosen: np.ndarray, corners: np.ndarray, mirrored: np.ndarray) -> Tensor:
        """Return the crops (count, …, crop, crop) of the chosen images on the device."""
        side = self.config.crop_size
        if self.resident:
            places = torch.from_numpy(np.column_stack([chosen, corners, mirrored]).astype(np.int64))
            return gather_crops(images, to_device(places, self.device), side)
        return to_device(copy_crops(images, chosen, corners, mirrored, side), self.device)


def fits_on_device(needed: int, free: int) -> bool:
    """Return whether images of `needed` bytes may be stored on a device with `free` bytes, most of which networks
    need."""
    return needed <= DEVICE_SHARE * free


def free_memory(device: str) -> int:
    """Return the free bytes of a GPU, including those that torch has reserved for this process but not allocated."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def copy_crops(images: Tensor, chosen: np.ndarray, corners: np.ndarray, mirrored: np.ndarray, side: int) -> Tensor:
    """Return crops of images on the host, copied one after another.

    On the host this is faster than one gather, and only the cropped regions are read.

    Args:
        images: The images, (N, …, S, S), on the host.
        chosen: The image index of each crop, int (count,).
        corners: The first row and column of each crop, int (count, 2).
        mirrored: Whether each crop is mirrored, bool (count,).
        side: The side of a crop in pixels.

    Returns:
        The crops, (count, …, side, side).
    """
    source = images.numpy()
    cropped = np.empty((len(chosen), *source.shape[1:-2], side, side), source.dtype)
    jobs = zip(cropped, chosen.tolist(), corners.tolist(), mirrored.tolist(), strict=True)
    for output, index, (row, column), mirror in jobs:
        crop = source[index, ..., row : row + side, column : column + side]
        output[...] = crop[..., ::-1] if mirror else crop
    return torch.from_numpy(cropped)


def gather_crops(images: Tensor, places: Tensor, side: int) -> Tensor:
    """Return crops (count, …, side, side) of images (N, …, S, S) in one operation, on any device.

    `places`, int64 (count, 4), holds for each crop the image, its first row and column, and whether it is mirrored.
    """
    index, row, column, mirror = places[:, :, None].unbind(1)
    offsets = torch.arange(side, device=images.device)
    rows, columns = row + offsets, column + torch.where(mirror > 0, side - 1 - offsets, offsets)
    channels_last = images.movedim((-2, -1), (1, 2))  # (N, S, S, …), as stored in memory
    return (
        channels_last[index[:, :, None], rows[:, :, None], columns[:, None, :]].movedim((1, 2), (-2, -1)).contiguous()
    )
