"""The number of trials to train at once: as requested, or what cores and memory permit, with the reason."""

import heapq
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from cgbench.errors import CgbenchError
from cgbench.formatting import plural, size

AUTO = "auto"
MEMORY_SHARE = 0.8  # of the free memory that processes may use
MAX_ON_A_GPU = 4  # unmeasured, as is whether several are faster
# sides in pixels up to which two trials at once, one thread each, were measured, and the share of the time of one after
# the other that they took: two cores, float32, five methods (benchmarks/speed/README.md)
SHARE_OF_TIME = {64: 0.7, 128: 0.8}
MIN_ADVISED_SECONDS = 60.0  # of training: every process needs seconds to start
CUDA_BYTES = 10**9  # an allowance for CUDA's context and libraries, which every process holds beside its tensors


@dataclass(frozen=True)
class Machine:
    """The resources of a machine: usable cores, threads that torch uses in one process, free memory in bytes (of the
    GPU where there is one; 0: not known)."""

    cores: int
    threads: int
    memory: int
    gpu: bool = False


@dataclass(frozen=True)
class Parallelism:
    """`workers` processes with `threads` threads each; one worker means this process. `why` is the reason in one line,
    empty for the default of one process."""

    workers: int
    threads: int
    why: str = ""


def choose_parallelism(jobs: int | str, trials: int, machine: Machine, trial_bytes: int = 0) -> Parallelism:
    """Return how many processes share `trials` trials, each of which takes about `trial_bytes` (0: not known).

    `jobs` is a number or "auto". `trials` counts finished ones as well: the number of threads of a trial, and so its
    bits, must not change when the same command goes on.
    """
    if jobs == 1:
        return Parallelism(1, machine.threads)
    if not hasattr(signal, "pthread_sigmask"):
        raise CgbenchError(f"--jobs {jobs}: this system cannot shield workers from Ctrl-C; use --jobs 1")
    needed = trial_bytes + CUDA_BYTES * machine.gpu
    room = int(MEMORY_SHARE * machine.memory) // needed if trial_bytes and machine.memory else None  # None: not known
    fit = f"at about {size(needed)} each by the plan, {size(machine.memory)} free"
    if jobs != AUTO:
        count = int(jobs)
        doubt = f"; {fit}: they may run out of memory" if room is not None and room < count else ""
        return Parallelism(
            count, _share(machine, count), f"jobs: {_processes(count, _share(machine, count))}, as asked{doubt}"
        )
    bounds = (
        {f"{MAX_ON_A_GPU} on a GPU": MAX_ON_A_GPU} if machine.gpu else {plural(machine.cores, "core"): machine.cores}
    )
    bounds[f"{plural(trials, 'trial')} to train"] = trials
    if room is not None:
        bounds[f"{room} that fit into {MEMORY_SHARE:.0%} of the memory ({fit})"] = room
    elif machine.gpu:
        bounds["1, as what fits into its memory is not known"] = 1
    workers = max(1, min(bounds.values()))
    count = _share(machine, workers) if workers > 1 else machine.threads
    unmeasured = "; whether that is faster on a GPU was not measured" if machine.gpu and workers > 1 else ""
    return Parallelism(
        workers, count, f"jobs: {_processes(workers, count)}: the least of {', '.join(bounds)}{unmeasured}"
    )


def jobs_advice(seconds: float, trials: int, side: int, machine: Machine, trial_bytes: int) -> str:
    """Return the line that advises `--jobs`, "" where nothing says that it would help.

    It is given on a CPU with several cores, for several trials that fit into its memory, of a size at which it was
    measured (`SHARE_OF_TIME`), and where training takes `MIN_ADVISED_SECONDS` or more.

    Args:
        seconds: The training time of all trials, one after another.
        trials: How many are trained.
        side: The side of an image in pixels.
        machine: The resources.
        trial_bytes: What a trial takes of the memory; 0: not known.

    Returns:
        One line with the measured figure.
    """
    measured = next((most for most in SHARE_OF_TIME if side <= most), None)
    if machine.gpu or measured is None or seconds < MIN_ADVISED_SECONDS or not hasattr(signal, "pthread_sigmask"):
        return ""
    workers = choose_parallelism(AUTO, trials, machine, trial_bytes).workers
    if workers < 2:
        return ""
    figure = f"on two cores, two at once took {SHARE_OF_TIME[measured]:g} × the time at {measured} pixels"
    return f"advice: --jobs {workers} trains {workers} trials at once: {figure}"


def wall_time(seconds: Sequence[float], workers: int) -> float:
    """Return how long trials take that wait in this order for the next free worker."""
    ends = [0.0] * max(1, workers)
    for length in seconds:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def _share(machine: Machine, workers: int) -> int:
    return max(1, min(machine.threads, machine.cores // workers))


def _processes(workers: int, threads: int) -> str:
    return f"{plural(workers, 'process')} of {plural(threads, 'thread')}"
