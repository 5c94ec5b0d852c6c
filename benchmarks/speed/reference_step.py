"""The plain training step that cgbench is measured against, written as the best-known public code is.

That code (github.com/junyanz/pytorch-CycleGAN-and-pix2pix, `models/cycle_gan_model.py`, `util/image_pool.py`): float32,
eager, every network called once per use, the discriminators' `requires_grad` off while the generators train,
`loss.backward()`, Adam as torch has it, and an image pool that is a Python list. Losses stay on the device until
somebody logs them.
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
from cgbench.api.method import SOURCES, Player
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model, Value

Streams = Callable[[str, int], np.random.Generator]  # of a drawn tensor and a step


class ReferencePool:
    """Up to `size` earlier images in a list; each new one is handled by itself. `rng` decides, as `random` there."""

    def __init__(self, size: int, rng: random.Random) -> None:
        self.size, self.rng = size, rng
        self.images: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        """Return as many images as given, (N, C, H, W): these or earlier ones."""
        if self.size == 0:
            return images
        answer = []
        for image in images.detach():
            image = torch.unsqueeze(image, 0)
            if len(self.images) < self.size:
                self.images.append(image)
                answer.append(image)
            elif self.rng.uniform(0, 1) > 0.5:
                place = self.rng.randint(0, self.size - 1)
                answer.append(self.images[place].clone())
                self.images[place] = image
            else:
                answer.append(image)
        return torch.cat(answer, 0)


@dataclass(frozen=True)
class Turn:
    """What one player does: compute `tensors` in order, with the networks `silent` recording no gradient."""

    player: Player
    tensors: tuple[str, ...]
    silent: tuple[str, ...]


class ReferenceStep:
    """A step of any trainable method, on the networks of `model`: its graph, tensor by tensor, as one would write it
    down by hand.

    What is computed in which order is settled here, not in the step. A tensor that an earlier player computed is used
    again. `streams` gives the generator of a drawn tensor; without it one generator serves all, as in plain code.
    """

    def __init__(self, model: Model, config: TrialConfig, streams: Streams | None = None) -> None:
        self.model = model
        shared = np.random.default_rng(0)
        self.streams = streams or (lambda tensor, step: shared)
        self.pools = {name: ReferencePool(config.pool_size, random.Random(0)) for name in model.pools}
        self.turns = _turns(model)
        self.optimizers = {
            player.name: reference_adam([model.networks[name] for name in player.networks], config)
            for player in model.live.players
        }

    def __call__(self, batch: dict[str, Tensor], step: int = 0) -> dict[str, Tensor]:
        """Move every player once and return the unweighted value of each term, on the device."""
        values: dict[str, Value] = dict(batch)
        losses: dict[str, Tensor] = {}
        for turn in self.turns:
            set_requires_grad([self.model.networks[name] for name in turn.silent], False)
            for tensor in turn.tensors:
                values[tensor] = self._value(tensor, values, step)
            terms = {term.name: term.function(*(values[name] for name in term.reads)) for term in turn.player.terms}
            optimizer = self.optimizers[turn.player.name]
            optimizer.zero_grad()
            sum(term.weight * terms[term.name] for term in turn.player.terms).backward()
            optimizer.step()
            set_requires_grad([self.model.networks[name] for name in turn.silent], True)
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


def _turns(model: Model) -> tuple[Turn, ...]:
    """Return the turns of a step. A network is silent where it is applied, but not trained through what is computed."""
    done, turns = set(SOURCES), []
    for player in model.live.players:
        wanted = [tensor for term in player.terms for tensor in term.reads if tensor not in done]
        tensors = tuple(itertools.chain(*waves(model.method, wanted, done)))
        if any(isinstance(model.method.graph[name], LatentSearch) for name in tensors):
            raise CgbenchError(f"{model.method.name}: a training that searches has no plain reference")
        trained = frozenset(player.networks).union(*(model.live.gradients.get(name, ()) for name in tensors))
        applied = model.owned.intersection(networks_of(model.method, tensors))
        turns.append(Turn(player, tensors, tuple(sorted(applied - trained))))
        done.update(tensors)
    return tuple(turns)


def reference_adam(networks: list[nn.Module], config: TrialConfig) -> torch.optim.Adam:
    """Return torch's Adam over all weights of `networks`, with nothing chosen but the method's own numbers."""
    return torch.optim.Adam(
        itertools.chain(*(network.parameters() for network in networks)),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
    )


def set_requires_grad(networks: list[nn.Module], wanted: bool) -> None:
    """Let all weights of `networks` record gradients, or none."""
    for network in networks:
        for weight in network.parameters():
            weight.requires_grad = wanted
