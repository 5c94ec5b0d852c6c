"""Stop signals: Ctrl-C, SIGTERM and the warnings of clusters before it, and SIGHUP of a terminal that closes.

SLURM (`--signal=USR1@90`) warns a job by SIGUSR1, submitit by SIGUSR2, and a limit of processor time by SIGXCPU.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

CTRL_C = signal.SIGINT
STOP_SIGNAL_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
STOP_SIGNALS = tuple(getattr(signal, name) for name in STOP_SIGNAL_NAMES if hasattr(signal, name))
# A limit of processor time is one process's own, and once reached it is signalled again every second.
TIME_LIMIT = getattr(signal, "SIGXCPU", None)


class Stopped(KeyboardInterrupt):
    """The process received a stop signal with `number`."""

    def __init__(self, number: int = CTRL_C) -> None:
        super().__init__(number)
        self.number = number


def signal_number(error: KeyboardInterrupt) -> int:
    """Return the number of the signal that stopped the process; Python's own KeyboardInterrupt means Ctrl-C."""
    return error.number if isinstance(error, Stopped) else CTRL_C


def signal_name(error: KeyboardInterrupt) -> str:
    """Return the common name of the signal that stopped the process."""
    number = signal_number(error)
    return "Ctrl-C" if number == CTRL_C else signal.Signals(number).name


@contextmanager
def raise_on_stop_signal() -> Iterator[None]:
    """Raise `Stopped` in the main thread on a stop signal, so that the command line can report what is safe.

    An ignored signal stays ignored (nohup, and background jobs of a shell).
    """

    def stop(number: int, frame: FrameType | None) -> None:
        _ignore_repetitions(number)
        raise Stopped(number)

    with _handling(stop, {}):
        yield


@contextmanager
def defer_stop_signals() -> Iterator[list[int]]:
    """Yield a list that stays empty until a stop signal arrives: the first signal is only appended to it.

    Raised in the middle of a training step, it would leave one player updated and the other not. After the first signal
    the previous handlers are restored, so that a second one is raised at once.
    """
    received: list[int] = []
    previous: dict[int, Any] = {}

    def defer(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if number == TIME_LIMIT:
            previous.pop(number, None)
        _restore(previous)
        _ignore_repetitions(number)

    with _handling(defer, previous):
        yield received


@contextmanager
def block_stop_signals() -> Iterator[None]:
    """Start processes inside with stop signals blocked: a Ctrl-C goes to all processes of a terminal, and only their
    parent shall stop them. A limit of processor time is a process's own, and stays unblocked. Not on Windows."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, [number for number in STOP_SIGNALS if number != TIME_LIMIT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextmanager
def _handling(handler: Any, previous: dict[int, Any]) -> Iterator[None]:
    """Set a handler for all stop signals that are not ignored; the handlers before are kept in `previous`, and those
    that are still there at the end are restored."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only it is interrupted
        return
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    previous.update({number: current for number, current in before.items() if current not in (signal.SIG_IGN, None)})
    for number in previous:
        signal.signal(number, handler)
    try:
        yield
    finally:
        _restore(previous)


def _restore(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _ignore_repetitions(number: int) -> None:
    """Ignore a signal from now on that the system repeats: it must not interrupt what the first one made us save."""
    if number == TIME_LIMIT:
        signal.signal(number, signal.SIG_IGN)
