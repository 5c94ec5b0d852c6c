"""The folder and the size limit of the cache of scorers and decoded images, which all runs share."""

import os
import re
from pathlib import Path

from cgbench.errors import CgbenchError

LIMIT = "20 GB"  # of decoded images, unless CGBENCH_CACHE_LIMIT is set
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def cache_folder() -> Path:
    """Return the folder of the cache: $CGBENCH_CACHE, else `cgbench` in $XDG_CACHE_HOME, else in ~/.cache."""
    if override := os.environ.get("CGBENCH_CACHE"):
        return Path(override).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cgbench"


def decoded_folder() -> Path:
    """Return the folder of decoded images; it may be deleted at any time."""
    return cache_folder() / "decoded"


def cache_limit() -> int:
    """Return the bytes that decoded images may take up on disk, $CGBENCH_CACHE_LIMIT; 0 disables their cache."""
    text = os.environ.get("CGBENCH_CACHE_LIMIT") or LIMIT
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.ASCII | re.IGNORECASE)
    if not match:
        raise CgbenchError(f"CGBENCH_CACHE_LIMIT: '{text}' is no size: write for example {LIMIT}, or 0 to keep nothing")
    return round(float(match[1]) * UNITS[match[2].upper()])
