"""How many trials train at once: what was asked for, or what the machine has room for, and why."""

import heapq
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from cgbench.errors import CgbenchError
from cgbench.formatting import size

AUTO = "auto"
SHARE = 0.8  # of the free memory that processes may fill
MOST_ON_A_GPU = 4  # nobody measured more, nor these
CUDA_BYTES = 10**9  # an allowance for CUDA's context and libraries, which every process holds beside its tensors


@dataclass(frozen=True)
class Machine:
    """Cores that we may use, threads that torch takes in one process, bytes free (on the GPU where there is one; 0: not
    known)."""

    cores: int
    threads: int
    memory: int
    gpu: bool = False


@dataclass(frozen=True)
class Parallelism:
    """`workers` processes with `threads` threads each; one worker is this process. `why` says in a line how it came to
    that, and is empty where nothing was asked for."""

    workers: int
    threads: int
    why: str = ""


def choose_parallelism(asked: int | str, trials: int, here: Machine, each: int = 0) -> Parallelism:
    """Return how many processes share `trials` trainings, each of which takes about `each` bytes (0: not known).

    `trials` counts those that are finished as well: how many threads a trial gets, and so its bits, must not change
    when the same command goes on.
    """
    if asked == 1:
        return Parallelism(1, here.threads)
    if not hasattr(signal, "pthread_sigmask"):
        raise CgbenchError(f"--jobs {asked}: this system cannot shield workers from Ctrl-C; use --jobs 1")
    needed = each + CUDA_BYTES * here.gpu
    room = int(SHARE * here.memory) // needed if each and here.memory else None  # None: not known
    fit = f"at about {size(needed)} each by the plan, {size(here.memory)} free"
    if asked != AUTO:
        count = int(asked)
        doubt = f"; {fit}: they may run out of memory" if room is not None and room < count else ""
        return Parallelism(
            count, _share(here, count), f"jobs: {_processes(count, _share(here, count))}, as asked{doubt}"
        )
    bounds = {f"{MOST_ON_A_GPU} on a GPU": MOST_ON_A_GPU} if here.gpu else {_count(here.cores, "core"): here.cores}
    bounds[f"{_count(trials, 'trial')} to train"] = trials
    if room is not None:
        bounds[f"{room} that fit into {SHARE:.0%} of the memory ({fit})"] = room
    elif here.gpu:
        bounds["1, as what fits into its memory is not known"] = 1
    workers = max(1, min(bounds.values()))
    count = _share(here, workers) if workers > 1 else here.threads
    unmeasured = "; whether that is faster on a GPU was not measured" if here.gpu and workers > 1 else ""
    return Parallelism(
        workers, count, f"jobs: {_processes(workers, count)}: the least of {', '.join(bounds)}{unmeasured}"
    )


def wall_time(seconds: Sequence[float], workers: int) -> float:
    """Return how long trials take that wait in this order for the next free worker."""
    ends = [0.0] * max(1, workers)
    for length in seconds:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def _share(here: Machine, workers: int) -> int:
    return max(1, min(here.threads, here.cores // workers))


def _processes(workers: int, threads: int) -> str:
    return f"{workers} process{'es' * (workers > 1)} of {_count(threads, 'thread')}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
