"""Rivals of CycleGAN: one step of each against formulas written by hand, in float64, and what is easy to get wrong."""

import pytest
import torch
from tiny import double_model, noise_batch, tiny_config

from cgbench.benchmarks.trainer import make_optimisers, train_step
from cgbench.methods.bigan import bigan
from cgbench.methods.simgan import simgan


def square_to(value, verdict):
    return ((verdict - value) ** 2).mean()


def simgan_by_hand(nets, a, b):
    """Losses by player; λ = 10 on the L1 to the input."""
    fake_b, fake_a = nets["G_ab"](a), nets["G_ba"](b)
    generators = square_to(1, nets["D_b"](fake_b)) + 10 * (fake_b - a).abs().mean()
    generators = generators + square_to(1, nets["D_a"](fake_a)) + 10 * (fake_a - b).abs().mean()
    judges = square_to(1, nets["D_b"](b)) + square_to(0, nets["D_b"](fake_b.detach()))
    judges = judges + square_to(1, nets["D_a"](a)) + square_to(0, nets["D_a"](fake_a.detach()))
    return {"generators": (generators, ("G_ab", "G_ba")), "discriminators": (0.5 * judges, ("D_a", "D_b"))}


def bigan_by_hand(nets, a, b):
    """(a, G(a)) is 1 and (E(b), b) is 0 to the discriminator; each mapping wants the other."""
    forward, inverse = torch.cat([a, nets["G_ab"](a)], 1), torch.cat([nets["G_ba"](b), b], 1)
    judge = nets["D_pair"]
    discriminator = 0.5 * (square_to(1, judge(forward.detach())) + square_to(0, judge(inverse.detach())))
    return {
        "discriminator": (discriminator, ("D_pair",)),
        "forward": (square_to(0, judge(forward)), ("G_ab",)),
        "inverse": (square_to(1, judge(inverse)), ("G_ba",)),
    }


@pytest.mark.parametrize(("method", "by_hand"), [(simgan, simgan_by_hand), (bigan, bigan_by_hand)])
def test_a_step_has_the_gradients_of_the_formula(method, by_hand):
    config = tiny_config()
    model, plain = double_model(method(), config), double_model(method(), config)
    batch = noise_batch(config)
    train_step(model, make_optimisers(model, config), batch, 0, rate=0.0)
    players = by_hand(plain.networks, batch["real_a"], batch["real_b"])
    assert set(players) == {player.name for player in model.live.players}
    for player, (loss, networks) in players.items():
        weights = {f"{n}.{key}": w for n in networks for key, w in plain.networks[n].named_parameters()}
        expected = torch.autograd.grad(loss, list(weights.values()), retain_graph=True)
        moved = model.parameters(player)
        assert list(moved) == list(weights)
        for (name, weight), gradient in zip(moved.items(), expected, strict=True):
            torch.testing.assert_close(weight.grad, gradient, rtol=1e-8, atol=1e-14, msg=name)


def test_bigan_judges_with_the_discriminator_that_has_just_moved():
    """Order D, G, E: with a step size the mappings' losses are those of the moved discriminator, on the same pairs."""
    config = tiny_config()
    model = double_model(bigan(), config)
    before = {name: weight.detach().clone() for name, weight in model.parameters("forward").items()}
    batch = noise_batch(config)
    losses = train_step(model, make_optimisers(model, config), batch, 0, rate=1e-3)
    with torch.no_grad():
        moved_judge = model.networks["D_pair"]
        for name, weight in model.parameters("forward").items():
            weight.copy_(before[name])
        pair = torch.cat([batch["real_a"], model.networks["G_ab"](batch["real_a"])], dim=1)
        torch.testing.assert_close(losses["adversarial_b"], square_to(0, moved_judge(pair)), rtol=1e-9, atol=0)


def test_bigan_has_the_published_discriminator_and_one_pool_per_kind_of_pair():
    model = double_model(bigan(), tiny_config(ndf=64, discriminator_layers=3, crop_size=24, load_size=24))
    assert model.counts()["D_pair"] == 2_767_809
    assert sorted(model.pools) == ["pool_ab", "pool_ba"]


def test_simgan_is_two_models_that_share_nothing_and_know_no_way_back():
    model = double_model(simgan(), tiny_config())
    batch = noise_batch(tiny_config())
    assert model.reconstruct(batch["real_a"], "AtoB") is None
    values = dict(batch)
    model.evaluate(values, ["fake_a"])
    values["fake_a"].sum().backward()
    assert all(weight.grad is None for weight in model.networks["G_ab"].parameters())
