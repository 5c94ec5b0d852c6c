"""How a run is stopped from outside: Ctrl-C, SIGTERM as SLURM sends it, SIGHUP of a terminal that closes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

CTRL_C = signal.SIGINT
STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """The process was asked to stop, by a signal with `number`."""

    def __init__(self, number: int = CTRL_C) -> None:
        super().__init__(number)
        self.number = number


def number_of(error: KeyboardInterrupt) -> int:
    """Return the signal that stopped the process; Python itself knows one only, Ctrl-C."""
    return error.number if isinstance(error, Stopped) else CTRL_C


def name_of(error: KeyboardInterrupt) -> str:
    """Return what people call the signal that stopped the process."""
    number = number_of(error)
    return "Ctrl-C" if number == CTRL_C else signal.Signals(number).name


@contextmanager
def raise_on_stop_signal() -> Iterator[None]:
    """Raise `Stopped` where the process is asked to end, so that it can say what is safe; for the command line.

    A signal that is ignored stays ignored (nohup, and what a shell runs in the background).
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    with _handling(stop):
        yield


@contextmanager
def defer_stop_signals() -> Iterator[list[int]]:
    """Yield a list that stays empty until the process is asked to stop: the first signal only goes there.

    Raised in the middle of a training step, it would leave one player moved and the other not. After the first signal
    the handlers are those of before, so that a second one is raised at once.
    """
    asked: list[int] = []
    before: dict[int, object] = {}

    def hold(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        _restore(before)

    with _handling(hold) as found:
        before.update(found)
        yield asked


@contextmanager
def block_stop_signals() -> Iterator[None]:
    """Let processes that are started here be born with the signals to stop blocked: a Ctrl-C goes to all processes of a
    terminal, and only their parent shall tell them to stop. Not on Windows."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _handling(handler) -> Iterator[dict[int, object]]:
    """Set a handler for all signals that stop and are not ignored; yield the handlers of before, and put them back."""
    if threading.current_thread() is not threading.main_thread():
        yield {}  # only the main thread may set handlers, and only it is interrupted
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    before = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield before
    finally:
        _restore(before)


def _restore(handlers: dict[int, object]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
