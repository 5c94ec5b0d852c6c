"""Trials side by side: this process gives them to workers, one after another, and is the only one that prints."""

import os
import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from cgbench.benchmarks.execution.run_context import RunContext
from cgbench.benchmarks.execution.runner import is_complete, mark_interrupted, run_trial, title_of
from cgbench.benchmarks.execution.worker import StopSignal, WorkerSpec, work
from cgbench.benchmarks.runtime.progress import ShowProgress, console, progress_rows
from cgbench.benchmarks.runtime.signals import Stopped, block_stop_signals, defer_stop_signals, name_of
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.benchmarks.trials.trial import Trial
from cgbench.errors import EXIT_TRIAL_FAILED, CgbenchError
from cgbench.files import remove_partial_files

POLL_SECONDS = 0.2  # between two looks whether a signal came
THREADS = "OMP_NUM_THREADS"  # what numpy's libraries go by, as torch does


class NoWorkersLeft(CgbenchError):
    """All workers ended before the trials did."""

    exit_code = EXIT_TRIAL_FAILED


@dataclass
class Worker:
    """A process, the pipe to it, the row of its progress, and the number of the trial it has in hand."""

    process: SpawnProcess
    pipe: Connection
    row: int
    trial: int | None = None


def run_in_pool(order: WorkerSpec, trials: Sequence[Trial], context: RunContext, workers: int) -> dict[str, int]:
    """Bring every trial to an end in `workers` processes; return how many ended in which state, as `run_trials` does.

    A first signal to stop lets every worker end its step and save, and is raised when all have; a second one kills
    them and is raised at once. Where one cannot write into the run's folder, all are stopped and its error is raised.
    """
    ended: Counter[str] = Counter()
    waiting: deque[int] = deque()
    for number, trial in enumerate(trials):
        if is_complete(context.folder(trial).status(), context):
            ended[run_trial(trial, context, title_of(number, trials))] += 1
        else:
            waiting.append(number)
    with defer_stop_signals() as asked, progress_rows() as show:
        crew = WorkerPool(order, trials, context, waiting, ended, show)
        try:
            crew.work(min(workers, len(waiting)), asked)
        except BaseException as error:
            with defer_stop_signals():
                crew.kill(f"stopped by {name_of(error)}" if isinstance(error, KeyboardInterrupt) else "stopped")
            raise
    if crew.error is not None:
        raise crew.error
    if asked:
        raise Stopped(asked[0])
    if waiting:
        raise NoWorkersLeft(f"{len(waiting)} trials were not begun: the last worker {crew.lost}; use fewer --jobs")
    return dict(ended)


class WorkerPool:
    """The workers of one run and what is left for them to do."""

    def __init__(
        self, order: WorkerSpec, trials: Sequence[Trial], context: RunContext, waiting: deque[int], ended: Counter[str],
        show: ShowProgress,
    ) -> None:  # fmt: skip
        self.order, self.trials, self.context = order, trials, context
        self.waiting, self.ended, self.show = waiting, ended, show
        self.workers: list[Worker] = []
        self.stopping = False
        self.error: Exception | None = None  # why the run cannot go on
        self.lost = ""  # how the last worker ended that ended by itself

    def work(self, count: int, asked: list[int]) -> None:
        """Start `count` workers and listen to them until the last one is gone; `asked` are the signals that came."""
        for row in range(count):
            self.spawn(row)
        while self.workers:
            if asked and not self.stopping:
                self.stop(asked[0])
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
        resource_tracker.ensure_running()  # it comes with the first process, and opens the signals' mask
        process = context.Process(target=work, args=(self.order, theirs), name=f"worker {row}")
        with block_stop_signals(), _environment(THREADS, str(self.order.threads)):
            process.start()
        theirs.close()  # or its end would not be seen here
        self.workers.append(Worker(process, ours, row))

    def stop(self, number: int) -> None:
        """Let every worker end its step, save and leave, as if the signal `number` had come to it."""
        self.stopping = True
        for worker in self.workers:
            _send(worker, StopSignal(number))

    def kill(self, why: str) -> None:
        """End all workers at once; what they had in hand is left as it is on disk."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            if worker.trial is None:
                continue
            folder = self.context.folder(self.trials[worker.trial])
            if not is_complete(folder.status(), self.context):
                mark_interrupted(folder, title_of(worker.trial, self.trials), why)

    def _handle(self, worker: Worker, kind: str, *content: Any) -> None:
        """Do what a worker's message asks for."""
        if kind == "at":
            self.show(worker.row, *content)
        elif kind == "line":
            text, style = content
            console.print(text, style=style)
        elif kind in ("ready", "ended"):
            self.ended.update(content)
            worker.trial = self.waiting.popleft() if self.waiting and not self.stopping else None
            self.show(worker.row, "", 0, 0)
            _send(worker, worker.trial)
        else:  # "left" or "raised"
            worker.trial = None
            self.error = self.error or next(iter(content), None)
            if content and not self.stopping:
                self.stop(signal.SIGTERM)

    def _reap(self, worker: Worker) -> None:
        """See to what a worker leaves behind: the trial of one that was killed has failed, and another takes over."""
        worker.process.join()
        self.workers.remove(worker)
        self.show(worker.row, "", 0, 0)
        code = worker.process.exitcode or 0
        if worker.trial is None and not code:
            return
        self.lost = exit_reason(code)
        if worker.trial is None:
            console.print(f"a worker {self.lost} before it had a trial in hand", style="yellow")
            return
        self._fail(worker.trial)
        if self.waiting and not self.stopping:
            self.spawn(worker.row)

    def _fail(self, number: int) -> None:
        """Record that the worker of a trial died, unless the trial was over by then."""
        folder, title = self.context.folder(self.trials[number]), title_of(number, self.trials)
        status = folder.status()
        if is_complete(status, self.context):
            self.ended[status["state"]] += 1
            return
        reason = f"its process {self.lost}"
        remove_partial_files(folder.path)
        folder.set_status("failed", step=saved_step(folder.checkpoint), reason=reason)
        self.ended["failed"] += 1
        console.print(f"{title}: failed: {reason}", style="red")


def exit_reason(code: int) -> str:
    """Return the end of a process in words: 'was killed by SIGKILL, ...'."""
    if code >= 0:
        return f"ended with exit code {code}"
    hint = ", most often for want of memory" if -code == signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-code).name}{hint}"


def _send(worker: Worker, word: object) -> None:
    """Tell a worker something; that it is dead is seen where we listen to it."""
    with suppress(OSError):
        worker.pipe.send(word)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Let children have a variable of their own."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
