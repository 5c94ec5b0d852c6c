"""Feature extractors that metrics use: the scorer's features, Inception, and LPIPS. Weights are never downloaded."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cgbench.benchmarks.data.conversion import as_tensor, to_signed
from cgbench.benchmarks.evaluation.memoize import Memoized
from cgbench.benchmarks.evaluation.scorer import Scorer
from cgbench.errors import CgbenchError
from cgbench.files import open_file
from cgbench.pretrained_weights import Weights, absent, checked_digest, find_weights

INCEPTION = Weights(
    "inception-2015-12-05.pt",
    # whole, unlike the others: the file is TorchScript, whose code is run; k-diffusion publishes the same digest
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
)
ALEXNET = Weights(
    "alexnet-owt-7be5be79.pth", "7be5be79", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
)
BATCH = 32
INCEPTION_SIDE = 299

Features = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FeatureExtractors:
    """Feature extractors. `inception` maps photos, uint8 (N, S, S, 3), to float32 (N, 2048); `lpips` two such arrays to
    distances (N,). An unavailable one is None, and `absent` holds the reason; `digests` identify the weights."""

    inception: Features | None = None
    lpips: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)


def open_feature_extractors(device: str) -> FeatureExtractors:
    """Return the extractors whose packages and weights are on this machine; nothing is downloaded."""
    extractors: dict[str, Any] = {}
    missing, digests = {}, {}
    for name, weights, build in (("inception", INCEPTION, _inception), ("lpips", ALEXNET, _lpips)):
        try:
            reason = absent(weights)
            if reason:
                missing[name] = reason
                continue
            path = find_weights(weights)
            digests[name] = checked_digest(path, weights)
            extractors[name] = build(path, device)
        except ImportError as error:
            missing[name] = f"needs the packages clean-fid, lpips and torchvision ({error})"
        except (RuntimeError, OSError, CgbenchError) as error:
            missing[name] = str(error).strip().splitlines()[0]
    return FeatureExtractors(**extractors, absent=missing, digests={name: digests[name] for name in extractors})


def scorer_features(scorer: Scorer) -> Features:
    """Return a function from photos, uint8 (N, S, S, 3), to the scorer's deepest maps averaged over the image, float32
    (N, 8 width)."""

    @torch.inference_mode()
    def features(photos: np.ndarray) -> np.ndarray:
        parts = []
        for tensor in _batches(photos, scorer.device):
            parts.append(scorer.network.features(to_signed(tensor)).mean(dim=(2, 3)).float().cpu().numpy())
        return np.concatenate(parts)

    return Memoized(features)


def _inception(path: Path, device: str) -> Features:
    """Return a function that computes clean-fid's `clean` features: each channel resized to 299 pixels, bicubic and
    antialiased, not rounded."""
    from cleanfid.inception_torchscript import InceptionV3W
    from cleanfid.resize import build_resizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file is TorchScript, which torch deprecates
        network = InceptionV3W(str(path.parent), download=False).to(device).eval()
    resize = build_resizer("clean")

    @torch.inference_mode()
    def features(photos: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(photos), BATCH):
            resized = np.stack([resize(photo) for photo in photos[start : start + BATCH]])
            parts.append(network(torch.from_numpy(resized).permute(0, 3, 1, 2).to(device)).float().cpu().numpy())
        return np.concatenate(parts)

    return Memoized(features)


def _lpips(path: Path, device: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return LPIPS 0.1 with AlexNet as a function: the package's linear layers, the trunk's weights from `path`."""
    import lpips

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):  # its random weights are replaced below
        warnings.simplefilter("ignore")  # lpips uses deprecated names of torchvision
        network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    with open_file(path) as file:
        load_trunk(network.net, torch.load(file, map_location="cpu", weights_only=True))
    network.to(device).eval()

    @torch.inference_mode()
    def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        pairs = zip(_batches(first, device), _batches(second, device), strict=True)
        return np.concatenate([network(to_signed(a), to_signed(b)).flatten().cpu().double().numpy() for a, b in pairs])

    return distances


def load_trunk(trunk: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Load torchvision's `features.N.…` weights into the slices of LPIPS's trunk, which keep the numbers N."""
    parameters = trunk.state_dict()
    trunk.load_state_dict({name: weights[f"features.{name.partition('.')[2]}"] for name in parameters})


def _batches(photos: np.ndarray, device: str) -> list[torch.Tensor]:
    """Return uint8 (N, S, S, 3) as tensors (BATCH, 3, S, S) on the device."""
    return [
        as_tensor(np.ascontiguousarray(photos[start : start + BATCH])).to(device).permute(0, 3, 1, 2)
        for start in range(0, len(photos), BATCH)
    ]
