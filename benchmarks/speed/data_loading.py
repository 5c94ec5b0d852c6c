"""Reading images: decoding files, batches of a step, and what a batch costs as the data grows."""

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

from cgbench.benchmarks.data.batches import BatchSampler, ImageSet
from cgbench.benchmarks.data.loading import load_images
from cgbench.benchmarks.evaluation.synthetic_workload import device_barrier
from cgbench.benchmarks.speed.measurements import Measurement, Measurements, SpeedOptions, VariantSettings
from cgbench.benchmarks.speed.timing import Variant, interleave, rates, summary, times_as_fast
from cgbench.benchmarks.speed.training_step import REFERENCE, measured_memory
from cgbench.benchmarks.speed.workload import DEFAULT, configuration
from cgbench.config import TrialConfig
from cgbench.datasets.folder import Folder
from cgbench.datasets.streets import Streets
from cgbench.files import attach_path

FILES = 24  # pictures per domain that are decoded
FILE_SIDE = 256  # of the published data sets
GROWTH = (10**3, 10**4, 10**5, 10**6)  # images per domain
SMALL_SIDE = 8  # of these images: a million of them are 192 MB


def data(plan: SpeedOptions) -> Measurements:
    """Measure decoding and batches at every size, on JPEG files drawn for it, then what growing data costs."""
    with tempfile.TemporaryDirectory(prefix="cgbench-speed-") as name:
        root = Path(name)
        plan.say(f"data: drawing {2 * FILES} pictures")
        draw_files(root, FILES)
        for size in plan.sizes:
            plan.say(f"data: at {size} pixels")
            yield from _decoding(root, size, plan)
            yield from _batches(root, size, plan)
        yield from growth(root, GROWTH, plan)


def draw_files(root: Path, count: int, side: int = FILE_SIDE) -> None:
    """Write `count` JPEG files per domain into trainA, trainB, testA and testB (one file each) below `root`."""
    scenes = Streets()
    for domain in "AB":
        items = scenes.items("train", domain)[:count]
        for number, item in enumerate(items):
            for split in ("train", "test") if number == 0 else ("train",):
                path = root / f"{split}{domain}" / f"{number:04d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                with attach_path(path):
                    Image.fromarray(item.image(side)).save(path, quality=90)


def _decoding(root: Path, size: str, plan: SpeedOptions) -> Measurements:
    config = configuration(size, None, plan.arms[0])
    folder, paths = Folder(root), sorted((root / "trainA").iterdir())
    arms = [
        Variant(REFERENCE, lambda: [reference_decode(path, config.load_size) for path in paths]),
        Variant(DEFAULT, lambda: load_images(folder, "train", "A", config.load_size, config)),
    ]
    seconds = interleave(arms, plan.budget)
    yield from _against_reference("decoding", size, "images/s", len(paths), seconds)


def _batches(root: Path, size: str, plan: SpeedOptions) -> Measurements:
    config, folder = configuration(size, None, plan.arms[0]), Folder(root)
    sets = [load_images(folder, "train", domain, config.load_size, config) for domain in "AB"]
    feed, count = BatchSampler(*sets, config, 0, plan.device), itertools.count()
    plain = ReferenceLoader(root, config, plan.device)
    arms = [Variant(REFERENCE, plain.batch), Variant(DEFAULT, lambda: feed.batch(next(count)))]
    seconds = interleave(arms, plan.budget, device_barrier(plan.device))
    yield from _against_reference("batches of both domains", size, "batches/s", 1, seconds)


def _against_reference(name: str, size: str, unit: str, units: int, seconds: dict[str, list[float]]) -> Measurements:
    for arm, values in seconds.items():
        ratio = None if arm == REFERENCE else times_as_fast(seconds[REFERENCE], values)
        yield Measurement(
            "data", name, arm, size, unit, summary(rates(values, units)), REFERENCE if ratio else "", ratio
        )


def growth(root: Path, counts: Sequence[int], plan: SpeedOptions) -> Measurements:
    """Measure a feed over memory-mapped images of 8 pixels: opening it, a batch, and the first batch of an epoch."""
    small = VariantSettings("growth", {"load_size": str(SMALL_SIDE), "crop_size": str(SMALL_SIDE)})
    config = configuration(plan.sizes[0], None, small)
    for count in counts:
        plan.say(f"data: {count:,} images per domain")
        images = _mapped(root / "images.bin", count)
        sets = [ImageSet(tuple(map(str, range(count))), images) for _ in "ab"]
        yield from _grown(partial(_opened, *sets, config, plan.device), count, plan)


def _grown(opened: Callable[[], Callable[[], BatchSampler]], count: int, plan: SpeedOptions) -> Measurements:
    use, memory = measured_memory(opened, torch.device(plan.device))
    feed, wait = use(), device_barrier(plan.device)
    seconds = {"opening": interleave([Variant("opening", lambda: opened()())], plan.budget, wait)["opening"]}
    batches, epochs = itertools.count(1), itertools.count(1)
    seconds |= interleave(
        [
            Variant("batch", lambda: feed.batch(next(batches) % feed.epoch)),
            Variant("first batch of an epoch", lambda: feed.batch(next(epochs) * feed.epoch)),
        ],
        plan.budget,
        wait,
    )
    for name, values in seconds.items():
        details = {"memory_bytes": memory} if name == "opening" else {}
        yield Measurement(
            "data", f"{name}, {count:,} images", DEFAULT, str(SMALL_SIDE), "s", summary(values), details=details
        )


def _opened(a: ImageSet, b: ImageSet, config: TrialConfig, device: str) -> Callable[[], BatchSampler]:
    """Return what gives the feed of both sets, made by its first call and kept."""
    return cache(lambda: BatchSampler(a, b, config, 0, device))


def _mapped(path: Path, count: int) -> np.ndarray:
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
    """Return a file as uint8 (side, side, 3), as public loaders read it."""
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
        side, room = self.config.crop_size, self.config.load_size - self.config.crop_size
        row, column = self.rng.randint(0, room), self.rng.randint(0, room)
        image = reference_decode(path, self.config.load_size)[row : row + side, column : column + side]
        if self.rng.random() < 0.5:
            image = image[:, ::-1]
        image = torch.from_numpy(image.transpose(2, 0, 1).copy()).float().div(255)
        return image.sub_(0.5).div_(0.5)
