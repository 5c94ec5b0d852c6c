"""Small things that tests share: a configuration of a few pixels, images of noise, models in float64."""

from dataclasses import replace

import numpy as np
import torch

from cgbench.api.method import Method
from cgbench.benchmarks.data.batches import BatchSampler, ImageSet
from cgbench.benchmarks.evaluation.scorer import build_network
from cgbench.config import TrialConfig, preset_values, resolve
from cgbench.methods.blocks.model import Model


def tiny_config(**changes) -> TrialConfig:
    """The smoke preset at 16 pixels, with `changes`."""
    small = {
        "crop_size": 16,
        "classes": 3,
        "features": "scorer",
        "load_size": 20,
        "ngf": 4,
        "ndf": 4,
        "discriminator_layers": 1,
        "batch_size": 2,
        "steps": 4,
    }
    return resolve([("preset", preset_values("smoke")), ("test", {**small, **changes})]).config


def noise_set(name: str, count: int = 6, side: int = 20) -> ImageSet:
    """Images of noise that only `name` decides."""
    rng = np.random.default_rng(sum(map(ord, name)))
    keys = tuple(f"{name}{index}" for index in range(count))
    return ImageSet(keys, rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def tiny_feed(config: TrialConfig, seed: int = 0, labels: bool = False, device: str = "cpu") -> BatchSampler:
    """Batches of noise for a configuration, with class ids of noise if asked for."""
    sets = [noise_set(name, side=config.load_size) for name in ("a", "b")]
    if labels:
        sets = [replace(images, labels=images.images[..., 0] % config.classes) for images in sets]
    return BatchSampler(*sets, config, seed, device)


def tiny_model(method: Method, config: TrialConfig, seed: int = 0, device: str = "cpu") -> Model:
    """A model that is ready to train: with a scorer to take features from, and measured on two batches of noise."""
    model = Model(method, config, seed, device, build_network(config.classes, 2).to(device))
    batches = [noise_batch(config, torch.float32, step) for step in range(2)]
    model.precompute(lambda step: {name: tensor.to(device) for name, tensor in batches[step].items()}, batches=2)
    return model


def double_model(method: Method, config: TrialConfig, seed: int = 0) -> Model:
    """A model whose weights are float64, for comparisons where rounding must not hide a mistake."""
    model = Model(method, config, seed, scorer=build_network(config.classes, 2))
    for network in model.networks.values():
        network.double()
    model.precompute(lambda step: noise_batch(config, step=step), batches=2)
    return model


def noise_batch(config: TrialConfig, dtype: torch.dtype = torch.float64, step: int = 0) -> dict[str, torch.Tensor]:
    """`real_a` and `real_b` of noise in [-1, 1], and class ids of noise, some of them 255."""
    generator = torch.Generator().manual_seed(1 + step)
    side = config.crop_size
    shape = (config.batch_size, 3, side, side)
    batch = {name: torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1 for name in ("real_a", "real_b")}
    for name in ("labels_a", "labels_b"):
        ids = torch.randint(config.classes + 1, (config.batch_size, side, side), generator=generator)
        batch[name] = torch.where(ids == config.classes, 255, ids)
    return batch
