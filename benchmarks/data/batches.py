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


def crops(
    seed: int, domain: str, step: int, config: TrialConfig, sizes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the images of a step are cropped.

    Args:
        seed: The seed of the trial.
        domain: The name of the random stream.
        step: The training step, from 0.
        config: The configuration.
        sizes: Heights and widths of the images, int (batch, 2); None: all have the shape that images are loaded in.

    Returns:
        The upper left corners of the crops, int (batch, 2) as (row, column), and whether each is mirrored, bool
        (batch,).
    """
    rng = generator(seed, "data", "augment", domain, step)
    margins = np.array(config.load_shape if sizes is None else sizes, np.int64) - np.array(config.crop_shape) + 1
    highest = margins if np.unique(margins).size > 1 else int(margins.flat[0])
    corners = rng.integers(0, highest, size=(config.batch_size, 2))
    mirrored = rng.random(config.batch_size) < 0.5
    return corners, mirrored & config.horizontal_flip


class BatchSampler:
    """The training images of both domains, as they are stored, and their batches.

    Images stay in host memory or in a mapped file, or are copied to the memory of the GPU where they fit. `paired`
    means that row k of both sets shows one scene: then both are drawn, cropped and mirrored alike, and must be of one
    size. Class ids are part of the batches where both sets have them.
    """

    def __init__(
        self, a: ImageSet, b: ImageSet, config: TrialConfig, seed: int, device: str = "cpu", paired: bool = False
    ) -> None:
        self.config, self.seed, self.paired, self.device = config, seed, paired, device
        self.epoch = config.steps_per_epoch(len(a), len(b))  # in steps
        labels = {} if a.labels is None or b.labels is None else {"a": a.labels, "b": b.labels}
        arrays = [a.images, b.images, *labels.values()]
        resident_type = all(array.dtype != np.uint16 for array in arrays)  # which torch does not gather on a GPU
        self.resident = (
            device.startswith("cuda")
            and resident_type
            and fits_on_device(sum(array.nbytes for array in arrays), free_memory(device))
        )
        self.sizes, self.pixels = {"a": a.sizes, "b": b.sizes}, {"a": a.pixels, "b": b.pixels}
        storage_device = device if self.resident else "cpu"
        images = {"a": a.images, "b": b.images}
        self.domains = {name: as_tensor(array).to(storage_device).permute(0, 3, 1, 2) for name, array in images.items()}
        self.labels = {name: as_tensor(array).to(storage_device) for name, array in labels.items()}

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return `real_a` and `real_b` of a step, float (batch, C, height, width) in [-1, 1], and where both sets have
        labels `labels_a` and `labels_b`, int64 (batch, height, width), 255 for no class."""
        batch = {}
        for domain, images in self.domains.items():
            stream = "pairs" if self.paired else domain
            chosen = batch_indices(self.seed, stream, step, self.config.batch_size, len(images))
            sizes = self.sizes[domain]
            of_batch = None if sizes is None else sizes[chosen]
            corners, mirrored = crops(self.seed, stream, step, self.config, of_batch)
            batch[f"real_{domain}"] = to_signed(self._crop(images, chosen, corners, mirrored), self.pixels[domain])
            if self.labels:
                batch[f"labels_{domain}"] = self._crop(self.labels[domain], chosen, corners, mirrored).long()
        return batch

    def _crop(self, images: Tensor, chosen: np.ndarray, corners: np.ndarray, mirrored: np.ndarray) -> Tensor:
        """Return the crops (count, …, height, width) of the chosen images on the device."""
        shape = self.config.crop_shape
        if self.resident:
            places = torch.from_numpy(np.column_stack([chosen, corners, mirrored]).astype(np.int64))
            return gather_crops(images, to_device(places, self.device), shape)
        return to_device(copy_crops(images, chosen, corners, mirrored, shape), self.device)


def fits_on_device(needed: int, free: int) -> bool:
    """Return whether images of `needed` bytes may be stored on a device with `free` bytes, most of which networks
    need."""
    return needed <= DEVICE_SHARE * free


def free_memory(device: str) -> int:
    """Return the free bytes of a GPU, including those that torch has reserved for this process but not allocated."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def copy_crops(
    images: Tensor, chosen: np.ndarray, corners: np.ndarray, mirrored: np.ndarray, shape: tuple[int, int]
) -> Tensor:
    """Return crops of images on the host, copied one after another.

    On the host this is faster than one gather, and only the cropped regions are read.

    Args:
        images: The images, (N, …, H, W), on the host.
        chosen: The image index of each crop, int (count,).
        corners: The first row and column of each crop, int (count, 2).
        mirrored: Whether each crop is mirrored, bool (count,).
        shape: The height and width of a crop in pixels.

    Returns:
        The crops, (count, …, height, width).
    """
    source, (height, width) = images.numpy(), shape
    cropped = np.empty((len(chosen), *source.shape[1:-2], height, width), source.dtype)
    jobs = zip(cropped, chosen.tolist(), corners.tolist(), mirrored.tolist(), strict=True)
    for output, index, (row, column), mirror in jobs:
        crop = source[index, ..., row : row + height, column : column + width]
        output[...] = crop[..., ::-1] if mirror else crop
    return torch.from_numpy(cropped)


def gather_crops(images: Tensor, places: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return crops (count, …, height, width) of images (N, …, H, W) in one operation, on any device.

    `places`, int64 (count, 4), holds for each crop the image, its first row and column, and whether it is mirrored.
    """
    height, width = shape
    index, row, column, mirror = places[:, :, None].unbind(1)
    across = torch.arange(width, device=images.device)
    rows = row + torch.arange(height, device=images.device)
    columns = column + torch.where(mirror > 0, width - 1 - across, across)
    channels_last = images.movedim((-2, -1), (1, 2))  # (N, H, W, …), as stored in memory
    return (
        channels_last[index[:, :, None], rows[:, :, None], columns[:, None, :]].movedim((1, 2), (-2, -1)).contiguous()
    )
