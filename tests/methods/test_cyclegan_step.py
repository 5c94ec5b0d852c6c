"""A training step of CycleGAN against a hand-written reference in float64, batched calls, and the schedule."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from cgbench.benchmarks.training.optimizers import learning_rate_factor, make_optimizers
from cgbench.benchmarks.training.trainer import train_step
from cgbench.methods.cyclegan import cyclegan, cyclegan_identity
from helpers.tiny_models import double_model, noise_batch, tiny_config


def reference_losses(nets, real_a, real_b, identity):
    """Return CycleGAN's losses by equations, each network called once per use: terms, generators, discriminators."""
    fake_b, fake_a = nets["G_ab"](real_a), nets["G_ba"](real_b)
    parts = {
        "adversarial_a": ((nets["D_a"](fake_a) - 1) ** 2).mean(),
        "adversarial_b": ((nets["D_b"](fake_b) - 1) ** 2).mean(),
        "cycle_a": (nets["G_ba"](fake_b) - real_a).abs().mean(),
        "cycle_b": (nets["G_ab"](fake_a) - real_b).abs().mean(),
    }
    generators = parts["adversarial_a"] + parts["adversarial_b"] + 10 * parts["cycle_a"] + 10 * parts["cycle_b"]
    if identity:
        parts["identity_a"] = (nets["G_ba"](real_a) - real_a).abs().mean()
        parts["identity_b"] = (nets["G_ab"](real_b) - real_b).abs().mean()
        generators = generators + 5 * parts["identity_a"] + 5 * parts["identity_b"]
    for domain, real, fake in (("a", real_a, fake_a), ("b", real_b, fake_b)):
        discriminator = nets[f"D_{domain}"]
        real_loss, fake_loss = ((discriminator(real) - 1) ** 2).mean(), (discriminator(fake.detach()) ** 2).mean()
        parts[f"discriminate_{domain}"] = real_loss + fake_loss
    return parts, generators, 0.5 * (parts["discriminate_a"] + parts["discriminate_b"])


def gradients(loss, nets: dict[str, nn.Module]):
    weights = {f"{name}.{key}": weight for name, net in nets.items() for key, weight in net.named_parameters()}
    return dict(zip(weights, torch.autograd.grad(loss, list(weights.values()), retain_graph=True), strict=True))


@pytest.mark.parametrize("identity", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_step_has_the_losses_and_gradients_of_the_plain_reference(identity, batch):
    """Required is 1e-6 relative; in float64 the two agree far better. The empty pool returns its input."""
    config = tiny_config(batch_size=batch)
    method = cyclegan_identity() if identity else cyclegan()
    model, reference = double_model(method, config), double_model(method, config)
    inputs = noise_batch(config)
    losses = train_step(model, make_optimizers(model, config), inputs, 0, rate=0.0)

    nets = reference.networks
    parts, generators, discriminators = reference_losses(nets, inputs["real_a"], inputs["real_b"], identity)
    assert set(losses) == set(parts)
    for name, value in parts.items():
        torch.testing.assert_close(losses[name], value.detach(), rtol=1e-9, atol=0)
    expected = gradients(generators, {name: nets[name] for name in ("G_ab", "G_ba")})
    expected |= gradients(discriminators, {name: nets[name] for name in ("D_a", "D_b")})
    for player in ("generators", "discriminators"):
        for name, weight in model.parameters(player).items():
            torch.testing.assert_close(weight.grad, expected[name], rtol=1e-8, atol=1e-14)


def test_the_reference_would_notice_a_wrong_weight():
    """The comparison above can fail: with a cycle weight of 11 the gradients differ by more than its tolerance."""
    config = tiny_config()
    model = double_model(cyclegan().weighted({"cycle_a": 11.0}), config)
    plain = double_model(cyclegan(), config)
    inputs = noise_batch(config)
    train_step(model, make_optimizers(model, config), inputs, 0, rate=0.0)
    train_step(plain, make_optimizers(plain, config), inputs, 0, rate=0.0)
    pairs = zip(model.parameters("generators").values(), plain.parameters("generators").values(), strict=True)
    assert max(((p.grad - q.grad).norm() / (q.grad.norm() + 1e-12)).item() for p, q in pairs) > 1e-3


def test_adam_moves_as_adam_does():
    """After one step with the published rate every weight moved by rate · g / (|g| + ε), as Adam's first step does."""
    config = tiny_config()
    model = double_model(cyclegan(), config)
    before = {name: weight.detach().clone() for name, weight in model.parameters("generators").items()}
    train_step(model, make_optimizers(model, config), noise_batch(config), 0, rate=2e-4)
    for name, weight in model.parameters("generators").items():
        expected = before[name] - 2e-4 * weight.grad / (weight.grad.abs() + 1e-8)
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-9, atol=1e-12)


def test_players_use_each_others_fakes_and_move_only_their_own(monkeypatch):
    """Eight calls in all, fakes made once; after each player's move only its own networks have changed."""
    config = tiny_config()
    model = double_model(cyclegan(), config)
    optimizers = make_optimizers(model, config)
    calls = dict.fromkeys(model.networks, 0)
    for name, net in model.networks.items():
        net.register_forward_hook(lambda *_, name=name: calls.__setitem__(name, calls[name] + 1))

    def weights():
        return {name: [w.detach().clone() for w in net.parameters()] for name, net in model.networks.items()}

    states, moved = [weights()], []
    for optimizer in optimizers.values():

        def step(real=optimizer.step):
            real()
            states.append(weights())
            pairs = {name: zip(states[-2][name], states[-1][name], strict=True) for name in model.networks}
            moved.append({name for name, both in pairs.items() if any((old != new).any() for old, new in both)})

        monkeypatch.setattr(optimizer, "step", step)
    train_step(model, optimizers, noise_batch(config), 0, rate=1e-3)
    assert moved == [{"G_ab", "G_ba"}, {"D_a", "D_b"}]
    assert calls == {"G_ab": 2, "G_ba": 2, "D_a": 2, "D_b": 2}


@pytest.mark.parametrize("term", ["adversarial_b", "cycle_a", "identity_b"])
def test_a_zero_weight_gives_the_gradients_of_a_dropped_term(term):
    config, gradients_of = tiny_config(), []
    for variant in (
        cyclegan_identity().but("zero", weights={term: 0.0}),
        cyclegan_identity().but("dropped", drop=[term]),
    ):
        model = double_model(variant, config)
        train_step(model, make_optimizers(model, config), noise_batch(config), 0, rate=0.0)
        gradients_of.append(
            {name: w.grad for player in model.live_part.players for name, w in model.parameters(player.name).items()}
        )
    assert gradients_of[0].keys() == gradients_of[1].keys()
    assert all(torch.equal(gradients_of[0][name], gradients_of[1][name]) for name in gradients_of[0])


def test_the_published_schedule():
    """200 epochs: epoch 100 (1-based) → 1, 101 → .990, 150 → .505, 200 → .0099 (protocol of the PyTorch code)."""
    factors = {epoch: learning_rate_factor((epoch - 1) * 7, 200 * 7, 7, 0.5) for epoch in (1, 100, 101, 150, 200)}
    assert factors == pytest.approx({1: 1, 100: 1, 101: 0.990, 150: 0.505, 200: 0.0099}, abs=5e-4)


def test_a_budget_of_steps_decays_step_by_step_to_almost_zero():
    factors = [learning_rate_factor(step, 100, 1, 0.5) for step in range(100)]
    assert factors[:50] == [1] * 50 and 0 < factors[-1] < 0.02
    assert all(later < earlier for earlier, later in pairwise(factors[49:]))
