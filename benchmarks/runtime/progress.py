"""What a user sees while it works: progress bars in a terminal, now and then a line where there is none."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cgbench.formatting import duration

QUIET_SECONDS = 30.0  # without a terminal: at most one line per this many seconds
RELAY_SECONDS = 0.2  # between two reports of a worker's progress

ProgressCallback = Callable[[int, int], None]
ShowProgress = Callable[[int, str, int, int], None]


class ProgressForwarder:
    """The way of a worker's lines and progress to the process that has the terminal: `send` takes ("line", text, style)
    and ("at", title, done, total)."""

    def __init__(self, send: Callable[[tuple], None]) -> None:
        self.send, self.last = send, 0.0

    def at(self, title: str, done: int, total: int) -> None:
        """Report progress, now and then, and always the last step."""
        now = time.monotonic()
        if done >= total or now - self.last >= RELAY_SECONDS:
            self.last = now
            self.send(("at", title, done, total))


class RunConsole(Console):
    """The terminal, or in a worker the way to it."""

    relay: ProgressForwarder | None = None

    def print(self, *objects: Any, style: str | None = None, **more: Any) -> None:
        """Print as rich does."""
        if self.relay is None:
            super().print(*objects, style=style, **more)
        else:
            self.relay.send(("line", " ".join(map(str, objects)), style))


console = RunConsole(highlight=False, soft_wrap=True, markup=False)


@contextmanager
def progress(title: str) -> Iterator[ProgressCallback]:
    """Yield `update(done, total)`: a bar with the time that remains, or lines where output is not a terminal."""
    if console.relay is not None:
        console.relay.at(title, 0, 0)
        yield partial(console.relay.at, title)
        return
    with progress_rows() as show:
        show(0, title, 0, 0)
        yield partial(show, 0, title)


@contextmanager
def progress_rows() -> Iterator[ShowProgress]:
    """Yield `show(row, title, done, total)` for several things at once: a bar for each row, or lines where output is
    not a terminal. A total of 0 is not known yet; a row without a title is taken away."""
    if not console.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    tasks: dict[int, tuple[str, Any]] = {}
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bars:

        def show(row: int, title: str, done: int, total: int) -> None:
            known, task = tasks.get(row, ("", None))
            if known != title and task is not None:
                bars.remove_task(task)
            if known != title:
                tasks[row] = title, bars.add_task(title, total=None) if title else None
            if title:
                bars.update(tasks[row][1], completed=done, total=total or None)

        yield show


def _lines() -> ShowProgress:
    """Return `show` for output that is no terminal."""
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
            left = (now - started) / max(1, done - first) * (total - done)
            console.print(f"{title}: {done} of {total}, about {duration(left)} left")
            last = now

    return update
