"""Readers of volumes: the format by the name of a file or folder, headers, and the last few decoded volumes in memory.

A volume is decoded once for all of its slices, not once for each.
"""

import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cgbench.datasets.volume_files import dicom_series, meta_image, nifti
from cgbench.datasets.volume_files.header import VolumeHeader
from cgbench.datasets.volume_files.orientation import oriented
from cgbench.errors import DataBroken

FORMATS = {".nii": nifti, ".nii.gz": nifti, ".mha": meta_image, ".mhd": meta_image}
LIBRARIES = ("nibabel", "pydicom", "SimpleITK")
DECODED = 4  # volumes in memory; a CT of 200 slices has 100 MB

State = tuple[tuple[str, int, int], ...]  # (path, size, time of change in ns) of each file of a volume


def missing_libraries() -> str | None:
    """Return None where the libraries are installed, else one line that says how to get them."""
    absent = [name for name in LIBRARIES if find_spec(name) is None]
    if not absent:
        return None
    return f"medical volumes need {', '.join(absent)}, not installed here: pip install 'cgbench[medical]'"


def extension(path: Path) -> str:
    """Return the extension by which a file is a volume, in lower case, or ""."""
    name = path.name.lower()
    return max((ending for ending in FORMATS if name.endswith(ending)), key=len, default="")


def files_of(path: Path) -> list[Path]:
    """Return the files that a volume is read from: the slices of a series, or header and numbers."""
    if path.is_dir():
        return dicom_series.slice_files(path)
    if extension(path) == ".mhd":
        return list(dict.fromkeys((path, meta_image.data_file(path))))
    return [path]


def file_state(path: Path) -> State:
    """Return what changes when a volume does; a file that is not there raises `DataBroken`."""
    try:
        return tuple((os.fspath(file), (status := file.stat()).st_size, status.st_mtime_ns) for file in files_of(path))
    except OSError as error:
        raise DataBroken(f"{error.filename or path}: {error.strerror}: copy it again") from error


def read_header(path: Path) -> VolumeHeader:
    """Return the header of a volume, a file or a folder of DICOM slices; one that is refused raises `DataBroken`."""
    return _header(path, file_state(path))


def read_voxels(path: Path) -> np.ndarray:
    """Return the numbers of a volume after slope and intercept in the file's axes, int16, uint16 or float32."""
    return _module(path).read_voxels(path)


def oriented_voxels(path: Path, axis: str) -> np.ndarray:
    """Return the numbers of a volume (D, H, W) with slices along `axis`, read-only, from memory where it was among the
    last ones."""
    return _oriented(path, axis, file_state(path))


def forget_voxels() -> None:
    """Take the decoded volumes out of memory."""
    _oriented.cache_clear()


@lru_cache(maxsize=4096)
def _header(path: Path, state: State) -> VolumeHeader:
    return _module(path).read_header(path)


@lru_cache(maxsize=DECODED)
def _oriented(path: Path, axis: str, state: State) -> np.ndarray:
    voxels = np.ascontiguousarray(oriented(read_voxels(path), _header(path, state).affine, axis))
    voxels.flags.writeable = False
    return voxels


def _module(path: Path):
    return dicom_series if path.is_dir() else FORMATS[extension(path)]
