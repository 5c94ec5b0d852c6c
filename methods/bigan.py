"""BiGAN / ALI (Donahue et al. 2017, arXiv 1605.09782; Dumoulin et al. 2017, arXiv 1606.00704) on two image domains.

In the form of the CycleGAN paper's comparison: one discriminator tells pairs (a, G_ab(a)) from pairs (G_ba(b), b).
There is no cycle term: at the optimum the two mappings are inverses of each other.

The public code's pool stores its argument without a copy and is given one buffer each time, so that all its 50 entries
become one pair. That is taken for a slip: here the pool holds 50 pairs, as the paper's text has it.
"""

from functools import partial

from cgbench.api.graph_nodes import Apply, Compute, ImagePool, Network
from cgbench.api.method import Method, Player, Term
from cgbench.api.registry import METHODS
from cgbench.methods.blocks.builders import discriminator, generator, stack
from cgbench.methods.functional.losses import lsgan_discriminator, lsgan_generator, lsgan_to_zero


@METHODS.register
def bigan() -> Method:
    """Return LSGAN on pairs: the discriminator's target is 1 for (a, G_ab(a)) and 0 for (G_ba(b), b); each mapping is
    trained towards the other's target. Each kind of pair has its own pool. Order: discriminator, G_ab, G_ba."""
    return Method(
        name="bigan",
        summary="BiGAN/ALI: one discriminator on pairs, two inverse mappings, no cycle",
        source="Donahue et al. 2017, arXiv 1605.09782; Dumoulin et al. 2017, arXiv 1606.00704",
        networks={
            "G_ab": Network(partial(generator, source="a", target="b")),
            "G_ba": Network(partial(generator, source="b", target="a")),
            "D_pair": Network(partial(discriminator, source="ab")),
        },
        graph={
            "fake_b": Apply("G_ab", "real_a"),
            "fake_a": Apply("G_ba", "real_b"),
            "cycle_a": Apply("G_ba", "fake_b"),
            "cycle_b": Apply("G_ab", "fake_a"),
            "pair_ab": Compute(stack, "real_a", "fake_b"),
            "pair_ba": Compute(stack, "fake_a", "real_b"),
            "pool_ab": ImagePool("pair_ab"),
            "pool_ba": ImagePool("pair_ba"),
            "verdict_ab": Apply("D_pair", "pair_ab"),
            "verdict_ba": Apply("D_pair", "pair_ba"),
            "verdict_pool_ab": Apply("D_pair", "pool_ab"),
            "verdict_pool_ba": Apply("D_pair", "pool_ba"),
        },
        players=(
            Player(
                "discriminator",
                ("D_pair",),
                (Term("discriminate", lsgan_discriminator, ("verdict_pool_ab", "verdict_pool_ba"), weight=0.5),),
            ),
            Player("forward", ("G_ab",), (Term("adversarial_b", lsgan_to_zero, ("verdict_ab",)),)),
            Player("inverse", ("G_ba",), (Term("adversarial_a", lsgan_generator, ("verdict_ba",)),)),
        ),
        translates={"AtoB": "fake_b", "BtoA": "fake_a"},
        reconstructs={"AtoB": "cycle_a", "BtoA": "cycle_b"},
    )
