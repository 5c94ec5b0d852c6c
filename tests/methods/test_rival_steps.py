"""Rivals of CycleGAN: a step of each against hand-written losses in float64, and published details."""

import pytest
import torch

from cgbench.benchmarks.data.batches import BatchSampler
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train, train_step
from cgbench.config_layers import resolve
from cgbench.methods.bigan import bigan
from cgbench.methods.blocks.model import Model
from cgbench.methods.pix2pix import pix2pix, pix2pix_unet
from cgbench.methods.simgan import simgan
from cgbench.methods.wgangp import cyclegan_wgangp, gradient_penalty
from cgbench.results.run_folder import TrialFolder
from cgbench.seeds import generator
from helpers.step_equivalence import assert_step, square_to
from helpers.tiny_models import double_model, noise_batch, noise_set, tiny_config, tiny_sampler


def simgan_by_hand(nets, batch):
    """Return the losses by player; λ = 10 on the L1 to the input."""
    a, b = batch["real_a"], batch["real_b"]
    fake_b, fake_a = nets["G_ab"](a), nets["G_ba"](b)
    generators = square_to(1, nets["D_b"](fake_b)) + 10 * (fake_b - a).abs().mean()
    generators = generators + square_to(1, nets["D_a"](fake_a)) + 10 * (fake_a - b).abs().mean()
    discriminators = square_to(1, nets["D_b"](b)) + square_to(0, nets["D_b"](fake_b.detach()))
    discriminators = discriminators + square_to(1, nets["D_a"](a)) + square_to(0, nets["D_a"](fake_a.detach()))
    return {"generators": (generators, ("G_ab", "G_ba")), "discriminators": (0.5 * discriminators, ("D_a", "D_b"))}


def bigan_by_hand(nets, batch):
    """The discriminator's targets are 1 for (a, G(a)) and 0 for (E(b), b); each mapping has the other target."""
    a, b = batch["real_a"], batch["real_b"]
    forward, inverse = torch.cat([a, nets["G_ab"](a)], 1), torch.cat([nets["G_ba"](b), b], 1)
    network = nets["D_pair"]
    discriminator = 0.5 * (square_to(1, network(forward.detach())) + square_to(0, network(inverse.detach())))
    return {
        "discriminator": (discriminator, ("D_pair",)),
        "forward": (square_to(0, network(forward)), ("G_ab",)),
        "inverse": (square_to(1, network(inverse)), ("G_ba",)),
    }


def pix2pix_by_hand(nets, batch):
    """Conditional discriminators of (source, image); L1 to the truth with weight 100."""
    a, b = batch["real_a"], batch["real_b"]
    fake_b, fake_a = nets["G_ab"](a), nets["G_ba"](b)
    verdict_b = lambda image: nets["D_ab"](torch.cat([a, image], 1))  # noqa: E731
    verdict_a = lambda image: nets["D_ba"](torch.cat([b, image], 1))  # noqa: E731
    discriminators = square_to(1, verdict_b(b)) + square_to(0, verdict_b(fake_b.detach()))
    discriminators = discriminators + square_to(1, verdict_a(a)) + square_to(0, verdict_a(fake_a.detach()))
    generators = square_to(1, verdict_b(fake_b)) + 100 * (fake_b - b).abs().mean()
    generators = generators + square_to(1, verdict_a(fake_a)) + 100 * (fake_a - a).abs().mean()
    return {"discriminators": (0.5 * discriminators, ("D_ab", "D_ba")), "generators": (generators, ("G_ab", "G_ba"))}


