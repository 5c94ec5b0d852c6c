"""Pairs side by side told from plain photos, by whether the halves of an image continue each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgbench.datasets.images.stored import look_at
from cgbench.errors import DataBroken
from cgbench.selection import evenly_spaced

IMAGES = 8  # looked at, spread over the files
SPAN = 3  # columns: a seam that was resized or compressed is as wide
NEIGHBOURHOOD = 24  # columns on either side that the seam is compared with
SMOOTH = 2.0  # the seam of a photo differs less than this times its neighbourhood; photos of streets: 0.6 to 1.6
JUMP = 3.0  # the seam of a pair differs more than this
TEXTURE = 6.0  # grey levels by which a column must vary, or equal margins of two pictures look continuous


@dataclass(frozen=True)
class Seams:
    """The numbers of images looked at, of those whose halves continue each other, and of those with a seam."""

    images: int
    continuing: int
    jumping: int

    @property
    def plain_photos(self) -> bool:
        """Whether the images are single photos: at least three of four continue, and of the others most cannot tell."""
        return self.continuing > 0 and self.continuing >= 0.75 * self.images

    @property
    def unclear(self) -> bool:
        """Whether less than half of the images have a seam: read as pairs, which may be wrong."""
        return not self.plain_photos and 2 * self.jumping < self.images


def look_at_seams(paths: Sequence[Path]) -> Seams:
    """Return the seams of a few of the files; one that cannot be read counts as neither."""
    chosen = [continues(paths[index]) for index in evenly_spaced(len(paths), IMAGES)]
    return Seams(len(chosen), chosen.count(True), chosen.count(False))


def continues(path: Path) -> bool | None:
    """Return whether the halves of an image continue each other; None where that cannot be told."""
    try:
        pixels = look_at(path).astype(np.float32)
    except DataBroken:
        return None
    width = pixels.shape[1]
    if width < 4 * SPAN:
        return None
    differences = np.abs(pixels[:, SPAN:] - pixels[:, :-SPAN]).mean(axis=(0, 2))  # of columns SPAN apart
    middle = (width - SPAN) // 2  # its columns lie on both sides of the seam
    around = np.r_[max(0, middle - NEIGHBOURHOOD) : middle - SPAN, middle + SPAN + 1 : middle + NEIGHBOURHOOD + 1]
    near = float(np.median(differences[around[around < len(differences)]]))
    far = float(np.abs(pixels[:, width // 2 :] - pixels[:, : width - width // 2]).mean())  # of unrelated columns
    seam = float(differences[middle])
    if seam > JUMP * near and seam > TEXTURE:
        return False
    textured = min(float(pixels[:, column].std(axis=0).mean()) for column in (width // 2 - 2, width // 2 + 1)) > TEXTURE
    return True if seam < SMOOTH * near and textured and near < far / 2 else None
