"""Pretrained weights on this machine: where they are searched, and their digests. Nothing is downloaded."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cgbench.errors import DataBroken, DataMissing


@dataclass(frozen=True)
class Weights:
    """A file of pretrained weights: its name, the first digits of its SHA-256 ("" if none is published), its source."""

    name: str
    digest: str
    source: str


VGG16 = Weights("vgg16-397923af.pth", "397923af", "https://download.pytorch.org/models/vgg16-397923af.pth")


def search_folders() -> list[Path]:
    """Return the folders to search: $CGBENCH_WEIGHTS, then the cache of torch hub, which torchvision uses."""
    hub = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    own = os.environ.get("CGBENCH_WEIGHTS")
    folders = [*([Path(own)] if own else []), Path(hub) / "hub" / "checkpoints"]
    return [folder.expanduser() for folder in folders]


def absent(weights: Weights) -> str | None:
    """Return how to get the weights if they are not on this machine, else None."""
    if any((folder / weights.name).is_file() for folder in search_folders()):
        return None
    digest = f", SHA-256 {weights.digest}…" if weights.digest else ""
    return (
        f"needs {weights.name} ({weights.source}{digest}), and it is not here: "
        "put it into the folder that CGBENCH_WEIGHTS names"
    )


def find_weights(weights: Weights) -> Path:
    """Return the path of the weights; raise `DataMissing`, which says how to get them."""
    for folder in search_folders():
        if (folder / weights.name).is_file():
            return folder / weights.name
    raise DataMissing(absent(weights) or "")


def checked_digest(path: Path, weights: Weights) -> str:
    """Return 12 hex digits of the SHA-256 of a weights file; one that is not the published file raises."""
    content = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            content.update(part)
    found = content.hexdigest()
    if not found.startswith(weights.digest):
        raise DataBroken(f"{path} is damaged: its SHA-256 does not begin with {weights.digest}; get it again")
    return found[:12]
