"""Speed of data loading: decoding files, batches of a step, and the cost of a batch as the dataset grows."""

import itertools
import random
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cgbench.api.names import Split
from cgbench.benchmarks.data.batches import BatchSampler
from cgbench.benchmarks.data.geometry import training_geometry
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.data.loading import load_images
from cgbench.benchmarks.evaluation.synthetic_workload import device_barrier
from cgbench.benchmarks.speed.measurements import Measurement, Measurements, SpeedOptions, VariantSettings
from cgbench.benchmarks.speed.timing import Variant, interleave, rates, summary, times_as_fast
from cgbench.benchmarks.speed.training_step import REFERENCE, measure_memory
from cgbench.benchmarks.speed.workload import DEFAULT, configuration
from cgbench.config import TrialConfig
from cgbench.datasets.folder import Folder
from cgbench.datasets.streets import Streets
from cgbench.files import attach_path

FILES = 24  # images per domain that are decoded
FILE_SIDE = 256  # pixels, as in the published datasets
GROWTH = (10**3, 10**4, 10**5, 10**6)  # images per domain
SMALL_SIDE = 8  # pixels of these images: a million of them are 192 MB


def data(options: SpeedOptions) -> Measurements:
    """Measure decoding and batches at every size, on JPEG files rendered for it, then the effect of dataset size."""
    with tempfile.TemporaryDirectory(prefix="cgbench-speed-") as name:
        root = Path(name)
        options.log(f"data: drawing {2 * FILES} pictures")
        write_jpeg_files(root, FILES)
        for size in options.sizes:
            options.log(f"data: at {size} pixels")
            yield from _decoding(root, size, options)
            yield from _batches(root, size, options)
        yield from growth(root, GROWTH, options)


def write_jpeg_files(root: Path, count: int, side: int = FILE_SIDE) -> None:
    """Write `count` JPEG files per domain into trainA, trainB, testA and testB (one file each) below `root`."""
    scenes = Streets()
    for domain in "AB":
        items = scenes.items(Split.TRAIN, domain)[:count]
        for number, item in enumerate(items):
            for split in ("train", "test") if number == 0 else ("train",):
                path = root / f"{split}{domain}" / f"{number:04d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                with attach_path(path):
                    Image.fromarray(item.image(side)).save(path, quality=90)


def _decoding(root: Path, size: str, options: SpeedOptions) -> Measurements:
    config = configuration(size, None, options.variants[0])
    folder, paths = Folder(root), sorted((root / "trainA").iterdir())
    variants = [
        Variant(REFERENCE, lambda: [reference_decode(path, config.load_size) for path in paths]),
        Variant(DEFAULT, lambda: load_images(folder, Split.TRAIN, "A", training_geometry(config))),
    ]
    seconds = interleave(variants, options.budget)
    yield from _against_reference("decoding", size, "images/s", len(paths), seconds)


def _batches(root: Path, size: str, options: SpeedOptions) -> Measurements:
    config, folder = configuration(size, None, options.variants[0]), Folder(root)
    sets = [load_images(folder, Split.TRAIN, domain, training_geometry(config)) for domain in "AB"]
    sampler, count = BatchSampler(*sets, config, 0, options.device), itertools.count()
    reference = ReferenceLoader(root, config, options.device)
    variants = [Variant(REFERENCE, reference.batch), Variant(DEFAULT, lambda: sampler.batch(next(count)))]
    seconds = interleave(variants, options.budget, device_barrier(options.device))
    yield from _against_reference("batches of both domains", size, "batches/s", 1, seconds)


def _against_reference(name: str, size: str, unit: str, units: int, seconds: dict[str, list[float]]) -> Measurements:
    for variant, values in seconds.items():
        ratio = None if variant == REFERENCE else times_as_fast(seconds[REFERENCE], values)
        yield Measurement(
            "data", name, variant, size, unit, summary(rates(values, units)), REFERENCE if ratio else "", ratio
        )


