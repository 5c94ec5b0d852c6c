"""One process at a time writes into a run folder; a second one is told who is there."""

import errno
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cgbench.errors import CgbenchError
from cgbench.files import attach_path

try:
    import fcntl
except ImportError:  # no such thing on Windows: there the owner's number alone decides
    fcntl = None

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
MAX_OWNER_BYTES = 4096  # bytes of an owner's line that are read
POLL_SECONDS = 0.5


class InUse(CgbenchError):
    """Another process works on the run."""


@contextmanager
def locked(run: Path, wait: bool = False, say: Callable[[str], None] = lambda line: None) -> Iterator[bool]:
    """Hold the run folder `run` alone; the folder is made if need be.

    The system lets go of the lock when its process ends, however that happens. Where another living process holds it,
    `InUse` is raised, which names it, or, if `wait` is asked for, `say` is told and it is waited for. Yields whether
    the process before was killed: then it left its name.
    """
    path = run / ".lock"
    with attach_path(path):
        run.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        told = False
        while not _taken(handle):
            owner = _owner(handle)
            if not wait:
                raise InUse(f"{run} is in use by {_described(owner)}; wait for it (--wait), stop it, or use --name")
            if not told:
                say(f"waiting for {_described(owner)} to leave {run}")
                told = True
            time.sleep(POLL_SECONDS)
        killed = bool(_owner(handle))
        _write_owner(handle, path)
        try:
            yield killed
        finally:
            with suppress(OSError):
                os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    """Take the lock and say whether that could be done."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
    # A file system without locks: believe the line in the file, unless its process is known to be dead.
    owner = _owner(handle)
    here = owner.get("host") == socket.gethostname()
    return not owner or (here and not _alive(owner.get("pid")))


def _alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's process
    return True


def _owner(handle: int) -> dict:
    """Return what the lock's holder wrote of itself; nothing where it is unreadable."""
    os.lseek(handle, 0, os.SEEK_SET)
    try:
        owner = json.loads(os.read(handle, MAX_OWNER_BYTES))
    except (ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _write_owner(handle: int, path: Path) -> None:
    owner = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["cgbench", *sys.argv[1:]])[:1000],
    }
    with attach_path(path):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(owner).encode(), 0)


def _described(owner: dict) -> str:
    """Return who holds a lock, in one line."""
    if not owner:
        return "another process"
    pid, host, since, command = (str(owner.get(key, "?"))[:200] for key in ("pid", "host", "since", "command"))
    return f"process {pid} on {host} since {since} ({command})"
