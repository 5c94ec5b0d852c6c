"""Peak memory of a section of code: of the GPU, or of this process on a CPU."""

import re
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # man proc_pid_clear_refs: the peak resident size becomes the present one


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement; where the system does not permit it, the peak stays that of the whole process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        CLEAR.write_text(RESET_PEAK)
    except OSError:
        return


def peak_memory(device: torch.device) -> int:
    """Return the peak number of bytes in use since `reset_peak_memory`: tensors on a GPU, else the resident size of
    this process, which includes images in memory and the libraries. 0 where it is not known."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        match = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    except OSError:
        return 0
    return int(match.group(1)) * 1024 if match else 0
