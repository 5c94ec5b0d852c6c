"""Archives of strangers, unpacked with care: every name is checked before a byte is written, and bytes are counted."""

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
from typing import IO

from cgbench.errors import CgbenchError
from cgbench.formatting import printable, size

MOST_MEMBERS = 400_000
MOST_BYTES = 60 * 10**9  # unpacked
MOST_RATIO = 40  # unpacked bytes per byte of the archive: photographs hardly shrink
ALLOWANCE = 10**8  # unpacked bytes that no ratio forbids
LONGEST_NAME = 200  # bytes of a part of a name
CHUNK = 1 << 20
BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError)


class ArchiveRefused(CgbenchError):
    """The archive is damaged, or holds what must not be unpacked; nothing of it is left on the disk."""


@dataclass(frozen=True)
class Member:
    """A file or folder in an archive: its checked name, its size in bytes, and how to open it (None: a folder)."""

    name: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]] | None


def unpack(archive: Path, target: Path, update: Callable[[int, int], None]) -> int:
    """Unpack a zip or tar.gz into the new folder `target` and return the number of files.

    Hidden files and those of macOS are left out. Raises `ArchiveRefused` for absolute names, `..`, links, devices,
    encrypted members, names twice, too many members or bytes, and damage; `target` is then removed.
    """
    target.mkdir(parents=True)
    try:
        return _unpacked(archive, target, update)
    except BROKEN as error:
        shutil.rmtree(target, ignore_errors=True)
        raise ArchiveRefused(
            f"{archive}: is damaged or no such archive ({printable(str(error)) or type(error).__name__}): remove it, "
            "then the same command loads it again"
        ) from None
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _unpacked(archive: Path, target: Path, update: Callable[[int, int], None]) -> int:
    allowed = min(MOST_BYTES, ALLOWANCE + MOST_RATIO * archive.stat().st_size)
    written = files = 0
    names: set[str] = set()
    with archive.open("rb") as file:
        zipped = zipfile.is_zipfile(file)
        file.seek(0)
        for member in _zip_members(file, archive, allowed) if zipped else _tar_members(file, archive, allowed):
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
    """Write one file, never more than it announced or than is still allowed, and return its bytes."""
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
    """Yield the members of a zip after all of them were checked."""
    archive = zipfile.ZipFile(file)
    entries = archive.infolist()
    _bounded(path, len(entries), sum(entry.file_size for entry in entries), allowed)
    members = []
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refusal(path, entry.filename, "is a link or a device")
        if entry.flag_bits & 1:
            raise _refusal(path, entry.filename, "is encrypted")
        how = None if entry.is_dir() else (lambda entry=entry: archive.open(entry))
        members.append(Member(_safe(path, entry.orig_filename), entry.file_size, how))
    yield from members


class _Bounded:
    """A stream that ends in an error after so many bytes: a small archive can unpack to endless ones."""

    def __init__(self, stream: IO[bytes], path: Path, allowed: int) -> None:
        self.stream, self.path, self.left = stream, path, allowed

    def read(self, count: int = -1) -> bytes:
        data = self.stream.read(min(count, self.left + 1) if count >= 0 else self.left + 1)
        self.left -= len(data)
        if self.left < 0:
            raise ArchiveRefused(f"{self.path}: unpacks to far more than such a set holds: refused")
        return data


def _tar_members(file: IO[bytes], path: Path, allowed: int) -> Iterator[Member]:
    """Yield the members of a tar.gz in a first pass that checks them all, and a second that reads them."""
    headers = allowed + 1024 * MOST_MEMBERS
    for reading in (False, True):
        file.seek(0)
        count = total = 0
        with gzip.GzipFile(fileobj=file) as inner:
            stream = _Bounded(inner, path, headers)
            with tarfile.open(fileobj=stream, mode="r|", errors="surrogateescape") as archive:
                for entry in archive:
                    count, total = count + 1, total + entry.size
                    _bounded(path, count, total, allowed)
                    if not (entry.isreg() or entry.isdir()) or entry.issparse():
                        raise _refusal(path, entry.name, "is a link, a device or a file with holes")
                    name = _safe(path, entry.name)
                    if reading:
                        how = None if entry.isdir() else (lambda entry=entry: archive.extractfile(entry))
                        yield Member(name, entry.size, how)
            while stream.read(CHUNK):  # the checksum at the end of the gzip stream counts as well
                pass


def _bounded(path: Path, count: int, total: int, allowed: int) -> None:
    if count > MOST_MEMBERS:
        raise ArchiveRefused(f"{path}: holds more than {MOST_MEMBERS:,} members: refused")
    if total > allowed:
        raise ArchiveRefused(f"{path}: would unpack to {size(total)}, more than the {size(allowed)} allowed: refused")


def _safe(archive: Path, name: str) -> PurePosixPath:
    """Return a member's name as a relative path without surprises; another one raises `ArchiveRefused`."""
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        raise _refusal(archive, name, "is an absolute path")
    if "\\" in name or printable(name) != name:
        raise _refusal(archive, name, "has a name with backslashes, control characters or bytes that are no UTF-8")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _refusal(archive, name, "would leave its folder")
    if any(len(part.encode()) > LONGEST_NAME for part in parts) or len(parts) > 12:
        raise _refusal(archive, name, "has a name that is too long")
    return PurePosixPath(*parts)


def _refusal(archive: Path, name: str, why: str) -> ArchiveRefused:
    return ArchiveRefused(f"{archive}: member '{printable(name)[:200]}' {why}: nothing was unpacked; do not use it")


def only_folder(folder: Path, wanted: Iterable[str]) -> Path:
    """Return the folder that holds the `wanted` ones: itself, or the single folder in it that archives wrap around."""
    if any((folder / name).is_dir() for name in wanted):
        return folder
    inside = [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir()]
    return inside[0] if len(inside) == 1 else folder
