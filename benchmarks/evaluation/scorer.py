"""Scorers: small segmentation networks, trained on real photos, that judge translated ones (the FCN score).

Isola et al. 2017 (pix2pix, section 4.1) judge a photo made from labels by how well a network trained on real photos
recovers these labels from it. Theirs is FCN-8s (Long et al. 2015); ours are small U-Nets, trained at the resolution of
the translations, the same for every method of a comparison. Two things are not in the paper: a reject class for pixels
of pictures that are no photos, without which label maps are read as photos, and several scorers that differ in their
random streams, without which the choice of one would be part of every difference.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from cgbench.api.dataset import Dataset
from cgbench.benchmarks.data.conversion import to_signed
from cgbench.benchmarks.evaluation.memoize import Memoized
from cgbench.benchmarks.published_networks.description import find_published
from cgbench.benchmarks.published_networks.network import PublishedNetwork, open_network
from cgbench.config import TrialConfig
from cgbench.digests import content_digest, digest
from cgbench.errors import CgbenchError, DataBroken
from cgbench.files import ensure_regular_file, write_bytes
from cgbench.methods.blocks.segmentation import SegmentationNet
from cgbench.seeds import derive

VERSION = 2  # incremented whenever training changes: it is part of the name of the cache file
MULTIPLE = 8  # three halvings
UNREADABLE = (
    OSError, KeyError, TypeError, ValueError, RuntimeError, RecursionError, OverflowError, CgbenchError,
    safetensors.SafetensorError,
)  # fmt: skip
REACHED = ("held_out_accuracy", "calibration_error", "held_out_rejected")  # of `info`, where photos were held out
PIXELS_AT_ONCE = 2**18  # of a batch in prediction, which bounds the memory


def build_network(classes: int, width: int, seed: int = 0) -> SegmentationNet:
    """Return a network of `classes` outputs with He-normal weights from the streams of the scorer number `seed`; global
    generators are not used."""
    with torch.device("meta"):
        network = SegmentationNet(classes, width)
    network.to_empty(device="cpu")
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            stream = torch.Generator().manual_seed(derive(seed, "scorer/init", name))
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=stream)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


class Scorer:
    """A trained network with `info`: classes, width, side, settings of its training, and what it reaches on photos that
    it was not trained on. It has one output more than classes: the reject class."""

    def __init__(self, network: SegmentationNet | PublishedNetwork, info: dict[str, Any], device: str = "cpu") -> None:
        self.network = network.to(device).to(memory_format=torch.channels_last).eval()
        self.info = info
        self.device = device
        self._predict_once = Memoized(self._predict)  # metrics, detectors and saved images need the same predictions

    def predict(self, photos: np.ndarray) -> np.ndarray:
        """Return the class ids, uint8 (N, S, S), of photos, uint8 (N, S, S, 3); S must be a multiple of 8. No pixel is
        rejected."""
        return self._predict_once(photos)[1]

    def predict_or_reject(self, photos: np.ndarray) -> np.ndarray:
        """Return the same with the number of classes as the id of pixels that are rejected."""
        return self._predict_once(photos)[0]

    @torch.inference_mode()
    def probabilities(self, photos: np.ndarray) -> np.ndarray:
        """Return float32 (N, classes + 1, S, S): the probability of each class and of the reject class."""
        return np.concatenate([logits.softmax(1).float().cpu().numpy() for logits in self._logits(photos)])

    @torch.inference_mode()
    def _predict(self, photos: np.ndarray) -> np.ndarray:
        """Return uint8 (2, N, S, S): class ids with the reject class and without it."""
        parts = []
        for logits in self._logits(photos):
            classes = logits[:, : self.info.get("classes", logits.shape[1])]
            parts.append(torch.stack([logits.argmax(1), classes.argmax(1)]).to(torch.uint8).cpu().numpy())
        return np.concatenate(parts, axis=1) if parts else np.empty((2, *photos.shape[:3]), np.uint8)

    def _logits(self, photos: np.ndarray) -> Iterator[torch.Tensor]:
        check_photos(photos)
        count = max(1, PIXELS_AT_ONCE // photos.shape[1] ** 2)
        for start in range(0, len(photos), count):
            yield self.network(to_float(torch.from_numpy(photos[start : start + count].copy()).to(self.device)))

    @property
    def digest(self) -> str:
        """12 hex digits of the weights' content: the same weights have the same digest on every machine."""
        return content_digest(*(tensor.numpy() for _, tensor in sorted(self._weights().items())))

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write weights and `info` as one safetensors file, atomically."""
        metadata = {"scorer": json.dumps(self.info), "digest": self.digest}
        write_bytes(path, safetensors.torch.save(self._weights(), metadata))

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> "Scorer":
        """Read a file that `save` wrote; raises `DataBroken` for a file that is not a complete scorer."""
        try:
            ensure_regular_file(path)
            with safetensors.safe_open(path, framework="pt") as file:
                metadata = file.metadata()
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            info = json.loads(metadata["scorer"])
            with torch.device("meta"):  # takes the memory of the weights that are there, whatever `info` announces
                network = SegmentationNet(info["classes"] + 1, info["width"])
            network.load_state_dict(weights, assign=True)
            scorer = cls(network, info, device)
            if scorer.digest != metadata["digest"]:
                raise ValueError("its weights do not match their digest")
        except UNREADABLE as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise DataBroken(f"{path} is not a readable scorer ({reason}): it must be trained again") from None
        return scorer


class PublishedScorer(Scorer):
    """A published segmentation network as the scorer; `info` holds what is recorded of it, under `published`, and under
    `reading` the digest of what its predictions depend on apart from photos and weights.

    It gives class maps and features, like a trained scorer; outputs that its description maps to no class are its
    reject class. No loss of a method uses it: `features=scorer` is refused, because the network is no part of what
    identifies a training. What it reaches on photos that it was not trained on is not known here: the row `real` shows
    what it reaches on the test photos.
    """

    @cached_property
    def digest(self) -> str:
        """12 hex digits of the weights' content, the architecture, and how photos and outputs are read."""
        return digest([super().digest, self.info["reading"]])


