"""Pretrained weights on this machine: looked for, never downloaded."""

import os
from dataclasses import dataclass
from pathlib import Path

from cgbench.errors import DataMissing


@dataclass(frozen=True)
class Weights:
    """A file of pretrained weights: its name, the first digits of its SHA-256, and where it is from."""

    name: str
    digest: str
    source: str


VGG16 = Weights("vgg16-397923af.pth", "397923af", "https://download.pytorch.org/models/vgg16-397923af.pth")


def places() -> list[Path]:
    """Return where weights are looked for: $CGBENCH_WEIGHTS, then the cache of torch hub, which torchvision uses."""
    hub = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    own = os.environ.get("CGBENCH_WEIGHTS")
    folders = [*([Path(own)] if own else []), Path(hub) / "hub" / "checkpoints"]
    return [folder.expanduser() for folder in folders]


def absent(weights: Weights) -> str | None:
    """Return how to get the weights where they are not on this machine, else None."""
    if any((folder / weights.name).is_file() for folder in places()):
        return None
    return (
        f"needs {weights.name} ({weights.source}, SHA-256 {weights.digest}…), and it is not here: "
        "put it into the folder that CGBENCH_WEIGHTS names"
    )


def find_weights(weights: Weights) -> Path:
    """Return the path of the weights; `DataMissing` says how to get them."""
    for folder in places():
        if (folder / weights.name).is_file():
            return folder / weights.name
    raise DataMissing(absent(weights) or "")
