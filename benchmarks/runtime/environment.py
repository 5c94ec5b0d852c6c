"""The environment of a trial: machine, precision, determinism, package versions, and the commit of this program."""

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
# by flag of the processor, the faster one first: sides in pixels at which bf16 was measured and helped, largest first,
# and the share of float32's time that a step of cyclegan took
BF16_SHARE = {"amx_bf16": {128: 0.4, 64: 0.7}, "avx512_bf16": {256: 0.5, 128: 0.6}}


def environment(device: str, network_precision: str = "float32") -> dict[str, Any]:
    """Return the record of machine and program in `trial.json`, keyed by name; networks compute in
    `network_precision`."""
    return {
        "device": device_name(device),
        "hardware": hardware(device),
        "precision": precision(device, network_precision),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "versions": versions(),
        "git": git_commit(),
    }


def device_name(device: str) -> str:
    """Return the recorded name of a device: `cpu (2 threads)`, `mps (Apple M2)` or the GPU's name."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    if device == "mps":
        return f"mps ({_processor()})"
    return f"cpu ({torch.get_num_threads()} threads)"


def hardware(device: str) -> dict[str, Any]:
    """Return system, processor, cores and threads; of a GPU also memory in bytes and the versions of its libraries."""
    details = {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
    }
    if device.startswith("cuda"):
        gpu = torch.cuda.get_device_properties(device)
        cudnn = str(torch.backends.cudnn.version())
        details |= {"gpu": gpu.name, "gpu_memory": gpu.total_memory, "cuda": torch.version.cuda, "cudnn": cudnn}
    return details


def precision(device: str, network_precision: str = "float32") -> str:
    """Return the number format of training, and where a GPU rounds factors to TF32."""
    if network_precision == "bf16":
        return "bf16 in the networks, float32 elsewhere"
    if not device.startswith("cuda"):
        return "float32"
    operations = (
        ("convolutions", torch.backends.cudnn.allow_tf32),
        ("products", torch.backends.cuda.matmul.allow_tf32),
    )
    rounded = [name for name, allowed in operations if allowed]
    return f"float32, TF32 in {' and '.join(rounded)}" if rounded else "float32"


def computes_bf16(device: str) -> bool:
    """Return whether the processor or GPU supports bf16 natively; on others it is slower than float32."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        return bool(re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", CPU_INFO.read_text()))
    except OSError:
        return False


def bf16_advice(device: str, network_precision: str, side: int) -> str:
    """Return the line that advises `precision=bf16` for images of `side` pixels, "" where nothing says that it helps.

    It is given from the sides at which steps were measured and none was slower (`BF16_SHARE`,
    benchmarks/speed/README.md): with AVX-512 alone, `cut` at 64 pixels was. Of a GPU that computes in bf16 the line
    says that nothing was measured.
    """
    if network_precision == "bf16" or not computes_bf16(device):
        return ""
    if device.startswith("cuda"):
        return "advice: this GPU computes in bf16: --set precision=bf16 may be faster; it was not measured"
    flags = CPU_INFO.read_text()
    flag = next((flag for flag in BF16_SHARE if re.search(rf"\b{flag}\b", flags)), "")
    for measured, share in BF16_SHARE.get(flag, {}).items():
        if side >= measured:
            figure = f"a step of cyclegan took {share:g} × the time at {measured} pixels"
            return f"advice: --set precision=bf16: on a processor with {flag}, {figure}"
    return ""


def environment_changes(recorded: Mapping[str, Any], current: Mapping[str, Any], step: int) -> list[dict[str, Any]]:
    """Return the list of environment changes of a trial, with one more entry if the current environment differs from
    the last one: the changed values, and the step from which they hold."""
    changes = list(recorded.get("continued", []))
    last = dict(recorded)
    for change in changes:
        last |= change
    differing = {name: value for name, value in current.items() if last.get(name) != value}
    return [*changes, {"step": step, **differing}] if differing else changes


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers may depend on."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = ""
    return installed


def _processor() -> str:
    try:
        match = re.search(r"model name\s*: (.+)", CPU_INFO.read_text())
    except OSError:
        match = None
    return match[1].strip() if match else platform.processor() or platform.machine()


@cache
def git_commit() -> str:
    """Return the commit of the checkout this program runs from, with `+` if it was changed; "" outside of one."""
    try:
        _git(
            "ls-files", "--error-unmatch", Path(__file__).name
        )  # fails where an enclosing repository is not this program's
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + ("+" if changed else "")


def _git(*arguments: str) -> str:
    folder = Path(__file__).resolve().parent
    result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=5, check=True)
    return result.stdout.strip()
