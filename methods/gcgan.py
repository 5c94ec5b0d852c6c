"""GcGAN (Fu et al. 2019, arXiv 1809.05852): translating a turned image is turning the translated image.

One-sided: each direction is a model of its own; both are trained side by side in one trial and share nothing. One
generator translates images and turned images; each kind of output has a discriminator of its own.
"""

from __future__ import annotations

from collections.abc import Callable
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
    """Return images (N, 3, S, S) turned by 90° clockwise."""
    return images.rot90(-1, (2, 3))


def quarter_back(images: Tensor) -> Tensor:
    """Return images (N, 3, S, S) turned by 90° anticlockwise."""
    return images.rot90(1, (2, 3))


def upside_down(images: Tensor) -> Tensor:
    """Return images (N, 3, S, S) flipped vertically; its own inverse."""
    return images.flip(2)


@METHODS.register
def gcgan() -> Method:
    """Return both adversarial terms of each direction, geometry consistency under a quarter turn with weight 20, and
    identity terms of weight 5, on plain and on turned images (λ = 10; its multiples 2 and ½ are the published ones)."""
    return _consistent("gcgan", "geometry consistency under a quarter turn, one model per direction", quarter_turn,
                       quarter_back)  # fmt: skip


@METHODS.register
def gcgan_vflip() -> Method:
    """Return GcGAN whose transformation is the vertical flip, the other one published."""
    return _consistent("gcgan_vflip", "GcGAN with the vertical flip in place of the turn", upside_down, upside_down)


def _consistent(name: str, summary: str, turn: Callable, back: Callable) -> Method:
    graph: dict[str, Node] = {}
    generators, discriminators = [], []
    for side, source, network in (("b", "a", "G_ab"), ("a", "b", "G_ba")):
        graph |= _turned_side(side, source, network, turn, back)
        generators += [
            Term(f"adversarial_turned_{side}", lsgan_generator, (f"verdict_turned_fake_{side}",)),
            Term(f"geometry_{side}", l1, (f"fake_{side}", f"back_fake_{side}"), weight=20.0),
            Term(f"geometry_turned_{side}", l1, (f"turned_fake_{side}", f"fake_turned_{side}"), weight=20.0),
            Term(f"identity_{side}", l1, (f"same_{side}", f"real_{side}"), weight=5.0),
            Term(f"identity_turned_{side}", l1, (f"turned_same_{side}", f"turned_{side}"), weight=5.0),
        ]
        seen = (f"verdict_turned_{side}", f"verdict_turned_pool_{side}")
        discriminators.append(Term(f"discriminate_turned_{side}", lsgan_discriminator, seen, weight=0.5))
    judge = Network(discriminator, init="xavier")
    networks = dict.fromkeys(["G_ab", "G_ba"], Network(generator, init="xavier"))
    networks |= dict.fromkeys(["D_a", "D_b", "D_turned_a", "D_turned_b"], judge)
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


def _turned_side(side: str, source: str, network: str, turn: Callable, back: Callable) -> dict[str, Node]:
    """The tensors that the turned image adds to the translation from `source` to `side`."""
    return {
        f"turned_{side}": Compute(turn, f"real_{side}"),
        f"turned_fake_{side}": Apply(network, f"turned_{source}"),
        f"turned_same_{side}": Apply(network, f"turned_{side}"),
        # what one is held to passes no gradient: each output learns from the other as it stands
        f"back_fake_{side}": Compute(back, f"turned_fake_{side}", detached=True),
        f"fake_turned_{side}": Compute(turn, f"fake_{side}", detached=True),
        f"turned_pool_{side}": ImagePool(f"turned_fake_{side}"),
        f"verdict_turned_fake_{side}": Apply(f"D_turned_{side}", f"turned_fake_{side}"),
        f"verdict_turned_{side}": Apply(f"D_turned_{side}", f"turned_{side}"),
        f"verdict_turned_pool_{side}": Apply(f"D_turned_{side}", f"turned_pool_{side}"),
    }
