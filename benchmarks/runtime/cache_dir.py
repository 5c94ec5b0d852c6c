"""Where things lie that took long to make and are the same for every run: scorers, decoded images."""

import os
import re
from pathlib import Path

from cgbench.errors import CgbenchError

LIMIT = "20 GB"  # of decoded images, unless CGBENCH_CACHE_LIMIT says otherwise
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def cache_folder() -> Path:
    """Return where all of it is kept: $CGBENCH_CACHE, else `cgbench` in $XDG_CACHE_HOME, else in ~/.cache."""
    if own := os.environ.get("CGBENCH_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cgbench"


def decoded_folder() -> Path:
    """Return where decoded images are kept; it may be deleted at any time."""
    return cache_folder() / "decoded"


def cache_limit() -> int:
    """Return the bytes that decoded images may take up on disk, $CGBENCH_CACHE_LIMIT; 0 means that none are kept."""
    text = os.environ.get("CGBENCH_CACHE_LIMIT") or LIMIT
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.ASCII | re.IGNORECASE)
    if not found:
        raise CgbenchError(f"CGBENCH_CACHE_LIMIT: '{text}' is no size: write for example {LIMIT}, or 0 to keep nothing")
    return round(float(found[1]) * UNITS[found[2].upper()])
