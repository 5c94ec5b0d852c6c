"""Progress display: bars in a terminal, an occasional line elsewhere; workers forward theirs to the main process."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cgbench.formatting import duration, printable
from cgbench.progress import ProgressCallback

QUIET_SECONDS = 30.0  # without a terminal: at most one line per this many seconds
FORWARD_SECONDS = 0.2  # between two reports of a worker's progress

ShowProgress = Callable[[int, str, int, int], None]
QUIET, NORMAL, VERBOSE = -1, 0, 1  # levels of verbosity
WARNING_STYLES = ("yellow", "red")  # printed at every level


class ProgressForwarder:
    """Forwards a worker's lines and progress to the process that has the terminal: `send` takes ("line", text, style)
    and ("at", title, done, total)."""

    def __init__(self, send: Callable[[tuple], None]) -> None:
        self.send, self.last = send, 0.0

    def forward_progress(self, title: str, done: int, total: int) -> None:
        """Report progress, at most every `FORWARD_SECONDS`, and always the last step."""
        now = time.monotonic()
        if done >= total or now - self.last >= FORWARD_SECONDS:
            self.last = now
            self.send(("at", title, done, total))


class RunConsole(Console):
    """The terminal, or in a worker the forwarder to it."""

    forwarder: ProgressForwarder | None = None
    verbosity: int = NORMAL

    def print(self, *objects: Any, style: str | None = None, **options: Any) -> None:  # type: ignore[override]
        """Print as rich does, control characters as their escapes; at level `QUIET` warnings and errors only."""
        if self.verbosity == QUIET and style not in WARNING_STYLES:
            return
        objects = tuple(printable(text, keep="\n\t") if isinstance(text, str) else text for text in objects)
        if self.forwarder is None:
            super().print(*objects, style=style, **options)
        else:
            self.forwarder.send(("line", " ".join(map(str, objects)), style))

    def debug(self, text: str) -> None:
        """Print a line at level `VERBOSE` only."""
        if self.verbosity == VERBOSE:
            self.print(text, style="dim")

    def component_failure(self, component: str, error: BaseException, package: str = "") -> None:
        """Print in one line that a component broke, and which package it is from; at level `VERBOSE` also where."""
        origin = f" ({package})" if package else ""
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        self.print(f"{component} failed: {reason}{origin}", style="red")
        self.debug("".join(traceback.format_exception(error)))


console = RunConsole(highlight=False, soft_wrap=True, markup=False)


@contextmanager
def progress(title: str) -> Iterator[ProgressCallback]:
    """Yield a callback of (done, total) that updates a bar with the remaining time, or prints lines where output is not
    a terminal."""
    if console.forwarder is not None:
        console.forwarder.forward_progress(title, 0, 0)
        yield partial(console.forwarder.forward_progress, title)
        return
    with progress_rows() as show:
        show(0, title, 0, 0)
        yield partial(show, 0, title)


@contextmanager
def progress_rows() -> Iterator[ShowProgress]:
    """Yield `show(row, title, done, total)` for several tasks at once: a bar for each row, or lines where output is not
    a terminal. A total of 0 means unknown; an empty title removes the row."""
    if console.verbosity == QUIET:
        yield lambda row, title, done, total: None
        return
    if not console.is_terminal:
        yield _show_lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    tasks: dict[int, tuple[str, Any]] = {}
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bars:

        def show(row: int, title: str, done: int, total: int) -> None:
            current, task = tasks.get(row, ("", None))
            if current != title and task is not None:
                bars.remove_task(task)
            if current != title:
                tasks[row] = title, bars.add_task(title, total=None) if title else None
            if title:
                bars.update(tasks[row][1], completed=done, total=total or None)

        yield show


def _show_lines() -> ShowProgress:
    """Return `show` for output that is not a terminal."""
    rows: dict[int, tuple[str, ProgressCallback]] = {}

    def show(row: int, title: str, done: int, total: int) -> None:
        if rows.get(row, ("",))[0] != title:
            rows[row] = title, _line_printer(title)
        if title and total:
            rows[row][1](done, total)

    return show


def _line_printer(title: str) -> ProgressCallback:
    started = last = time.monotonic()
    first: int | None = None

    def update(done: int, total: int) -> None:
        nonlocal last, first
        now = time.monotonic()
        if first is None:
            first = done - 1
        if now - last >= QUIET_SECONDS and done < total:
            remaining = (now - started) / max(1, done - first) * (total - done)
            console.print(f"{title}: {done} of {total}, about {duration(remaining)} left")
            last = now

    return update
