"""CUT and FastCUT (Park, Efros, Zhang, Zhu 2020, arXiv 2007.15651): contrastive patchwise translation, one-sided.

Each direction is a separate model; both are trained in one trial and share nothing. The published budgets (200 + 200
epochs, FastCUT 150 + 50) are a matter of the suite here, as for every method.

Departures from the public code: it takes the same patch positions for all images of a batch, here each image has its
own, which is the same for the published batch of one; it divides features by their norm plus 1e-7, here by the norm,
at least 1e-7; and from the first epoch of the decay on it loads images at the crop size, so that the random crop ends
and only the flip is left: here crops go on, as the paper describes the augmentation and as every method has it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from cgbench.api.graph_nodes import Apply, Compute, Network, Node, Sample
from cgbench.api.method import Method, Player, Term
from cgbench.api.registry import METHODS
from cgbench.config import TrialConfig
from cgbench.methods.blocks.builders import discriminator, generator
from cgbench.methods.functional.losses import lsgan_discriminator, lsgan_generator
from cgbench.methods.functional.tensors import to_device, unchanged

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

PAPER = "Park et al. 2020, arXiv 2007.15651"
PATCHES = 256  # per map and image
TEMPERATURE = 0.07
DIRECTIONS = (("b", "a", "ab"), ("a", "b", "ba"))  # target domain, source domain, suffix of the networks


def projection(config: TrialConfig, source: str = "a") -> nn.Module:
    """Return the projection network for the generator's maps of images of `source`: 4 ngf channels, at most 256."""
    from cgbench.methods.blocks.patch_projection import PatchProjection
    from cgbench.methods.blocks.resnet import tap_widths

    return PatchProjection(tap_widths(config.ngf, config.blocks, config.channels(source)), min(256, 4 * config.ngf))


