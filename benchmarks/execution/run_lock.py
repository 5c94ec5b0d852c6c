"""The lock of a run folder, the recovery after a process that was killed while it held it, and the check that the
folder is still the one that was locked."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cgbench.api.names import TrialState
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.errors import EXIT_TRIAL_FAILED, CgbenchError
from cgbench.files import remove_partial_files
from cgbench.lock import locked
from cgbench.results.run_folder import TrialFolder, ensure_no_linked_folder

LockFile = tuple[int, int]  # device and inode
_HELD: dict[Path, LockFile] = {}  # the run folders that this process, or its parent, has locked


class RunFolderGone(CgbenchError):
    """The run folder was removed, renamed or replaced while it was written."""

    exit_code = EXIT_TRIAL_FAILED


@contextmanager
def exclusive_run(run: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a run folder. Trials that a killed process left as running are marked as interrupted.

    Raises `InUse` where another process holds the lock; with `wait`, waits for it instead. Raises `RunFolderGone` at
    the end where the folder is not the locked one any more. A folder inside the run that is a symbolic link raises
    `CgbenchError`: in a run from elsewhere it could lead what is written out of the run.
    """
    ensure_no_linked_folder(run)
    with locked(run, wait, click.echo) as killed:
        hold(run, _lock_file(run))
        try:
            if killed:
                click.echo(f"the process that worked on {run} before was killed; going on from what it had saved")
            remove_partial_files(run)
            for path in run.glob("*/*/seed-*/trial.json"):
                folder = TrialFolder(path.parent)
                if folder.status()["state"] == TrialState.RUNNING:
                    folder.mark_interrupted(saved_step(folder.checkpoint))
            yield
            ensure_held(run)
        finally:
            _HELD.pop(run, None)


def ensure_writable(run: Path) -> None:
    """Raise what `exclusive_run` would where the run folder cannot be created or written; nothing is created."""
    ensure_no_linked_folder(run)
    path = run.absolute()
    nearest = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not nearest.is_dir():
        number = errno.EEXIST if nearest == path else errno.ENOTDIR
        raise OSError(number, os.strerror(number), str(run))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(run))


def hold(run: Path, lock_file: LockFile | None) -> None:
    """Let `ensure_held` compare the lock file of `run` with this one: of this process, or in a worker its parent's."""
    if lock_file is not None:
        _HELD[run] = lock_file


def held(run: Path) -> LockFile | None:
    """Return the lock file of `run` that this process holds; None where it holds none."""
    return _HELD.get(run)


def is_held(run: Path) -> bool:
    """Return whether the folder `run` is still the one that was locked; True where none was."""
    return run not in _HELD or _lock_file(run) == _HELD[run]


def ensure_held(run: Path) -> None:
    """Raise `RunFolderGone` where the folder `run` is not the one that was locked any more."""
    if not is_held(run):
        raise RunFolderGone(
            f"{run} was removed, renamed or replaced while this command worked on it: what it wrote there since is no "
            "part of the run. Give a renamed folder its name back, and the same command goes on from its checkpoints"
        )


def _lock_file(run: Path) -> LockFile | None:
    """Return device and inode of the lock file; None where it is not there. An inode is not used again while the file
    is open, as it is while the lock is held."""
    try:
        status = (run / ".lock").lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
