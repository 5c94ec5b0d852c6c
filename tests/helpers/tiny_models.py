"""Tiny models for tests: those of the conformance tests, and models in float64."""

from cgbench.api.method import Method
from cgbench.benchmarks.evaluation.scorer import build_network
from cgbench.benchmarks.testing.tiny_models import noise_batch, noise_set, tiny_config, tiny_model, tiny_sampler
from cgbench.config import TrialConfig
from cgbench.methods.blocks.model import Model

__all__ = ["double_model", "noise_batch", "noise_set", "tiny_config", "tiny_model", "tiny_sampler"]


def double_model(method: Method, config: TrialConfig, seed: int = 0) -> Model:
    """Return a model with float64 weights, for comparisons where rounding must not hide an error."""
    model = Model(method, config, seed, scorer=build_network(config.classes, 2))
    for network in model.networks.values():
        network.double()
    model.precompute(lambda step: noise_batch(config, step=step), batches=2)
    return model
