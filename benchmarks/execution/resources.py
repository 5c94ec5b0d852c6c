"""The resources of this machine: usable cores, threads and free memory, with the limits of containers and clusters."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from cgbench.benchmarks.execution.parallelism import Machine

MEMORY_INFO, CONTROL_GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")  # man cgroups: lines such as "0::/user.slice" and "4:cpu,cpuacct:/docker/7"
# what SLURM grants a task where --cpus-per-task was given, and the whole job on this node
SLURM_CORES = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")


def machine(device: str) -> Machine:
    """Return the present resources: of the GPU for a CUDA device, else of this machine."""
    gpu = device.startswith("cuda")
    memory = torch.cuda.mem_get_info(device)[0] if gpu else free_memory()
    return Machine(usable_cores(), torch.get_num_threads(), memory, gpu)


def usable_cores() -> int:
    """Return how many cores this process may use: those it is bound to, and no more than a container or SLURM grants
    it."""
    bounds = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for group in _groups(""):
        bounds += _share_of_time(*_read(group / "cpu.max").split()[:2])
    for group in _groups("cpu"):
        bounds += _share_of_time(*(_read(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")))
    granted = (os.environ.get(name, "") for name in SLURM_CORES)
    bounds += [int(cores) for cores in granted if cores.isascii() and cores.isdecimal()]
    return max(1, min(bounds))


def _share_of_time(quota: str = "", period: str = "") -> list[int]:
    """Return the cores that a control group's quota amounts to; none where it sets no limit ("max", "-1")."""
    return [int(quota) // int(period)] if quota.isdecimal() and period.isdecimal() and int(period) else []


def free_memory() -> int:
    """Return the bytes that new processes can take without swapping, in a container those it has left; 0 where the
    system does not tell."""
    found = re.search(r"MemAvailable:\s+(\d+) kB", _read(MEMORY_INFO))
    bounds = [int(found[1]) * 1024] if found else []
    for group in _groups(""):
        bounds += _left(group, "memory.max", "memory.current", "inactive_file")
    for group in _groups("memory"):
        bounds += _left(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    return min(bounds, default=0)


def _left(group: Path, limit: str, used: str, cached: str) -> list[int]:
    """Return the bytes that a control group has left; pages that it may drop at once are free. None without a limit."""
    most, taken = _read(group / limit).strip(), _read(group / used).strip()
    if not (most.isdecimal() and taken.isdecimal()):
        return []
    droppable = re.search(rf"^{cached} (\d+)", _read(group / "memory.stat"), re.M)
    return [max(0, int(most) - int(taken) + (int(droppable[1]) if droppable else 0))]


def _groups(controller: str) -> list[Path]:
    """Return the folders of this process's control group and of all above it, whose limits hold as well.

    `controller` is one of version 1 ("cpu", "memory"), "" means version 2. In a container the path may be the host's:
    folders that are not there set no limit, and the uppermost one is always among them.
    """
    groups = []
    for line in _read(OWN_GROUPS).splitlines() or ["0::/", "1:cpu:/", "1:memory:/"]:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controller in controllers.split(","):
            root = CONTROL_GROUP / controllers if controllers else CONTROL_GROUP
            root = root if root.is_dir() else CONTROL_GROUP / controller
            inside = Path(path.lstrip("/"))
            groups += [root / inside, *(root / parent for parent in inside.parents)]
    return list(dict.fromkeys(groups))


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
