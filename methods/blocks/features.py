"""Frozen feature networks for perceptual losses: VGG-16 up to relu4_2, or the dataset's own scorer.

Both learned from RGB. A grey image is given to them as three equal bands, as a picture of it would be.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.files import open_file
from cgbench.pretrained_weights import VGG16, checked_digest, find_weights

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512))  # conv1_1 to conv4_2; 2×2 max pooling between the groups
SIDE = 224  # pixels, as in the training of VGG-16 (Simonyan and Zisserman 2015)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet in RGB, as torchvision's weights expect


class VggFeatures(nn.Module):
    """Images (N, 1 or 3, H, W) in [-1, 1] to relu4_2 of VGG-16, (N, 512, 28, 28).

    They are resized to 224 pixels first (bilinear). 5,275,456 weights under torchvision's keys. The published code
    subtracts the means of another set of weights; here images are normalised as torchvision's weights expect.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for group, widths in enumerate(WIDTHS):
            layers += [nn.MaxPool2d(2)] if group else []
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return relu4_2 of `images`."""
        resized = functional.interpolate(as_rgb(images), size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        return self.features(((resized + 1) / 2 - self.mean) / self.std)


class ScorerFeatures(nn.Module):
    """Images (N, 1 or 3, H, W) in [-1, 1] to the deepest feature maps of the dataset's scorer."""

    def __init__(self, scorer: nn.Module) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, images: Tensor) -> Tensor:
        """Return the scorer's features of `images`."""
        return self.scorer.features(as_rgb(images))


def as_rgb(images: Tensor) -> Tensor:
    """Return images (N, 1 or 3, H, W) as (N, 3, H, W): grey is repeated."""
    return images.expand(-1, 3, -1, -1)


def feature_network(config: TrialConfig, scorer: nn.Module | None) -> nn.Module:
    """Return the feature network that `config.features` selects; absent or damaged weights raise `CgbenchError`."""
    if config.features == "scorer":
        if scorer is None:
            raise CgbenchError("features=scorer: this dataset has no scorer, because it has no labels; use vgg16")
        return ScorerFeatures(scorer)
    path = find_weights(VGG16)
    checked_digest(path, VGG16)
    with open_file(path) as file:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    network = VggFeatures()
    network.load_state_dict(OrderedDict((key, weights[key]) for key in network.state_dict()))
    return network
