"""The resources of this machine: usable cores, threads and free memory, with the limits of containers."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from cgbench.benchmarks.execution.parallelism import Machine

MEMORY_INFO, CONTROL_GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def machine(device: str) -> Machine:
    """Return the present resources: of the GPU for a CUDA device, else of this machine."""
    gpu = device.startswith("cuda")
    memory = torch.cuda.mem_get_info(device)[0] if gpu else free_memory()
    return Machine(usable_cores(), torch.get_num_threads(), memory, gpu)


def usable_cores() -> int:
    """Return how many cores this process may use: those it is bound to, and no more than a container is granted."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(CONTROL_GROUP / "cpu.max").partition(" ")
    return max(1, min(bound, int(quota) // int(period))) if quota.isdigit() and period.strip().isdigit() else bound


def free_memory() -> int:
    """Return the bytes that new processes can take without swapping, in a container those it has left; 0 where the
    system does not tell."""
    found = re.search(r"MemAvailable:\s+(\d+) kB", _read(MEMORY_INFO))
    free = int(found[1]) * 1024 if found else 0
    limit, used = (_read(CONTROL_GROUP / f"memory.{name}").strip() for name in ("max", "current"))
    cached = re.search(r"^inactive_file (\d+)", _read(CONTROL_GROUP / "memory.stat"), re.M)
    if not (limit.isdigit() and used.isdigit()):
        return free
    left = max(0, int(limit) - int(used) + (int(cached[1]) if cached else 0))
    return min(free, left) if free else left


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Set the number of threads of torch inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
