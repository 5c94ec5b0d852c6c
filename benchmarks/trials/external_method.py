"""The method value of an external row: outputs of another program in the place of a translation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cgbench.api.method import Method, Reference
from cgbench.api.names import Role
from cgbench.errors import CgbenchError

if TYPE_CHECKING:
    import numpy as np

SUMMARY = "outputs of another program, not trained here"


def external_method(name: str, direction: str, outputs: np.ndarray | None = None) -> Method:
    """Return the method whose translations of the test images of `direction` are `outputs`, (N, H, W, D) in the format
    of the target domain and in the order of the test images. Without them it can be described, but not evaluated."""

    def given(sources: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if outputs is None:
            raise CgbenchError(f"{name}: its outputs were not read")
        return outputs

    return Method(name, SUMMARY, reference=Reference(given, Role.EXTERNAL, directions=(direction,)))


def is_external(record: Mapping[str, Any]) -> bool:
    """Return whether a trial.json is that of an external row."""
    return record.get("external") is not None
