"""Entries of the cache of decoded images on disk: .npy files that are mapped into memory, not read.

decoded/KEY/images.npy                 (N, H, W, C) in the domain's type
decoded/KEY/labels.npy, masks.npy      uint8 (N, H, W), where they are part of the set; sizes.npy: int32 (N, 2)
decoded/KEY/entry.json                 schema, key, height and width, sizes and times of the files, content digests
decoded/.KEY.XXXX.part/                an entry being written; its process holds the lock in it
decoded/.lock                          held briefly by a process that adds or removes a folder

KEY identifies the content (`cache_key.py`). A folder gets its final name when it is complete. Disk errors cost time
but never a run: images are then decoded into memory, and one line reports it.
"""

import io
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.benchmarks.data.decode import ArrayLayout, ImageSetSpec
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.runtime.cache_dir import cache_limit
from cgbench.benchmarks.runtime.progress import console
from cgbench.errors import CgbenchError
from cgbench.files import PART, open_file, read_json
from cgbench.formatting import size
from cgbench.lock import InUse, locked

SCHEMA = 2  # incremented whenever the format of an entry's files changes
ENTRY = "entry.json"
RESERVE = 2**28  # bytes of the disk that the cache leaves free for runs
in_use: set[Path] = set()  # entries that this process has mapped: they are not evicted
warned: set[Path] = set()  # folders for which `warn_once` has printed its line


class NoSpace(OSError):
    """The limit of the cache or the disk leaves no space for a set."""


def warn_once(root: Path, reason: object) -> None:
    """Print once per process that, and why, decoded images are not cached in the folder `root`."""
    if root not in warned:
        warned.add(root)
        console.print(f"decoded images are not kept in {root} ({reason}): they are decoded again next time")


def lookup(root: Path, key: str, spec: ImageSetSpec) -> ImageSet | None:
    """Return the cached set of `key`; None where there is none, or one that is incomplete or invalid."""
    folder = root / key
    try:
        record = read_json(folder / ENTRY)
        height, width = record["canvas"]
        canvas = int(height), int(width)
        files = {name: file_state(folder / f"{name}.npy") for name in spec.arrays(canvas)}
        if record["schema"] != SCHEMA or record["key"] != key or record["files"] != files:
            return None
        without_labels, with_labels = record["digests"]
        images = map_image_set(folder, spec, canvas).with_digests((str(without_labels), str(with_labels)))
    except (CgbenchError, OSError, ValueError, KeyError, TypeError):
        return None
    in_use.add(folder)
    with suppress(OSError):  # the entry of another user, or a read-only disk
        os.utime(folder / ENTRY)  # its time is that of its last use
    return images


def npy_header(layout: ArrayLayout) -> bytes:
    """Return the header of a .npy file of an array in C order."""
    buffer, described = io.BytesIO(), np.dtype(layout.dtype).str
    np.lib.format.write_array_header_1_0(buffer, {"descr": described, "fortran_order": False, "shape": layout.shape})
    return buffer.getvalue()


def map_image_set(folder: Path, spec: ImageSetSpec, canvas: tuple[int, int]) -> ImageSet:
    """Map the arrays of a set into memory, read-only. A file whose header or size does not match its shape raises
    `ValueError`; nothing in it is interpreted, so that a foreign file cannot run code."""
    arrays = {}
    for name, layout in spec.arrays(canvas).items():
        path, header = folder / f"{name}.npy", npy_header(layout)
        with open_file(path) as file:
            if file.read(len(header)) != header or path.stat().st_size != len(header) + layout.bytes:
                raise ValueError(f"{path} is not what was kept there")
            arrays[name] = np.asarray(np.memmap(file, layout.dtype, "r", len(header), layout.shape))
    return ImageSet(spec.keys, **arrays, pixels=spec.pixels)


def file_state(path: Path) -> list[int]:
    """Return the size in bytes and the time of change in nanoseconds of a file, as recorded in `entry.json`."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def entry_record(key: str, spec: ImageSetSpec, folder: Path, images: ImageSet) -> dict[str, Any]:
    """Return the content of `entry.json` for the files in `folder`."""
    height, width = images.images.shape[1:3]
    return {
        "schema": SCHEMA,
        "key": key,
        "set": spec.title,
        "canvas": [height, width],
        "digests": images.digests(),
        "files": {name: file_state(folder / f"{name}.npy") for name in spec.arrays((height, width))},
    }


def remove_stale(root: Path) -> None:
    """Remove what killed processes left behind. The caller must hold the lock of `root`."""
    for partial_folder in root.glob(f".*{PART}"):
        try:
            with locked(partial_folder):
                shutil.rmtree(partial_folder, ignore_errors=True)
        except (InUse, OSError):
            continue  # in use by another process, or not permitted


def remove_stale_if_any(root: Path) -> None:
    """Remove what killed processes left behind, if anything; takes the lock of `root` only then."""
    with suppress(OSError):  # a read-only folder
        if any(root.glob(f".*{PART}")):
            with locked(root, wait=True):
                remove_stale(root)


def evict(root: Path, needed: int, written: int = 0) -> None:
    """Evict the least recently used entries until `needed` more bytes fit, below the limit and on the disk, where
    `written` of them exist already.

    The caller must hold the lock of `root`. Entries in use by this process stay; other processes that have one mapped
    keep its content until they unmap it. Raises `NoSpace`, and removes nothing, where it cannot be done.
    """
    limit, entries = cache_limit(), sorted(_entries(root))
    over_limit = needed + sum(bytes_used for _, bytes_used, _ in entries) - limit
    lacking = needed - written + RESERVE - shutil.disk_usage(root).free
    unused = [(bytes_used, path) for _, bytes_used, path in entries if path not in in_use]
    evictable = sum(bytes_used for bytes_used, _ in unused)
    if over_limit > evictable:
        raise NoSpace(f"a set of {size(needed)} does not fit below its limit of {size(limit)}: CGBENCH_CACHE_LIMIT")
    if lacking > evictable:
        raise NoSpace(f"the disk has no room for a set of {size(needed)}")
    remaining = max(over_limit, lacking)
    for bytes_used, path in unused:
        if remaining <= 0:
            break
        remove(path)
        remaining -= bytes_used


def remove(folder: Path) -> None:
    """Remove an entry, or anything that has its name, atomically for readers."""
    aside = folder.with_name(f".{folder.name}.old{PART}")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink()


def _entries(root: Path) -> list[tuple[float, int, Path]]:
    """Return (time of last use, bytes, folder) of each entry; other things in the folder are ignored."""
    entries = []
    for folder in root.iterdir():
        if len(folder.name) == 32 and not set(folder.name) - set("0123456789abcdef") and folder.is_dir():
            files = {path.name: path.stat() for path in folder.iterdir()}
            last_use = files[ENTRY].st_mtime if ENTRY in files else 0.0
            entries.append((last_use, sum(file.st_size for file in files.values()), folder))
    return entries