def growth(root: Path, counts: Sequence[int], options: SpeedOptions) -> Measurements:
    """Measure a sampler over memory-mapped images of 8 pixels: opening it, a batch, and the first batch of an epoch."""
    small_images = VariantSettings("growth", {"load_size": str(SMALL_SIDE), "crop_size": str(SMALL_SIDE)})
    config = configuration(options.sizes[0], None, small_images)
    for count in counts:
        options.log(f"data: {count:,} images per domain")
        images = _noise_images(root / "images.bin", count)
        sets = [ImageSet(tuple(map(str, range(count))), images) for _ in "ab"]
        yield from _growth_entries(partial(_cached_sampler, *sets, config, options.device), count, options)


def _growth_entries(
    open_sampler: Callable[[], Callable[[], BatchSampler]], count: int, options: SpeedOptions
) -> Measurements:
    get_sampler, memory = measure_memory(open_sampler, torch.device(options.device))
    sampler, wait = get_sampler(), device_barrier(options.device)
    seconds = {"opening": interleave([Variant("opening", lambda: open_sampler()())], options.budget, wait)["opening"]}
    batches, epochs = itertools.count(1), itertools.count(1)
    seconds |= interleave(
        [
            Variant("batch", lambda: sampler.batch(next(batches) % sampler.epoch)),
            Variant("first batch of an epoch", lambda: sampler.batch(next(epochs) * sampler.epoch)),
        ],
        options.budget,
        wait,
    )
    for name, values in seconds.items():
        details = {"memory_bytes": memory} if name == "opening" else {}
        yield Measurement(
            "data", f"{name}, {count:,} images", DEFAULT, str(SMALL_SIDE), "s", summary(values), details=details
        )


def _cached_sampler(a: ImageSet, b: ImageSet, config: TrialConfig, device: str) -> Callable[[], BatchSampler]:
    """Return a function that makes the sampler of both sets in its first call and caches it."""
    return cache(lambda: BatchSampler(a, b, config, 0, device))


def _noise_images(path: Path, count: int) -> np.ndarray:
    """Write `count` images of noise and return them memory-mapped, uint8 (count, 8, 8, 3)."""
    shape = (count, SMALL_SIDE, SMALL_SIDE, 3)
    path.unlink(missing_ok=True)
    images = np.memmap(path, np.uint8, "w+", shape=shape)
    rng = np.random.default_rng(0)
    for start in range(0, count, 2**16):
        part = images[start : start + 2**16]
        part[:] = rng.integers(0, 256, part.shape, dtype=np.uint8)
    images.flush()
    return images


def reference_decode(path: Path, side: int) -> np.ndarray:
    """Return a file as uint8 (side, side, 3), read as public loaders do."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))


class ReferenceLoader:
    """Batches as public loaders make them: every image of every batch is read from its file, resized, cropped, mirrored
    and normalised by itself, in this process."""

    def __init__(self, root: Path, config: TrialConfig, device: str) -> None:
        self.paths = {f"real_{domain.lower()}": sorted((root / f"train{domain}").iterdir()) for domain in "AB"}
        self.config, self.device, self.rng = config, device, random.Random(0)

    def batch(self) -> dict[str, Tensor]:
        """Return `real_a` and `real_b` (batch, 3, crop, crop) in [-1, 1], of random files."""
        return {
            name: torch.stack([self._image(self.rng.choice(paths)) for _ in range(self.config.batch_size)]).to(
                self.device
            )
            for name, paths in self.paths.items()
        }

    def _image(self, path: Path) -> Tensor:
        side, margin = self.config.crop_size, self.config.load_size - self.config.crop_size
        row, column = self.rng.randint(0, margin), self.rng.randint(0, margin)
        image = reference_decode(path, self.config.load_size)[row : row + side, column : column + side]
        if self.rng.random() < 0.5:
            image = image[:, ::-1]
        image = torch.from_numpy(image.transpose(2, 0, 1).copy()).float().div(255)
        return image.sub_(0.5).div_(0.5)
