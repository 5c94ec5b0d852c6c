"""DICOM series: a folder of single-frame files of one series, read with pydicom and ordered by their positions."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.datasets.volume_files.header import LPS, VolumeHeader, checked_header, exact_numbers, integer_range, scaled
from cgbench.datasets.volume_files.meta_image import simple_itk
from cgbench.errors import DataBroken, error_line
from cgbench.formatting import plural

OTHER_FILES = (".txt", ".csv", ".json", ".xml", ".html", ".md", ".pdf")  # that may lie beside the slices
TAGS = (
    "SeriesInstanceUID", "Modality", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows",
    "Columns", "SamplesPerPixel", "NumberOfFrames", "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept",
    "BitsStored", "PixelRepresentation",
)  # fmt: skip
UNEVEN = 0.02  # share of the usual distance by which a distance between slices may differ
TILT = 0.01  # share of the distance by which a slice may be shifted within its plane
SAME = 1e-3  # difference of spacings and direction cosines within a series
NAMED = 4  # series that a message names


@dataclass(frozen=True, eq=False)
class Series:
    """The slices of a series in the order of their positions: files, headers, affine of the array (slice, row,
    column)."""

    files: tuple[Path, ...]
    headers: tuple[Any, ...]
    affine: np.ndarray


def slice_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may be slices, sorted by name."""
    files = (path for path in folder.iterdir() if path.is_file())
    return sorted(
        path for path in files
        if not path.name.startswith(".") and path.name != "DICOMDIR" and path.suffix.lower() not in OTHER_FILES
    )  # fmt: skip


def read_header(folder: Path) -> VolumeHeader:
    """Return the header of a series; whatever makes the folder no single volume raises `DataBroken`."""
    series = find_series(folder)
    first = series.headers[0]
    bits, signed = int(first.BitsStored), bool(first.PixelRepresentation)
    dtype = np.dtype(("int" if signed else "uint") + ("8" if bits <= 8 else "16" if bits <= 16 else "32"))
    ends = [integer_range(dtype, *_scale(header)) for header in series.headers]
    known = [found for found in ends if found is not None]
    integers = (min(low for low, _ in known), max(high for _, high in known)) if len(known) == len(ends) else None
    modality = {"CT": "ct", "MR": "mr"}.get(str(first.get("Modality", "")), "")
    shape = (len(series.files), int(first.Rows), int(first.Columns))
    return checked_header(VolumeHeader(folder, "DICOM", shape, series.affine, str(dtype), integers, modality))


def read_voxels(folder: Path) -> np.ndarray:
    """Return the numbers of a series (slice, row, column) after slope and intercept, int16, uint16 or float32."""
    series = find_series(folder)
    slices = [_pixels(file, header) for file, header in zip(series.files, series.headers, strict=True)]
    return exact_numbers(folder, np.stack(slices))


