"""Where a trial was computed: machine, precision, determinism, package versions, the commit of this program."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "cgbench", "torch", "torchvision", "numpy", "scipy", "pandas", "pillow", "safetensors", "torchmetrics", "clean-fid",
    "lpips",
)  # fmt: skip
CPU_INFO = Path("/proc/cpuinfo")


def environment(device: str, inside: str = "float32") -> dict[str, Any]:
    """Return what `trial.json` records of the machine and the program, keyed by name; networks compute `inside`."""
    return {
        "device": device_name(device),
        "hardware": hardware(device),
        "precision": precision(device, inside),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "versions": versions(),
        "git": git_commit(),
    }


def device_name(device: str) -> str:
    """Return the device as it is recorded: `cpu (2 threads)` or the GPU's name."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.get_num_threads()} threads)"


def hardware(device: str) -> dict[str, Any]:
    """Return system, processor, cores and threads; of a GPU also memory in bytes and the versions of its libraries."""
    found = {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
    }
    if device.startswith("cuda"):
        gpu = torch.cuda.get_device_properties(device)
        cudnn = str(torch.backends.cudnn.version())
        found |= {"gpu": gpu.name, "gpu_memory": gpu.total_memory, "cuda": torch.version.cuda, "cudnn": cudnn}
    return found


def precision(device: str, inside: str = "float32") -> str:
    """Return the number format of training, and where a GPU rounds its factors to TF32."""
    if inside == "bf16":
        return "bf16 in the networks, float32 elsewhere"
    if not device.startswith("cuda"):
        return "float32"
    places = (("convolutions", torch.backends.cudnn.allow_tf32), ("products", torch.backends.cuda.matmul.allow_tf32))
    rounded = [name for name, allowed in places if allowed]
    return f"float32, TF32 in {' and '.join(rounded)}" if rounded else "float32"


def computes_bf16(device: str) -> bool:
    """Say whether the processor or GPU computes bf16 itself; another one takes longer with it than with float32."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        return bool(re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", CPU_INFO.read_text()))
    except OSError:
        return False


def continued(known: Mapping[str, Any], now: Mapping[str, Any], step: int) -> list[dict[str, Any]]:
    """Return the list of changes that a trial has gone through, with the present one if there is one: what of its
    environment is other than when it was last worked on, and from which step."""
    changes = list(known.get("continued", []))
    last = dict(known)
    for change in changes:
        last |= change
    differing = {name: value for name, value in now.items() if last.get(name) != value}
    return [*changes, {"step": step, **differing}] if differing else changes


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers may depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", CPU_INFO.read_text())
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


@cache
def git_commit() -> str:
    """Return the commit of the checkout this program runs from, with `+` if it was changed; "" outside of one."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # fails in a stranger's repository around us
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + ("+" if changed else "")


def _git(*words: str) -> str:
    where = Path(__file__).resolve().parent
    result = subprocess.run(["git", *words], cwd=where, capture_output=True, text=True, timeout=5, check=True)
    return result.stdout.strip()
