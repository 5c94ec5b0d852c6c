"""Published segmentation networks on photos of any size, with their outputs read as classes of a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from cgbench.benchmarks.published_networks.description import Description, Published
from cgbench.benchmarks.published_networks.weights import checked_weights, read_weights
from cgbench.digests import digest

VERSION = 1  # rises whenever photos are prepared, or outputs are read, in another way
PIXELS_AT_ONCE = 2**20  # of a batch at the size of the network's input, which bounds the memory


class PublishedNetwork(nn.Module):
    """Photos, float (N, 3, S, S) in [-1, 1], to logits of a dataset's classes and the reject class, (N, classes + 1, S,
    S); any S.

    Photos are resized to the input size of the description (bilinear, antialiased) and normalised; the logits of the
    outputs are resized to the photos (bilinear), as the FCN score has it (Isola et al. 2017). The logit of a class is
    the largest of its outputs, so that the class of a pixel is that of its largest output; the reject class has the
    outputs of no class, and -inf where there are none.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, description: Description, class_ids: Sequence[int], classes: int) -> None:
        """Wrap `network`, a segmentation network of torchvision; `class_ids` has a number from 0 to `classes` for each
        of its outputs."""
        super().__init__()
        self.network = network.requires_grad_(False)
        self.input_size = description.input_size
        self.groups = [[output for output, id in enumerate(class_ids) if id == wanted] for wanted in range(classes + 1)]
        self.at_once = max(1, PIXELS_AT_ONCE // (self.input_size[0] * self.input_size[1]))
        for name, values in (("mean", description.mean), ("std", description.std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, photos: Tensor) -> Tensor:
        """Return the logits of `photos`."""
        return torch.cat([self._class_logits(part) for part in photos.split(self.at_once)])

    def features(self, photos: Tensor) -> Tensor:
        """Return the deepest feature maps of the backbone, (N, channels, h, w)."""
        backbone = self.network.get_submodule("backbone")  # gives its stages by name, the deepest one last
        return torch.cat([list(backbone(self._prepared(part)).values())[-1] for part in photos.split(self.at_once)])

    def _class_logits(self, photos: Tensor) -> Tensor:
        outputs = self.network(self._prepared(photos))["out"]
        outputs = functional.interpolate(outputs, photos.shape[-2:], mode="bilinear", align_corners=False)
        nothing = torch.full_like(outputs[:, 0], -torch.inf)
        return torch.stack([outputs[:, group].amax(1) if group else nothing for group in self.groups], 1)

    def _prepared(self, photos: Tensor) -> Tensor:
        size: dict[str, Any] = {"size": self.input_size, "mode": "bilinear", "align_corners": False, "antialias": True}
        return (functional.interpolate((photos + 1) / 2, **size) - self.mean) / self.std


def untrained_network(architecture: str, outputs: int) -> nn.Module:
    """Return a network of torchvision as shapes alone, on the device `meta`, with an auxiliary head for none."""
    build = getattr(torchvision.models.segmentation, architecture)
    auxiliary = {} if architecture.startswith("lraspp") else {"aux_loss": False}
    with torch.device("meta"):
        return build(weights=None, weights_backbone=None, num_classes=outputs, **auxiliary)


@dataclass(frozen=True)
class OpenedNetwork:
    """A published network with its weights: what is recorded of it, and the digest of all that its predictions depend
    on apart from photos and weights."""

    network: PublishedNetwork
    facts: dict[str, str]
    reading: str


def open_network(published: Published, classes: Sequence[str], label: str) -> OpenedNetwork:
    """Return a published network for the `classes` of the dataset `label`.

    Raises `CgbenchError` where the description does not fit the dataset, or the weights the description.
    """
    description = published.description
    class_ids = published.class_ids(classes, label)
    weights, sha256 = read_weights(published)
    network = untrained_network(description.architecture, description.outputs)
    network.load_state_dict(checked_weights(published.weights, weights, network.state_dict()), assign=True)
    height, width = description.input_size
    mean, std = (" ".join(map(str, values)) for values in (description.mean, description.std))
    facts = {
        "scorer_network": published.name,
        "scorer_architecture": description.architecture,
        "scorer_weights": sha256,
        "scorer_class_map": digest([description.classes, list(classes)]),
        "scorer_input": f"{height} × {width} pixels, mean {mean}, std {std}",
        "scorer_source": description.source,
    }
    reading = digest(
        [VERSION, description.architecture, class_ids, description.mean, description.std, description.input_size]
    )
    return OpenedNetwork(PublishedNetwork(network, description, class_ids, len(classes)), facts, reading)
