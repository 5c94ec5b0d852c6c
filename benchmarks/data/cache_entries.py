"""Decoded squares on disk, so that a picture is decoded once: .npy files that are mapped into memory, not read.

decoded/KEY/images.npy, labels.npy     uint8 (N, S, S, 3) and (N, S, S), the latter where labels are part of the set
decoded/KEY/entry.json                 schema, key, shapes, sizes and times of the files, digests of the content
decoded/.KEY.XXXX.part/                what is being written; its process holds the lock in it
decoded/.lock                          held for a moment by who adds or removes a folder

KEY says what decides the pixels (`key.py`). A folder appears under its name when it is whole. Whatever goes wrong
with the disk costs time, never a run: then images are decoded into memory, and one line says so.
"""

import io
import math
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.benchmarks.data.decode import ImageSetSpec
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.runtime.cache_dir import cache_limit
from cgbench.benchmarks.runtime.progress import console
from cgbench.errors import CgbenchError
from cgbench.files import PART, read_json
from cgbench.formatting import size
from cgbench.lock import InUse, locked

SCHEMA = 1  # rises whenever the files of an entry change their form
ENTRY = "entry.json"
RESERVE = 2**28  # bytes of the disk that are left to runs
in_use: set[Path] = set()  # entries that this process has mapped: they are not removed to make room
warned: set[Path] = set()  # folders of which was said that nothing is kept there


class NoRoom(OSError):
    """The cache's limit or the disk leaves no room for a set."""


def warn_once(root: Path, reason: object) -> None:
    """Say once that, and why, decoded images are not kept in the folder `root`."""
    if root not in warned:
        warned.add(root)
        console.print(f"decoded images are not kept in {root} ({reason}): they are decoded again next time")


def lookup(root: Path, key: str, wanted: ImageSetSpec) -> ImageSet | None:
    """Return the set that is kept under `key`; None where there is none, or one that is not whole or not ours."""
    place = root / key
    try:
        facts = read_json(place / ENTRY)
        files = {name: file_state(place / f"{name}.npy") for name in wanted.shapes}
        if facts["schema"] != SCHEMA or facts["key"] != key or facts["files"] != files:
            return None
        bare, whole = facts["digests"]
        found = open_set(place, wanted).with_digests((str(bare), str(whole)))
    except (CgbenchError, OSError, ValueError, KeyError, TypeError):
        return None
    in_use.add(place)
    with suppress(OSError):  # of somebody else, or on a disk that is only read
        os.utime(place / ENTRY)  # its time is that of its last use
    return found


def header(shape: tuple[int, ...]) -> bytes:
    """Return how a .npy file of uint8 in C order begins."""
    begin = io.BytesIO()
    np.lib.format.write_array_header_1_0(begin, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return begin.getvalue()


def open_set(place: Path, wanted: ImageSetSpec) -> ImageSet:
    """Map the arrays of a set into memory, read-only. A file that does not begin and end as its shape wants raises
    `ValueError`; nothing in it is interpreted, so that a foreign one cannot run code."""
    arrays = {}
    for name, shape in wanted.shapes.items():
        path, begin = place / f"{name}.npy", header(shape)
        with path.open("rb") as file:
            if file.read(len(begin)) != begin or path.stat().st_size != len(begin) + math.prod(shape):
                raise ValueError(f"{path} is not what was kept there")
            arrays[name] = np.asarray(np.memmap(file, np.uint8, "r", len(begin), shape))
    return ImageSet(wanted.keys, **arrays)


def file_state(path: Path) -> list[int]:
    """Return the size in bytes and the time of change of a file, as they are kept in its entry's record."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def entry_record(key: str, wanted: ImageSetSpec, place: Path, kept: ImageSet) -> dict[str, Any]:
    """Return what `entry.json` says of the files in `place`."""
    return {
        "schema": SCHEMA,
        "key": key,
        "set": f"{wanted.dataset.label}, {wanted.split} {wanted.domain}: {len(kept)} squares of {wanted.side} pixels",
        "digests": kept.digests(),
        "files": {name: file_state(place / f"{name}.npy") for name in wanted.shapes},
    }


def remove_stale(root: Path) -> None:
    """Remove what killed processes left; only for who holds the lock of `root`."""
    for part in root.glob(f".*{PART}"):
        try:
            with locked(part):
                shutil.rmtree(part, ignore_errors=True)
        except (InUse, OSError):
            continue  # somebody works on it, or it is not ours to remove


def remove_stale_if_any(root: Path) -> None:
    """Remove what killed processes left, if anything."""
    with suppress(OSError):  # a folder that is only read
        if any(root.glob(f".*{PART}")):
            with locked(root, wait=True):
                remove_stale(root)


def evict(root: Path, needed: int, written: int = 0) -> None:
    """Remove the entries whose last use is longest ago until `needed` bytes more fit, below the limit and on the disk,
    where `written` of them lie already.

    Only for who holds the lock of `root`. Entries in use by this process stay; other processes that have one mapped
    keep its content until they let go. Raises `NoRoom`, and removes nothing, where it cannot be done.
    """
    limit, entries = cache_limit(), sorted(_entries(root))
    above = needed + sum(taken for _, taken, _ in entries) - limit
    missing = needed - written + RESERVE - shutil.disk_usage(root).free
    idle = [(taken, path) for _, taken, path in entries if path not in in_use]
    most = sum(taken for taken, _ in idle)
    if above > most:
        raise NoRoom(f"a set of {size(needed)} does not fit below its limit of {size(limit)}: CGBENCH_CACHE_LIMIT")
    if missing > most:
        raise NoRoom(f"the disk has no room for a set of {size(needed)}")
    must_go = max(above, missing)
    for taken, path in idle:
        if must_go <= 0:
            break
        remove(path)
        must_go -= taken


def remove(place: Path) -> None:
    """Remove an entry or what has its name, so that no reader finds half of it."""
    aside = place.with_name(f".{place.name}.old{PART}")
    shutil.rmtree(aside, ignore_errors=True)
    place.rename(aside)
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink()


def _entries(root: Path) -> list[tuple[float, int, Path]]:
    """Return (time of last use, bytes, folder) of each entry; other things in the folder are none of ours."""
    found = []
    for place in root.iterdir():
        if len(place.name) == 32 and not set(place.name) - set("0123456789abcdef") and place.is_dir():
            files = {path.name: path.stat() for path in place.iterdir()}
            used = files[ENTRY].st_mtime if ENTRY in files else 0.0
            found.append((used, sum(file.st_size for file in files.values()), place))
    return found