def patch_positions(rng: np.random.Generator, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return P = min(256, H W) positions without replacement for each map (N, C, H, W): int64 (N, P) each."""
    import numpy as np
    import torch

    positions = []
    for features in maps:
        size = features.shape[2] * features.shape[3]
        rows = [rng.choice(size, min(PATCHES, size), replace=False, shuffle=False) for _ in range(len(features))]
        positions.append(to_device(torch.from_numpy(np.stack(rows)), features.device))
    return tuple(positions)


def patch_nce(queries: tuple[Tensor, ...], keys: tuple[Tensor, ...]) -> Tensor:
    """Return PatchNCE: the mean over maps, images and patches of the cross-entropy of each query's positive key.

    Unit vectors (N, P, C) per map; the other keys of the same image are the negatives. Logits are the scalar products
    divided by the temperature 0.07.
    """
    import torch
    from torch.nn import functional

    losses = []
    for query, key in zip(queries, keys, strict=True):
        logits = query @ key.transpose(1, 2) / TEMPERATURE  # (N, P, P)
        positive = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
        losses.append(functional.cross_entropy(logits.flatten(0, 1), positive.flatten()))
    total: Any = sum(losses)
    return total / len(losses)


def coin(rng: np.random.Generator, like: Tensor) -> Tensor:
    """Return 1 or 0 with equal probability, one value for the whole batch: (N, 1, 1, 1)."""
    import torch

    return torch.full((len(like), 1, 1, 1), float(rng.random() < 0.5), dtype=like.dtype, device=like.device)


def mirrored_where(images: Tensor, flip: Tensor) -> Tensor:
    """Return images (N, C, H, W), flipped horizontally where `flip` (N, 1, 1, 1) is 1."""
    return flip * images.flip(3) + (1 - flip) * images


def maps_mirrored_where(maps: tuple[Tensor, ...], flip: Tensor) -> tuple[Tensor, ...]:
    """Return every map (N, C, H, W), flipped horizontally where `flip` is 1."""
    return tuple(mirrored_where(features, flip) for features in maps)


@METHODS.register
def cut() -> Method:
    """Return LSGAN without an image pool + PatchNCE between inputs and outputs, and between real target images and
    their own translations (identity), weight ½ each. The discriminators move first.

    F belongs to the generators' player: Adam is elementwise, so that this equals an optimizer of its own.
    """
    graph: dict[str, Node] = {}
    generators, discriminators = [], []
    for target, source, direction in DIRECTIONS:
        graph |= _translation(target, source, direction)
        generators += [
            Term(f"adversarial_{target}", lsgan_generator, (f"verdict_fake_{target}",)),
            Term(f"nce_{target}", patch_nce, (f"queries_{target}", f"keys_{target}"), weight=0.5),
            Term(f"nce_identity_{target}", patch_nce, (f"queries_same_{target}", f"keys_same_{target}"), weight=0.5),
        ]
        verdicts = (f"verdict_real_{target}", f"verdict_seen_{target}")
        discriminators.append(Term(f"discriminate_{target}", lsgan_discriminator, verdicts, weight=0.5))
    builds: dict[str, Callable[..., Any]] = {}
    for source, target in ("ab", "ba"):
        builds[f"G_{source}{target}"] = partial(generator, source=source, target=target, antialias=True)
    for source, target in ("ab", "ba"):
        builds[f"F_{source}{target}"] = partial(projection, source=source)
    for domain in "ab":
        builds[f"D_{domain}"] = partial(discriminator, source=domain, antialias=True)
    return Method(
        name="cut",
        summary="patchwise contrast between input and output, one model per direction",
        source=f"{PAPER}, §3",
        networks={name: Network(build, init="xavier") for name, build in builds.items()},
        graph=graph,
        players=(
            Player("discriminators", ("D_a", "D_b"), tuple(discriminators)),
            Player("generators", ("G_ab", "G_ba", "F_ab", "F_ba"), tuple(generators)),
        ),
        translates={"AtoB": "fake_b", "BtoA": "fake_a"},
    )


@METHODS.register
def fastcut() -> Method:
    """Return CUT without identity PatchNCE, with ten times the weight, and with flipped inputs.

    With probability ½ the input of G is flipped in a step; the features of the output are flipped back for PatchNCE.
    """
    graph: dict[str, Node] = {}
    for target, source, direction in DIRECTIONS:
        graph |= {
            f"coin_{source}": Sample(coin, f"real_{source}"),
            f"turned_{source}": Compute(mirrored_where, f"real_{source}", f"coin_{source}"),
            f"fake_{target}": Apply(f"G_{direction}", f"turned_{source}"),
            f"plain_{target}": Apply(f"G_{direction}", f"real_{source}"),
            f"turned_maps_{target}": Apply(f"G_{direction}", f"fake_{target}", part="features"),
            f"maps_fake_{target}": Compute(maps_mirrored_where, f"turned_maps_{target}", f"coin_{source}"),
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


def _translation(target: str, source: str, direction: str) -> dict[str, Node]:
    """Return the nodes of one direction. Keys pass no gradient, neither to F nor to the encoder."""
    graph: dict[str, Node] = {
        f"fake_{target}": Apply(f"G_{direction}", f"real_{source}"),
        f"same_{target}": Apply(f"G_{direction}", f"real_{target}"),
        f"seen_{target}": Compute(unchanged, f"fake_{target}", detached=True),
    }
    for image in (f"fake_{target}", f"seen_{target}", f"real_{target}"):
        graph[f"verdict_{image}"] = Apply(f"D_{target}", image)
    for suffix, output, source_image in (
        ("", f"fake_{target}", f"real_{source}"),
        ("_same", f"same_{target}", f"real_{target}"),
    ):
        maps, patches, keys = f"maps_{source_image}_{direction}", f"patches{suffix}_{target}", f"keys{suffix}_{target}"
        graph |= {
            maps: Apply(f"G_{direction}", source_image, part="features"),
            patches: Sample(patch_positions, maps),
            f"maps_{output}": Apply(f"G_{direction}", output, part="features"),
            f"queries{suffix}_{target}": Apply(f"F_{direction}", f"maps_{output}", patches),
            f"projected{suffix}_{target}": Apply(f"F_{direction}", maps, patches),
            keys: Compute(unchanged, f"projected{suffix}_{target}", detached=True),
        }
    return graph
