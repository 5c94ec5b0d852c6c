"""A worker: a process that another one started to train and measure trials, which it is given one after another.

It makes the trials again from plain values, for methods hold functions that cannot be sent. It holds no lock: it lives
and dies with the process that does. What needs torch is imported when that is seen to.
"""

import _thread
import ctypes
import os
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from cgbench.benchmarks.runtime.progress import ProgressForwarder, console
from cgbench.benchmarks.runtime.signals import raise_on_stop_signal
from cgbench.benchmarks.trials.request import RunRequest
from cgbench.errors import CgbenchError

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True)
class WorkerSpec:
    """All that a worker has to know. `evaluation_digest` identifies what trials are evaluated with, `parent` is the
    process that assigns them."""

    request: RunRequest
    run: Path
    device: str
    deterministic: bool
    threads: int
    evaluation_digest: str
    parent: int


@dataclass(frozen=True)
class StopSignal:
    """What a worker is told where it shall stop as if the signal `number` had come."""

    number: int


def work(order: WorkerSpec, pipe: Connection) -> None:
    """Bring trials to their end, whose numbers come through `pipe`, until None comes.

    Through it go back ("ready",), then ("ended", state) for every trial, ("line", text, style) and ("at", title, done,
    total) in between; ("left",) after a stop, and ("raised", error) where the run cannot go on.
    """
    exit_with_parent(order.parent)
    console.relay = ProgressForwarder(pipe.send)
    numbers: SimpleQueue[int | None] = SimpleQueue()
    try:
        with raise_on_stop_signal():
            threading.Thread(target=listen, args=(pipe, numbers), daemon=True).start()
            _work(order, pipe, numbers)
    except KeyboardInterrupt:
        pipe.send(("left",))
    except (CgbenchError, OSError) as error:
        pipe.send(("raised", error))


def _work(order: WorkerSpec, pipe: Connection, numbers: "SimpleQueue[int | None]") -> None:
    import torch

    from cgbench.benchmarks.execution.run_context import open_run_context, with_evaluators
    from cgbench.benchmarks.execution.runner import run_trial, title_of
    from cgbench.benchmarks.runtime.cache_dir import cache_folder
    from cgbench.benchmarks.runtime.determinism import deterministic_kernels

    torch.set_num_threads(order.threads)
    with deterministic_kernels(order.deterministic):
        trials, data, _ = order.request.resolve()
        context = with_evaluators(open_run_context(order.run, data, trials, order.device), trials[0].config)
        if context.evaluation_digest != order.evaluation_digest:
            raise CgbenchError(
                "a worker would measure with another scorer or other images than the process that started it: see "
                f"that {cache_folder()} can be written and the data stays as it is, or use --jobs 1"
            )
        pipe.send(("ready",))
        while (number := numbers.get()) is not None:
            pipe.send(("ended", run_trial(trials[number], context, title_of(number, trials))))


def listen(pipe: Connection, numbers: "SimpleQueue[int | None]") -> None:
    """Hand on what comes through the pipe; where it breaks, the parent is gone, and so is this process at once.

    The signals to stop are blocked here, so what interrupts the main thread is the parent's word alone.
    """
    while True:
        try:
            word = pipe.recv()
        except (EOFError, OSError):
            os.kill(os.getpid(), signal.SIGKILL)
        if isinstance(word, StopSignal):
            _thread.interrupt_main(word.number)
            word = None  # where the main thread waits for a number, it is not interrupted
        numbers.put(word)


def exit_with_parent(parent: int) -> None:
    """Let the system kill this process when its parent ends, in whatever way (Linux); end if it is gone already.

    Without it a second command could take over the run while we still write. Elsewhere `listen` sees to it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
