"""CycleGAN with the Wasserstein loss and gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cgbench.api.graph_nodes import Apply, Compute, Sample
from cgbench.api.method import Method, Term
from cgbench.api.registry import METHODS
from cgbench.methods.cyclegan import cyclegan
from cgbench.methods.functional.random_draws import uniform

if TYPE_CHECKING:
    from torch import Tensor


def wasserstein_generator(fake: Tensor) -> Tensor:
    """-mean(D(fake)): the generator raises the critic's verdict (Gulrajani et al. 2017, §2.2)."""
    return -fake.mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """mean(D(fake)) - mean(D(real)), the first two parts of equation 3."""
    return fake.mean() - real.mean()


def mix(real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Return ε · real + (1 - ε) · fake, ε = `share` (N, 1, 1, 1) in [0, 1), as a leaf that gradients are taken of."""
    return (share * real + (1 - share) * fake.detach()).detach().requires_grad_()


def gradient_penalty(verdict: Tensor, mixed: Tensor) -> Tensor:
    """mean((‖∇ Σ D(x)‖₂ - 1)²) over images x = `mixed`, the last part of equation 3 without λ.

    A patch discriminator has many verdicts per image; their sum is differentiated, as public code does.
    """
    import torch

    (slope,) = torch.autograd.grad(verdict.sum(), mixed, create_graph=True)
    # The small constant keeps the root's own gradient finite where the slope is zero.
    norms = (slope.flatten(1).square().sum(dim=1) + 1e-16).sqrt()
    return (norms - 1).square().mean()


@METHODS.register
def cyclegan_wgangp() -> Method:
    """Return CycleGAN whose discriminators are critics: one critic step per generator step, penalty λ = 10."""
    sides = ("a", "b")
    return cyclegan().but(
        "cyclegan_wgangp",
        "CycleGAN with Wasserstein critics and gradient penalty",
        source="Gulrajani et al. 2017, arXiv 1704.00028, equation 3",
        functions={
            **{f"adversarial_{side}": wasserstein_generator for side in sides},
            **{f"discriminate_{side}": wasserstein_critic for side in sides},
        },
        weights={f"discriminate_{side}": 1.0 for side in sides},
        graph={
            **{f"share_{side}": Sample(partial(uniform, size=(1, 1, 1)), f"real_{side}") for side in sides},
            **{f"mix_{s}": Compute(mix, f"real_{s}", f"pool_{s}", f"share_{s}") for s in sides},
            **{f"verdict_mix_{side}": Apply(f"D_{side}", f"mix_{side}") for side in sides},
        },
        add={
            "discriminators": [
                Term(f"penalty_{side}", gradient_penalty, (f"verdict_mix_{side}", f"mix_{side}"), weight=10.0)
                for side in sides
            ]
        },
    )
