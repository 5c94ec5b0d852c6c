"""The header of a volume: shape, affine and stored type, and the checks that all formats share."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgbench.errors import DataBroken

INT16, UINT16, FLOAT32 = "int16", "uint16", "float32"
MIN_DETERMINANT = 1e-6  # of an affine whose columns have length 1; below it the axes of the volume are not independent
LPS = np.diag(
    [-1.0, -1.0, 1.0, 1.0]
)  # between the world axes of DICOM and ITK (left, posterior, superior) and of NIfTI


@dataclass(frozen=True, eq=False)
class VolumeHeader:
    """What a volume's header says, in the axes of the array that is read.

    `affine` (4, 4) maps array indices to millimetres in NIfTI's world, whose axes point right, anterior, superior.
    `stored` is the type in the file. `integers` are the ends of what that type can hold after slope and intercept,
    None where numbers need not be integers. `modality` is "ct", "mr" or "" where the file does not say it.
    """

    path: Path
    kind: str  # NIfTI, MetaImage or DICOM
    shape: tuple[int, int, int]
    affine: np.ndarray
    stored: str
    integers: tuple[int, int] | None
    modality: str = ""
    oriented: bool = True  # whether the file says where left and right are


def checked_header(header: VolumeHeader) -> VolumeHeader:
    """Return the header; an empty volume, or an affine that cannot be inverted, raises `DataBroken`."""
    if min(header.shape) < 1:
        raise DataBroken(f"{header.path}: has the shape {header.shape}: replace it")
    columns = header.affine[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    if not np.isfinite(header.affine).all() or lengths.min() <= 0:
        raise DataBroken(f"{header.path}: its affine has an axis without length: mend the header")
    if abs(np.linalg.det(columns / lengths)) < MIN_DETERMINANT:
        raise DataBroken(f"{header.path}: its affine is singular, two axes point the same way: mend the header")
    return header


def integer_range(dtype: np.dtype, slope: float, intercept: float) -> tuple[int, int] | None:
    """Return the lowest and highest number of a stored type after slope and intercept; None unless all are integers."""
    if dtype.kind not in "iu" or slope != int(slope) or intercept != int(intercept):
        return None
    info = np.iinfo(dtype)
    ends = (int(info.min) * int(slope) + int(intercept), int(info.max) * int(slope) + int(intercept))
    return min(ends), max(ends)


def number_type(low: float, high: float) -> str:
    """Return the smallest of int16 and uint16 that holds integers from `low` to `high`, else float32."""
    for name in (INT16, UINT16):
        if np.iinfo(name).min <= low and high <= np.iinfo(name).max:
            return name
    return FLOAT32


def exact_numbers(path: Path, numbers: np.ndarray) -> np.ndarray:
    """Return numbers of any type as int16 or uint16 where these hold them exactly, else as float32.

    Numbers that are not finite raise `DataBroken`.
    """
    if numbers.dtype.kind == "f":
        bad = numbers.size - int(np.isfinite(numbers).sum())
        if bad:
            text = f"{bad:,} of its {numbers.size:,} numbers are NaN or infinite"
            raise DataBroken(f"{path}: {text}: replace them, with -1000 for air in CT")
    elif numbers.dtype.kind not in "iub":
        raise DataBroken(f"{path}: its numbers are {numbers.dtype}: store integers or floating-point numbers")
    name = number_type(numbers.min(), numbers.max())
    if name != FLOAT32 and numbers.dtype.kind == "f" and not (numbers == np.rint(numbers)).all():
        name = FLOAT32
    return numbers.astype(name, copy=False)


def as_type(path: Path, numbers: np.ndarray, dtype: str, advice: str) -> np.ndarray:
    """Return numbers of any shape as int16, uint16 or float32; integer types that do not hold them exactly raise
    `DataBroken`, whose line ends with `advice`."""
    if numbers.dtype != dtype and dtype != FLOAT32:
        info = np.iinfo(dtype)
        if numbers.dtype.kind == "f" or numbers.min() < info.min or numbers.max() > info.max:
            raise DataBroken(f"{path}: its numbers are no {dtype}: {advice}")
    return np.ascontiguousarray(numbers.astype(dtype))


def scaled(numbers: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return `numbers * slope + intercept`, in float64 where that changes them."""
    if slope == 1 and intercept == 0:
        return numbers
    return numbers.astype(np.float64) * slope + intercept
