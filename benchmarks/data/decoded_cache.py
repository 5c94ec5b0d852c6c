"""The cache of decoded images: a set is written in pieces while it is decoded, so that memory stays flat, and a killed
process leaves no complete entry."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cgbench.benchmarks.data import cache_entries
from cgbench.benchmarks.data.cache_key import cache_key
from cgbench.benchmarks.data.decode import ImageSetSpec, MemoryWriter, decode, find_canvas
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.runtime.cache_dir import cache_limit, decoded_folder
from cgbench.benchmarks.runtime.progress import console
from cgbench.files import PART, write_json
from cgbench.lock import locked
from cgbench.progress import ProgressCallback

# An entry costs 10 ms to make and 1 ms to open, an image 0.2 (small JPEG) to 10 ms (procedural).
MIN_CACHED_IMAGES = 32
WRITE_BYTES = 2**23  # bytes that are buffered before they are written


class LostData(Exception):
    """Data written to disk a moment ago cannot be read back."""


def load_or_decode(spec: ImageSetSpec, progress: ProgressCallback | None = None) -> ImageSet:
    """Return a set from the cache, else decode it, and cache it if it has a key.

    `progress(done, total)` is called after each image. Raises what `decode` raises; a failing disk is no error.
    """
    cacheable = len(spec.items) >= MIN_CACHED_IMAGES and cache_limit() > 0
    key = cache_key(spec) if cacheable else None
    if key is None:
        return _decoded_in_memory(spec, find_canvas(spec), progress)
    root = decoded_folder()
    cache_entries.remove_stale_if_any(root)
    if (cached := cache_entries.lookup(root, key, spec)) is not None:
        console.debug(f"{spec.title}: from the cache {root / key}")
        if progress:
            progress(len(spec.items), len(spec.items))
        return cached
    canvas = find_canvas(spec)
    with ExitStack() as stack:
        try:
            writer = CacheWriter(_partial_folder(root, key, spec.bytes(canvas), stack), key, spec, canvas)
        except OSError as error:
            cache_entries.warn_once(root, _reason(error))
            return _decoded_in_memory(spec, canvas, progress)
        stack.callback(writer.close)
        try:
            console.debug(f"{spec.title}: decoded")
            decode(spec, writer, canvas, progress)
            return writer.finish()
        except LostData:
            return _decoded_in_memory(spec, canvas, progress)


def _decoded_in_memory(spec: ImageSetSpec, canvas: tuple[int, int], progress: ProgressCallback | None) -> ImageSet:
    console.debug(f"{spec.title}: decoded")
    writer = MemoryWriter(spec, canvas)
    decode(spec, writer, canvas, progress)
    return writer.finish()


def _partial_folder(root: Path, key: str, needed: int, stack: ExitStack) -> Path:
    """Return a new folder, locked, and removed at the end of `stack`; raises `OSError`."""
    with locked(root, wait=True):  # no other process may remove it before it is locked
        cache_entries.remove_stale(root)
        cache_entries.evict(root, needed)
        part = Path(tempfile.mkdtemp(dir=root, prefix=f".{key}.", suffix=PART))
        stack.callback(shutil.rmtree, part, ignore_errors=True)
        stack.enter_context(locked(part))
    return part


class CacheWriter:
    """Writes the rows of a set to disk as they are added, and renames the entry to its key when it is complete.

    Where the disk fails, everything decoded so far is loaded into memory, and the remaining rows are added there.
    """

    def __init__(self, part: Path, key: str, spec: ImageSetSpec, canvas: tuple[int, int]) -> None:
        self.root, self.key, self.spec, self.canvas = part.parent, key, spec, canvas
        self.bytes = spec.bytes(canvas)
        self.entry_folder = part / "entry"
        self.entry_folder.mkdir()
        self.files: dict[str, BinaryIO] = {}
        self.pending: list[dict[str, np.ndarray]] = []  # rows that are not written yet
        self.written = 0  # rows
        self.rows_per_write = max(1, WRITE_BYTES * len(spec.items) // self.bytes)  # rows
        self.memory: MemoryWriter | None = None  # filled instead, once the disk has failed
        for name, layout in spec.arrays(canvas).items():
            file = self.files[name] = open(self._path(name), "wb", buffering=0)  # noqa: SIM115 (closed by `close`)
            self._write_all(file, cache_entries.npy_header(layout))

    def add(self, rows: dict[str, np.ndarray]) -> None:
        """Add the decoded arrays of the next item."""
        if self.memory is not None:
            return self.memory.add(rows)
        self.pending.append(rows)
        if len(self.pending) >= self.rows_per_write:
            self._write()

    def finish(self) -> ImageSet:
        """Return the set, and publish its entry; all rows must have been added."""
        self._write()
        if self.memory is not None:
            return self.memory.finish()
        try:
            self._sync()
            images = cache_entries.map_image_set(self.entry_folder, self.spec, self.canvas)
        except (OSError, ValueError) as error:  # files that cannot be mapped, or were lost
            return self._continue_in_memory(error).finish()
        if cache_key(self.spec) == self.key:  # no file changed while it was decoded
            try:
                return self._publish(images)
            except OSError as error:
                cache_entries.warn_once(self.root, _reason(error))
        return images  # its files are mapped: they may be unlinked

    def close(self) -> None:
        """Close the files."""
        for file in self.files.values():
            file.close()

    def _path(self, name: str) -> Path:
        return self.entry_folder / f"{name}.npy"

    def _write(self) -> None:
        """Write the pending rows; where that fails, continue in memory."""
        try:
            for name, file in self.files.items():
                self._write_all(file, b"".join(np.ascontiguousarray(rows[name]).data for rows in self.pending))
        except OSError as error:
            self._continue_in_memory(error)
        else:
            self.written += len(self.pending)
            self.pending = []

    @staticmethod
    def _write_all(file: BinaryIO, content: bytes) -> None:
        """Write all of `content`: a full disk may accept a part of it first."""
        remaining = memoryview(content)
        while remaining:
            remaining = remaining[file.write(remaining) :]

    def _sync(self) -> None:
        """Flush the files to disk before their entry is recorded."""
        for file in self.files.values():
            os.fsync(file.fileno())
        self.close()

    def _continue_in_memory(self, error: Exception) -> MemoryWriter:
        """Load the written rows, and move the pending ones, into memory."""
        cache_entries.warn_once(self.root, _reason(error))
        self.memory = MemoryWriter(self.spec, self.canvas)
        try:
            for name, array in self.memory.arrays.items():
                rows, layout = array[: self.written], self.spec.arrays(self.canvas)[name]
                offset = len(cache_entries.npy_header(layout))
                rows[:] = np.fromfile(self._path(name), layout.dtype, rows.size, offset=offset).reshape(rows.shape)
        except (OSError, ValueError):
            raise LostData from None
        self.memory.count = self.written
        for pending in self.pending:
            self.memory.add(pending)
        self.pending = []
        return self.memory

    def _publish(self, images: ImageSet) -> ImageSet:
        """Rename the entry to its key; return the set of another process that published the entry first, if any."""
        record = cache_entries.entry_record(self.key, self.spec, self.entry_folder, images)
        write_json(self.entry_folder / cache_entries.ENTRY, record)
        with locked(self.root, wait=True):
            if (published := cache_entries.lookup(self.root, self.key, self.spec)) is not None:
                return published
            folder, bytes_used = self.root / self.key, self.bytes
            # another process may have used the space since
            cache_entries.evict(self.root, bytes_used, written=bytes_used)
            if os.path.lexists(folder):  # incomplete or invalid
                cache_entries.remove(folder)
            self.entry_folder.rename(folder)
        cache_entries.in_use.add(folder)
        return images.with_digests(record["digests"])


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
