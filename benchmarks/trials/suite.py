"""Suite files: what to run, in TOML."""

import tomllib
from pathlib import Path
from typing import Any

from cgbench.api.names import MAX_METHODS
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.files import read_bytes
from cgbench.formatting import shortened
from cgbench.seeds import MAX_SEEDS, SEED_BOUND

SUITES = Path(__file__).parent.parent / "suites"
MAX_BYTES = 10**6  # of a suite file
KINDS = {"methods": list, "dataset": str, "seeds": list, "preset": str, "name": str, "set": dict}


def suite_names() -> list[str]:
    """Return the names of the suites that come with the program."""
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def read_suite(name: str) -> dict[str, Any]:
    """Return a suite's keys: a file's path, or the name of one that comes with the program.

    Unknown keys, wrong types and lists of more entries than a run may have raise `CgbenchError`; settings are checked
    where they are resolved. A byte-order mark, as some editors write it, is read over.
    """
    path = SUITES / f"{name}.toml" if name in suite_names() else Path(name)
    if not path.exists():
        raise CgbenchError(
            f"--suite {name}: no such file, and no suite of that name: {did_you_mean(name, suite_names())}"
        )
    try:
        data = read_bytes(path, MAX_BYTES)
    except CgbenchError as error:  # a folder, a pipe, a device
        raise CgbenchError(f"--suite {error}") from None
    try:
        suite = tomllib.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise CgbenchError(f"{path}: not readable TOML: nested too deeply") from None
    except ValueError as error:  # malformed TOML or UTF-8, a number with too many digits
        raise CgbenchError(f"{path}: not readable TOML: {str(error).splitlines()[0]}") from None
    for key, value in suite.items():
        if key not in KINDS:
            raise CgbenchError(f"{path}: unknown key '{key}': {did_you_mean(key, list(KINDS))}")
        if not isinstance(value, KINDS[key]):
            raise CgbenchError(f"{path}: '{key}' must be a {KINDS[key].__name__}, not {shortened(repr(value))}")
        if key == "methods" and len(value) > MAX_METHODS:
            raise CgbenchError(f"{path}: 'methods' holds at most {MAX_METHODS:,} names, not {len(value):,}")
        kind = {"methods": str, "seeds": int}.get(key)
        if kind and not all(isinstance(entry, kind) and not isinstance(entry, bool) for entry in value):
            raise CgbenchError(f"{path}: every entry of '{key}' must be a {kind.__name__}")
        if key == "seeds" and (len(value) > MAX_SEEDS or not all(0 <= seed < SEED_BOUND for seed in value)):
            raise CgbenchError(f"{path}: 'seeds' holds at most {MAX_SEEDS:,} numbers, each from 0 to {SEED_BOUND - 1}")
    return suite
