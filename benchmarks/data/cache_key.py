"""What decides the pixels of decoded squares: the name under which they are kept on disk.

What is trusted: that a file whose absolute path, size, inode and times of change (mtime and ctime, in nanoseconds) are
those of before holds the same bytes. Copying another file over it with the times of the old one changes ctime, which no
program can set back. Files that changed in the last seconds are not trusted, for two changes may have one time.
A drawn picture is decided by its dataset's own word (`Dataset.identity`); another processor may draw its last digit
otherwise, and then the picture that is kept is that of whoever drew it first.
"""

import hashlib
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import PIL
from PIL import features

from cgbench.api.dataset import Dataset
from cgbench.benchmarks.data.decode import ImageSetSpec
from cgbench.digests import source_digest

SETTLED = 2.0  # seconds since a file's last change after which its times tell it apart; FAT counts in steps of two
RULES = ("cgbench.datasets.images", "cgbench.benchmarks.data.decode")  # modules that turn an item into a square
CODECS = ("jpg", "webp", "libtiff")  # libraries that decode with rounding; several builds of one Pillow exist


def cache_key(wanted: ImageSetSpec) -> str | None:
    """Return 32 hex digits that identify the content of a set before it is decoded.

    None where nothing does: the dataset gives no identity of its own, its code or files changed just now, or a file
    cannot be looked at (decoding it will say why).
    """
    own, rules = _identity(wanted.dataset), source_digest(*RULES)
    if not own or not rules:
        return None
    facts = {
        "dataset": [wanted.dataset.name, own],
        "set": [wanted.split, wanted.domain, wanted.side, wanted.resize_mode, wanted.labels, wanted.blend],
        "palette": [entry.colour for entry in wanted.dataset.palette],
        "rules": rules,
        "versions": [np.__version__, PIL.__version__, *map(features.version, CODECS), platform.python_version()],
        "machine": platform.machine(),
    }
    content = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    try:
        for item in wanted.items:
            labels_file = item.labels_file if wanted.labels else None
            content.update(ascii((item.key, _state(item.file), _state(labels_file))).encode())
    except (OSError, _Unsettled):
        return None
    return content.hexdigest()[:32]


class _Unsettled(Exception):
    """A file changed so shortly ago that its next change may have the same time."""


def _identity(dataset: Dataset) -> str | None:
    """Return the dataset's identity; a subclass that says none of its own has none, for it may draw otherwise."""
    return dataset.identity() if "identity" in vars(type(dataset)) else None


def _state(path: Path | None) -> tuple | None:
    """Return what changes when a file's content does."""
    if path is None:
        return None
    found = os.stat(path)
    if max(found.st_mtime, found.st_ctime) > time.time() - SETTLED:
        raise _Unsettled
    return os.path.abspath(path), found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns
