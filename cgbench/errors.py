"""Errors that a user can act on, in one line (what is wrong, where, what to do), and the exit codes."""

import struct
from collections.abc import Sequence
from difflib import get_close_matches

from cgbench.formatting import printable

EXIT_OK = 0
EXIT_TRIAL_FAILED = 1
EXIT_USAGE = 2
EXIT_INCONCLUSIVE = 3
EXIT_SIGNAL = 128  # plus the number of the signal: 130 for Ctrl-C, 143 for SIGTERM
# what Pillow raises for files that are no sound images
IMAGE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, struct.error,
)  # fmt: skip


class CgbenchError(Exception):
    """An error that the user can correct; the command line prints it without a traceback and exits with `exit_code`."""

    exit_code = EXIT_USAGE

    def __str__(self) -> str:
        """Return the message; control characters, as from a file name, are escaped."""
        return printable(super().__str__(), keep="\n")


class DataMissing(CgbenchError):
    """The dataset was not found; the message says how to get it."""


class DataBroken(CgbenchError):
    """A file of the dataset cannot be used; the message names the file."""


class PluginError(CgbenchError):
    """A component of another package failed in a way of its own: what it raised is the `__cause__`."""


class Diverged(CgbenchError):
    """A loss or a weight became infinite or not a number, as detected at `step`."""

    exit_code = EXIT_TRIAL_FAILED

    def __init__(self, message: str, step: int = 0) -> None:
        super().__init__(message)
        self.step = step


def error_line(error: BaseException) -> str:
    """Return an exception in one line: `ValueError: text`, of an error for the user its text alone."""
    line = printable(next(iter(str(error).splitlines()), ""))
    if isinstance(error, CgbenchError) and line:
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return a hint for a mistyped `word`: the nearest known name, else all of them."""
    near = [name for name in known if name.lower() == word.lower()]
    near = near or get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