def find_series(folder: Path) -> Series:
    """Return the slices of the one series of a folder, in order; another content raises `DataBroken`."""
    files = slice_files(folder)
    headers = [_header(path) for path in files]
    _ensure_one_series(folder, headers)
    for file, header in zip(files, headers, strict=True):
        _ensure_grey_slice(file, header)
        for name in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
            if not np.allclose(header[name].value, headers[0][name].value, atol=SAME):
                raise DataBroken(f"{file}: its {name} is not that of {files[0].name}: keep one series in the folder")
    directions = np.asarray(headers[0].ImageOrientationPatient, np.float64).reshape(2, 3)
    normal = np.cross(*directions)
    positions = np.asarray([header.ImagePositionPatient for header in headers], np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    files, headers, positions = [files[i] for i in order], [headers[i] for i in order], positions[order]
    step = _step(files, positions, normal)
    down, across = (float(length) for length in headers[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([step, directions[1] * down, directions[0] * across])
    affine[:3, 3] = positions[0]
    return Series(tuple(files), tuple(headers), LPS @ affine)


def _header(path: Path) -> Any:
    import pydicom

    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
    except (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError, AttributeError, KeyError) as error:
        raise DataBroken(f"{path}: is no DICOM file ({error_line(error)}): replace it or take it away") from error


def _ensure_one_series(folder: Path, headers: list[Any]) -> None:
    counts = Counter(str(header.get("SeriesInstanceUID", "")) for header in headers)
    if len(counts) > 1:
        named = [f"{series or 'none'} ({plural(count, 'file')})" for series, count in counts.most_common(NAMED)]
        more = f" and {len(counts) - NAMED} more" if len(counts) > NAMED else ""
        text = f"holds {len(counts)} series, {', '.join(named)}{more}"
        raise DataBroken(f"{folder}: {text}: keep one in the folder, by SeriesInstanceUID")
    if len(headers) < 2 and not any(int(header.get("NumberOfFrames") or 1) > 1 for header in headers):
        raise DataBroken(f"{folder}: holds {plural(len(headers), 'slice')}, which is no volume: add the others")


def _ensure_grey_slice(file: Path, header: Any) -> None:
    """Raise for several frames, colours, and a slice whose place or size is not said."""
    if int(header.get("NumberOfFrames") or 1) > 1:
        text = f"holds {header.NumberOfFrames} frames, which is not read"
        raise DataBroken(f"{file}: {text}: convert it to NIfTI, for example with dcm2niix")
    if int(header.get("SamplesPerPixel", 1)) != 1 or not str(header.get("PhotometricInterpretation")).startswith(
        "MONO"
    ):
        text = f"its pixels are {header.get('PhotometricInterpretation', 'of unknown colours')}, not grey values"
        raise DataBroken(f"{file}: {text}: use the original series")
    needed = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "BitsStored",
              "PixelRepresentation")  # fmt: skip
    absent = [name for name in needed if header.get(name) is None]
    if absent:
        raise DataBroken(f"{file}: has no {absent[0]}, so its place is unknown: use the original series")


def _step(files: list[Path], positions: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return the vector from slice to slice (3,) in millimetres; missing, doubled and tilted slices raise."""
    distances = np.diff(positions @ normal)
    usual = float(np.median(distances))
    if distances.min() <= 1e-4:
        index = int(distances.argmin())
        text = f"has the position of {files[index].name}: keep one phase or echo in the folder"
        raise DataBroken(f"{files[index + 1]}: {text}")
    off = np.abs(distances - usual)
    if off.max() > UNEVEN * usual:
        index = int(off.argmax())
        text = f"lies {distances[index]:g} mm from {files[index].name}, other slices {usual:g} mm"
        raise DataBroken(f"{files[index + 1]}: {text}: add the missing slices or resample the series")
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    if np.linalg.norm(step - normal * (step @ normal)) > TILT * usual:
        raise DataBroken(f"{files[0].parent}: its slices are shifted in their plane (gantry tilt): resample the series")
    return step


def _scale(header: Any) -> tuple[float, float]:
    return float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)


def _pixels(path: Path, header: Any) -> np.ndarray:
    """Return the numbers of a slice (row, column) after slope and intercept."""
    import pydicom

    try:
        whole = pydicom.dcmread(path)
        syntax = whole.file_meta.TransferSyntaxUID
        if syntax.is_compressed:
            return _decompressed(path, str(syntax.name), (int(header.Rows), int(header.Columns)))
        return scaled(whole.pixel_array, *_scale(header))
    except (OSError, EOFError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise DataBroken(f"{path}: is truncated or damaged ({error_line(error)}): copy it again") from error


def _decompressed(path: Path, syntax: str, shape: tuple[int, int]) -> np.ndarray:
    """Return the numbers of a compressed slice; SimpleITK decodes JPEG, JPEG 2000 and RLE without further packages."""
    sitk = simple_itk()
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(os.fspath(path), imageIO="GDCMImageIO")).reshape(shape)
    except (RuntimeError, ValueError) as error:
        text = f"its compression ({syntax}) cannot be read, or it is damaged"
        raise DataBroken(f"{path}: {text}: decompress the series, for example with gdcmconv --raw") from error
