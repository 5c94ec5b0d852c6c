"""File trees as values, for tests that compare folders."""

from pathlib import Path

import numpy as np
import torch

from cgbench.benchmarks.training.checkpoint import read_checkpoint
from cgbench.files import read_json, read_jsonl

CLOCKS = ("seconds", "memory", "created", "images_per_second", "files")  # what no two lives agree on


def contents(root: Path) -> dict[str, object]:
    """Return everything in a folder that two lives must agree on, by path."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = str(path.relative_to(root))
        if path.suffix == ".safetensors" and "scorer" not in name:
            tensors, facts = read_checkpoint(path)
            found[name] = {key: tensor_bytes(value) for key, value in tensors.items()} | without_clocks(facts)
        elif path.suffix == ".json":
            found[name] = without_clocks(read_json(path))
        elif path.suffix == ".jsonl":
            found[name] = list(map(without_clocks, read_jsonl(path)))
            found[name] = repr(found[name])  # a number that was not measured is NaN, which equals nothing
        elif path.name == "table.md":
            found[name] = path.read_text().partition("What it costs")[0]
        elif path.name not in ("costs.csv", "index.html"):  # they show times
            found[name] = path.read_bytes()
        else:
            found[name] = path.stat().st_size > 0
    return found


def tensor_bytes(tensor: torch.Tensor) -> tuple:
    return tensor.dtype, tuple(tensor.shape), np.ascontiguousarray(tensor.numpy()).tobytes()


def without_clocks(facts: dict) -> dict:
    return {key: value for key, value in facts.items() if key not in CLOCKS}
