"""Stop signals: Ctrl-C, SIGTERM as SLURM sends it, and SIGHUP of a terminal that closes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

CTRL_C = signal.SIGINT
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


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
        raise Stopped(number)

    with _handling(stop):
        yield


@contextmanager
def defer_stop_signals() -> Iterator[list[int]]:
    """Yield a list that stays empty until a stop signal arrives: the first signal is only appended to it.

    Raised in the middle of a training step, it would leave one player updated and the other not. After the first signal
    the previous handlers are restored, so that a second one is raised at once.
    """
    received: list[int] = []
    previous: dict[int, object] = {}

    def defer(number: int, frame: FrameType | None) -> None:
        received.append(number)
        _restore(previous)

    with _handling(defer) as handlers:
        previous.update(handlers)
        yield received


@contextmanager
def block_stop_signals() -> Iterator[None]:
    """Start processes inside with stop signals blocked: a Ctrl-C goes to all processes of a terminal, and only their
    parent shall stop them. Not on Windows."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextmanager
def _handling(handler: Any) -> Iterator[dict[int, Any]]:
    """Set a handler for all stop signals that are not ignored; yield the previous handlers, and restore them at the
    end."""
    if threading.current_thread() is not threading.main_thread():
        yield {}  # only the main thread may set handlers, and only it is interrupted
        return
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    previous = {number: current for number, current in previous.items() if current not in (signal.SIG_IGN, None)}
    for number in previous:
        signal.signal(number, handler)
    try:
        yield previous
    finally:
        _restore(previous)


def _restore(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
