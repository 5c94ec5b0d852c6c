"""DistanceGAN (Benaim and Wolf 2017, arXiv 1706.00826): translation that preserves distances between images.

One-sided: each direction is a separate model; both are trained in one trial and share nothing.

Where paper and public code differ this takes the paper's side: μ and σ are of the distances of single pairs, while the
public code takes the spread of the distances of whole batches, which makes its term 1.4 to 1.6 times as large. Networks
are CycleGAN's, as the paper says; the public code's own have zero padding and an affine instance norm (11,388,675 and
2,766,529 weights), and its rate falls by a hundredth after each epoch past the 100th, a matter of the suite here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cgbench.api.graph_nodes import Compute, Node, Precomputed
from cgbench.api.method import Method, Term
from cgbench.api.registry import METHODS
from cgbench.methods.cyclegan import cyclegan
from cgbench.methods.functional.losses import l1

if TYPE_CHECKING:
    from torch import Tensor

PAPER = "Benaim and Wolf 2017, arXiv 1706.00826"
MAX_BATCHES = 900  # training batches for the mean and deviation of a domain's distances


def pair_distances(images: Tensor) -> Tensor:
    """Return mean(|x_i - x_j|) of every pair of the batch: (N, C, H, W) → (N (N - 1) / 2,)."""
    import torch

    first, second = torch.triu_indices(len(images), len(images), offset=1, device=images.device)
    return (images[first] - images[second]).abs().flatten(1).mean(dim=1)


def half_distances(images: Tensor) -> Tensor:
    """Return mean(|top half - bottom half|) of every image: (N, C, H, W) → (N,); the self distance."""
    top, bottom = images.chunk(2, dim=2)
    return (top - bottom).abs().flatten(1).mean(dim=1)


def normalised(distances: Tensor, training: Tensor) -> Tensor:
    """Return (d - μ) / σ, μ and σ being mean and standard deviation of the distances `training` of the domain."""
    return (distances - training.mean()) / training.std(correction=0).clamp(min=1e-6)


@METHODS.register
def distancegan() -> Method:
    """Return both adversarial terms + mean |normalised d(x_i, x_j) - normalised d(G(x_i), G(x_j))| over the batch."""
    return _with_distance(
        "distancegan", "adversarial term and kept distances between images, one model per direction", pair_distances
    )


@METHODS.register
def distancegan_self() -> Method:
    """Return the variant for single images: the distance between the two halves of an image."""
    return _with_distance(
        "distancegan_self", "DistanceGAN with the distance between an image's own halves", half_distances
    )


def _with_distance(name: str, summary: str, distances: Callable[[Tensor], Tensor]) -> Method:
    """Return CycleGAN's adversarial terms and the distance terms with the function `distances` of a batch."""
    domain_of = {"real_a": "a", "real_b": "b", "fake_a": "a", "fake_b": "b"}
    graph: dict[str, Node] = {
        f"training_distances_{domain}": Precomputed(distances, f"real_{domain}", batches=MAX_BATCHES) for domain in "ab"
    }
    for image, domain in domain_of.items():
        graph[f"distances_{image}"] = Compute(distances, image)
        graph[f"normal_{image}"] = Compute(normalised, f"distances_{image}", f"training_distances_{domain}")
    terms = [
        Term("distance_a", l1, ("normal_fake_a", "normal_real_b")),
        Term("distance_b", l1, ("normal_fake_b", "normal_real_a")),
    ]
    return cyclegan().but(
        name,
        summary,
        source=f"{PAPER}, §3",
        drop=["cycle_a", "cycle_b"],
        add={"generators": terms},
        graph=graph,
        reconstructs={},
        min_batch_size=2 if distances is pair_distances else 1,
    )
