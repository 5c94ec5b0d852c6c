"""Adam per player, its learning-rate schedule, and the gradients of one player's weights."""

import math

import torch
from torch import Tensor

from cgbench.benchmarks.training.checkpoint import (
    Optimizers,
)
from cgbench.benchmarks.training.flat_parameters import flat_view, match_layout
from cgbench.config import TrialConfig
from cgbench.methods.blocks.model import Model


def set_learning_rate(optimizers: Optimizers, rate: float) -> None:
    """Give all optimizers a learning rate; one that lies on the device is written there."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def backward(total: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Fill the gradients of this optimizer's weights, and of no others."""
    weights, rows = optimizer.param_groups[0]["weights"], optimizer.param_groups[0]["params"]
    for weight, row in zip(weights, rows, strict=True):
        weight.grad = row.grad = None  # makes room for the new ones
    gradients = torch.autograd.grad(total, weights, allow_unused=True)
    for weight, row, gradient in zip(weights, rows, gradients, strict=True):
        weight.grad = None if gradient is None else match_layout(weight, gradient)
        row.grad = None if gradient is None else flat_view(weight.grad)


def make_optimizers(model: Model, config: TrialConfig) -> Optimizers:
    """Return one Adam per player (§4: both generators share one, both discriminators another).

    It moves rows of numbers, the `weights` as they lie in memory: it would copy gradients of another shape to no end
    (torch 2.14, on a CPU). Where steps are recorded, its rate lies on the device, in float32.
    """
    rate = config.learning_rate
    weights = {player.name: list(model.parameters(player.name).values()) for player in model.live_part.players}
    return {
        player: torch.optim.Adam(
            [{"params": [flat_view(weight) for weight in trained], "weights": trained}],
            lr=torch.tensor(rate, device=model.device) if config.cuda_graphs else rate,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
            fused=True,
            capturable=config.cuda_graphs,
        )
        for player, trained in weights.items()
    }


def learning_rate_factor(step: int, total: int, epoch: int, decay_fraction: float) -> float:
    """Return the factor of the learning rate at 0-based `step`: 1, then a linear fall in the last epochs.

    With 200 epochs of which 100 decay: 1 - max(0, e + 1 - 100) / 101 for 0-based epoch e, as the PyTorch code does.
    """
    epochs = math.ceil(total / epoch)
    constant = epochs - round(epochs * decay_fraction)
    return 1 - max(0, step // epoch + 1 - constant) / (epochs - constant + 1)
