"""Lists of seeds as text: `0,1,2` or `0-4`."""

from cgbench.errors import CgbenchError
from cgbench.formatting import shortened
from cgbench.seeds import MAX_SEEDS, SEED_BOUND


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of `0,1,2` or `0-4`, each once. Their number is bounded before any is listed."""
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        start, stop = _seed(first, text), _seed(last if dash else first, text)
        if stop < start:
            raise _unreadable_seeds(text)
        if len(seeds) + stop - start >= MAX_SEEDS:
            raise CgbenchError(f"--seeds {shortened(text)}: at most {MAX_SEEDS:,} seeds in one run")
        seeds.update(dict.fromkeys(range(start, stop + 1)))
    return list(seeds)


def _seed(digits: str, text: str) -> int:
    """Return one seed of the `text` of `--seeds`."""
    if not (digits.isascii() and digits.isdecimal()):
        raise _unreadable_seeds(text)
    significant = digits.lstrip("0") or "0"
    if len(significant) > len(str(SEED_BOUND)) or int(significant) >= SEED_BOUND:
        raise CgbenchError(f"--seeds {shortened(text)}: a seed must be below {SEED_BOUND}")
    return int(significant)


def _unreadable_seeds(text: str) -> CgbenchError:
    return CgbenchError(f"--seeds {shortened(text)}: write whole numbers with commas (0,1,2) or a range (0-4)")
