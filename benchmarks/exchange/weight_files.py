"""Files of weights from other programs: state dictionaries, read without running code and within bounds.

PyTorch's own format (a zip archive, or the older pickle) and safetensors. What is read are tensors alone: of a pickle
those that `torch.load(weights_only=True)` allows.
"""

import hashlib
import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from cgbench.errors import CgbenchError, error_line
from cgbench.files import open_file
from cgbench.formatting import printable, shortened, size
from cgbench.pretrained_weights import MAX_BYTES

MAX_RATIO = 4  # bytes in an archive by bytes on disk; torch stores them uncompressed, and weights hardly compress
MAX_DEPTH = 4  # of dictionaries in dictionaries
WRAPPERS = ("state_dict", "model", "netG", "generator")  # keys under which public code keeps a state dictionary
PREFIXES = ("module.", "_orig_mod.")  # of a network trained on several GPUs, of a compiled one
DOMAINS = ("a", "b")
COUNTER = "num_batches_tracked"  # of batch normalisation, the only whole numbers in a generator
ZIP, PICKLE = b"PK\x03\x04", b"\x80"
REMEDY = "save the state dictionary of the generator alone, torch.save(network.state_dict(), FILE)"

State = dict[str, Tensor]


@dataclass(frozen=True)
class WeightFile:
    """The state dictionaries in a file: one under "", or those of both domains under "a" and "b". All numbers are
    float32, apart from counters; `converted` names the types that they were converted from."""

    path: Path
    sha256: str
    states: Mapping[str, State]
    converted: tuple[str, ...] = ()


def read_weight_file(path: Path) -> WeightFile:
    """Return the state dictionaries in a file, on the CPU.

    Raises `CgbenchError` for a file or an archive of more than 1 GiB, an archive that grows more than fourfold, objects
    other than tensors, tensors that are no plain real numbers or not finite, and a file that is none of weights.
    """
    try:
        file = open_file(path)
    except OSError as error:
        raise CgbenchError(f"{path} cannot be read ({error.strerror}): name a file of weights") from None
    with file:
        if (found := os.fstat(file.fileno()).st_size) > MAX_BYTES:
            raise CgbenchError(f"{path} has {size(found)}, at most {size(MAX_BYTES)}: {REMEDY}")
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        content = _load(file, path, found)
    states = _states(content, path)
    _ensure_bounded(states, path)
    converted: set[str] = set()
    plain = {part: {name: _plain(tensor, name, path, converted) for name, tensor in state.items()}
             for part, state in states.items()}  # fmt: skip
    return WeightFile(path, sha256, plain, tuple(sorted(converted)))


def _load(file: BufferedReader, path: Path, length: int) -> Any:
    """Return the content of a file of `length` bytes."""
    start = file.read(len(ZIP))
    file.seek(0)
    is_safetensors = path.suffix == ".safetensors"
    if not is_safetensors and start[:1] != PICKLE and start != ZIP:
        raise CgbenchError(f"{path} is no file of weights, neither of PyTorch nor safetensors: {REMEDY}")
    try:
        if is_safetensors:
            return safetensors.torch.load(file.read())
        if start == ZIP:
            _ensure_archive(file, path, length)
        with warnings.catch_warnings(action="ignore"):  # about pickle protocols and sparse tensors
            return torch.load(file, map_location="cpu", weights_only=True)
    except CgbenchError:
        raise
    except Exception as error:  # damaged files raise errors of every kind
        if found := re.search(r"GLOBAL ([\w.]+)|Unsupported (?:class|global|operand)[: ]+([\w.]+)", str(error)):
            what = shortened(printable(found[1] or found[2]))
            raise CgbenchError(f"{path} holds more than tensors ({what}), which is not loaded: {REMEDY}") from None
        reason = shortened(error_line(error), 160)
        raise CgbenchError(f"{path} is damaged or no file of weights ({reason}): {REMEDY}") from None


def _ensure_archive(file: BufferedReader, path: Path, length: int) -> None:
    """Raise where a zip archive declares more bytes than weights can have."""
    with zipfile.ZipFile(file) as archive:
        declared = sum(entry.file_size for entry in archive.infolist())
    file.seek(0)
    if declared > MAX_BYTES:
        raise CgbenchError(f"{path} unpacks to {size(declared)}, at most {size(MAX_BYTES)}: {REMEDY}")
    if declared > MAX_RATIO * length:
        raise CgbenchError(
            f"{path} unpacks to {declared / length:.0f} times its size, at most {MAX_RATIO} times: {REMEDY}"
        )


def _states(content: Any, path: Path) -> dict[str, State]:
    """Return the state dictionaries in what was loaded, without wrappers and common prefixes."""
    for _ in range(MAX_DEPTH):
        if not isinstance(content, Mapping) or not content:
            break
        if all(isinstance(content.get(domain), Mapping) for domain in DOMAINS):
            return {domain: _state(content[domain], path) for domain in DOMAINS}
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    state = _state(content, path)
    if all(name.startswith(("a.", "b.")) for name in state) and {name[0] for name in state} == set(DOMAINS):
        return {domain: {name[2:]: tensor for name, tensor in state.items() if name[0] == domain}
                for domain in DOMAINS}  # fmt: skip
    return {"": state}


def _state(content: Any, path: Path) -> State:
    """Return a state dictionary without prefixes that all its names have."""
    if not isinstance(content, Mapping) or not content:
        kind = "an empty dictionary" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise CgbenchError(f"{path} holds {kind} and no state dictionary: {REMEDY}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            entry = f"'{shortened(printable(str(name)))}' is a {type(value).__name__}"
            raise CgbenchError(f"{path} is no state dictionary, {entry} and no tensor: {REMEDY}")
    state = dict(content)
    while prefix := next((it for it in PREFIXES if all(name.startswith(it) for name in state)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _ensure_bounded(states: Mapping[str, State], path: Path) -> None:
    """Raise where tensors refer to more numbers than a file may hold: a view can repeat one number without end."""
    numbers = sum(tensor.numel() for state in states.values() for tensor in state.values())
    if 4 * numbers > MAX_BYTES:
        raise CgbenchError(f"{path} holds {numbers:,} numbers, at most {MAX_BYTES // 4:,}: {REMEDY}")


def _plain(tensor: Tensor, name: str, path: Path, converted: set[str]) -> Tensor:
    """Return a tensor in float32, or an integer as it is; types that were converted are added to `converted`."""
    shown = shortened(printable(name))
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.device.type != "cpu":
        raise CgbenchError(f"{path}: '{shown}' is no plain tensor of real numbers: {REMEDY}")
    plain = tensor.detach()
    if plain.is_floating_point() and plain.dtype != torch.float32:
        converted.add(str(plain.dtype).removeprefix("torch."))
        plain = plain.float()
    elif not plain.is_floating_point() and not name.endswith(COUNTER):
        raise CgbenchError(f"{path}: '{shown}' has whole numbers ({plain.dtype}), no weights: {REMEDY}")
    if not plain.isfinite().all():
        raise CgbenchError(f"{path}: '{shown}' holds infinite numbers or NaN: get the file again")
    return plain.contiguous()
