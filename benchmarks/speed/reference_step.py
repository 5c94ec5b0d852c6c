"""The reference training step that cgbench is compared with, written as the best-known public code is.

That code (github.com/junyanz/pytorch-CycleGAN-and-pix2pix, `models/cycle_gan_model.py`, `util/image_pool.py`): float32,
eager, every network called once per use, the discriminators' `requires_grad` off while the generators train,
`loss.backward()`, Adam as torch has it, and an image pool that is a Python list. Losses stay on the device until they
are logged.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cgbench.api.graph_analysis import networks_of, waves
from cgbench.api.graph_nodes import Apply, ImagePool, LatentSearch, Precomputed, Sample
from cgbench.api.method import Player
from cgbench.api.names import SOURCES
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model, Value

Streams = Callable[[str, int], np.random.Generator]  # of a drawn tensor and a step


class ReferencePool:
    """Up to `size` earlier images in a list; images are handled one by one. `rng` takes the place of `random` there."""

    def __init__(self, size: int, rng: random.Random) -> None:
        self.size, self.rng = size, rng
        self.images: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        """Return as many images as passed, (N, C, H, W): these or earlier ones."""
        if self.size == 0:
            return images
        output = []
        for image in images.detach():
            image = torch.unsqueeze(image, 0)
            if len(self.images) < self.size:
                self.images.append(image)
                output.append(image)
            elif self.rng.uniform(0, 1) > 0.5:
                index = self.rng.randint(0, self.size - 1)
                output.append(self.images[index].clone())
                self.images[index] = image
            else:
                output.append(image)
        return torch.cat(output, 0)


@dataclass(frozen=True)
class PlayerUpdate:
    """The update of one player: compute `tensors` in order, with the networks `frozen` recording no gradient."""

    player: Player
    tensors: tuple[str, ...]
    frozen: tuple[str, ...]


class ReferenceStep:
    """A step of any trainable method on the networks of `model`: its graph, evaluated tensor by tensor.

    The order of computation is determined here, not in the step. A tensor that an earlier player computed is reused.
    `streams` gives the generator of a drawn tensor; without it one generator serves all, as in the public code.
    """

    def __init__(self, model: Model, config: TrialConfig, streams: Streams | None = None) -> None:
        self.model = model
        shared = np.random.default_rng(0)
        self.streams = streams or (lambda tensor, step: shared)
        self.pools = {name: ReferencePool(config.pool_size, random.Random(0)) for name in model.pools}
        self.player_updates = _player_updates(model)
        self.optimizers = {
            player.name: reference_adam([model.networks[name] for name in player.networks], config)
            for player in model.live_part.players
        }

    def __call__(self, batch: dict[str, Tensor], step: int = 0) -> dict[str, Tensor]:
        """Update every player once and return the unweighted value of each term, on the device."""
        values: dict[str, Value] = dict(batch)
        losses: dict[str, Tensor] = {}
        for update in self.player_updates:
            set_requires_grad([self.model.networks[name] for name in update.frozen], False)
            for tensor in update.tensors:
                values[tensor] = self._value(tensor, values, step)
            terms = {term.name: term.function(*(values[name] for name in term.reads)) for term in update.player.terms}
            optimizer = self.optimizers[update.player.name]
            optimizer.zero_grad()
            sum(term.weight * terms[term.name] for term in update.player.terms).backward()
            optimizer.step()
            set_requires_grad([self.model.networks[name] for name in update.frozen], True)
            losses.update({name: value.detach() for name, value in terms.items()})
        return losses

    def _value(self, tensor: str, values: dict[str, Value], step: int) -> Value:
        node = self.model.method.graph[tensor]
        if isinstance(node, Precomputed):
            return self.model.precomputed[tensor]
        inputs = [values[name] for name in node.inputs]
        if isinstance(node, Apply):
            network = self.model.networks[node.network]
            return (getattr(network, node.part) if node.part else network)(*inputs)
        if isinstance(node, ImagePool):
            return self.pools[tensor].query(inputs[0].detach())
        if isinstance(node, Sample):
            return node.function(self.streams(tensor, step), *inputs)
        result = node.function(*inputs)
        return _detached(result) if node.detached else result


def _detached(value: Value) -> Value:
    return tuple(map(_detached, value)) if isinstance(value, tuple) else value.detach()


def _player_updates(model: Model) -> tuple[PlayerUpdate, ...]:
    """Return the player updates of a step. A network is frozen where it is applied, but not trained through the
    result."""
    done, player_updates = set(SOURCES), []
    for player in model.live_part.players:
        missing = [tensor for term in player.terms for tensor in term.reads if tensor not in done]
        tensors = tuple(itertools.chain(*waves(model.method, missing, done)))
        if any(isinstance(model.method.graph[name], LatentSearch) for name in tensors):
            raise CgbenchError(f"{model.method.name}: a training that searches has no plain reference")
        trained = frozenset(player.networks).union(*(model.live_part.gradients.get(name, ()) for name in tensors))
        applied = model.trained_networks.intersection(networks_of(model.method, tensors))
        player_updates.append(PlayerUpdate(player, tensors, tuple(sorted(applied - trained))))
        done.update(tensors)
    return tuple(player_updates)


def reference_adam(networks: list[nn.Module], config: TrialConfig) -> torch.optim.Adam:
    """Return torch's Adam over all weights of `networks`, with torch's defaults except for the method's own values."""
    return torch.optim.Adam(
        itertools.chain(*(network.parameters() for network in networks)),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
    )


def set_requires_grad(networks: list[nn.Module], enabled: bool) -> None:
    """Set whether the weights of `networks` record gradients."""
    for network in networks:
        for weight in network.parameters():
            weight.requires_grad = enabled
