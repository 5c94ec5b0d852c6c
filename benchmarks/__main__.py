"""Entry point of the command line: the script `cgbench`, or `python -m cgbench.benchmarks` where it is not on the path.

What it imports before `main` runs is the standard library alone, so that a Ctrl-C during the imports ends it well.
"""

import io
import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line; until a command begins, and after it has ended, Ctrl-C ends the process at once."""
    if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
        signal.signal(signal.SIGINT, _stop)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in ("strict", "surrogateescape"):
        sys.stdout.reconfigure(errors="backslashreplace")  # what the encoding lacks ends no command
    from cgbench.benchmarks.cli.main import main as command
    from cgbench.benchmarks.cli.options import exit_with_os_error

    try:
        command(prog_name="cgbench")
    except OSError as error:  # of a help text, which no command prints
        exit_with_os_error(error)


def _stop(number: int, frame: FrameType | None) -> None:
    """Exit without a traceback: an exception in the middle of an import may be swallowed, or become another one."""
    os.write(2, b"\ncgbench: stopped by Ctrl-C.\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
