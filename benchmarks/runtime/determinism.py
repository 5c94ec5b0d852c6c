"""Deterministic GPU kernels, and what an error about one means."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # without it cuBLAS does not repeat bit for bit (NVIDIA's manual, section 2.1.4)


@contextmanager
def deterministic_kernels(asked: bool) -> Iterator[None]:
    """Let every operation repeat bit for bit on the same machine, or raise where it cannot."""
    if not asked:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    os.environ.setdefault(CUBLAS, ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def reason_of(error: Exception) -> str:
    """Return an error of torch in one line; one of an operation that cannot repeat itself names the operation."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    if found := re.match(r"(\S+) does not have a deterministic implementation", line):
        return f"--deterministic is not possible here: {found[1]} has no deterministic implementation on this device"
    return line
