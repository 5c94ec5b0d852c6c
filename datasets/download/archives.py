"""Safe unpacking of untrusted archives: names are checked before a byte is written, and bytes are counted."""

import gzip
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from cgbench.errors import CgbenchError
from cgbench.files import open_file
from cgbench.formatting import printable, size
from cgbench.progress import ProgressCallback

MAX_MEMBERS = 400_000
MAX_BYTES = 60 * 10**9  # unpacked
MAX_RATIO = 40  # unpacked bytes per byte of the archive: photographs are hardly compressible
ALLOWANCE = 10**8  # unpacked bytes that are always allowed, whatever the ratio
MAX_NAME_BYTES = 200  # of a component of a path
CHUNK = 1 << 20
BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError)


class ArchiveRefused(CgbenchError):
    """The archive is damaged or has members that must not be unpacked; nothing of it is left on the disk."""


@dataclass(frozen=True)
class Member:
    """A file or folder in an archive: its checked name, its size in bytes, and the function that opens it or None."""

    name: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]] | None


def unpack(archive: Path, target: Path, update: ProgressCallback) -> int:
    """Unpack a zip or tar.gz into the new folder `target` and return the number of files.

    Hidden files and those of macOS are left out. Raises `ArchiveRefused` for absolute names, `..`, links, devices,
    encrypted members, duplicate names, too many members or bytes, and damage; `target` is then removed.
    """
    target.mkdir(parents=True)
    try:
        return _unpack_members(archive, target, update)
    except BROKEN as error:
        shutil.rmtree(target, ignore_errors=True)
        raise ArchiveRefused(
            f"{archive}: is damaged or no such archive ({printable(str(error)) or type(error).__name__}): remove it, "
            "then the same command loads it again"
        ) from None
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _unpack_members(archive: Path, target: Path, update: ProgressCallback) -> int:
    written = files = 0
    names: set[str] = set()
    with open_file(archive) as file:
        allowed = min(MAX_BYTES, ALLOWANCE + MAX_RATIO * os.fstat(file.fileno()).st_size)
        is_zip = zipfile.is_zipfile(file)
        file.seek(0)
        for member in _zip_members(file, archive, allowed) if is_zip else _tar_members(file, archive, allowed):
            if any(part.startswith(".") or part == "__MACOSX" for part in member.name.parts):
                continue
            path = target.joinpath(*member.name.parts)
            folded = str(member.name).casefold()
            if member.open is None:
                path.mkdir(parents=True, exist_ok=True)
                continue
            if folded in names:
                raise _refusal(archive, str(member.name), "is there twice")
            names.add(folded)
            path.parent.mkdir(parents=True, exist_ok=True)
            written += _write(member, path, archive, allowed - written)
            files += 1
            update(files, files)
    return files


def _write(member: Member, path: Path, archive: Path, allowed: int) -> int:
    """Write one file, never more than its declared size or the bytes still allowed, and return its size."""
    count = 0
    with member.open() as source, path.open("xb") as file:
        while chunk := source.read(CHUNK):
            count += len(chunk)
            if count > min(member.size, allowed):
                raise _refusal(archive, str(member.name), "unpacks to more than it announces or may")
            file.write(chunk)
    if count != member.size:
        raise ArchiveRefused(f"{archive}: {member.name} ends early: remove the archive and load it again")
    return count


def _zip_members(file: IO[bytes], path: Path, allowed: int) -> Iterator[Member]:
    """Yield the members of a zip after checking all of them."""
    archive = zipfile.ZipFile(file)
    entries = archive.infolist()
    _check_totals(path, len(entries), sum(entry.file_size for entry in entries), allowed)
    members = []
    for entry in entries:
        file_type = stat.S_IFMT(entry.external_attr >> 16)
        if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refusal(path, entry.filename, "is a link or a device")
        if entry.flag_bits & 1:
            raise _refusal(path, entry.filename, "is encrypted")
        opener = None if entry.is_dir() else (lambda entry=entry: archive.open(entry))
        members.append(Member(_safe_path(path, entry.orig_filename), entry.file_size, opener))
    yield from members


class _BoundedStream:
    """A stream that raises after `allowed` bytes: a small archive can unpack to an endless stream."""

    def __init__(self, stream: gzip.GzipFile, path: Path, allowed: int) -> None:
        self.stream, self.path, self.remaining = stream, path, allowed

    def read(self, count: int = -1) -> bytes:
        data = self.stream.read(min(count, self.remaining + 1) if count >= 0 else self.remaining + 1)
        self.remaining -= len(data)
        if self.remaining < 0:
            raise ArchiveRefused(f"{self.path}: unpacks to far more than such a set holds: refused")
        return data


def _tar_members(file: IO[bytes], path: Path, allowed: int) -> Iterator[Member]:
    """Yield the members of a tar.gz in two passes: the first checks all of them, the second reads them."""
    max_stream_bytes = allowed + 1024 * MAX_MEMBERS
    for reading in (False, True):
        file.seek(0)
        count = total = 0
        with gzip.GzipFile(fileobj=file) as inner:
            stream = _BoundedStream(inner, path, max_stream_bytes)
            with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|", errors="surrogateescape") as archive:
                for entry in archive:
                    count, total = count + 1, total + entry.size
                    _check_totals(path, count, total, allowed)
                    if not (entry.isreg() or entry.isdir()) or entry.issparse():
                        raise _refusal(path, entry.name, "is a link, a device or a file with holes")
                    name = _safe_path(path, entry.name)
                    if reading:
                        opener = None if entry.isdir() else (lambda entry=entry: archive.extractfile(entry))
                        yield Member(name, entry.size, opener)
            while stream.read(CHUNK):  # reaches the checksum at the end of the gzip stream
                pass


def _check_totals(path: Path, count: int, total: int, allowed: int) -> None:
    if count > MAX_MEMBERS:
        raise ArchiveRefused(f"{path}: holds more than {MAX_MEMBERS:,} members: refused")
    if total > allowed:
        raise ArchiveRefused(f"{path}: would unpack to {size(total)}, more than the {size(allowed)} allowed: refused")


def _safe_path(archive: Path, name: str) -> PurePosixPath:
    """Return a member's name as a safe relative path; any other name raises `ArchiveRefused`."""
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        raise _refusal(archive, name, "is an absolute path")
    if "\\" in name or printable(name) != name:
        raise _refusal(archive, name, "has a name with backslashes, control characters or bytes that are no UTF-8")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _refusal(archive, name, "would leave its folder")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts) or len(parts) > 12:
        raise _refusal(archive, name, "has a name that is too long")
    return PurePosixPath(*parts)


def _refusal(archive: Path, name: str, reason: str) -> ArchiveRefused:
    return ArchiveRefused(f"{archive}: member '{printable(name)[:200]}' {reason}: nothing was unpacked; do not use it")


def content_folder(folder: Path, names: Iterable[str]) -> Path:
    """Return the folder that holds folders of these `names`: `folder` itself, or the only folder in it."""
    if any((folder / name).is_dir() for name in names):
        return folder
    subfolders = [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir()]
    return subfolders[0] if len(subfolders) == 1 else folder