@dataclass(frozen=True)
class ScorerEnsemble:
    """Scorers that differ in their random streams alone, or one published network. Numbers are means over them; class
    maps, features and the methods that use a scorer have the first."""

    members: tuple[Scorer, ...]

    @property
    def first(self) -> Scorer:
        return self.members[0]

    @property
    def digest(self) -> str:
        """12 hex digits of all weights together."""
        return digest([member.digest for member in self.members])

    def record(self) -> dict[str, Any]:
        """Return what is recorded beside a protocol: the recipes, and means of what the scorers reach on photos that
        they were not trained on: accuracy, calibration error and share of rejected pixels; of a published network its
        name, architecture, source, SHA-256, and the digest of its class map."""
        if isinstance(self.first, PublishedScorer):
            return {"scorers": len(self.members), **self.first.info["published"]}
        facts: dict[str, Any] = {
            "scorer_recipe": " ".join(str(member.info.get("recipe", "")) for member in self.members),
            "scorers": len(self.members),
        }
        for name in REACHED:
            values = [member.info[name] for member in self.members if name in member.info]
            facts |= {f"scorer_{name}": round(float(np.mean(values)), 4)} if values else {}
        return facts


def published_scorer(name: str, dataset: Dataset, device: str = "cpu") -> PublishedScorer:
    """Return the published network `name` as a scorer for the classes of a dataset; what is absent or unfit raises
    `CgbenchError`."""
    classes = [entry.name for entry in dataset.palette]
    opened = open_network(find_published(name), classes, dataset.label)
    info = {"classes": len(classes), "published": opened.facts, "reading": opened.reading}
    return PublishedScorer(opened.network, info, device)


def described_scorer(name: str, dataset: Dataset) -> str:
    """Return one line on the published network `name`, for the plan of a run; what is absent or unfit raises
    `CgbenchError`."""
    scorer = published_scorer(name, dataset)
    facts = scorer.info["published"]
    return (
        f"FCN scores by {name}: {facts['scorer_architecture']}, SHA-256 {facts['scorer_weights'][:12]}, "
        f"at {facts['scorer_input'].partition(',')[0]}; no scorer is trained"
    )


def scorer_settings(classes: int, config: TrialConfig, seed: int) -> dict[str, int]:
    """Return the settings that identify the architecture and the training of the scorer number `seed`."""
    training = {"steps": config.scorer_steps, "batch": config.scorer_batch, "width": config.scorer_width}
    return training | {"classes": classes, "seed": seed, "version": VERSION}


def to_float(photos: torch.Tensor) -> torch.Tensor:
    """Return uint8 (N, H, W, 3) as float (N, 3, H, W) in [-1, 1]."""
    return to_signed(photos.permute(0, 3, 1, 2))


def check_photos(photos: np.ndarray) -> None:
    """Raise `CgbenchError` unless `photos` are uint8 (N, H, W, 3), H and W positive multiples of `MULTIPLE`."""
    if photos.ndim != 4 or photos.shape[3] != 3 or photos.dtype != np.uint8:
        raise CgbenchError(f"the scorer takes uint8 photos (N, H, W, 3), not {photos.dtype} {photos.shape}")
    if any(side % MULTIPLE or side == 0 for side in photos.shape[1:3]):
        size = "x".join(map(str, dict.fromkeys(photos.shape[1:3])))
        raise CgbenchError(f"the scorer needs photos whose sides are multiples of {MULTIPLE}: crop_size={size}")
