"""Digests: of JSON values, and of the source code that makes a dataset's images."""

from __future__ import annotations

import hashlib
import json
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgbench.formatting import utf8

if TYPE_CHECKING:
    import numpy as np

STARTED = time.time()  # imported before any dataset: code that changed since may not be the code that runs


@cache
def source_digest(*modules: str) -> str | None:
    """Return 12 hex digits that identify the source of `modules`; of a package, of all modules in it.

    None where that cannot be known: a module that is not there, one without a source file, and a file that was changed
    since this process began, which runs what stood there before.
    """
    content = hashlib.sha256()
    try:
        for name in modules:
            for path, place in _sources(name):
                found = path.stat()
                if max(found.st_mtime, found.st_ctime) > STARTED:
                    return None
                text = path.read_bytes()
                content.update(f"{place} {len(text)}\n".encode() + text)
    except (OSError, ImportError):
        return None
    return content.hexdigest()[:12]


def _sources(name: str) -> list[tuple[Path, str]]:
    """Return the source files of a module or package, each with its name in it; raises where there is none."""
    spec = find_spec(name)
    if spec is None or not spec.has_location or spec.origin is None or not spec.origin.endswith(".py"):
        raise ImportError(name)
    path = Path(spec.origin)
    if spec.submodule_search_locations is None:
        return [(path, name)]
    return [(file, f"{name}/{file.relative_to(path.parent)}") for file in sorted(path.parent.rglob("*.py"))]


def digest(value: Any) -> str:
    """Return 12 hex digits that identify a JSON-able value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(utf8(text)).hexdigest()[:12]


def content_digest(*arrays: np.ndarray) -> str:
    """Return 12 hex digits that identify the shapes, types and values of arrays."""
    import numpy as np  # listings and help texts start without it

    content = hashlib.sha256(" ".join(f"{array.shape} {array.dtype}" for array in arrays).encode())
    for array in arrays:
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()[:12]
