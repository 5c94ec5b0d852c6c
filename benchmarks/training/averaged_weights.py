"""An exponential moving average of a model's translating networks, evaluated beside the last weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from cgbench.api.graph_analysis import networks_of, upstream
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model


class AveragedWeights:
    """The averages of weights and floating-point buffers of the networks that translate or reconstruct.

    After step t, from 1, an average moves by 1 - min(decay, (1 + t) / (10 + t)) of the way to its weight: the bound
    that grows with t lets a young average forget the initial weights (TensorFlow's `ExponentialMovingAverage` with
    `num_updates`). The average of a generator's weights is usual in GANs since Yazıcı et al. 2019, "The unusual
    effectiveness of averaging in GAN training". Training does not read it, so the last weights are the same bits.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self._weights = {
            f"{name}.{key}": value
            for name in translating_networks(model)
            for key, value in model.networks[name].state_dict().items()
            if value.is_floating_point()
        }
        self._averages = {name: value.clone() for name, value in self._weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the averages towards the present weights; `step` is the number of steps taken, from 1."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self._averages.values()), list(self._weights.values()), share)

    def state(self) -> dict[str, Tensor]:
        """Return the averages by `network.weight`."""
        return dict(self._averages)

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Load averages; other names or shapes than those of the model's networks raise `CgbenchError`."""
        shapes = {name: value.shape for name, value in self._averages.items()}
        if {name: value.shape for name, value in state.items()} != shapes:
            raise CgbenchError("the checkpoint has no averaged weights of this model: delete it to train again")
        for name, value in state.items():
            self._averages[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averages in the place of the weights; the weights are back afterwards."""
        before = {name: value.clone() for name, value in self._weights.items()}
        self._write(self._averages)
        try:
            yield
        finally:
            self._write(before)

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self._weights[name].copy_(value)


def translating_networks(model: Model) -> list[str]:
    """Return the names of the trained networks that translations and reconstructions pass through."""
    tensors = [*model.method.translates.values(), *model.method.reconstructs.values()]
    used = networks_of(model.method, upstream(model.method, tensors))
    return [name for name in used if name in model.trained_networks]
