"""The key of a set of decoded images in the cache: a digest of everything that determines its pixels.

The key relies on this: a file whose absolute path, size, inode and times of change (mtime and ctime, in nanoseconds)
are unchanged holds the same bytes. Copying another file over it with the old times changes ctime, which no program can
set back. Files that changed in the last seconds are not trusted, for two changes may have one time. A procedural image
is identified by its dataset (`Dataset.identity`); another processor may render its last digit differently, and then the
cached image is that of the processor that rendered it first.
"""

import hashlib
import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import PIL
from PIL import features

from cgbench.api.dataset import Dataset
from cgbench.benchmarks.data.decode import ImageSetSpec
from cgbench.digests import source_digest
from cgbench.files import SETTLE_SECONDS

# The modules that turn an item into an image of a set.
DECODER_MODULES = (
    "cgbench.datasets.images", "cgbench.benchmarks.data.decode", "cgbench.benchmarks.data.geometry",
    "cgbench.benchmarks.data.image_set",
)  # fmt: skip
CODECS = ("jpg", "webp", "libtiff")  # libraries that decode with rounding; several builds of one Pillow exist


def cache_key(spec: ImageSetSpec) -> str | None:
    """Return 32 hex digits that identify the content of a set before it is decoded.

    None where there is no such key: the dataset has no identity of its own, its code or files changed just now, or a
    file cannot be read (decoding reports the reason).
    """
    identity, decoder_digest = _identity(spec.dataset), source_digest(*DECODER_MODULES)
    if not identity or not decoder_digest:
        return None
    determinants = {
        "dataset": [spec.dataset.name, identity],
        "set": [spec.split, spec.domain, asdict(spec.geometry), spec.labels, spec.blend],
        "pixels": [spec.pixels.channels, spec.pixels.dtype],
        "palette": [entry.colour for entry in spec.dataset.palette],
        "rules": decoder_digest,
        "versions": [np.__version__, PIL.__version__, *map(features.version, CODECS), platform.python_version()],
        "machine": platform.machine(),
    }
    content = hashlib.sha256(json.dumps(determinants, sort_keys=True).encode())
    try:
        for item in spec.items:
            labels_file = item.labels_file if spec.labels else None
            states = [_state(path) for path in (item.file, labels_file, item.mask_file)]
            content.update(ascii((item.key, *states)).encode())
    except (OSError, _Unsettled):
        return None
    return content.hexdigest()[:32]


class _Unsettled(Exception):
    """A file changed so recently that its next change may have the same time."""


def _identity(dataset: Dataset) -> str | None:
    """Return the dataset's identity; None for a subclass that inherits it, for its images may differ."""
    return dataset.identity() if "identity" in vars(type(dataset)) else None


def _state(path: Path | None) -> tuple | None:
    """Return the values that change when a file's content does."""
    if path is None:
        return None
    status = os.stat(path)
    if max(status.st_mtime, status.st_ctime) > time.time() - SETTLE_SECONDS:
        raise _Unsettled
    return os.path.abspath(path), status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
