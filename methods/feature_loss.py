"""Feature loss + GAN: SimGAN with a perceptual instead of a pixel loss to the input (Zhu et al. 2017, §5.1).

One-sided, with both directions in one trial as in `simgan`. The features are VGG-16's relu4_2, whose weights must be
present on this machine; `--set features=scorer` selects the dataset's own scorer instead, and every table states it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgbench.api.graph_nodes import Apply, Network
from cgbench.api.method import Method, Term
from cgbench.api.registry import METHODS
from cgbench.config import TrialConfig
from cgbench.methods.functional.losses import l1
from cgbench.methods.simgan import simgan
from cgbench.pretrained_weights import VGG16, absent

if TYPE_CHECKING:
    from torch import nn


def feature_network(config: TrialConfig, scorer: nn.Module | None) -> nn.Module:
    """Return the frozen network that `config.features` selects."""
    from cgbench.methods.blocks import features

    return features.feature_network(config, scorer)


def missing_features(config: TrialConfig) -> str | None:
    """Return the reason why the feature network is missing and both remedies, or why it cannot see the images; None
    where it is there and sees them. It learned from RGB and takes grey as three equal bands; which three of more bands
    it should see, or what to put in place of a missing one, nothing published says."""
    for letter in "ab":
        if config.channels(letter) not in (1, 3):
            bands = f"{config.channels(letter)} bands of {letter.upper()}"
            return f"its feature network sees grey or RGB, not {bands}"
    problem = absent(VGG16) if config.features == "vgg16" else None
    return problem and f"{problem}, or compare features of the dataset's own scorer: --set features=scorer"


@METHODS.register
def feature_loss_gan() -> Method:
    """Return the adversarial term + 10 times the mean absolute difference of the features of input and output."""
    near_input = [
        Term("features_a", l1, ("features_fake_a", "features_real_b"), weight=10.0),
        Term("features_b", l1, ("features_fake_b", "features_real_a"), weight=10.0),
    ]
    images = ("real_a", "real_b", "fake_a", "fake_b")
    return simgan().but(
        "feature_loss_gan",
        "adversarial term and feature distance to the input, one model per direction",
        source="Zhu et al. 2017, arXiv 1703.10593, §5.1, after Johnson et al. 2016, arXiv 1603.08155",
        drop=["self_a", "self_b"],
        add={"generators": near_input},
        networks={"features": Network(feature_network, frozen=True, missing=missing_features)},
        graph={f"features_{image}": Apply("features", image) for image in images},
        settings=("features",),
    )
