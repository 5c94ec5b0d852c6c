"""pix2pix (Isola, Zhu, Zhou, Efros 2017, arXiv 1611.07004): trained on pairs, the upper bound of unpaired methods.

The discriminator is conditional on the source image. Each direction is a separate model; both are trained in one trial.
There is no image pool; the discriminators move first.
"""

from functools import partial

from cgbench.api.graph_nodes import Apply, Compute, Network
from cgbench.api.method import Method, Player, Term
from cgbench.api.registry import METHODS
from cgbench.methods.blocks.builders import discriminator, generator, stack, unet_problem
from cgbench.methods.functional.losses import bce_discriminator, bce_generator, l1, lsgan_discriminator, lsgan_generator

PAPER = "Isola et al. 2017, arXiv 1611.07004"


@METHODS.register
def pix2pix() -> Method:
    """Return the form of the CycleGAN paper's tables: CycleGAN's networks, LSGAN, L1 to the truth with weight 100."""
    return Method(
        name="pix2pix",
        summary="supervised upper bound: pairs, conditional discriminator, L1; CycleGAN's networks and LSGAN",
        source=f"{PAPER}, equation 4; networks as in Zhu et al. 2017, §5.1",
        supervised=True,
        networks={
            "G_ab": Network(partial(generator, source="a", target="b")),
            "G_ba": Network(partial(generator, source="b", target="a")),
            "D_ab": Network(partial(discriminator, source="ab")),
            "D_ba": Network(partial(discriminator, source="ba")),
        },
        graph={
            "fake_b": Apply("G_ab", "real_a"),
            "fake_a": Apply("G_ba", "real_b"),
            "pair_fake_ab": Compute(stack, "real_a", "fake_b"),
            "pair_fake_ba": Compute(stack, "real_b", "fake_a"),
            "pair_real_ab": Compute(stack, "real_a", "real_b"),
            "pair_real_ba": Compute(stack, "real_b", "real_a"),
            "pair_seen_ab": Compute(stack, "real_a", "fake_b", detached=True),
            "pair_seen_ba": Compute(stack, "real_b", "fake_a", detached=True),
            "verdict_fake_ab": Apply("D_ab", "pair_fake_ab"),
            "verdict_fake_ba": Apply("D_ba", "pair_fake_ba"),
            "verdict_real_ab": Apply("D_ab", "pair_real_ab"),
            "verdict_real_ba": Apply("D_ba", "pair_real_ba"),
            "verdict_seen_ab": Apply("D_ab", "pair_seen_ab"),
            "verdict_seen_ba": Apply("D_ba", "pair_seen_ba"),
        },
        players=(
            Player(
                "discriminators",
                ("D_ab", "D_ba"),
                (
                    Term("discriminate_b", lsgan_discriminator, ("verdict_real_ab", "verdict_seen_ab"), weight=0.5),
                    Term("discriminate_a", lsgan_discriminator, ("verdict_real_ba", "verdict_seen_ba"), weight=0.5),
                ),
            ),
            Player(
                "generators",
                ("G_ab", "G_ba"),
                (
                    Term("adversarial_b", lsgan_generator, ("verdict_fake_ab",)),
                    Term("adversarial_a", lsgan_generator, ("verdict_fake_ba",)),
                    Term("truth_b", l1, ("fake_b", "real_b"), weight=100.0),
                    Term("truth_a", l1, ("fake_a", "real_a"), weight=100.0),
                ),
            ),
        ),
        translates={"AtoB": "fake_b", "BtoA": "fake_a"},
    )


@METHODS.register
def pix2pix_unet() -> Method:
    """Return the form of the pix2pix paper: U-Net, dropout, batch norm, cross-entropy, L1 with weight 100 (§3, 6.1).

    Translation runs in evaluation mode: no dropout, running statistics of batch norm. The paper (§3.1) and the test of
    the public code keep dropout and the statistics of the test image itself, unless `--eval` is given there: outputs
    would then be random, and depend on the batch.
    """
    return pix2pix().but(
        "pix2pix_unet",
        "pix2pix as published: U-Net with dropout, batch norm, cross-entropy",
        source=f"{PAPER}, §3 and appendix 6.1",
        networks={
            f"G_{source}{target}": Network(
                partial(generator, source=source, target=target, dropout=True), missing=unet_problem
            )
            for source, target in ("ab", "ba")
        },
        functions={
            **dict.fromkeys(["adversarial_a", "adversarial_b"], bce_generator),
            **dict.fromkeys(["discriminate_a", "discriminate_b"], bce_discriminator),
        },
        defaults={"generator": "unet", "norm": "batch"},
    )
