"""Body masks: the one that is given, else the largest connected part above a threshold, filled slice by slice."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.orientation import oriented_shape
from cgbench.errors import DataBroken

OTSU, NONE = "otsu", "none"
BINS = 256  # of the histogram that Otsu's threshold is found in
MASKS = 4  # in memory


def body_mask(volume: Path, mask: Path | None, rule: float | str, axis: str) -> np.ndarray:
    """Return 1 inside the body, uint8 (D, H, W), read-only.

    Without a mask file the rule decides: a number is a threshold in stored units (-500 HU separates a body from air),
    "otsu" that of Otsu (1979), by which the variance between the two classes is largest, and "none" takes all. Of what
    lies above it the largest connected part (6 neighbours) is kept, and its holes are filled in each slice, so that
    lungs and bowel belong to the body. A mask of another shape than the volume raises `DataBroken`.
    """
    return _mask(volume, mask, rule, axis, readers.file_state(volume), readers.file_state(mask) if mask else None)


def forget_masks() -> None:
    """Take the masks out of memory."""
    _mask.cache_clear()


@lru_cache(maxsize=MASKS)
def _mask(
    volume: Path, mask: Path | None, rule: float | str, axis: str, state: readers.State, mask_state: object
) -> np.ndarray:  # fmt: skip
    if mask is not None:
        inside = readers.oriented_voxels(mask, axis) != 0
        header = readers.read_header(volume)
        shape = oriented_shape(header.shape, header.affine, axis)
        if inside.shape != shape:
            found, wanted = (" × ".join(map(str, size)) for size in (inside.shape, shape))
            raise DataBroken(f"{mask}: is {found} voxels for a volume of {wanted}: give the mask of {volume.name}")
    elif rule == NONE:
        header = readers.read_header(volume)
        inside = np.ones(oriented_shape(header.shape, header.affine, axis), bool)
    else:
        inside = largest_part(readers.oriented_voxels(volume, axis), rule)
    found = inside.astype(np.uint8)
    found.flags.writeable = False
    return found


def largest_part(voxels: np.ndarray, rule: float | str) -> np.ndarray:
    """Return the largest connected part (6 neighbours) above the threshold, holes filled slice by slice, bool."""
    from scipy import ndimage

    above = voxels > (otsu_threshold(voxels) if rule == OTSU else float(rule))
    parts, count = ndimage.label(above)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        above = parts == sizes.argmax()
    return np.stack([ndimage.binary_fill_holes(image) for image in above])


def otsu_threshold(voxels: np.ndarray) -> float:
    """Return the number by which two classes differ most, the middle of the histogram's bins where several do: Otsu
    (1979), "A threshold selection method from gray-level histograms". Numbers that are all equal give that number."""
    counts, ends = np.histogram(voxels, BINS)
    centres = (ends[:-1] + ends[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below.astype(np.float64) * above * (means[0] - means[1]) ** 2
    best = np.flatnonzero(between == between.max())
    return float(ends[1 + best].mean()) if voxels.min() < voxels.max() else float(voxels.min())
