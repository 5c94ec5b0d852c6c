"""CoGAN (Liu and Tuzel 2016, arXiv 1606.07536): two GANs of one latent code, their deep layers shared.

It has no translator. As in Zhu et al. 2017, §5.1, an image is translated by searching the code that renders it, and
rendering that code in the other domain. Published for 28 pixels; here the same kind of layers reach any image size.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cgbench.api.graph_nodes import Apply, Compute, LatentSearch, Network, Sample
from cgbench.api.method import Method, Player, Term
from cgbench.api.registry import METHODS
from cgbench.config import TrialConfig
from cgbench.methods.functional.losses import bce_discriminator, bce_generator
from cgbench.methods.functional.random_draws import normal
from cgbench.methods.functional.tensors import unchanged

if TYPE_CHECKING:
    from torch import nn

CODE = 100  # numbers of the latent code
SMALLEST = 4  # side of the first maps that are rendered, and of the last that are judged


def renderer(config: TrialConfig) -> nn.Module:
    """Return the shared layers: codes (N, 100) to maps of half the image's side."""
    from cgbench.methods.blocks.weight_sharing import SharedRenderer

    return SharedRenderer(rendered_widths(config), smallest_side(config)[0], CODE)


def last_layer(config: TrialConfig) -> nn.Module:
    """Return a domain's own last layer: shared maps to images (N, 3, S, S) in [-1, 1]."""
    from cgbench.methods.blocks.weight_sharing import rendering_layer

    return rendering_layer(rendered_widths(config)[-1], 3)


def first_layer(config: TrialConfig) -> nn.Module:
    """Return a domain's own first layer: images (N, 3, S, S) to maps of half their side."""
    from cgbench.methods.blocks.weight_sharing import judging_layer

    return judging_layer(3, config.ndf)


def judge(config: TrialConfig) -> nn.Module:
    """Return the shared layers of the discriminators: maps to one logit per image, (N, 1)."""
    from cgbench.methods.blocks.weight_sharing import SharedJudge

    smallest, halvings = smallest_side(config)
    widths = [config.ndf * min(2**depth, 8) for depth in range(halvings)]
    return SharedJudge(widths, 8 * config.ndf, smallest)


def rendered_widths(config: TrialConfig) -> list[int]:
    """Return the channels after each shared layer: 16 ngf, halved with every doubling, but never fewer than ngf.

    1024, 512, 256, 128 for 64 pixels and ngf 64, as published for digits.
    """
    return [max(16 * config.ngf // 2**depth, config.ngf) for depth in range(smallest_side(config)[1])]


def smallest_side(config: TrialConfig) -> tuple[int, int]:
    """Return the side of the smallest maps, 4 or a little more, and the doublings from there to `crop_size`."""
    side, doublings = config.crop_size, 0
    while side % 2 == 0 and side // 2 >= SMALLEST:
        side, doublings = side // 2, doublings + 1
    return side, doublings


@METHODS.register
def cogan() -> Method:
    """Return two GANs with the cross-entropy loss, fed by one code; both discriminators move first.

    The digit experiments' further terms (equal features, classification) belong to domain adaptation and are left out.
    """
    sides = ("a", "b")
    graph = {"code": Sample(partial(normal, size=(CODE,)), "real_a"), "maps": Apply("G_shared", "code")}
    for side in sides:
        graph |= {
            f"image_{side}": Apply(f"G_{side}", "maps"),
            f"seen_{side}": Compute(unchanged, f"image_{side}", detached=True),
            **{f"judged_{kind}_{side}": Apply(f"D_{side}", f"{kind}_{side}") for kind in ("image", "seen", "real")},
            **{
                f"verdict_{kind}_{side}": Apply("D_shared", f"judged_{kind}_{side}")
                for kind in ("image", "seen", "real")
            },
            f"first_{side}": Sample(partial(normal, size=(CODE,)), f"real_{side}"),
            f"tried_maps_{side}": Apply("G_shared", f"first_{side}"),
            f"tried_{side}": Apply(f"G_{side}", f"tried_maps_{side}"),
            f"found_{side}": LatentSearch(start=f"first_{side}", result=f"tried_{side}", target=f"real_{side}"),
            f"maps_{side}": Apply("G_shared", f"found_{side}"),
        }
    graph |= {"fake_b": Apply("G_b", "maps_a"), "fake_a": Apply("G_a", "maps_b")}
    graph |= {"cycle_a": Apply("G_a", "maps_a"), "cycle_b": Apply("G_b", "maps_b")}
    seen = [
        Term(f"discriminate_{side}", bce_discriminator, (f"verdict_real_{side}", f"verdict_seen_{side}"))
        for side in sides
    ]
    fooled = [Term(f"adversarial_{side}", bce_generator, (f"verdict_image_{side}",)) for side in sides]
    builds = {"G_shared": renderer, "D_shared": judge} | dict.fromkeys(["G_a", "G_b"], last_layer)
    builds |= dict.fromkeys(["D_a", "D_b"], first_layer)
    return Method(
        name="cogan",
        summary="CoGAN: coupled GANs of one latent code; translates by searching the code of an image",
        source="Liu and Tuzel 2016, arXiv 1606.07536, §3; translation as in Zhu et al. 2017, §5.1",
        networks={name: Network(build, init="xavier") for name, build in builds.items()},
        graph=graph,
        players=(
            Player("discriminators", ("D_a", "D_b", "D_shared"), tuple(seen)),
            Player("generators", ("G_a", "G_b", "G_shared"), tuple(fooled)),
        ),
        translates={"AtoB": "fake_b", "BtoA": "fake_a"},
        reconstructs={"AtoB": "cycle_a", "BtoA": "cycle_b"},
        defaults={"init_std": 2**0.5, "weight_decay": 5e-4},
        settings=("search_steps",),
        ignores=("generator", "discriminator", "norm"),
    )
