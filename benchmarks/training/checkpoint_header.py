"""The header of a checkpoint, read without torch."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from cgbench.errors import CgbenchError
from cgbench.files import ensure_regular_file


def saved_step(path: Path) -> int:
    """Return the step of a checkpoint from its header alone; 0 where it is missing or cannot be read."""
    try:
        ensure_regular_file(path)
        with safe_open(path, framework="np") as file:
            return int((file.metadata() or {}).get("step", 0))
    except (OSError, CgbenchError, SafetensorError, ValueError):
        return 0  # also where it is no file of ours: whoever loads it says so
