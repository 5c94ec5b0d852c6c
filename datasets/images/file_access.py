"""Access to image files: what is no regular file, is empty or cannot be opened, in one line that names the file."""

import errno
import os
import stat
from pathlib import Path

from cgbench.errors import DataBroken


def ensure_image_file(path: Path) -> None:
    """Raise `DataBroken` where `path` is no regular file, such as a pipe, or is empty. Errors of the system are raised
    as they are."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would block for ever
        raise DataBroken(f"{path}: is no file but a {_kind(status.st_mode)}: remove it")
    if not status.st_size:
        raise DataBroken(f"{path}: is empty (0 bytes): replace it")


def cannot_open(path: Path, error: OSError) -> DataBroken:
    """Return the error for a file that the system does not open."""
    return DataBroken(f"{path}: cannot be opened ({error.strerror}): {fix(error, path)}")


def unreadable(path: Path, error: BaseException) -> DataBroken:
    """Return the error for a file whose content is damaged."""
    return DataBroken(f"{path}: cannot be read as an image ({error or type(error).__name__}): replace it")


def fix(error: OSError, path: Path | None = None) -> str:
    """Return the fix for a file or folder that the system does not open."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "allow yourself to read it (chmod u+r)"
    if error.errno == errno.ELOOP:
        return "its symbolic link leads back to itself: remove it"
    if error.errno == errno.ENOENT and path is not None and path.is_symlink():
        return f"its symbolic link leads to {os.readlink(path)}, which is not there: mend or remove it"
    return "restore it"


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFDIR: "folder"}
    return kinds.get(stat.S_IFMT(mode), "device")
