"""Deterministic GPU kernels, and one-line descriptions of torch errors."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # without it cuBLAS does not repeat bit for bit (NVIDIA's manual, section 2.1.4)


@contextmanager
def deterministic_kernels(enabled: bool) -> Iterator[None]:
    """Make every operation repeat bit for bit on the same machine, or raise where it cannot; no effect unless
    `enabled`."""
    if not enabled:
        yield
        return
    previous = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    os.environ.setdefault(CUBLAS, ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(previous[0])
        torch.backends.cudnn.benchmark = previous[1]


def describe_error(error: BaseException) -> str:
    """Return an error of torch in one line; the message names an operation that has no deterministic implementation."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    if match := re.match(r"(\S+) does not have a deterministic implementation", line):
        return f"--deterministic is not possible here: {match[1]} has no deterministic implementation on this device"
    return line
