"""CUT and FastCUT (Park, Efros, Zhang, Zhu 2020, arXiv 2007.15651): each patch of the output stays near its own input.

One-sided: each direction is a model of its own; both are trained side by side in one trial and share nothing. The
published budgets (200 + 200 epochs, FastCUT 150 + 50) belong to the suite here, as every method's does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cgbench.api.graph_nodes import Apply, Compute, Network, Node, Sample
from cgbench.api.method import Method, Player, Term
from cgbench.api.registry import METHODS
from cgbench.config import TrialConfig
from cgbench.methods.blocks.builders import discriminator, generator
from cgbench.methods.functional.losses import lsgan_discriminator, lsgan_generator
from cgbench.methods.functional.tensors import sent, unchanged

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Park et al. 2020, arXiv 2007.15651"
PATCHES = 256  # per map and image
TEMPERATURE = 0.07
SIDES = (("b", "a", "ab"), ("a", "b", "ba"))  # target, source, suffix of the networks


def projection(config: TrialConfig) -> nn.Module:
    """Return the projection networks for the maps of the configured generator: 4 ngf channels, 256 at the most."""
    from cgbench.methods.blocks.patch_projection import PatchProjection
    from cgbench.methods.blocks.resnet import tap_widths

    return PatchProjection(tap_widths(config.ngf, config.blocks), min(256, 4 * config.ngf))


def patch_positions(rng: np.random.Generator, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return 256 positions without replacement, or all there are, for each map (N, C, H, W): int64 (N, P) each."""
    import torch

    drawn = []
    for features in maps:
        size = features.shape[2] * features.shape[3]
        rows = [rng.choice(size, min(PATCHES, size), replace=False, shuffle=False) for _ in range(len(features))]
        drawn.append(sent(torch.from_numpy(np.stack(rows)), features.device))
    return tuple(drawn)


def patch_nce(queries: tuple[Tensor, ...], keys: tuple[Tensor, ...]) -> Tensor:
    """Return the mean over maps, images and patches of the cross-entropy that finds each query's own key (PatchNCE).

    Unit vectors (N, P, C) per map; the other keys of the same image are the negatives. Logits are the products over
    the temperature 0.07.
    """
    import torch
    from torch.nn import functional

    losses = []
    for query, key in zip(queries, keys, strict=True):
        logits = query @ key.transpose(1, 2) / TEMPERATURE  # (N, P, P)
        own = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
        losses.append(functional.cross_entropy(logits.flatten(0, 1), own.flatten()))
    return sum(losses) / len(losses)


def coin(rng: np.random.Generator, like: Tensor) -> Tensor:
    """Return 1 or 0, one throw for the whole batch: (N, 1, 1, 1)."""
    import torch

    return torch.full((len(like), 1, 1, 1), float(rng.random() < 0.5), dtype=like.dtype, device=like.device)


def mirrored_where(images: Tensor, heads: Tensor) -> Tensor:
    """Return images (N, C, H, W), mirrored left to right where `heads` (N, 1, 1, 1) is 1."""
    return heads * images.flip(3) + (1 - heads) * images


def maps_mirrored_where(maps: tuple[Tensor, ...], heads: Tensor) -> tuple[Tensor, ...]:
    """Return every map (N, C, H, W), mirrored where `heads` is 1."""
    return tuple(mirrored_where(features, heads) for features in maps)


