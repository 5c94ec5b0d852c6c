"""The errors that end a trial: the reason in one line, and whether the next trial would meet it as well."""

import errno
import traceback
from pathlib import Path

from cgbench.api.registry import METHODS
from cgbench.benchmarks.runtime.determinism import describe_error
from cgbench.errors import CgbenchError

# A full disk, a quota, a read-only or broken disk, a closed pipe on standard output: no trial can go on.
FATAL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EPIPE)


def failure_reason(method: str, error: BaseException) -> str:
    """Return why a trial of a method failed, in one line; of another package's method with the place in its module."""
    reason = str(error) if isinstance(error, CgbenchError) else f"{type(error).__name__}: {describe_error(error)}"
    return reason + _plugin_place(method, error)


def is_fatal(error: OSError, run: Path) -> bool:
    """Return whether an error would hit the next trial as well: the run's own files cannot be read or written."""
    inside = isinstance(error.filename, str) and Path(error.filename).is_relative_to(run)
    return inside or error.errno in FATAL_ERRORS


def _plugin_place(method: str, error: BaseException) -> str:
    """Return which package a method is from, and the last line of its module that the error passed through; "" for a
    built-in method."""
    package = METHODS.package_of(method)
    if not package:
        return ""
    module = METHODS.origin(method).partition(".")[0]
    frames = [
        f"{frame.f_code.co_name} in {Path(frame.f_code.co_filename).name}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == module
    ]
    return f" ({', '.join([package, *frames[-1:]])})"
