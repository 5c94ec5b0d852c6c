"""Writing of volumes: translated slices put together, with affine, orientation and spacing of the source volume.

Slices that are not given, because the body is not in them or a limit left them out, are filled with the low end of the
target's window. NIfTI and DICOM give NIfTI, MetaImage gives MetaImage; the header names cgbench.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.header import LPS, VolumeHeader
from cgbench.datasets.volume_files.meta_image import simple_itk
from cgbench.datasets.volume_files.orientation import oriented_shape, undone
from cgbench.errors import CgbenchError
from cgbench.pixel_format import PixelFormat

MILLIMETRES = "mm"
SCANNER = 1  # the code of an affine in the scanner's world


@dataclass(frozen=True, eq=False)
class AssembledVolume:
    """A patient's translated slices (D, H, W) as the dataset orders them, the source, and how many were translated."""

    patient: str
    slices: np.ndarray
    source: Path
    translated: int


def assembled(
    keys: Sequence[str], outputs: Sequence[np.ndarray], sources: Mapping[str, Path], axis: str, pixels: PixelFormat
) -> Iterator[AssembledVolume]:
    """Yield the volume of one patient after another.

    Args:
        keys: `PATIENT/SLICE` of each output, those of a patient together.
        outputs: Slices (H, W) or (H, W, 1) in stored numbers of the target, as large as those of the source.
        sources: The source volume of each patient.
        axis: The axis of the slices.
        pixels: The format of the target.

    Returns:
        Volumes in int16 or uint16 where that is the target's type, rounded and limited to it, else in float32.

    Raises:
        CgbenchError: for an output of another size than the slices of its source.
    """
    places: dict[str, list[tuple[int, int]]] = {}
    for place, key in enumerate(keys):
        patient, _, index = key.rpartition("/")
        places.setdefault(patient, []).append((int(index), place))
    for patient, of_patient in places.items():
        header = readers.read_header(sources[patient])
        shape = oriented_shape(header.shape, header.affine, axis)
        slices = np.full(shape, pixels.ends[0], np.float32)
        for number, place in of_patient:
            output = np.asarray(outputs[place], np.float32)
            output = output[..., 0] if output.ndim == 3 else output
            if output.shape != shape[1:]:
                text = f"an output of {output.shape} for slices of {shape[1:]}"
                raise CgbenchError(f"{keys[place]}: {text}: only whole slices make a volume (test_size=own)")
            slices[number] = output
        yield AssembledVolume(patient, _stored(slices, pixels.dtype), sources[patient], len(of_patient))


def suffix_for(reference: Path) -> str:
    """Return the extension of what is written for a source: `.mha` for MetaImage, else `.nii.gz`."""
    return ".mha" if readers.extension(reference) in (".mha", ".mhd") else ".nii.gz"


def write_volume(path: Path, slices: np.ndarray, reference: Path, axis: str, note: str = "") -> None:
    """Write slices (D, H, W), as the dataset orders them, in the axes and with the affine of the volume `reference`.

    Args:
        path: The file, `.nii`, `.nii.gz` or `.mha`.
        slices: Numbers in stored units, int16, uint16 or float32.
        reference: The source volume, a file or a folder of DICOM slices.
        axis: The axis of the slices.
        note: What the header says after "cgbench: "; NIfTI keeps 79 characters of both.

    Raises:
        CgbenchError: for another number or size of slices than the source has.
    """
    header = readers.read_header(reference)
    shape = oriented_shape(header.shape, header.affine, axis)
    if slices.shape != shape:
        raise CgbenchError(
            f"{path}: {slices.shape} slices for the source's {shape}: give all slices of {reference.name}"
        )
    voxels, text = undone(slices, header.affine, axis), f"cgbench: {note}" if note else "cgbench"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    (_write_meta_image if path.suffix == ".mha" else _write_nifti)(part, voxels, header, text)
    os.replace(part, path)


def _stored(slices: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "float32":
        return slices
    info = np.iinfo(dtype)
    return slices.round().clip(info.min, info.max).astype(dtype)


def _write_nifti(path: Path, voxels: np.ndarray, header: VolumeHeader, text: str) -> None:
    import nibabel

    image = nibabel.Nifti1Image(voxels, header.affine, dtype=voxels.dtype)
    image.set_sform(header.affine, SCANNER)
    image.set_qform(header.affine, SCANNER)  # of sheared axes the closest rotation: the sform is what counts
    image.header.set_xyzt_units(MILLIMETRES)
    image.header["descrip"] = text.encode("ascii", "replace")[:79]
    nibabel.save(image, path)


def _write_meta_image(path: Path, voxels: np.ndarray, header: VolumeHeader, text: str) -> None:
    """Write an array whose axes are those of SimpleITK's arrays, in reverse order of its indices."""
    sitk = simple_itk()
    image = sitk.GetImageFromArray(voxels)
    affine = (LPS @ header.affine)[:, [2, 1, 0, 3]]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetMetaData("Comment", " ".join(text.split()))
    sitk.WriteImage(image, os.fspath(path), True)