@METHODS.register
def cut() -> Method:
    """Return LSGAN without a pool + the patchwise contrast of inputs with outputs, and of real target images with
    their own translations (identity), ½ each. D moves first.

    F shares the generators' player: Adam treats each weight by itself, so that equals an optimizer of its own.
    """
    graph: dict[str, Node] = {}
    generators, discriminators = [], []
    for side, source, way in SIDES:
        graph |= _translation(side, source, way)
        generators += [
            Term(f"adversarial_{side}", lsgan_generator, (f"verdict_fake_{side}",)),
            Term(f"nce_{side}", patch_nce, (f"queries_{side}", f"keys_{side}"), weight=0.5),
            Term(f"nce_identity_{side}", patch_nce, (f"queries_same_{side}", f"keys_same_{side}"), weight=0.5),
        ]
        judged = (f"verdict_real_{side}", f"verdict_seen_{side}")
        discriminators.append(Term(f"discriminate_{side}", lsgan_discriminator, judged, weight=0.5))
    builds = {"G": partial(generator, antialias=True), "F": projection}
    networks = {
        f"{kind}_{way}": Network(build, init="xavier") for kind, build in builds.items() for way in ("ab", "ba")
    }
    judge = Network(partial(discriminator, antialias=True), init="xavier")
    return Method(
        name="cut",
        summary="patchwise contrast between input and output, one model per direction",
        source=f"{PAPER}, §3",
        networks={**networks, "D_a": judge, "D_b": judge},
        graph=graph,
        players=(
            Player("discriminators", ("D_a", "D_b"), tuple(discriminators)),
            Player("generators", ("G_ab", "G_ba", "F_ab", "F_ba"), tuple(generators)),
        ),
        translates={"AtoB": "fake_b", "BtoA": "fake_a"},
    )


@METHODS.register
def fastcut() -> Method:
    """Return CUT without the identity contrast, with ten times the weight, and with mirrored inputs.

    With probability ½ a step's input of G is mirrored; the output's features are mirrored back before the comparison.
    """
    graph: dict[str, Node] = {}
    for side, source, way in SIDES:
        graph |= {
            f"coin_{source}": Sample(coin, f"real_{source}"),
            f"turned_{source}": Compute(mirrored_where, f"real_{source}", f"coin_{source}"),
            f"fake_{side}": Apply(f"G_{way}", f"turned_{source}"),
            f"plain_{side}": Apply(f"G_{way}", f"real_{source}"),
            f"turned_maps_{side}": Apply(f"G_{way}", f"fake_{side}", part="features"),
            f"maps_fake_{side}": Compute(maps_mirrored_where, f"turned_maps_{side}", f"coin_{source}"),
        }
    return cut().but(
        "fastcut",
        "CUT without identity contrast, tenfold weight, mirrored inputs",
        source=f"{PAPER}, §4",
        drop=["nce_identity_a", "nce_identity_b"],
        weights={"nce_a": 10.0, "nce_b": 10.0},
        graph=graph,
        translates={"AtoB": "plain_b", "BtoA": "plain_a"},
    )


def _translation(side: str, source: str, way: str) -> dict[str, Node]:
    """The tensors of one direction. Keys pass no gradient, neither to F nor to the encoder."""
    graph: dict[str, Node] = {
        f"fake_{side}": Apply(f"G_{way}", f"real_{source}"),
        f"same_{side}": Apply(f"G_{way}", f"real_{side}"),
        f"seen_{side}": Compute(unchanged, f"fake_{side}", detached=True),
    }
    for image in (f"fake_{side}", f"seen_{side}", f"real_{side}"):
        graph[f"verdict_{image}"] = Apply(f"D_{side}", image)
    for suffix, output, given in (("", f"fake_{side}", f"real_{source}"), ("_same", f"same_{side}", f"real_{side}")):
        maps, patches, keys = f"maps_{given}_{way}", f"patches{suffix}_{side}", f"keys{suffix}_{side}"
        graph |= {
            maps: Apply(f"G_{way}", given, part="features"),
            patches: Sample(patch_positions, maps),
            f"maps_{output}": Apply(f"G_{way}", output, part="features"),
            f"queries{suffix}_{side}": Apply(f"F_{way}", f"maps_{output}", patches),
            f"projected{suffix}_{side}": Apply(f"F_{way}", maps, patches),
            keys: Compute(unchanged, f"projected{suffix}_{side}", detached=True),
        }
    return graph
