"""UNIT (Liu, Breuel, Kautz 2017, arXiv 1703.00848): two variational autoencoders that share one latent space.

`E_a` encodes images of domain A as the mean of a latent map, `H_a` decodes such maps as images of A. An image is
translated by encoding it with its own encoder and decoding it with the other domain's decoder.
"""

from __future__ import annotations

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
SIDES = (("a", "b"), ("b", "a"))  # a domain and the other one


def half_blocks(config: TrialConfig) -> int:
    """Return the residual blocks of an encoder or of a decoder: half of `blocks`, at least one. 9 → 4 as published."""
    return max(1, config.blocks // 2)


def encoder(config: TrialConfig) -> nn.Module:
    """Return an encoder: images (N, 3, S, S) in [-1, 1] to maps (N, 4 ngf, S / 4, S / 4)."""
    from cgbench.methods.blocks.autoencoder import ContentEncoder

    return ContentEncoder(config.ngf, half_blocks(config))


def decoder(config: TrialConfig) -> nn.Module:
    """Return a decoder: maps (N, 4 ngf, S / 4, S / 4) to images (N, 3, S, S) in [-1, 1]."""
    from cgbench.methods.blocks.autoencoder import Decoder

    return Decoder(config.ngf, half_blocks(config))


def private_encoder(config: TrialConfig) -> nn.Module:
    """Return a domain's own part of a tied encoder: all but the last residual block, which may leave none."""
    from cgbench.methods.blocks.autoencoder import ContentEncoder

    return ContentEncoder(config.ngf, half_blocks(config) - 1, kernel=3)


def private_decoder(config: TrialConfig) -> nn.Module:
    """Return a domain's own part of a tied decoder: all but the first residual block, which may leave none."""
    from cgbench.methods.blocks.autoencoder import TransposedDecoder

    return TransposedDecoder(config.ngf, half_blocks(config) - 1)


def shared_block(config: TrialConfig) -> nn.Module:
    """Return the residual block that both domains share."""
    from cgbench.methods.blocks.autoencoder import residual_blocks

    return residual_blocks(config.ngf, 1)


def judge(config: TrialConfig) -> nn.Module:
    """Return a discriminator of three scales, fewer where the image has no room for them.

    It has one strided layer more than `discriminator_layers` says, 3 → 4 as published. An image that is too small for
    a single scale raises `CgbenchError`.
    """
    from cgbench.methods.blocks.multiscale import MultiScaleDiscriminator, fitting_scales

    layers = config.discriminator_layers + 1
    return MultiScaleDiscriminator(3, config.ndf, layers, fitting_scales(config.crop_size, layers))


def plus(mean: Tensor, noise: Tensor) -> Tensor:
    """Return a sample of the latent map: its mean plus noise of unit variance (§3, reparameterisation)."""
    return mean + noise


def mean_square(mean: Tensor) -> Tensor:
    """mean(μ²): the divergence of N(μ, I) from N(0, I), ½ Σ μ², as the public code scales it."""
    return mean.square().mean()


def judged() -> dict[str, Node]:
    """Return the verdicts of the adversarial game; discriminators see the fakes of the same step, without a pool."""
    graph: dict[str, Node] = {}
    for side in ("a", "b"):
        graph[f"seen_{side}"] = Compute(unchanged, f"fake_{side}", detached=True)
        graph |= {f"verdict_{kind}_{side}": Apply(f"D_{side}", f"{kind}_{side}") for kind in ("real", "fake", "seen")}
    return graph


def discriminators() -> Player:
    """Return the player of both discriminators: least squares, not halved, summed over the scales."""
    loss = partial(summed, lsgan_discriminator)
    return Player(
        "discriminators",
        ("D_a", "D_b"),
        tuple(Term(f"discriminate_{side}", loss, (f"verdict_real_{side}", f"verdict_seen_{side}")) for side in "ab"),
    )


def adversarial() -> list[Term]:
    """Return the generators' part of the adversarial game."""
    loss = partial(summed, lsgan_generator)
    return [Term(f"adversarial_{side}", loss, (f"verdict_fake_{side}",)) for side in "ab"]


@METHODS.register
def unit() -> Method:
    """Return UNIT with the networks and weights of the authors' later code, which ties no weights.

    Noise is added to the code in training only. The published budget (1M steps, rate halved every 100k) belongs to the
    suite here, and the perceptual term, off by default there, is left out. Discriminators move first.
    """
    graph = judged()
    terms = adversarial()
    for side, other in SIDES:
        graph |= _way(side, other)
        terms += [
            Term(f"self_{side}", l1, (f"same_{side}", f"real_{side}"), weight=10.0),
            Term(f"kl_{side}", mean_square, (f"mean_{side}",), weight=0.01),
            Term(f"cycle_{side}", l1, (f"cycle_{side}", f"real_{side}"), weight=10.0),
            Term(f"kl_cycle_{side}", mean_square, (f"mean_fake_{other}",), weight=0.01),
        ]
    builds = {"E_a": encoder, "H_a": decoder, "E_b": encoder, "H_b": decoder}
    networks = {name: Network(build, init="kaiming") for name, build in builds.items()}
    return Method(
        name="unit",
        summary="UNIT: variational autoencoders with one latent space, cycle and multi-scale GAN",
        source=f"{PAPER}, §3; networks and weights of the authors' later code",
        networks=networks | {"D_a": Network(judge), "D_b": Network(judge)},
        graph=graph,
        players=(discriminators(), Player("generators", tuple(builds), tuple(terms))),
        translates={"AtoB": "clean_b", "BtoA": "clean_a"},
        reconstructs={"AtoB": "clean_cycle_a", "BtoA": "clean_cycle_b"},
        defaults={"learning_rate": 1e-4, "weight_decay": 1e-4},
        ignores=("generator", "discriminator", "norm"),
    )


@METHODS.register
def unit_tied() -> Method:
    """Return UNIT as first published: the last block of the encoders and the first of the decoders are shared.

    Convolutions are 3×3, decoders end in a 1×1 one; the GAN loss is cross-entropy. The weight 10 of the GAN counts for
    both sides of the game. Discriminators, normalisation and activations are those of `unit`.
    """
    plain = unit()
    graph: dict[str, Node] = {}
    for tensor, node in plain.graph.items():
        if isinstance(node, Apply) and node.network in ("E_a", "E_b"):
            own = f"own_{tensor}"
            graph |= {own: node, tensor: Apply("E_shared", own)}
        elif isinstance(node, Apply) and node.network in ("H_a", "H_b"):
            shared = f"shared_{node.inputs[0]}"
            graph |= {shared: Apply("H_shared", *node.inputs), tensor: Apply(node.network, shared)}
    builds = dict.fromkeys(["E_a", "E_b"], private_encoder) | dict.fromkeys(["H_a", "H_b"], private_decoder)
    builds |= dict.fromkeys(["E_shared", "H_shared"], shared_block)
    weights = {"adversarial": 10.0, "discriminate": 10.0, "self": 100.0, "cycle": 100.0, "kl": 0.1, "kl_cycle": 0.1}
    losses = {"adversarial": bce_generator, "discriminate": bce_discriminator}
    return plain.but(
        "unit_tied",
        "UNIT with shared deepest blocks and cross-entropy, as first published",
        source=f"{PAPER}, §3; networks and weights of the authors' first code",
        weights={f"{term}_{side}": weight for term, weight in weights.items() for side in "ab"},
        functions={f"{term}_{side}": partial(summed, loss) for term, loss in losses.items() for side in "ab"},
        graph=graph,
        networks={name: Network(build, init="kaiming") for name, build in builds.items()},
        players=(Player("generators", ("E_shared", "H_shared"), ()),),
    )


def _way(side: str, other: str) -> dict[str, Node]:
    """The tensors that come of the images of domain `side`: with noise in training, without it in translation."""
    return {
        f"mean_{side}": Apply(f"E_{side}", f"real_{side}"),
        f"noise_{side}": Sample(normal_like, f"mean_{side}"),
        f"code_{side}": Compute(plus, f"mean_{side}", f"noise_{side}"),
        f"same_{side}": Apply(f"H_{side}", f"code_{side}"),
        f"fake_{other}": Apply(f"H_{other}", f"code_{side}"),
        f"mean_fake_{other}": Apply(f"E_{other}", f"fake_{other}"),
        f"noise_fake_{other}": Sample(normal_like, f"mean_fake_{other}"),
        f"code_fake_{other}": Compute(plus, f"mean_fake_{other}", f"noise_fake_{other}"),
        f"cycle_{side}": Apply(f"H_{side}", f"code_fake_{other}"),
        f"clean_{other}": Apply(f"H_{other}", f"mean_{side}"),
        f"mean_clean_{other}": Apply(f"E_{other}", f"clean_{other}"),
        f"clean_cycle_{side}": Apply(f"H_{side}", f"mean_clean_{other}"),
    }
