"""Pretrained weights on this machine: where they are searched, and their digests. Nothing is downloaded."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cgbench.errors import CgbenchError, DataBroken, DataMissing, error_line
from cgbench.files import ensure_regular_file, open_file
from cgbench.formatting import size

MAX_BYTES = 2**30  # of a file of weights; VGG-16, the largest here, has half of it


@dataclass(frozen=True)
class Weights:
    """A file of pretrained weights: its name, its SHA-256 or the first digits of it, and its source."""

    name: str
    digest: str
    source: str


VGG16 = Weights("vgg16-397923af.pth", "397923af", "https://download.pytorch.org/models/vgg16-397923af.pth")


def weights_folder() -> Path | None:
    """Return the folder that CGBENCH_WEIGHTS names; None where it is not set."""
    own = os.environ.get("CGBENCH_WEIGHTS")
    return Path(own).expanduser() if own else None


def search_folders() -> list[Path]:
    """Return the folders to search: $CGBENCH_WEIGHTS, then the cache of torch hub, which torchvision uses."""
    hub = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return [*filter(None, [weights_folder()]), (Path(hub) / "hub" / "checkpoints").expanduser()]


def absent(weights: Weights) -> str | None:
    """Return how to get the weights if they are not on this machine, else None."""
    try:
        find_weights(weights)
    except (CgbenchError, OSError) as error:
        return error_line(error)
    return None


def find_weights(weights: Weights) -> Path:
    """Return the path of the weights; raise `DataMissing`, which says how to get them. A pipe or a folder of that name
    raises `CgbenchError`."""
    for folder in search_folders():
        path = folder / weights.name
        try:
            ensure_regular_file(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return path
    raise DataMissing(
        f"needs {weights.name} ({weights.source}, SHA-256 {weights.digest[:8]}…), and it is not here: "
        "put it into the folder that CGBENCH_WEIGHTS names"
    )


def checked_digest(path: Path, weights: Weights) -> str:
    """Return 12 hex digits of the SHA-256 of a weights file; one that is not the published file raises."""
    with open_file(path) as file:
        if (found_bytes := os.fstat(file.fileno()).st_size) > MAX_BYTES:
            raise DataBroken(f"{path} is not {weights.name}: it has {size(found_bytes)}; get it again")
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(weights.digest):
        raise DataBroken(f"{path} is damaged: its SHA-256 does not begin with {weights.digest[:8]}; get it again")
    return found[:12]
