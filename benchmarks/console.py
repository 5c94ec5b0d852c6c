"""What a user sees while it works: progress bars in a terminal, now and then a line where there is none."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cgbench.words import duration

console = Console(highlight=False, soft_wrap=True, markup=False)
QUIET_SECONDS = 30.0  # without a terminal: at most one line per this many seconds

Update = Callable[[int, int], None]


@contextmanager
def progress(title: str) -> Iterator[Update]:
    """Yield `update(done, total)`: a bar with the time that remains, or lines where output is not a terminal."""
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bars:
            task = bars.add_task(title, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)
    else:
        yield _line_printer(title)


def _line_printer(title: str) -> Update:
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
