"""GcGAN (Fu et al. 2019, arXiv 1809.05852): geometry consistency, one-sided.

Translation must commute with a geometric transformation. Each direction is a separate model; both are trained in one
trial and share nothing. One generator translates plain and transformed images; each has its own discriminator. Where
crops are rectangles, turned images have the other shape; convolutional networks take both.

Departures from the public code: its rate begins to fall one epoch earlier, a matter of the suite here; its biases keep
torch's own start, here they are 0, as the paper takes over CycleGAN's training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cgbench.api.graph_nodes import Apply, Compute, ImagePool, Network, Node
from cgbench.api.method import Method, Player, Term
from cgbench.api.registry import METHODS
from cgbench.methods.blocks.builders import discriminator, generator
from cgbench.methods.cyclegan import cyclegan
from cgbench.methods.functional.losses import l1, lsgan_discriminator, lsgan_generator

if TYPE_CHECKING:
    from torch import Tensor

PAPER = "Fu et al. 2019, arXiv 1809.05852"


def quarter_turn(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) rotated by 90° clockwise, (N, C, W, H)."""
    return images.rot90(-1, (2, 3))


def quarter_back(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) rotated by 90° anticlockwise, (N, C, W, H)."""
    return images.rot90(1, (2, 3))


def upside_down(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) flipped vertically; its own inverse."""
    return images.flip(2)


@METHODS.register
def gcgan() -> Method:
    """Return both adversarial terms of each direction, geometry consistency under a rotation by 90° with weight 20, and
    identity terms of weight 5, on plain and rotated images (λ = 10; the factors 2 and ½ are the published ones)."""
    summary = "geometry consistency under a quarter turn, one model per direction"
    return _geometry_consistent("gcgan", summary, quarter_turn, quarter_back)


@METHODS.register
def gcgan_vflip() -> Method:
    """Return GcGAN with the vertical flip, the second published transformation."""
    return _geometry_consistent(
        "gcgan_vflip", "GcGAN with the vertical flip in place of the turn", upside_down, upside_down
    )


def _geometry_consistent(name: str, summary: str, transform: Callable, inverse: Callable) -> Method:
    """Return CycleGAN without cycles, with geometry consistency under `transform`."""
    graph: dict[str, Node] = {}
    generators, discriminators = [], []
    for target, source, network in (("b", "a", "G_ab"), ("a", "b", "G_ba")):
        graph |= _transformed_nodes(target, source, network, transform, inverse)
        generators += [
            Term(f"adversarial_turned_{target}", lsgan_generator, (f"verdict_turned_fake_{target}",)),
            Term(f"geometry_{target}", l1, (f"fake_{target}", f"back_fake_{target}"), weight=20.0),
            Term(f"geometry_turned_{target}", l1, (f"turned_fake_{target}", f"fake_turned_{target}"), weight=20.0),
            Term(f"identity_{target}", l1, (f"same_{target}", f"real_{target}"), weight=5.0),
            Term(f"identity_turned_{target}", l1, (f"turned_same_{target}", f"turned_{target}"), weight=5.0),
        ]
        verdicts = (f"verdict_turned_{target}", f"verdict_turned_pool_{target}")
        discriminators.append(Term(f"discriminate_turned_{target}", lsgan_discriminator, verdicts, weight=0.5))
    networks = {
        f"G_{source}{target}": Network(partial(generator, source=source, target=target), init="xavier")
        for source, target in ("ab", "ba")
    }
    networks |= {
        f"{kind}_{domain}": Network(partial(discriminator, source=domain), init="xavier")
        for kind in ("D", "D_turned")
        for domain in "ab"
    }
    return cyclegan().but(
        name,
        summary,
        source=f"{PAPER}, §3",
        drop=["cycle_a", "cycle_b"],
        add={"generators": generators},
        players=(Player("discriminators", ("D_turned_a", "D_turned_b"), tuple(discriminators)),),
        networks=networks,
        graph=graph,
        reconstructs={},
    )


def _transformed_nodes(
    target: str, source: str, network: str, transform: Callable, inverse: Callable
) -> dict[str, Node]:
    """Return the nodes of transformed images for the translation from domain `source` to `target`."""
    return {
        f"turned_{target}": Compute(transform, f"real_{target}"),
        f"turned_fake_{target}": Apply(network, f"turned_{source}"),
        f"turned_same_{target}": Apply(network, f"turned_{target}"),
        # the targets pass no gradient: each output is compared with the other as a constant
        f"back_fake_{target}": Compute(inverse, f"turned_fake_{target}", detached=True),
        f"fake_turned_{target}": Compute(transform, f"fake_{target}", detached=True),
        f"turned_pool_{target}": ImagePool(f"turned_fake_{target}"),
        f"verdict_turned_fake_{target}": Apply(f"D_turned_{target}", f"turned_fake_{target}"),
        f"verdict_turned_{target}": Apply(f"D_turned_{target}", f"turned_{target}"),
        f"verdict_turned_pool_{target}": Apply(f"D_turned_{target}", f"turned_pool_{target}"),
    }
