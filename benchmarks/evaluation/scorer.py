"""The scorer: a small segmentation network, trained on real photos, that judges translated ones (the FCN score).

Isola et al. 2017 (pix2pix, section 4.1) judge a photo made from labels by how well a network trained on real photos
recovers these labels from it. Theirs is FCN-8s (Long et al. 2015); ours is a small U-Net, trained at the resolution
of the translations, the same for every method of a comparison.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from cgbench.benchmarks.data.conversion import to_signed
from cgbench.benchmarks.evaluation.memoize import Memoized
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError, DataBroken
from cgbench.files import ensure_regular_file, write_bytes
from cgbench.methods.blocks.segmentation import SegmentationNet
from cgbench.seeds import derive

VERSION = 1  # incremented whenever training changes: it is part of the name of the cache file
SEED = 0  # one fixed scorer for all seeds of all methods
MULTIPLE = 8  # three halvings
UNREADABLE = (
    OSError, KeyError, TypeError, ValueError, RuntimeError, RecursionError, OverflowError, CgbenchError,
    safetensors.SafetensorError,
)  # fmt: skip
PIXELS_AT_ONCE = 2**18  # of a batch in prediction, which bounds the memory


def build_network(classes: int, width: int) -> SegmentationNet:
    """Return the network with He-normal weights from the scorer's own random streams; global generators are not
    used."""
    with torch.device("meta"):
        network = SegmentationNet(classes, width)
    network.to_empty(device="cpu")
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            stream = torch.Generator().manual_seed(derive(SEED, "scorer/init", name))
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=stream)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


class Scorer:
    """A trained network with `info`: classes, width, side, settings of its training and accuracy on its photos."""

    def __init__(self, network: SegmentationNet, info: dict[str, Any], device: str = "cpu") -> None:
        self.network = network.to(device).to(memory_format=torch.channels_last).eval()
        self.info = info
        self.device = device
        self.predict_once = Memoized(self.predict)  # metrics, detectors and saved images need the same predictions

    @torch.inference_mode()
    def predict(self, photos: np.ndarray) -> np.ndarray:
        """Return the class ids, uint8 (N, S, S), of photos, uint8 (N, S, S, 3); S must be a multiple of 8."""
        check_photos(photos)
        count = max(1, PIXELS_AT_ONCE // photos.shape[1] ** 2)
        class_ids = np.empty(photos.shape[:3], np.uint8)
        for start in range(0, len(photos), count):
            logits = self.network(to_float(torch.from_numpy(photos[start : start + count].copy()).to(self.device)))
            class_ids[start : start + count] = logits.argmax(1).to(torch.uint8).cpu().numpy()
        return class_ids

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
                network = SegmentationNet(info["classes"], info["width"])
            network.load_state_dict(weights, assign=True)
            scorer = cls(network, info, device)
            if scorer.digest != metadata["digest"]:
                raise ValueError("its weights do not match their digest")
        except UNREADABLE as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise DataBroken(f"{path} is not a readable scorer ({reason}): it must be trained again") from None
        return scorer


def content_digest(*arrays: np.ndarray) -> str:
    """Return 12 hex digits that identify the shapes, types and values of arrays."""
    content = hashlib.sha256(" ".join(f"{array.shape} {array.dtype}" for array in arrays).encode())
    for array in arrays:
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()[:12]


def scorer_settings(classes: int, config: TrialConfig) -> dict[str, int]:
    """Return the settings that identify a scorer's architecture and training."""
    training = {"steps": config.scorer_steps, "batch": config.scorer_batch, "width": config.scorer_width}
    return training | {"classes": classes, "version": VERSION}


def to_float(photos: torch.Tensor) -> torch.Tensor:
    """Return uint8 (N, S, S, 3) as float (N, 3, S, S) in [-1, 1]."""
    return to_signed(photos.permute(0, 3, 1, 2))


def check_photos(photos: np.ndarray) -> None:
    """Raise `CgbenchError` unless `photos` are uint8 (N, S, S, 3) with S a positive multiple of `MULTIPLE`."""
    if photos.ndim != 4 or photos.shape[3] != 3 or photos.shape[1] != photos.shape[2] or photos.dtype != np.uint8:
        raise CgbenchError(f"the scorer takes uint8 photos (N, S, S, 3), not {photos.dtype} {photos.shape}")
    if photos.shape[1] % MULTIPLE or photos.shape[1] == 0:
        raise CgbenchError(
            f"the scorer needs photos whose side is a multiple of {MULTIPLE}: crop_size={photos.shape[1]}"
        )
