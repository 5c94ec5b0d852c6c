"""Suite files: what to run, in TOML."""

import tomllib
from pathlib import Path
from typing import Any

from cgbench.errors import CgbenchError, did_you_mean

SUITES = Path(__file__).parent.parent / "suites"
KINDS = {"methods": list, "dataset": str, "seeds": list, "preset": str, "name": str, "set": dict}


def suite_names() -> list[str]:
    """Return the names of the suites that come with the program."""
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def read_suite(name: str) -> dict[str, Any]:
    """Return a suite's keys: a file's path, or the name of one that comes with the program.

    Unknown keys and wrong types raise `CgbenchError`; settings are checked where they are resolved.
    """
    path = SUITES / f"{name}.toml" if name in suite_names() else Path(name)
    if not path.is_file():
        raise CgbenchError(
            f"--suite {name}: no such file, and no suite of that name: {did_you_mean(name, suite_names())}"
        )
    try:
        suite = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CgbenchError(f"{path}: not readable TOML: {error}") from None
    for key, value in suite.items():
        if key not in KINDS:
            raise CgbenchError(f"{path}: unknown key '{key}': {did_you_mean(key, list(KINDS))}")
        if not isinstance(value, KINDS[key]):
            raise CgbenchError(f"{path}: '{key}' must be a {KINDS[key].__name__}, not {value!r}")
        kind = {"methods": str, "seeds": int}.get(key)
        if kind and not all(isinstance(entry, kind) and not isinstance(entry, bool) for entry in value):
            raise CgbenchError(f"{path}: every entry of '{key}' must be a {kind.__name__}")
    return suite
