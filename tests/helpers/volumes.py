"""Volumes for tests: written with nibabel, SimpleITK and pydicom, small and of any orientation."""

from pathlib import Path

import numpy as np
import pytest

RNG_SEED = 17
SHAPE = (9, 8, 7)  # left, posterior and superior of `body`


def libraries():
    """The libraries of the extra `medical`; a test is skipped without them."""
    found = [pytest.importorskip(name, reason="needs pip install 'cgbench[medical]'") for name in
             ("nibabel", "pydicom", "SimpleITK")]  # fmt: skip
    return tuple(found)


def body(seed: int, shape: tuple[int, int, int] = SHAPE, low: int = -1000) -> np.ndarray:
    """A CT-like patient (left, posterior, superior), int16: air, and a box of other numbers in all but the first and
    the last slice."""
    rng = np.random.default_rng([RNG_SEED, seed])
    voxels = np.full(shape, low, np.int16)
    inner = tuple(slice(1, length - 1) for length in shape)
    voxels[inner] = rng.integers(0, 900, voxels[inner].shape)
    return voxels


def affine_of(codes: str, spacing=(1.0, 1.0, 1.0), origin=(-20.0, 30.0, 40.0)) -> np.ndarray:
    """The affine (RAS) of an array whose axes run in the directions `codes`, such as "PIL"."""
    affine = np.eye(4)
    for axis, code in enumerate(codes):
        row = next(i for i, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        affine[:3, axis] = 0
        affine[row, axis] = spacing[axis] * (1 if code in "RAS" else -1)
    affine[:3, 3] = origin
    return affine


def save_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """A NIfTI file of an array (i, j, k) with an affine (RAS)."""
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine_of("LPS") if affine is None else affine, dtype=voxels.dtype), path)
    return path


def save_scaled(path: Path, stored: np.ndarray, affine: np.ndarray, slope: float, inter: float) -> Path:
    """An uncompressed NIfTI file of stored numbers with slope and intercept in its header."""
    import nibabel

    save_nifti(path, stored, affine)
    content = path.read_bytes()
    header = nibabel.Nifti1Header(content[:348])
    header["scl_slope"], header["scl_inter"] = slope, inter  # nibabel would divide the numbers when it saves
    path.write_bytes(header.binaryblock + content[348:])
    return path


def save_meta(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None, compressed: bool = False) -> Path:
    """A MetaImage file of an array (i, j, k) with an affine (RAS)."""
    import SimpleITK as sitk

    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-1, -1, 1, 1]) @ (affine_of("LPS") if affine is None else affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = sitk.GetImageFromArray(voxels.transpose())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    sitk.WriteImage(image, str(path), compressed)
    return path


def save_series(folder: Path, voxels: np.ndarray, spacing=(3.0, 0.8, 0.7), **changes) -> Path:
    """A DICOM series of an array (slice, row, column), axial, stored as uint16 with the intercept -1024 (CT)."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    series = generate_uid()
    for index, image in enumerate(voxels):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_ = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        slice_.SOPClassUID, slice_.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        slice_.SeriesInstanceUID, slice_.Modality, slice_.PatientID = series, "CT", folder.name
        slice_.Rows, slice_.Columns = image.shape
        slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 16, 15, 0
        slice_.PixelSpacing = [spacing[1], spacing[2]]
        slice_.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        slice_.ImagePositionPatient = [-10.0, -20.0, 5.0 + spacing[0] * index]
        slice_.RescaleSlope, slice_.RescaleIntercept = 1, -1024
        slice_.PixelData = (image.astype(np.int32) + 1024).astype(np.uint16).tobytes()
        for name, value in changes.items():
            setattr(slice_, name, value)
        assert pydicom  # the files are numbered against their order in space
        slice_.save_as(folder / f"{len(voxels) - index:04d}.dcm", enforce_file_format=True)
    return folder


def mr_of(voxels: np.ndarray) -> np.ndarray:
    """MR-like numbers of a CT-like volume, uint16: air is 0."""
    return np.where(voxels < -500, 0, 40000 + voxels.astype(np.int32)).astype(np.uint16)


def set_folders(root: Path, train: int = 2, test: int = 2) -> Path:
    """Sets of NIfTI (A, MR) and MetaImage (B, CT): other patients train A and B; test patients have both."""
    for index in range(train):
        save_nifti(root / "trainA" / f"a{index}.nii.gz", mr_of(body(index)))
        save_meta(root / "trainB" / f"b{index}.mha", body(100 + index))
    for index in range(test):
        save_nifti(root / "testA" / f"t{index}.nii.gz", mr_of(body(200 + index)), affine_of("RAS"))
        save_meta(root / "testB" / f"t{index}.mha", body(200 + index), affine_of("RAS"))
    return root


def cases(root: Path, count: int = 10, ending: str = ".mha", first: str = "mr") -> Path:
    """Folders of patients as SynthRAD has them, with masks."""
    save = save_meta if ending == ".mha" else save_nifti
    for index in range(count):
        folder = root / "Task1" / "pelvis" / f"1PA{index:03d}"
        save(folder / f"{first}{ending}", mr_of(body(index)))
        save(folder / f"ct{ending}", body(index))
        save(folder / f"mask{ending}", (body(index) > -500).astype(np.uint8))
    return root
