"""A set of squares being decoded to disk in pieces: memory stays flat, and a killed process leaves nothing whole."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cgbench.benchmarks.data import cache_entries
from cgbench.benchmarks.data.cache_key import cache_key
from cgbench.benchmarks.data.decode import ImageSetSpec, MemoryWriter, decode
from cgbench.benchmarks.data.image_set import ImageSet, ProgressCallback
from cgbench.benchmarks.runtime.cache_dir import cache_limit, decoded_folder
from cgbench.files import PART, write_json
from cgbench.lock import locked

MIN_CACHED_IMAGES = (
    32  # images: an entry costs 10 ms to make and 1 ms to open, an image 0.2 (small JPEG) to 10 ms (drawn)
)
WRITE_BYTES = 2**23  # bytes that are gathered before they are written


class LostData(Exception):
    """The disk does not give back what was written to it a moment ago."""


def load_or_decode(wanted: ImageSetSpec, progress: ProgressCallback | None = None) -> ImageSet:
    """Return a set from the cache, else decode it, and keep it there if it can be told apart from others.

    `progress(done, total)` is called after each image. Raises what `decode` raises; a disk that does not do its part
    is no error.
    """
    keep = len(wanted.items) >= MIN_CACHED_IMAGES and cache_limit() > 0
    key = cache_key(wanted) if keep else None
    if key is None:
        return _decoded(wanted, MemoryWriter(wanted), progress)
    root = decoded_folder()
    cache_entries.remove_stale_if_any(root)
    if (found := cache_entries.lookup(root, key, wanted)) is not None:
        if progress:
            progress(len(wanted.items), len(wanted.items))
        return found
    with ExitStack() as stack:
        try:
            growing = CacheWriter(_workplace(root, key, wanted, stack), key, wanted)
        except OSError as error:
            cache_entries.warn_once(root, _reason(error))
            return _decoded(wanted, MemoryWriter(wanted), progress)
        stack.callback(growing.close)
        try:
            return _decoded(wanted, growing, progress)
        except LostData:
            return _decoded(wanted, MemoryWriter(wanted), progress)


def _decoded(wanted: ImageSetSpec, rows: "MemoryWriter | CacheWriter", progress: ProgressCallback | None) -> ImageSet:
    decode(wanted, rows, progress)
    return rows.whole()


def _workplace(root: Path, key: str, wanted: ImageSetSpec, stack: ExitStack) -> Path:
    """Return a new folder, which is locked and removed at the end of `stack`; raises `OSError`."""
    with locked(root, wait=True):  # nobody may sweep it before it is locked
        cache_entries.remove_stale(root)
        cache_entries.evict(root, wanted.bytes)
        part = Path(tempfile.mkdtemp(dir=root, prefix=f".{key}.", suffix=PART))
        stack.callback(shutil.rmtree, part, ignore_errors=True)
        stack.enter_context(locked(part))
    return part


class CacheWriter:
    """A set whose rows are written as they come, and which is put in its place when it is whole.

    Where the disk fails, all that was decoded is taken into memory, and the rest goes there.
    """

    def __init__(self, part: Path, key: str, wanted: ImageSetSpec) -> None:
        self.root, self.key, self.wanted = part.parent, key, wanted
        self.place = part / "entry"
        self.place.mkdir()
        self.files: dict[str, BinaryIO] = {}
        self.waiting: list[dict[str, np.ndarray]] = []  # rows that are not written yet
        self.written = 0  # rows
        self.piece = max(1, WRITE_BYTES * len(wanted.items) // wanted.bytes)  # rows
        self.memory: MemoryWriter | None = None  # what is filled instead, once the disk has failed
        for name, shape in wanted.shapes.items():
            file = self.files[name] = open(self._path(name), "wb", buffering=0)  # noqa: SIM115 (closed by `close`)
            self._all(file, cache_entries.header(shape))

    def add(self, rows: dict[str, np.ndarray]) -> None:
        """Take the next item's squares."""
        if self.memory is not None:
            return self.memory.add(rows)
        self.waiting.append(rows)
        if len(self.waiting) >= self.piece:
            self._write()

    def whole(self) -> ImageSet:
        """Return the set, all of whose rows were added, and put its entry in place."""
        self._write()
        if self.memory is not None:
            return self.memory.whole()
        try:
            self._settle()
            found = cache_entries.open_set(self.place, self.wanted)
        except (OSError, ValueError) as error:  # a disk whose files cannot be mapped, or that lost some
            return self._go_on_in_memory(error).whole()
        if cache_key(self.wanted) == self.key:  # no file was changed while it was decoded
            try:
                return self._put_in_place(found)
            except OSError as error:
                cache_entries.warn_once(self.root, _reason(error))
        return found  # its files are mapped: they may lose their name

    def close(self) -> None:
        """Close the files."""
        for file in self.files.values():
            file.close()

    def _path(self, name: str) -> Path:
        return self.place / f"{name}.npy"

    def _write(self) -> None:
        """Write the rows that wait; where that fails, go on in memory."""
        try:
            for name, file in self.files.items():
                self._all(file, b"".join(np.ascontiguousarray(rows[name]) for rows in self.waiting))
        except OSError as error:
            self._go_on_in_memory(error)
        else:
            self.written += len(self.waiting)
            self.waiting = []

    @staticmethod
    def _all(file: BinaryIO, content: bytes) -> None:
        """Write all of `content`: a full disk may take a part of it first."""
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]

    def _settle(self) -> None:
        """See to it that the files lie on the disk before their entry says so."""
        for file in self.files.values():
            os.fsync(file.fileno())
        self.close()

    def _go_on_in_memory(self, error: Exception) -> MemoryWriter:
        """Take what was written, and what waits, into memory."""
        cache_entries.warn_once(self.root, _reason(error))
        self.memory = MemoryWriter(self.wanted)
        try:
            for name, array in self.memory.arrays.items():
                done, begin = array[: self.written], len(cache_entries.header(array.shape))
                done[:] = np.fromfile(self._path(name), np.uint8, done.size, offset=begin).reshape(done.shape)
        except (OSError, ValueError):
            raise LostData from None
        self.memory.count = self.written
        for rows in self.waiting:
            self.memory.add(rows)
        self.waiting = []
        return self.memory

    def _put_in_place(self, made: ImageSet) -> ImageSet:
        """Let the entry have its name; return the set as another process kept it, if one was faster."""
        facts = cache_entries.entry_record(self.key, self.wanted, self.place, made)
        write_json(self.place / cache_entries.ENTRY, facts)
        with locked(self.root, wait=True):
            if (other := cache_entries.lookup(self.root, self.key, self.wanted)) is not None:
                return other
            place, taken = self.root / self.key, self.wanted.bytes
            cache_entries.evict(self.root, taken, written=taken)  # others may have taken it since
            if os.path.lexists(place):  # not whole, or not ours
                cache_entries.remove(place)
            self.place.rename(place)
        cache_entries.in_use.add(place)
        return made.with_digests(facts["digests"])


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
