"""Small fixtures: a configuration of 16 pixels, images of noise, and models that are ready to train."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from cgbench.api.method import Method
from cgbench.benchmarks.data.batches import BatchSampler
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.evaluation.scorer import build_network
from cgbench.config import TrialConfig
from cgbench.config_layers import preset_values, resolve
from cgbench.methods.blocks.model import Model

SMALL = {
    "crop_size": 16, "classes": 3, "features": "scorer", "load_size": 20, "ngf": 4, "ndf": 4,
    "discriminator_layers": 1, "batch_size": 2, "steps": 4,
}  # fmt: skip


def tiny_config(**changes: Any) -> TrialConfig:
    """Return the preset `smoke` at 16 pixels, with `changes`."""
    return resolve([("preset", preset_values("smoke")), ("test", {**SMALL, **changes})]).config


def noise_set(name: str, count: int = 6, shape: tuple[int, int] = (20, 20), channels: int = 3) -> ImageSet:
    """Return 8-bit images of noise, of height and width `shape`; of one shape they depend on `name` alone."""
    rng = np.random.default_rng(sum(map(ord, name)))
    keys = tuple(f"{name}{index}" for index in range(count))
    return ImageSet(keys, rng.integers(0, 256, (count, *shape, channels), dtype=np.uint8))


def tiny_sampler(config: TrialConfig, seed: int = 0, labels: bool = False, device: str = "cpu") -> BatchSampler:
    """Return a sampler of batches of noise, with class ids of noise where `labels`."""
    a, b = (noise_set(name, shape=config.load_shape, channels=config.channels(name)) for name in "ab")
    if labels:
        a, b = (replace(images, labels=images.images[..., 0] % config.classes) for images in (a, b))
    return BatchSampler(a, b, config, seed, device)


def tiny_model(method: Method, config: TrialConfig, seed: int = 0, device: str = "cpu") -> Model:
    """Return a model that is ready to train: with a scorer for features, its statistics from two batches of noise."""
    model = Model(method, config, seed, device, build_network(config.classes, 2).to(device))
    batches = [noise_batch(config, torch.float32, step) for step in range(2)]
    model.precompute(lambda step: {name: tensor.to(device) for name, tensor in batches[step].items()}, batches=2)
    return model


def noise_batch(config: TrialConfig, dtype: torch.dtype = torch.float64, step: int = 0) -> dict[str, torch.Tensor]:
    """Return `real_a` and `real_b` of noise in [-1, 1], with the channels of their domains and the shape of the crops,
    and class ids of noise, some of them 255."""
    generator = torch.Generator().manual_seed(1 + step)
    batch = {}
    for domain in "ab":
        shape = (config.batch_size, config.channels(domain), *config.crop_shape)
        batch[f"real_{domain}"] = torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1
    for name in ("labels_a", "labels_b"):
        ids = torch.randint(config.classes + 1, (config.batch_size, *config.crop_shape), generator=generator)
        batch[name] = torch.where(ids == config.classes, 255, ids)
    return batch
