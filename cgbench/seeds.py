"""Random streams by purpose, the same for all methods.

Every stream is derived from `(seed, purpose)` alone, never from a method's name and never from how many numbers other
streams have drawn. Two methods with one seed therefore share initial weights, crops and order (common random numbers).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MAX_SEEDS, SEED_BOUND = 10_000, 2**31  # of one run; every seed is below the bound


def derive(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed for the stream `purpose` of `seed`, for example `derive(0, "init", "G_ab")`."""
    text = "/".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a fresh numpy generator for the stream `purpose` of `seed`."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(derive(seed, *purpose)))
