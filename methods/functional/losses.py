"""Loss functions: pure functions of tensors that return a scalar, without the term's weight.

A verdict is a discriminator's output, of any shape: near 1 for real and near 0 for fake with least squares, a logit
with cross-entropy. The functions import torch when called, so that methods can be listed without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def lsgan_generator(fake: Tensor) -> Tensor:
    """mean((D(fake) - 1)²): least squares (Mao et al. 2017; CycleGAN §4)."""
    return (fake - 1).square().mean()


def lsgan_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """mean((D(real) - 1)²) + mean(D(fake)²): least squares (CycleGAN §4; its factor ½ is the weight of the term)."""
    return (real - 1).square().mean() + fake.square().mean()


def lsgan_to_zero(verdict: Tensor) -> Tensor:
    """mean(D²): least squares towards the verdict 0, as for one of BiGAN's two mappings."""
    return verdict.square().mean()


def bce_generator(fake: Tensor) -> Tensor:
    """-mean(log σ(D(fake))): the non-saturating form (Goodfellow et al. 2014, §3) on logits, finite for all of them."""
    from torch.nn.functional import logsigmoid

    return -logsigmoid(fake).mean()


def bce_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-mean(log σ(D(real))) - mean(log(1 - σ(D(fake)))) on logits (Goodfellow et al. 2014 and CycleGAN, equation 1)."""
    from torch.nn.functional import logsigmoid

    return -logsigmoid(real).mean() - logsigmoid(-fake).mean()


def l1(x: Tensor, y: Tensor) -> Tensor:
    """mean(|x - y|) of two tensors of one shape: the cycle loss (CycleGAN equation 2) and the identity loss (§5.2)."""
    return (x - y).abs().mean()


def summed(loss: Callable[..., Tensor], *verdicts: tuple[Tensor, ...]) -> Tensor:
    """Return the sum of `loss` over the scales of a discriminator that returns one verdict per scale."""
    total: Any = sum(loss(*scale) for scale in zip(*verdicts, strict=True))
    return total
