"""UNIT (Liu, Breuel, Kautz 2017, arXiv 1703.00848): two variational autoencoders with a shared latent space.

`E_a` encodes images of domain A as the mean of a latent map, `H_a` decodes such maps as images of A. An image is
translated by encoding it with its own encoder and decoding it with the other domain's decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cgbench.api.graph_nodes import Apply, Compute, Network, Node, Sample
from cgbench.api.method import Method, Player, Term
from cgbench.api.registry import METHODS
from cgbench.config import TrialConfig
from cgbench.methods.functional.losses import (
    bce_discriminator,
    bce_generator,
    l1,
    lsgan_discriminator,
    lsgan_generator,
    summed,
)
from cgbench.methods.functional.random_draws import normal_like
from cgbench.methods.functional.tensors import unchanged

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Liu et al. 2017, arXiv 1703.00848"
DIRECTIONS = (("a", "b"), ("b", "a"))  # source and target domain


def half_blocks(config: TrialConfig) -> int:
    """Return the number of residual blocks of an encoder or a decoder: half of `blocks`, at least 1 (published: 4)."""
    return max(1, config.blocks // 2)


def encoder(config: TrialConfig, source: str = "a") -> nn.Module:
    """Return an encoder: images of domain `source`, (N, C, H, W) in [-1, 1], to maps (N, 4 ngf, H / 4, W / 4)."""
    from cgbench.methods.blocks.autoencoder import ContentEncoder

    return ContentEncoder(config.ngf, half_blocks(config), channels=config.channels(source))


def decoder(config: TrialConfig, target: str = "b") -> nn.Module:
    """Return a decoder: maps (N, 4 ngf, H / 4, W / 4) to images of domain `target`, (N, C, H, W) in [-1, 1]."""
    from cgbench.methods.blocks.autoencoder import Decoder

    return Decoder(config.ngf, half_blocks(config), config.channels(target))


def private_encoder(config: TrialConfig, source: str = "a") -> nn.Module:
    """Return the own part of a tied encoder of domain `source`: without the last residual block."""
    from cgbench.methods.blocks.autoencoder import ContentEncoder

    return ContentEncoder(config.ngf, half_blocks(config) - 1, first=True, channels=config.channels(source))


def private_decoder(config: TrialConfig, target: str = "b") -> nn.Module:
    """Return the own part of a tied decoder of domain `target`: without the first residual block."""
    from cgbench.methods.blocks.autoencoder import TransposedDecoder

    return TransposedDecoder(config.ngf, half_blocks(config) - 1, config.channels(target))


def shared_block(config: TrialConfig) -> nn.Module:
    """Return the residual block that both domains share."""
    from cgbench.methods.blocks.autoencoder import residual_blocks

    return residual_blocks(config.ngf, 1, first=True)


def judge(config: TrialConfig, source: str = "b") -> nn.Module:
    """Return a discriminator of images of domain `source` at three scales, fewer for small images.

    It has one strided layer more than `discriminator_layers` says, 3 → 4 as published. An image that is too small for
    a single scale raises `CgbenchError`.
    """
    from cgbench.methods.blocks.multiscale import MultiScaleDiscriminator, max_scales

    layers = config.discriminator_layers + 1
    return MultiScaleDiscriminator(
        config.channels(source), config.ndf, layers, max_scales(min(config.crop_shape), layers)
    )


def plus(mean: Tensor, noise: Tensor) -> Tensor:
    """Return a sample of the latent map: its mean plus noise of unit variance (§3, reparameterisation)."""
    return mean + noise


def mean_square(mean: Tensor) -> Tensor:
    """mean(μ²): the divergence of N(μ, I) from N(0, I), ½ Σ μ², as the public code scales it (its first version takes
    the sample μ + noise for μ)."""
    return mean.square().mean()


def verdict_nodes() -> dict[str, Node]:
    """Return the nodes of all verdicts; the discriminators see the fakes of the same step, without an image pool."""
    graph: dict[str, Node] = {}
    for domain in ("a", "b"):
        graph[f"seen_{domain}"] = Compute(unchanged, f"fake_{domain}", detached=True)
        graph |= {
            f"verdict_{kind}_{domain}": Apply(f"D_{domain}", f"{kind}_{domain}") for kind in ("real", "fake", "seen")
        }
    return graph


def discriminator_networks() -> dict[str, Network]:
    """Return the discriminators of both domains."""
    return {f"D_{domain}": Network(partial(judge, source=domain)) for domain in "ab"}


def discriminator_player() -> Player:
    """Return the player of both discriminators: least squares without the factor ½, summed over the scales."""
    loss = partial(summed, lsgan_discriminator)
    return Player(
        "discriminators",
        ("D_a", "D_b"),
        tuple(Term(f"discriminate_{d}", loss, (f"verdict_real_{d}", f"verdict_seen_{d}")) for d in "ab"),
    )


def adversarial_terms() -> list[Term]:
    """Return the adversarial terms of the generators."""
    loss = partial(summed, lsgan_generator)
    return [Term(f"adversarial_{domain}", loss, (f"verdict_fake_{domain}",)) for domain in "ab"]


@METHODS.register
def unit() -> Method:
    """Return UNIT with the networks and weights of the authors' later code, which ties no weights.

    Noise is added to the code in training only. The published budget (1M steps, rate halved every 100k) is a matter of
    the suite here, and the perceptual term, off by default there, is left out. The discriminators move first. As in the
    public code the scales of the layer norms start in U(0, 1). One departure from it: it draws noise anew for the
    discriminators' step, while one draw serves both players here, as in the paper's joint objective.
    """
    graph = verdict_nodes()
    terms = adversarial_terms()
    for source, target in DIRECTIONS:
        graph |= _translation(source, target)
        terms += [
            Term(f"self_{source}", l1, (f"same_{source}", f"real_{source}"), weight=10.0),
            Term(f"kl_{source}", mean_square, (f"mean_{source}",), weight=0.01),
            Term(f"cycle_{source}", l1, (f"cycle_{source}", f"real_{source}"), weight=10.0),
            Term(f"kl_cycle_{source}", mean_square, (f"mean_fake_{target}",), weight=0.01),
        ]
    builds: dict[str, Callable[..., nn.Module]] = {}
    for domain in "ab":
        builds |= {f"E_{domain}": partial(encoder, source=domain), f"H_{domain}": partial(decoder, target=domain)}
    networks = {name: Network(build, init="kaiming") for name, build in builds.items()}
    return Method(
        name="unit",
        summary="UNIT: variational autoencoders with one latent space, cycle and multi-scale GAN",
        source=f"{PAPER}, §3; networks and weights of the authors' later code",
        networks=networks | discriminator_networks(),
        graph=graph,
        players=(discriminator_player(), Player("generators", tuple(builds), tuple(terms))),
        translates={"AtoB": "clean_b", "BtoA": "clean_a"},
        reconstructs={"AtoB": "clean_cycle_a", "BtoA": "clean_cycle_b"},
        defaults={"learning_rate": 1e-4, "weight_decay": 1e-4},
        ignores=("generator", "discriminator", "norm"),
    )


@METHODS.register
def unit_tied() -> Method:
    """Return UNIT as first published: the last block of the encoders and the first of the decoders are shared.

    As in the authors' first code: convolutions are 3×3 and padded with zeros, decoders end in a 1×1 one, residual
    blocks have dropout ½, weights start in N(0, .02) and biases as torch draws them, the divergence is that of the
    sample μ + noise, and the GAN loss is cross-entropy with weight 10 for generators and discriminators. Discriminators
    and activations are those of `unit`, the rate, constant there, is a matter of the suite, and where in a block that
    code drops out was not confirmed: here it is between the convolutions.
    """
    plain = unit()
    graph: dict[str, Node] = {}
    for tensor, node in plain.graph.items():
        if isinstance(node, Apply) and node.network in ("E_a", "E_b"):
            private = f"own_{tensor}"
            graph |= {private: node, tensor: Apply("E_shared", private)}
        elif isinstance(node, Apply) and node.network in ("H_a", "H_b"):
            shared = f"shared_{node.inputs[0]}"
            graph |= {shared: Apply("H_shared", *node.inputs), tensor: Apply(node.network, shared)}
    builds: dict[str, Callable[..., nn.Module]] = dict.fromkeys(["E_shared", "H_shared"], shared_block)
    builds |= {f"E_{domain}": partial(private_encoder, source=domain) for domain in "ab"}
    builds |= {f"H_{domain}": partial(private_decoder, target=domain) for domain in "ab"}
    weights = {"adversarial": 10.0, "discriminate": 10.0, "self": 100.0, "cycle": 100.0}
    divergences = [
        Term(f"sample_{name}{domain}", mean_square, (f"code_{fake}{other}",), weight=0.1)
        for domain, other in DIRECTIONS
        for name, fake, other in (("kl_", "", domain), ("kl_cycle_", "fake_", other))
    ]
    losses: dict[str, Callable[..., Tensor]] = {"adversarial": bce_generator, "discriminate": bce_discriminator}
    return plain.but(
        "unit_tied",
        "UNIT with shared deepest blocks and cross-entropy, as first published",
        source=f"{PAPER}, §3; networks and weights of the authors' first code",
        weights={f"{term}_{domain}": weight for term, weight in weights.items() for domain in "ab"},
        functions={f"{term}_{domain}": partial(summed, loss) for term, loss in losses.items() for domain in "ab"},
        graph=graph,
        networks={name: Network(build, bias=None) for name, build in builds.items()},
        drop=[f"{term}_{domain}" for term in ("kl", "kl_cycle") for domain in "ab"],
        add={"generators": divergences},
        players=(Player("generators", ("E_shared", "H_shared"), ()),),
    )


def _translation(source: str, target: str) -> dict[str, Node]:
    """Return the nodes of one direction: with noise for training, without it (`clean`) for translation."""
    return {
        f"mean_{source}": Apply(f"E_{source}", f"real_{source}"),
        f"noise_{source}": Sample(normal_like, f"mean_{source}"),
        f"code_{source}": Compute(plus, f"mean_{source}", f"noise_{source}"),
        f"same_{source}": Apply(f"H_{source}", f"code_{source}"),
        f"fake_{target}": Apply(f"H_{target}", f"code_{source}"),
        f"mean_fake_{target}": Apply(f"E_{target}", f"fake_{target}"),
        f"noise_fake_{target}": Sample(normal_like, f"mean_fake_{target}"),
        f"code_fake_{target}": Compute(plus, f"mean_fake_{target}", f"noise_fake_{target}"),
        f"cycle_{source}": Apply(f"H_{source}", f"code_fake_{target}"),
        f"clean_{target}": Apply(f"H_{target}", f"mean_{source}"),
        f"mean_clean_{target}": Apply(f"E_{target}", f"clean_{target}"),
        f"clean_cycle_{source}": Apply(f"H_{source}", f"mean_clean_{target}"),
    }
