"""MetaImage files, read with SimpleITK: `.mha`, and `.mhd` with the file of numbers that it names."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.datasets.volume_files.header import LPS, VolumeHeader, checked_header, exact_numbers, integer_range
from cgbench.errors import DataBroken

HEADER_BYTES = 2**16  # that a header has at most
LOCAL = "LOCAL"  # the numbers follow the header


def read_header(path: Path) -> VolumeHeader:
    """Return the header of a file; more than three dimensions, and several numbers a voxel, raise `DataBroken`."""
    sitk = simple_itk()
    reader = sitk.ImageFileReader()
    reader.SetFileName(os.fspath(path))
    reader.SetImageIO("MetaImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise DataBroken(f"{path}: is no MetaImage file that can be read: replace it") from error
    size = reader.GetSize()
    if reader.GetDimension() != 3:
        text = f"has {reader.GetDimension()} dimensions ({' × '.join(map(str, size))}), not 3"
        raise DataBroken(f"{path}: {text}: store one volume a file")
    dtype = _types(sitk).get(reader.GetPixelIDValue())
    if reader.GetNumberOfComponents() != 1 or dtype is None:
        kind = sitk.GetPixelIDValueAsString(reader.GetPixelIDValue())
        raise DataBroken(f"{path}: its voxels are {kind}, not grey values: store one number a voxel")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * np.asarray(reader.GetSpacing())
    affine[:3, 3] = reader.GetOrigin()
    affine = LPS @ affine
    affine[:, :3] = affine[:, 2::-1]  # SimpleITK's arrays have the axes in reverse order
    ends = integer_range(np.dtype(dtype), 1, 0)
    return checked_header(VolumeHeader(path, "MetaImage", (size[2], size[1], size[0]), affine, dtype, ends))


def read_voxels(path: Path) -> np.ndarray:
    """Return the numbers of a file in the order of SimpleITK's arrays, int16, uint16 or float32."""
    sitk, header = simple_itk(), read_header(path)
    _ensure_whole(path, header)
    try:
        image = sitk.ReadImage(os.fspath(path), imageIO="MetaImageIO")
    except RuntimeError as error:
        raise DataBroken(f"{path}: is truncated or damaged: copy it again") from error
    return exact_numbers(path, sitk.GetArrayFromImage(image))


def data_file(path: Path) -> Path:
    """Return the file that holds the numbers: the named one of a `.mhd` file, else the file itself."""
    name = _fields(path)[0].get("ElementDataFile", LOCAL)
    return path if name.upper() == LOCAL else path.parent / name


def _ensure_whole(path: Path, header: VolumeHeader) -> None:
    """Raise where a file is shorter than its header says: MetaIO would print lines of its own."""
    fields, length = _fields(path)
    data = data_file(path)
    expected = int(np.prod(header.shape)) * np.dtype(header.stored).itemsize
    if fields.get("CompressedData", "").lower() == "true":
        expected = int(fields.get("CompressedDataSize", 0))
    try:
        found = data.stat().st_size - (length if data == path else 0)
    except OSError as error:
        raise DataBroken(f"{path}: names the file {data.name}, which is not there: copy it too") from error
    if found < expected:
        raise DataBroken(f"{data}: is truncated, {found:,} of {expected:,} bytes are there: copy it again")


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Return the fields of the header, and its length in bytes."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    fields, length = {}, 0
    for line in head.split(b"\n"):
        length += len(line) + 1
        name, _, value = line.decode("latin-1").partition("=")
        fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            break
    return fields, length


def simple_itk() -> Any:
    """Return SimpleITK, which prints no warnings of its own."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def _types(sitk: Any) -> dict[int, str]:
    """Return numpy's name of each type of SimpleITK's scalar voxels."""
    return {
        sitk.sitkInt8: "int8", sitk.sitkUInt8: "uint8", sitk.sitkInt16: "int16", sitk.sitkUInt16: "uint16",
        sitk.sitkInt32: "int32", sitk.sitkUInt32: "uint32", sitk.sitkInt64: "int64", sitk.sitkUInt64: "uint64",
        sitk.sitkFloat32: "float32", sitk.sitkFloat64: "float64",
    }  # fmt: skip
