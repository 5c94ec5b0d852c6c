"""CoGAN (Liu and Tuzel 2016, arXiv 1606.07536): two GANs of one latent code with shared deep layers.

It has no translation network. As in Zhu et al. 2017, §5.1, an image is translated by a search for the code that renders
it, and by rendering that code in the other domain. Published for 28 pixels; the same kinds of layers serve any shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cgbench.api.graph_nodes import Apply, Compute, LatentSearch, Network, Node, Sample
from cgbench.api.method import Method, Player, Term
from cgbench.api.registry import METHODS
from cgbench.config import TrialConfig
from cgbench.methods.functional.losses import bce_discriminator, bce_generator
from cgbench.methods.functional.random_draws import normal
from cgbench.methods.functional.tensors import unchanged

if TYPE_CHECKING:
    from torch import nn

CODE_SIZE = 100  # dimensions of the latent code
MIN_SIDE = 4  # shorter side of the first maps of the generators and of the last maps of the discriminators


def renderer(config: TrialConfig) -> nn.Module:
    """Return the shared layers of the generators: codes (N, 100) to maps of half the image's sides."""
    from cgbench.methods.blocks.weight_sharing import SharedGenerator

    return SharedGenerator(generator_widths(config), smallest_maps(config)[0], CODE_SIZE)


def last_layer(config: TrialConfig, target: str = "b") -> nn.Module:
    """Return the last layer of domain `target`: shared maps to its images, (N, C, H, W) in [-1, 1]."""
    from cgbench.methods.blocks.weight_sharing import generator_layer

    return generator_layer(generator_widths(config)[-1], config.channels(target))


def first_layer(config: TrialConfig, source: str = "b") -> nn.Module:
    """Return the first layer of domain `source`: its images (N, C, H, W) to maps of half their sides."""
    from cgbench.methods.blocks.weight_sharing import discriminator_layer

    return discriminator_layer(config.channels(source), config.ndf)


def judge(config: TrialConfig) -> nn.Module:
    """Return the shared layers of the discriminators: maps to one logit per image, (N, 1)."""
    from cgbench.methods.blocks.weight_sharing import SharedDiscriminator

    shape, downsamplings = smallest_maps(config)
    widths = [config.ndf * min(2**depth, 8) for depth in range(downsamplings)]
    return SharedDiscriminator(widths, 8 * config.ndf, shape)


def generator_widths(config: TrialConfig) -> list[int]:
    """Return the channels after each shared layer: 16 ngf, halved at every upsampling down to ngf.

    1024, 512, 256, 128 for 64 pixels and ngf 64, as published for digits.
    """
    return [max(16 * config.ngf // 2**depth, config.ngf) for depth in range(smallest_maps(config)[1])]


def smallest_maps(config: TrialConfig) -> tuple[tuple[int, int], int]:
    """Return height and width of the smallest maps, the shorter 4 or a little more, and the number of upsamplings to
    the size of the crops."""
    (height, width), upsamplings = config.crop_shape, 0
    while height % 2 == width % 2 == 0 and min(height, width) // 2 >= MIN_SIDE:
        height, width, upsamplings = height // 2, width // 2, upsamplings + 1
    return (height, width), upsamplings


@METHODS.register
def cogan() -> Method:
    """Return two GANs with the cross-entropy loss and one latent code; the discriminators move first.

    As in the public code: losses are means over the domains, each player has a fresh code, weights start as Glorot's
    uniform ones with gain √2 and biases at 0.1. The additional terms of the digit experiments (equal features,
    classification) serve domain adaptation: left out.
    """
    domains = ("a", "b")
    code = Sample(partial(normal, size=(CODE_SIZE,)), "real_a")
    graph: dict[str, Node] = {"code": code, "maps": Apply("G_shared", "code")}
    graph |= {"shown_code": code, "shown_maps": Apply("G_shared", "shown_code")}
    for domain in domains:
        graph |= {
            f"image_{domain}": Apply(f"G_{domain}", "maps"),
            f"shown_{domain}": Apply(f"G_{domain}", "shown_maps"),
            f"seen_{domain}": Compute(unchanged, f"shown_{domain}", detached=True),
            **{
                f"judged_{kind}_{domain}": Apply(f"D_{domain}", f"{kind}_{domain}")
                for kind in ("image", "seen", "real")
            },
            **{
                f"verdict_{kind}_{domain}": Apply("D_shared", f"judged_{kind}_{domain}")
                for kind in ("image", "seen", "real")
            },
            f"first_{domain}": Sample(partial(normal, size=(CODE_SIZE,)), f"real_{domain}"),
            f"tried_maps_{domain}": Apply("G_shared", f"first_{domain}"),
            f"tried_{domain}": Apply(f"G_{domain}", f"tried_maps_{domain}"),
            f"found_{domain}": LatentSearch(start=f"first_{domain}", result=f"tried_{domain}", target=f"real_{domain}"),
            f"maps_{domain}": Apply("G_shared", f"found_{domain}"),
        }
    graph |= {"fake_b": Apply("G_b", "maps_a"), "fake_a": Apply("G_a", "maps_b")}
    graph |= {"cycle_a": Apply("G_a", "maps_a"), "cycle_b": Apply("G_b", "maps_b")}
    discriminator_terms = [
        Term(f"discriminate_{domain}", bce_discriminator, (f"verdict_real_{domain}", f"verdict_seen_{domain}"), 0.5)
        for domain in domains
    ]
    generator_terms = [
        Term(f"adversarial_{domain}", bce_generator, (f"verdict_image_{domain}",), 0.5) for domain in domains
    ]
    builds: dict[str, Callable[..., nn.Module]] = {"G_shared": renderer, "D_shared": judge}
    builds |= {f"G_{domain}": partial(last_layer, target=domain) for domain in domains}
    builds |= {f"D_{domain}": partial(first_layer, source=domain) for domain in domains}
    return Method(
        name="cogan",
        summary="CoGAN: coupled GANs of one latent code; translates by searching the code of an image",
        source="Liu and Tuzel 2016, arXiv 1606.07536, §3; translation as in Zhu et al. 2017, §5.1",
        networks={name: Network(build, init="xavier_uniform", bias=0.1) for name, build in builds.items()},
        graph=graph,
        players=(
            Player("discriminators", ("D_a", "D_b", "D_shared"), tuple(discriminator_terms)),
            Player("generators", ("G_a", "G_b", "G_shared"), tuple(generator_terms)),
        ),
        translates={"AtoB": "fake_b", "BtoA": "fake_a"},
        reconstructs={"AtoB": "cycle_a", "BtoA": "cycle_b"},
        defaults={"init_std": 2**0.5, "weight_decay": 5e-4},
        settings=("search_steps",),
        ignores=("generator", "discriminator", "norm"),
    )
