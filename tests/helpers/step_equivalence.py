"""One training step of a method against losses written by hand, in float64: what every such test shares."""

import torch

from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train_step
from helpers.tiny_models import double_model, noise_batch, tiny_config


def square_to(value, verdict):
    """mean((verdict - value)²)."""
    return ((verdict - value) ** 2).mean()


def assert_step(method, losses_by_hand, step=0, **settings):
    """One step of `method` has the gradients of `losses_by_hand(networks, batch)`.

    That returns {player: (loss, names of the networks that it trains)}, computed with each network called once per use.
    """
    config = tiny_config(**method.defaults, **settings)
    model, plain = double_model(method, config), double_model(method, config)
    batch = noise_batch(config)
    train_step(model, make_optimizers(model, config), batch, step, rate=0.0)
    players = losses_by_hand(plain.networks, batch)
    assert set(players) == {player.name for player in model.live.players}
    for player, (loss, networks) in players.items():
        weights = {f"{n}.{key}": w for n in networks for key, w in plain.networks[n].named_parameters()}
        expected = torch.autograd.grad(loss, list(weights.values()), retain_graph=True, allow_unused=True)
        moved = model.parameters(player)
        assert list(moved) == list(weights)
        # biases before instance norm have no true gradient: what they have is rounding, as large as the others allow
        rounding = 1e-12 * max(1.0, *(gradient.abs().max().item() for gradient in expected if gradient is not None))
        for (name, weight), gradient in zip(moved.items(), expected, strict=True):
            assert (weight.grad is None) == (gradient is None), name
            if gradient is not None:
                torch.testing.assert_close(weight.grad, gradient, rtol=1e-8, atol=rounding, msg=name)
