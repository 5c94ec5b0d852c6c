"""The lock of a folder: one process at a time writes into it, and a second one learns which process holds it."""

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
from typing import Any

from cgbench.errors import CgbenchError
from cgbench.files import attach_path, own_handle

try:
    import fcntl
except ImportError:  # not on Windows: there the owner's process number alone decides
    fcntl = None  # type: ignore[assignment]

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
MAX_OWNER_BYTES = 4096  # bytes read of the owner's record
POLL_SECONDS = 0.5


class InUse(CgbenchError):
    """Another process holds the lock."""


@contextmanager
def locked(run: Path, wait: bool = False, say: Callable[[str], None] = lambda line: None) -> Iterator[bool]:
    """Hold the lock of the folder `run`, which is created if necessary, and removed at the end if it is still empty.

    The system releases the lock when its process ends, in whatever way. Where another living process holds it, `InUse`
    is raised and names it; with `wait`, `say` is called with one line and the lock is waited for. Yields whether the
    previous holder was killed: then its record is still in the file. A `.lock` that is no file of its own, as a
    symbolic link, raises `CgbenchError`: the lock's file is emptied at the end.
    """
    path = run / ".lock"
    created = not run.exists()
    handle = _open_lock(path)
    try:
        announced = False
        while not _acquire(handle) or not _is_at(handle, path):
            if not _is_at(handle, path):  # its holder removed the folder, which it had created for nothing
                os.close(handle)
                handle = _open_lock(path)
                continue
            owner = _owner(handle)
            if not wait:
                raise InUse(f"{run} is in use by {_holder_text(owner)}; wait for it (--wait), stop it, or use --name")
            if not announced:
                say(f"waiting for {_holder_text(owner)} to leave {run}")
                announced = True
            time.sleep(POLL_SECONDS)
        killed = bool(_owner(handle))
        _write_owner(handle, path)
        try:
            yield killed
        finally:
            with suppress(OSError):
                os.ftruncate(handle, 0)
                if created and [entry.name for entry in run.iterdir()] == [path.name] and _is_at(handle, path):
                    path.unlink()
                    run.rmdir()
    finally:
        os.close(handle)


def _open_lock(path: Path) -> int:
    """Return the open file of a lock; its folder and the file are created if necessary."""
    with attach_path(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return own_handle(path, os.O_RDWR)


def _is_at(handle: int, path: Path) -> bool:
    """Return whether an open file is the one at `path`, which may have been removed."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except OSError:
        return False


def _acquire(handle: int) -> bool:
    """Try to take the lock, and return whether that succeeded."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
    # A file system without locks: the record in the file counts, unless its process is known to be dead.
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
        return True  # a process of another user
    return True


def _owner(handle: int) -> dict[str, Any]:
    """Return the record that the lock's holder wrote; empty where it is unreadable."""
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


def _holder_text(owner: dict[str, Any]) -> str:
    """Return the holder of a lock as text, in one line."""
    if not owner:
        return "another process"
    pid, host, since, command = (str(owner.get(key, "?"))[:200] for key in ("pid", "host", "since", "command"))
    return f"process {pid} on {host} since {since} ({command})"
