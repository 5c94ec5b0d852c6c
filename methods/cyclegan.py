"""CycleGAN (Zhu, Park, Isola, Efros 2017, arXiv 1703.10593) and the ablations of its Tables 4 and 5.

A is the paper's X, B its Y: `G_ab` is the paper's G, `G_ba` its F, and `D_b` discriminates images of domain B. Every
term has its own weight, so that dropping one changes nothing else.
"""

from functools import partial

from cgbench.api.graph_nodes import Apply, ImagePool, Network
from cgbench.api.method import Method, Player, Term
from cgbench.api.registry import METHODS
from cgbench.methods.blocks.builders import discriminator, generator
from cgbench.methods.functional.losses import bce_discriminator, bce_generator, l1, lsgan_discriminator, lsgan_generator

PAPER = "Zhu et al. 2017, arXiv 1703.10593"


@METHODS.register
def cyclegan() -> Method:
    """Return the full objective of equation 3: both adversarial and both cycle terms, λ = 10, no identity term."""
    return Method(
        name="cyclegan",
        summary="both adversarial and both cycle terms, no identity (the paper's Cityscapes tables)",
        source=f"{PAPER}, equation 3 and §4",
        networks={
            "G_ab": Network(partial(generator, source="a", target="b")),
            "G_ba": Network(partial(generator, source="b", target="a")),
            "D_a": Network(partial(discriminator, source="a")),
            "D_b": Network(partial(discriminator, source="b")),
        },
        graph={
            "fake_b": Apply("G_ab", "real_a"),
            "fake_a": Apply("G_ba", "real_b"),
            "cycle_a": Apply("G_ba", "fake_b"),
            "cycle_b": Apply("G_ab", "fake_a"),
            "same_a": Apply("G_ba", "real_a"),
            "same_b": Apply("G_ab", "real_b"),
            "verdict_fake_a": Apply("D_a", "fake_a"),
            "verdict_fake_b": Apply("D_b", "fake_b"),
            "pool_a": ImagePool("fake_a"),
            "pool_b": ImagePool("fake_b"),
            "verdict_real_a": Apply("D_a", "real_a"),
            "verdict_real_b": Apply("D_b", "real_b"),
            "verdict_pool_a": Apply("D_a", "pool_a"),
            "verdict_pool_b": Apply("D_b", "pool_b"),
        },
        players=(
            Player(
                "generators",
                ("G_ab", "G_ba"),
                (
                    Term("adversarial_a", lsgan_generator, ("verdict_fake_a",)),
                    Term("adversarial_b", lsgan_generator, ("verdict_fake_b",)),
                    Term("cycle_a", l1, ("cycle_a", "real_a"), weight=10.0),
                    Term("cycle_b", l1, ("cycle_b", "real_b"), weight=10.0),
                ),
            ),
            Player(
                "discriminators",
                ("D_a", "D_b"),
                (
                    Term("discriminate_a", lsgan_discriminator, ("verdict_real_a", "verdict_pool_a"), weight=0.5),
                    Term("discriminate_b", lsgan_discriminator, ("verdict_real_b", "verdict_pool_b"), weight=0.5),
                ),
            ),
        ),
        translates={"AtoB": "fake_b", "BtoA": "fake_a"},
        reconstructs={"AtoB": "cycle_a", "BtoA": "cycle_b"},
    )


@METHODS.register
def cyclegan_identity() -> Method:
    """Return CycleGAN with the identity terms of §5.2, weight 0.5 λ each."""
    identity = (Term("identity_a", l1, ("same_a", "real_a"), 5.0), Term("identity_b", l1, ("same_b", "real_b"), 5.0))
    return cyclegan().but(
        "cyclegan_identity", "CycleGAN with identity terms (painting→photo)", source=f"{PAPER}, §5.2",
        add={"generators": identity},
    )  # fmt: skip


@METHODS.register
def gan_only() -> Method:
    """Return the ablation "GAN alone" of Tables 4 and 5."""
    return cyclegan().but("gan_only", "both adversarial terms, no cycle (GAN alone)", drop=["cycle_a", "cycle_b"])


@METHODS.register
def cycle_only() -> Method:
    """Return the ablation "Cycle alone" of Tables 4 and 5; no discriminator is trained."""
    return cyclegan().but(
        "cycle_only",
        "both cycle terms, no GAN (cycle alone)",
        drop=["adversarial_a", "adversarial_b"],
        ignores=["discriminator"],
    )


@METHODS.register
def gan_forward_cycle() -> Method:
    """Return the ablation "GAN + forward cycle" of Tables 4 and 5: only A → B → A is constrained."""
    return cyclegan().but("gan_forward_cycle", "GAN with the cycle A→B→A alone", drop=["cycle_b"])


@METHODS.register
def gan_backward_cycle() -> Method:
    """Return the ablation "GAN + backward cycle" of Tables 4 and 5: only B → A → B is constrained."""
    return cyclegan().but("gan_backward_cycle", "GAN with the cycle B→A→B alone", drop=["cycle_a"])


@METHODS.register
def cyclegan_bce() -> Method:
    """Return CycleGAN with the cross-entropy adversarial loss of equation 1 in place of least squares."""
    generators = dict.fromkeys(["adversarial_a", "adversarial_b"], bce_generator)
    discriminators = dict.fromkeys(["discriminate_a", "discriminate_b"], bce_discriminator)
    return cyclegan().but(
        "cyclegan_bce", "CycleGAN with the cross-entropy GAN loss", source=f"{PAPER}, equation 1",
        functions={**generators, **discriminators},
    )  # fmt: skip
