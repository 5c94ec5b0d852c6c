"""NIfTI files, read with nibabel: `.nii` and `.nii.gz`, three-dimensional, of any orientation."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.datasets.volume_files.header import VolumeHeader, checked_header, exact_numbers, integer_range, scaled
from cgbench.errors import DataBroken, error_line


def read_header(path: Path) -> VolumeHeader:
    """Return the header of a file; more than three dimensions, colours and complex numbers raise `DataBroken`."""
    image = _open(path)
    shape, dtype = _shape(path, image), image.get_data_dtype()
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    codes = int(image.header["qform_code"]), int(image.header["sform_code"])
    return checked_header(
        VolumeHeader(
            path, "NIfTI", shape, np.asarray(image.affine, np.float64), str(dtype),
            integer_range(dtype, slope, intercept), oriented=any(codes),
        )
    )  # fmt: skip


def read_voxels(path: Path) -> np.ndarray:
    """Return the numbers of a file after slope and intercept, in its own axes, int16, uint16 or float32."""
    image = _open(path)
    shape = _shape(path, image)
    try:
        if path.suffix.lower() == ".gz":  # nibabel stops before the check sum at the end
            image = type(image).from_bytes(gzip.decompress(path.read_bytes()))
        stored = np.asarray(image.dataobj.get_unscaled()).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataBroken(f"{path}: is truncated or damaged ({error_line(error)}): copy it again") from error
    return exact_numbers(path, scaled(stored, float(image.dataobj.slope), float(image.dataobj.inter)))


def _open(path: Path) -> Any:
    import nibabel
    from nibabel.imageglobals import LoggingOutputSuppressor

    try:
        with LoggingOutputSuppressor():  # else its remarks are printed beside the error that names the file
            image: Any = nibabel.load(path)
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError) as error:
        raise DataBroken(f"{path}: is no NIfTI file, or is cut off in its header: copy it again") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataBroken(f"{path}: is truncated or damaged ({error_line(error)}): copy it again") from error
    if not isinstance(image, nibabel.Nifti1Image):
        raise DataBroken(f"{path}: holds {type(image).__name__}, not NIfTI: convert it")
    return image


def _shape(path: Path, image: Any) -> tuple[int, int, int]:
    """Return the three dimensions; further ones may only have length 1."""
    shape = tuple(int(length) for length in image.shape)
    if image.get_data_dtype().kind not in "iuf":
        raise DataBroken(f"{path}: its numbers are {image.get_data_dtype()}, not grey values: store one number a voxel")
    if len(shape) < 3 or any(length != 1 for length in shape[3:]):
        size = " × ".join(map(str, shape))
        raise DataBroken(f"{path}: has {len(shape)} dimensions ({size}), not 3: store one volume a file")
    return shape[0], shape[1], shape[2]
