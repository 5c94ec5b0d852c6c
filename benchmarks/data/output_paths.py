"""Files that a user asks for at a path: never over others, never inside a run, all of them or none."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cgbench.errors import CgbenchError
from cgbench.files import PART

MODE = 0o644  # as files are that are not made in a temporary folder


def ensure_outside(output: Path, run: Path) -> None:
    """Raise `CgbenchError` where an output lies inside a run."""
    if output.resolve().is_relative_to(run.resolve()):
        raise CgbenchError(f"--output {output} lies in the run, which is not to be changed: choose another folder")


def ensure_free(paths: Sequence[Path]) -> None:
    """Raise `CgbenchError` where one of the paths exists."""
    if taken := [path for path in paths if os.path.lexists(path)]:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise CgbenchError(f"{taken[0]}{more}: already there, and nothing is overwritten; choose another --output")


@contextmanager
def all_or_none(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield, for files `paths` of one folder, the paths in a temporary folder in it that they are to be written to.

    They are put in place when all are written; an error leaves none of them. One that exists meanwhile, which another
    process may have written, raises `CgbenchError`.
    """
    folder = paths[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder, prefix=".output.", suffix=PART))
    try:
        parts = [part / path.name for path in paths]
        yield parts
        ensure_free(paths)
        _place(parts, paths)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _place(parts: Sequence[Path], paths: Sequence[Path]) -> None:
    """Move finished files to their paths; where one exists, those that were moved are taken away again."""
    placed: list[Path] = []
    try:
        for part, path in zip(parts, paths, strict=True):
            os.chmod(part, MODE)
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            try:
                os.link(part, path)  # fails where the file exists
            except FileExistsError:
                ensure_free([path])
            except OSError:  # a file system without links
                os.rename(part, path)
            placed.append(path)
    except BaseException:
        for path in placed:
            path.unlink(missing_ok=True)
        raise
