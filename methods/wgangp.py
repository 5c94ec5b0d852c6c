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
    """-mean(D(fake)): the generator maximises the critic's output (Gulrajani et al. 2017, §2.2)."""
    return -fake.mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """mean(D(fake)) - mean(D(real)), the first two parts of equation 3."""
    return fake.mean() - real.mean()


def mix(real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Return ε · real + (1 - ε) · fake, ε = `share` (N, 1, 1, 1) in [0, 1), as a leaf that requires gradients."""
    return (share * real + (1 - share) * fake.detach()).detach().requires_grad_()


def gradient_penalty(verdict: Tensor, mixed: Tensor) -> Tensor:
    """mean((‖∇ Σ D(x)‖₂ - 1)²) over images x = `mixed`, the last part of equation 3 without λ.

    A PatchGAN has many verdicts per image; their sum is differentiated, as in public code.
    """
    import torch

    (gradient,) = torch.autograd.grad(verdict.sum(), mixed, create_graph=True)
    # the constant keeps the gradient of the root finite where the norm is zero
    norms = (gradient.flatten(1).square().sum(dim=1) + 1e-16).sqrt()
    return (norms - 1).square().mean()


@METHODS.register
def cyclegan_wgangp() -> Method:
    """Return CycleGAN whose discriminators are critics: one critic step per generator step, penalty λ = 10."""
    domains = ("a", "b")
    return cyclegan().but(
        "cyclegan_wgangp",
        "CycleGAN with Wasserstein critics and gradient penalty",
        source="Gulrajani et al. 2017, arXiv 1704.00028, equation 3",
        functions={
            **{f"adversarial_{domain}": wasserstein_generator for domain in domains},
            **{f"discriminate_{domain}": wasserstein_critic for domain in domains},
        },
        weights={f"discriminate_{domain}": 1.0 for domain in domains},
        graph={
            **{f"share_{domain}": Sample(partial(uniform, size=(1, 1, 1)), f"real_{domain}") for domain in domains},
            **{
                f"mix_{domain}": Compute(mix, f"real_{domain}", f"pool_{domain}", f"share_{domain}")
                for domain in domains
            },
            **{f"verdict_mix_{domain}": Apply(f"D_{domain}", f"mix_{domain}") for domain in domains},
        },
        add={
            "discriminators": [
                Term(f"penalty_{domain}", gradient_penalty, (f"verdict_mix_{domain}", f"mix_{domain}"), weight=10.0)
                for domain in domains
            ]
        },
    )
