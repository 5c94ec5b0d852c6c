"""A worker process: trains and evaluates the trials that the worker pool assigns to it, one after another.

It resolves the trials again from plain values, because methods hold functions that cannot be pickled. It holds no lock:
it ends with the process that does. Imports of torch are inside functions.
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

from cgbench.benchmarks.execution.run_lock import LockFile, hold
from cgbench.benchmarks.runtime.process_setup import redirect_warnings
from cgbench.benchmarks.runtime.progress import NORMAL, ProgressForwarder, console
from cgbench.benchmarks.runtime.signals import CTRL_C, raise_on_stop_signal, signal_number
from cgbench.benchmarks.trials.request import RunRequest
from cgbench.errors import CgbenchError

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True)
class WorkerSpec:
    """What a worker is started with. `evaluation_digest` identifies what trials are evaluated with, `parent` is the
    process number of the pool, `lock_file` what it holds of the run."""

    request: RunRequest
    run: Path
    device: str
    deterministic: bool
    threads: int
    evaluation_digest: str
    parent: int
    verbosity: int = NORMAL
    lock_file: LockFile | None = None


@dataclass(frozen=True)
class StopSignal:
    """The message that stops a worker as if it had received the signal `number`."""

    number: int


def work(spec: WorkerSpec, pipe: Connection) -> None:
    """Run the trials whose numbers arrive through `pipe`, until None arrives. The entry point of the process.

    It sends ("ready",) first, ("ended", state) after every trial, and ("line", text, style) and ("at", title, done,
    total) in between; ("left", signal) after a stop, ("raised", error) where the run cannot go on.
    """
    exit_with_parent(spec.parent)
    console.forwarder = ProgressForwarder(pipe.send)
    console.verbosity = spec.verbosity
    hold(spec.run, spec.lock_file)
    redirect_warnings()
    # of a `StopSignal` that arrives when the work is over; ignored signals would never be raised
    signal.signal(CTRL_C, lambda number, frame: None)
    numbers: SimpleQueue[int | None] = SimpleQueue()
    try:
        with raise_on_stop_signal():
            threading.Thread(target=listen, args=(pipe, numbers), daemon=True).start()
            _work(spec, pipe, numbers)
    except KeyboardInterrupt as stop:
        pipe.send(("left", signal_number(stop)))
    except (CgbenchError, OSError) as error:
        pipe.send(("raised", error))


def _work(spec: WorkerSpec, pipe: Connection, numbers: "SimpleQueue[int | None]") -> None:
    import torch

    from cgbench.benchmarks.execution.run_context import open_run_context, with_evaluators
    from cgbench.benchmarks.execution.runner import run_trial
    from cgbench.benchmarks.runtime.cache_dir import cache_folder
    from cgbench.benchmarks.runtime.determinism import deterministic_kernels

    torch.set_num_threads(spec.threads)
    with deterministic_kernels(spec.deterministic):
        trials, dataset, _ = spec.request.resolve()
        context = with_evaluators(open_run_context(spec.run, dataset, trials, spec.device), trials[0].config)
        if context.evaluation_digest != spec.evaluation_digest:
            raise CgbenchError(
                "a worker would measure with another scorer or other images than the process that started it: see "
                f"that {cache_folder()} can be written and the data stays as it is, or use --jobs 1"
            )
        prepared = context.prepare_all(trials)
        pipe.send(("ready",))
        while (number := numbers.get()) is not None:
            pipe.send(("ended", run_trial(prepared[number], context)))


def listen(pipe: Connection, numbers: "SimpleQueue[int | None]") -> None:
    """Put the trial numbers that arrive through `pipe` into `numbers`. A broken pipe means that the parent has died:
    then this process kills itself.

    Signals to stop are blocked in a worker, so only a `StopSignal` of the parent interrupts the main thread, or its own
    limit of processor time.
    """
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            os.kill(os.getpid(), signal.SIGKILL)
        if isinstance(message, StopSignal):
            _thread.interrupt_main(signal.Signals(message.number))
            message = None  # a main thread that waits for a number is not interrupted
        numbers.put(message)


def exit_with_parent(parent: int) -> None:
    """Let the system kill this process when its parent ends (Linux); exit if the parent has ended already.

    Otherwise a second command could take over the run while this process still writes. Elsewhere `listen` does it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
