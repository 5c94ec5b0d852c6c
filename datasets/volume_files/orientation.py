"""Orientation: the axes of a volume permuted and flipped so that slices of all volumes are the same way up.

Slices are shown as radiologists look at them, in DICOM's patient axes (LPS): columns of axial slices run from the
patient's right to the left, rows from anterior to posterior, and slices from inferior to superior. Nothing is
resampled: of an oblique volume the closest axes are taken.
"""

import numpy as np

# axis of the slices -> the direction in which slices, rows and columns of the oriented array run, in NIfTI's letters
DIRECTIONS = {"axial": "SPL", "coronal": "PIL", "sagittal": "LIP"}


def oriented(voxels: np.ndarray, affine: np.ndarray, axis: str) -> np.ndarray:
    """Return a view (D, H, W) of voxels in file order: slices along `axis`, rows downwards, columns to the right."""
    from nibabel.orientations import apply_orientation

    return apply_orientation(voxels, _transform(affine, axis))


def undone(slices: np.ndarray, affine: np.ndarray, axis: str) -> np.ndarray:
    """Return slices (D, H, W) in the order of the file whose affine is given: the inverse of `oriented`."""
    from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

    back = ornt_transform(axcodes2ornt(DIRECTIONS[axis]), io_orientation(affine))
    return np.ascontiguousarray(apply_orientation(slices, back))


def oriented_shape(shape: tuple[int, int, int], affine: np.ndarray, axis: str) -> tuple[int, int, int]:
    """Return the number of slices, rows and columns of a volume."""
    depth, height, width = np.asarray(shape)[_source_axes(affine, axis)]
    return int(depth), int(height), int(width)


def oriented_spacing(affine: np.ndarray, axis: str) -> tuple[float, float, float]:
    """Return the distance of slices, rows and columns in millimetres."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    between, down, across = lengths[_source_axes(affine, axis)]
    return float(between), float(down), float(across)


def obliqueness(affine: np.ndarray) -> float:
    """Return the largest angle between an axis of the volume and the patient axis that it is taken for, in degrees."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    axes = _source_axes(affine, "axial")  # of superior, posterior and left
    cosines = [abs(directions[row, axis]) for row, axis in zip((2, 1, 0), axes, strict=True)]
    return float(np.degrees(np.arccos(min(1.0, *cosines))))


def _transform(affine: np.ndarray, axis: str) -> np.ndarray:
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    return ornt_transform(io_orientation(affine), axcodes2ornt(DIRECTIONS[axis]))


def _source_axes(affine: np.ndarray, axis: str) -> np.ndarray:
    """Return which axis of the file becomes slices, rows and columns, int (3,)."""
    return np.argsort(_transform(affine, axis)[:, 0])
