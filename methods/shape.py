"""CycleGAN with shape consistency (Zhang, Yang and Zheng 2018): segmentors predict the source's labels in translations.

The published networks are three-dimensional; these are their two-dimensional form. Training images need class labels
in both domains, so that tables mark the method as supervised.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cgbench.api.graph_nodes import Apply, Compute, Network, Node
from cgbench.api.method import Method, Player, Term
from cgbench.api.names import IGNORE
from cgbench.api.registry import METHODS
from cgbench.config import TrialConfig
from cgbench.methods.cyclegan import cyclegan
from cgbench.methods.functional.tensors import unchanged

if TYPE_CHECKING:
    from torch import Tensor, nn


def segmentor(config: TrialConfig, source: str = "a") -> nn.Module:
    """Return a U-Net: images of domain `source`, (N, C, H, W) in [-1, 1], to logits (N, classes, H, W)."""
    from cgbench.methods.blocks.segmentation import SegmentationNet

    return SegmentationNet(config.classes, config.ngf, config.channels(source))


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of labelled pixels: logits (N, classes, H, W), class ids (N, H, W), 255 ignored.

    The shape-consistency loss of Zhang et al. 2018 and the segmentors' own loss. 0 where no pixel is labelled.
    """
    from torch.nn import functional

    total = functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
    return total / (labels != IGNORE).sum().clamp(min=1)


@METHODS.register
def cyclegan_shape() -> Method:
    """Return CycleGAN (λ = 10) + γ times the cross-entropy of the source's labels in its translation, γ = 1.

    The segmentor of a domain is trained on its real images and on translations into it, after the other players.
    """
    generators, segmentors = [], []
    graph: dict[str, Node] = {}
    for target, source in (("a", "b"), ("b", "a")):
        graph |= {
            f"classes_fake_{target}": Apply(f"S_{target}", f"fake_{target}"),
            f"seen_{target}": Compute(unchanged, f"fake_{target}", detached=True),
            f"classes_seen_{target}": Apply(f"S_{target}", f"seen_{target}"),
            f"classes_real_{target}": Apply(f"S_{target}", f"real_{target}"),
        }
        generators.append(Term(f"shape_{target}", cross_entropy, (f"classes_fake_{target}", f"labels_{source}")))
        segmentors += [
            Term(f"segment_{target}", cross_entropy, (f"classes_real_{target}", f"labels_{target}")),
            Term(f"segment_fake_{target}", cross_entropy, (f"classes_seen_{target}", f"labels_{source}")),
        ]
    return cyclegan().but(
        "cyclegan_shape",
        "CycleGAN with segmentors and shape consistency; needs labels in both domains",
        source="Zhang, Yang, Zheng 2018, arXiv 1802.09655, §3",
        networks={f"S_{domain}": Network(partial(segmentor, source=domain), init="kaiming") for domain in "ab"},
        graph=graph,
        add={"generators": generators},
        players=(Player("segmentors", ("S_a", "S_b"), tuple(segmentors)),),
        settings=("classes",),
    )
