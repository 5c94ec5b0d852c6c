"""State dicts of published segmentation networks: read without running code, and checked against the architecture."""

import hashlib
import os
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from cgbench.benchmarks.published_networks.description import Published
from cgbench.errors import CgbenchError, error_line
from cgbench.files import open_file
from cgbench.formatting import printable, shortened, size
from cgbench.pretrained_weights import MAX_BYTES

UNUSED = "aux_classifier."  # a second head of torchvision's checkpoints, for their training alone


def read_weights(published: Published) -> tuple[dict[str, Any], str]:
    """Return the tensors of a published network by name, without the auxiliary head, and the SHA-256 of their file.

    Raises `CgbenchError` for a file that is too large, has another SHA-256 than its description says, or is no state
    dict.
    """
    path, stated = published.weights, published.description.sha256
    with open_file(path) as file:
        if (found := os.fstat(file.fileno()).st_size) > MAX_BYTES:
            raise CgbenchError(f"{path} has {size(found)}, at most {size(MAX_BYTES)}: save the state dict alone")
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if stated and sha256 != stated:
            raise CgbenchError(
                f"{path} has the SHA-256 {sha256[:8]}…, and {published.path.name} says {stated[:8]}…: get the file "
                "again, or correct 'sha256'"
            )
        file.seek(0)
        content = _load(file, path)
    if not isinstance(content, Mapping) or not content:
        raise CgbenchError(f"{path} holds {_kind(content)} and no state dict: save model.state_dict()")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            entry = f"'{_shown(name)}' is {_kind(value)}"
            raise CgbenchError(f"{path} is no state dict, {entry} and no tensor: save model.state_dict()")
    return {name: tensor for name, tensor in content.items() if not name.startswith(UNUSED)}, sha256


def checked_weights(path: Path, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `weights` with the names, shapes and types of `expected`, a state dict that needs no memory; of the
    counters of batch normalisation, which decide nothing, missing ones are 0.

    Raises `CgbenchError` where a tensor is missing, unknown, of another shape, or holds infinite numbers or NaN.
    """
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    missing = [name for name in expected if name not in weights and name not in counters]
    unknown = [name for name in weights if name not in expected]
    remedy = "correct 'architecture' or 'outputs' in its description, or put the right weights there"
    if missing or unknown:
        faults = ([f"has no '{missing[0]}'"] if missing else []) + (
            [f"has '{_shown(unknown[0])}', which the architecture has not"] if unknown else []
        )
        raise CgbenchError(f"{path} {' and '.join(faults)}: {remedy}")
    checked = {}
    for name, like in expected.items():
        tensor = weights.get(name, torch.zeros(like.shape, dtype=like.dtype))
        if tensor.shape != like.shape:
            shapes = f"the shape {tuple(tensor.shape)}, and the architecture {tuple(like.shape)}"
            raise CgbenchError(f"{path}: '{name}' has {shapes}: {remedy}")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise CgbenchError(f"{path}: '{name}' is no plain tensor of real numbers: {remedy}")
        checked[name] = tensor.detach().to("cpu", like.dtype).contiguous()
        if not checked[name].isfinite().all():
            raise CgbenchError(f"{path}: '{name}' holds infinite numbers or NaN: get the file again")
    return checked


def _load(file: BufferedReader, path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(file.read())
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise errors of every kind
        reason = shortened(error_line(error), 200)
        raise CgbenchError(f"{path} is not readable ({reason}): get it again, or save model.state_dict()") from None


def _shown(name: Any) -> str:
    """Return the name of a tensor for a message of one line."""
    return shortened(printable(str(name)))


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
