"""The worker pool: assigns trials to worker processes, one after another, and prints what they report."""

import os
import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from cgbench.api.names import TrialState
from cgbench.benchmarks.execution.run_context import PreparedTrial, RunContext
from cgbench.benchmarks.execution.run_lock import ensure_held, held
from cgbench.benchmarks.execution.runner import is_complete, leave_interrupted, run_trial
from cgbench.benchmarks.execution.worker import StopSignal, WorkerSpec, work
from cgbench.benchmarks.runtime.progress import ShowProgress, console, progress_rows
from cgbench.benchmarks.runtime.signals import Stopped, block_stop_signals, defer_stop_signals, signal_name
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.errors import EXIT_TRIAL_FAILED, CgbenchError
from cgbench.files import remove_partial_files
from cgbench.formatting import plural

POLL_SECONDS = 0.2  # between two checks for a stop signal
THREADS = "OMP_NUM_THREADS"  # read by numpy's libraries and by torch


class NoWorkersLeft(CgbenchError):
    """All workers ended before the trials did."""

    exit_code = EXIT_TRIAL_FAILED


@dataclass
class Worker:
    """A worker process, the pipe to it, the row of its progress, and its current trial."""

    process: SpawnProcess
    pipe: Connection
    row: int
    trial: PreparedTrial | None = None


def run_in_pool(
    spec: WorkerSpec, trials: Sequence[PreparedTrial], context: RunContext, workers: int
) -> dict[str, int]:  # fmt: skip
    """Train and evaluate every trial in `workers` processes; return the number of trials per final state.

    After a first signal to stop, every worker ends its step and saves, then the signal is raised; a second one kills
    the workers and is raised at once. Where a worker cannot write into the run folder, all are stopped and its error
    is raised.
    """
    ended: Counter[str] = Counter()
    waiting: deque[int] = deque()
    for number, prepared in enumerate(trials):
        if is_complete(prepared, context):
            ended[run_trial(prepared, context)] += 1
        else:
            waiting.append(number)
    spec = replace(spec, lock_file=held(context.run))
    with defer_stop_signals() as signals, progress_rows() as show:
        pool = WorkerPool(spec, trials, context, waiting, ended, show, signals)
        try:
            pool.work(min(workers, len(waiting)))
        except BaseException as error:
            with defer_stop_signals():
                pool.kill(f"stopped by {signal_name(error)}" if isinstance(error, KeyboardInterrupt) else "stopped")
            raise
    if pool.error is not None:
        raise pool.error
    if pool.signals:
        raise Stopped(pool.signals[0])
    if waiting:
        left = f"{plural(len(waiting), 'trial')} {'was' if len(waiting) == 1 else 'were'} not begun"
        raise NoWorkersLeft(f"{left}: the last worker {pool.last_exit}; use fewer --jobs")
    ensure_held(context.run)
    return dict(ended)


class WorkerPool:
    """The workers of one run and the trials that are not assigned yet."""

    def __init__(
        self, spec: WorkerSpec, trials: Sequence[PreparedTrial], context: RunContext, waiting: deque[int],
        ended: Counter[str], show: ShowProgress, signals: list[int],
    ) -> None:  # fmt: skip
        self.spec, self.trials, self.context = spec, trials, context
        self.signals = signals  # to stop, in the order in which they arrive
        self.waiting, self.ended, self.show = waiting, ended, show
        self.workers: list[Worker] = []
        self.stopping = False
        self.error: Exception | None = None  # why the run cannot go on
        self.last_exit = ""  # how the last worker that died ended

    def work(self, count: int) -> None:
        """Start `count` workers and handle their messages until all have ended."""
        for row in range(count):
            self.spawn(row)
        while self.workers:
            if self.signals and not self.stopping:
                self.stop(self.signals[0])
            ready = wait([worker.pipe for worker in self.workers], POLL_SECONDS)
            for worker in [worker for worker in self.workers if worker.pipe in ready]:
                try:
                    message = worker.pipe.recv()
                except (EOFError, OSError):
                    self._reap(worker)
                else:
                    self._handle(worker, *message)

    def spawn(self, row: int) -> None:
        """Start a worker."""
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        resource_tracker.ensure_running()  # it starts with the first process, and unblocks signals
        process = context.Process(target=work, args=(self.spec, theirs), name=f"worker {row}")
        with block_stop_signals(), _environment(THREADS, str(self.spec.threads)):
            process.start()
        theirs.close()  # or the end of the pipe would not be noticed here
        self.workers.append(Worker(process, ours, row))

    def stop(self, number: int) -> None:
        """Let every worker end its step, save and leave, as if it had received the signal `number`."""
        self.stopping = True
        for worker in self.workers:
            _send(worker, StopSignal(number))

    def kill(self, reason: str) -> None:
        """Kill all workers and mark their trials as interrupted."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            if worker.trial is not None and not is_complete(worker.trial, self.context):
                leave_interrupted(worker.trial, reason)

    def _handle(self, worker: Worker, kind: str, *content: Any) -> None:
        """Handle one message of a worker."""
        if kind == "at":
            self.show(worker.row, *content)
        elif kind == "line":
            text, style = content
            console.print(text, style=style)
        elif kind in ("ready", "ended"):
            self.ended.update(content)
            number = self.waiting.popleft() if self.waiting and not self.stopping else None
            worker.trial = None if number is None else self.trials[number]
            self.show(worker.row, "", 0, 0)
            _send(worker, number)
        elif kind == "left":
            worker.trial = None
            if not self.stopping:  # its own limit of processor time: the others reach theirs as well
                self.signals.extend(content)
        else:  # "raised"
            worker.trial = None
            self.error = self.error or next(iter(content), None)
            if content and not self.stopping:
                self.stop(signal.SIGTERM)

    def _reap(self, worker: Worker) -> None:
        """Remove a worker that has ended; the trial of one that died has failed, and a new worker replaces it."""
        worker.process.join()
        self.workers.remove(worker)
        self.show(worker.row, "", 0, 0)
        code = worker.process.exitcode or 0
        if worker.trial is None and not code:
            return
        self.last_exit = exit_reason(code)
        if worker.trial is None:
            console.print(f"a worker {self.last_exit} before it had a trial in hand", style="yellow")
            return
        self._record_crash(worker.trial)
        if self.waiting and not self.stopping:
            self.spawn(worker.row)

    def _record_crash(self, prepared: PreparedTrial) -> None:
        """Record that the worker of a trial died, unless the trial was complete by then."""
        ensure_held(self.context.run)
        folder = prepared.folder
        if is_complete(prepared, self.context):
            self.ended[folder.status()["state"]] += 1
            return
        reason = f"its process {self.last_exit}"
        remove_partial_files(folder.path)
        folder.set_status(TrialState.FAILED, step=saved_step(folder.checkpoint), reason=reason)
        self.ended[TrialState.FAILED] += 1
        console.print(f"{prepared.title}: failed: {reason}", style="red")


def exit_reason(code: int) -> str:
    """Return the end of a process in words: 'was killed by SIGKILL, ...'."""
    if code >= 0:
        return f"ended with exit code {code}"
    hint = ", most often for want of memory" if -code == signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-code).name}{hint}"


def _send(worker: Worker, message: object) -> None:
    """Send a message to a worker; that it has died is noticed where its pipe is read."""
    with suppress(OSError):
        worker.pipe.send(message)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for processes that are started here."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
