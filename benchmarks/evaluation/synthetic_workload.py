"""Synthetic workload for timing: a model, batches of noise, and the barrier of a device."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from cgbench.api.method import Method
from cgbench.benchmarks.evaluation.scorer import build_network
from cgbench.config import TrialConfig
from cgbench.methods.blocks.model import Model


def timing_model(method: Method, config: TrialConfig, device: str) -> Model:
    """Return a model that can be trained, with an untrained scorer as feature network and precomputed on noise."""
    scorer = build_network(config.classes, config.scorer_width).to(device)
    model = Model(method, config, 0, device, scorer)
    model.precompute(lambda step: synthetic_batch(config, device, step), batches=1)
    model.train()
    return model


def device_barrier(device: str) -> Callable[[], None]:
    """Return a function that waits until the device has done its work; on a CPU it does nothing."""
    if device == "mps":
        return torch.mps.synchronize
    return partial(torch.cuda.synchronize, device) if device.startswith("cuda") else lambda: None


def synthetic_batch(config: TrialConfig, device: str, step: int = 0) -> dict[str, Tensor]:
    """Return a batch of noise: `real_a` and `real_b` (batch, C, H, W) in [-1, 1], with the channels of their domains
    and the shape of the crops, and class ids (batch, H, W)."""
    stream = torch.Generator().manual_seed(step)
    batch = {}
    for domain in "ab":
        shape = (config.batch_size, config.channels(domain), *config.crop_shape)
        batch[f"real_{domain}"] = torch.rand(shape, generator=stream) * 2 - 1
    for domain in "ab":
        pixels = (config.batch_size, *config.crop_shape)
        batch[f"labels_{domain}"] = torch.randint(config.classes, pixels, generator=stream)
    return {name: value.to(device) for name, value in batch.items()}
