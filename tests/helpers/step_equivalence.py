"""Equivalence check of a training step with hand-written losses, in float64."""

import torch

from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train_step
from helpers.tiny_models import double_model, noise_batch, tiny_config


def square_to(value, verdict):
    """Return mean((verdict - value)²)."""
    return ((verdict - value) ** 2).mean()


def assert_step(method, losses_by_hand, step=0, **settings):
    """Assert that one step of `method` has the gradients of `losses_by_hand(networks, batch)`.

    That function returns {player: (loss, names of the networks it trains)} and calls each network once per use.
    """
    config = tiny_config(**method.defaults, **settings)
    model, reference = double_model(method, config), double_model(method, config)
    batch = noise_batch(config)
    train_step(model, make_optimizers(model, config), batch, step, rate=0.0)
    players = losses_by_hand(reference.networks, batch)
    assert set(players) == {player.name for player in model.live_part.players}
    for player, (loss, networks) in players.items():
        weights = {f"{n}.{key}": w for n in networks for key, w in reference.networks[n].named_parameters()}
        expected = torch.autograd.grad(loss, list(weights.values()), retain_graph=True, allow_unused=True)
        trained = model.parameters(player)
        assert list(trained) == list(weights)
        # biases before instance norm have zero gradients up to rounding, relative to the largest gradient
        rounding = 1e-12 * max(1.0, *(gradient.abs().max().item() for gradient in expected if gradient is not None))
        for (name, weight), gradient in zip(trained.items(), expected, strict=True):
            assert (weight.grad is None) == (gradient is None), name
            if gradient is not None:
                torch.testing.assert_close(weight.grad, gradient, rtol=1e-8, atol=rounding, msg=name)
