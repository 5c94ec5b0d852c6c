"""Loss functions against hand-computed values, torch's own losses and numerical gradients."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from cgbench.methods.functional import losses

SHAPE = (2, 1, 5, 5)


def _verdicts(count: int, seed: int = 0) -> list[torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return [3 * torch.randn(SHAPE, generator=stream, dtype=torch.float64) for _ in range(count)]


def test_least_squares_by_hand():
    assert losses.lsgan_generator(torch.full(SHAPE, 0.3)).item() == pytest.approx(0.49)
    discriminated = losses.lsgan_discriminator(torch.full(SHAPE, 0.9), torch.full(SHAPE, 0.2))
    assert 0.5 * discriminated.item() == pytest.approx(0.025)


def test_perfect_verdicts_cost_nothing():
    one, zero = torch.ones(SHAPE), torch.zeros(SHAPE)
    assert losses.lsgan_generator(one) == 0
    assert losses.lsgan_discriminator(one, zero) == 0
    assert losses.bce_discriminator(40 * one, -40 * one) < 1e-12


def test_undecided_cross_entropy_is_log_two():
    zero = torch.zeros(SHAPE, dtype=torch.float64)
    assert losses.bce_generator(zero).item() == pytest.approx(0.6931471805599453)
    assert losses.bce_discriminator(zero, zero).item() == pytest.approx(2 * 0.6931471805599453)


def test_equal_to_torch_losses():
    real, fake = _verdicts(2)
    one, zero = torch.ones_like(real), torch.zeros_like(real)
    mse, bce = nn.MSELoss(), nn.BCEWithLogitsLoss()
    torch.testing.assert_close(losses.lsgan_generator(fake), mse(fake, one))
    torch.testing.assert_close(losses.lsgan_discriminator(real, fake), mse(real, one) + mse(fake, zero))
    torch.testing.assert_close(losses.bce_generator(fake), bce(fake, one))
    torch.testing.assert_close(losses.bce_discriminator(real, fake), bce(real, one) + bce(fake, zero))
    torch.testing.assert_close(losses.l1(real, fake), nn.L1Loss()(real, fake))


def test_each_half_of_a_discriminator_loss_is_its_own_mean():
    """Real and fake batches of different sizes weigh the same."""
    real, fake = torch.full((1, 1, 2, 2), 0.5), torch.full((7, 1, 3, 3), 0.5)
    assert losses.lsgan_discriminator(real, fake).item() == pytest.approx(0.5)


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_cross_entropy_stays_finite(logit):
    verdict = torch.full(SHAPE, logit, requires_grad=True)
    loss = losses.bce_generator(verdict) + losses.bce_discriminator(verdict, verdict)
    loss.backward()
    assert loss.isfinite() and verdict.grad.isfinite().all()


def test_cross_entropy_generator_does_not_saturate():
    """A fake that is surely recognised still gets the full gradient: that of -log σ, not that of log(1 - σ)."""
    verdict = torch.full((1,), -50.0, requires_grad=True)
    losses.bce_generator(verdict).backward()
    assert verdict.grad.item() == pytest.approx(-1.0)


@pytest.mark.parametrize("name", ["lsgan_generator", "bce_generator"])
def test_gradients_of_one_verdict(name):
    assert torch.autograd.gradcheck(getattr(losses, name), _verdicts(1)[0].requires_grad_())


@pytest.mark.parametrize("name", ["lsgan_discriminator", "bce_discriminator", "l1"])
def test_gradients_of_two_tensors(name):
    assert torch.autograd.gradcheck(getattr(losses, name), tuple(v.requires_grad_() for v in _verdicts(2)))


def test_listing_needs_no_torch():
    code = "import sys, cgbench.methods.functional.losses, cgbench.methods.blocks.builders\n"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