def wgangp_by_hand(nets, batch):
    """Wasserstein critics; the interpolation weights of the penalty are those of the first step's stream."""
    a, b = batch["real_a"], batch["real_b"]
    fake_b, fake_a = nets["G_ab"](a), nets["G_ba"](b)
    cycles = (nets["G_ba"](fake_b) - a).abs().mean() + (nets["G_ab"](fake_a) - b).abs().mean()
    generators = 10 * cycles - nets["D_b"](fake_b).mean() - nets["D_a"](fake_a).mean()
    critics = 0
    for side, real, fake in (("a", a, fake_a.detach()), ("b", b, fake_b.detach())):
        critic = nets[f"D_{side}"]
        share = torch.from_numpy(generator(0, "noise", f"share_{side}", 0).random((len(a), 1, 1, 1)))
        mixed = (share * real + (1 - share) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        norms = torch.stack([image.norm() for image in gradient])
        critics = critics + critic(fake).mean() - critic(real).mean() + 10 * ((norms - 1) ** 2).mean()
    return {"generators": (generators, ("G_ab", "G_ba")), "discriminators": (critics, ("D_a", "D_b"))}


BY_HAND = {simgan: simgan_by_hand, bigan: bigan_by_hand, pix2pix: pix2pix_by_hand, cyclegan_wgangp: wgangp_by_hand}


@pytest.mark.parametrize(("method", "by_hand"), BY_HAND.items())
def test_a_step_has_the_gradients_of_the_formula(method, by_hand):
    assert_step(method(), by_hand)


def test_bigan_judges_with_the_discriminator_that_has_just_moved():
    """Order D, G, E: the mappings' losses are those of the updated discriminator, on the same pairs."""
    config = tiny_config()
    model = double_model(bigan(), config)
    before = {name: weight.detach().clone() for name, weight in model.parameters("forward").items()}
    batch = noise_batch(config)
    losses = train_step(model, make_optimizers(model, config), batch, 0, rate=1e-3)
    with torch.no_grad():
        moved_discriminator = model.networks["D_pair"]
        for name, weight in model.parameters("forward").items():
            weight.copy_(before[name])
        pair = torch.cat([batch["real_a"], model.networks["G_ab"](batch["real_a"])], dim=1)
        torch.testing.assert_close(losses["adversarial_b"], square_to(0, moved_discriminator(pair)), rtol=1e-9, atol=0)


def test_bigan_has_the_published_discriminator_and_one_pool_per_kind_of_pair():
    model = double_model(bigan(), tiny_config(ndf=64, discriminator_layers=3, crop_size=24, load_size=24))
    assert model.parameter_counts()["D_pair"] == 2_767_809
    assert sorted(model.pools) == ["pool_ab", "pool_ba"]


def test_simgan_is_two_models_that_share_nothing_and_know_no_way_back():
    model = double_model(simgan(), tiny_config())
    batch = noise_batch(tiny_config())
    assert model.reconstruct(batch["real_a"], "AtoB") is None
    values = dict(batch)
    model.evaluate(values, ["fake_a"])
    values["fake_a"].sum().backward()
    assert all(weight.grad is None for weight in model.networks["G_ab"].parameters())


def test_pix2pix_as_published_is_a_unet_with_batch_norm_and_dropout():
    method = pix2pix_unet()
    config = resolve([("preset", {}), ("method", method.defaults)]).config
    model = Model(method, config, seed=0)
    expected = dict.fromkeys(["G_ab", "G_ba"], 54_413_955) | dict.fromkeys(["D_ab", "D_ba"], 2_768_705)
    assert model.parameter_counts() == expected
    assert sum(isinstance(part, torch.nn.Dropout) for part in model.networks["G_ab"].modules()) == 3


def test_dropout_follows_the_seed_and_the_step(tmp_path):
    """Dropout draws from the global generator; training still repeats and resumes bit by bit."""
    method = pix2pix_unet()
    config = tiny_config(**method.defaults, crop_size=32, load_size=32, save_every=2)

    def trained(folder, stop=None):
        path = TrialFolder(tmp_path / folder)
        path.path.mkdir(exist_ok=True)
        model = Model(method, config, seed=0)
        sampler = tiny_sampler(config)

        def progress(step, total):
            if step == stop:
                raise KeyboardInterrupt

        try:
            train(model, sampler, config, 4, 1, path, "digest", progress)
        except KeyboardInterrupt:
            torch.rand(7)  # a new process would have another state
            return trained(folder)
        return model.state()

    first, again, resumed = trained("first"), trained("again"), trained("resumed", stop=3)
    assert all(torch.equal(first[name], again[name]) and torch.equal(first[name], resumed[name]) for name in first)


def test_pairs_are_drawn_and_cropped_alike():
    config = tiny_config(batch_size=3)
    images = noise_set("x", shape=config.load_shape)
    batches = [BatchSampler(images, images, config, 0, paired=paired).batch(5) for paired in (True, False)]
    assert torch.equal(batches[0]["real_a"], batches[0]["real_b"])
    assert not torch.equal(batches[1]["real_a"], batches[1]["real_b"])


def test_the_gradient_penalty_of_a_linear_critic_is_known():
    """D(x) = w · x has slope w everywhere: the penalty is (‖w‖ - 1)², 16 for ‖w‖ = 5, and its gradient reaches w."""
    weights = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    images = torch.rand(6, 2, dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(images @ weights, images)
    assert penalty.item() == pytest.approx(16)
    (slope,) = torch.autograd.grad(penalty, weights)
    torch.testing.assert_close(slope, 2 * 4 * weights.detach() / 5)
