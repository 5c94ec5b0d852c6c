"""Detection of maps of class ids that are given as pictures: grey files whose levels are numbers of classes.

A few files of a set are decoded, the first alone where it is a picture. Lossy files are none: compression keeps no ids.
The limits were set on label maps of CamVid, `streets` and `phantoms`, and on photos of CamVid, slices and drawings
darkened to a seventh and less, blurred, denoised, or compressed before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgbench.api.dataset import Dataset, Item
from cgbench.api.names import IGNORE, Split
from cgbench.datasets.checks.image_stats import PROCEDURAL_SIDE
from cgbench.datasets.checks.report import Issue
from cgbench.datasets.images.decoding import SIXTEEN_BIT_MODES, header
from cgbench.errors import CgbenchError
from cgbench.formatting import plural, shell_word
from cgbench.selection import evenly_spaced

LOOKED_AT = 8  # files of a set, evenly spaced
ROWS = 256  # of an image, evenly spaced
MAX_ID = 39  # the highest level of a class id other than 255; Cityscapes has ids up to 33
MIN_EQUAL = 0.7  # neighbours that are equal, off the most frequent level; label maps of 64 pixels and more have 0.77
MAX_SINGLE = 0.07  # pixels unlike both neighbours; photos that dark have 0.1 and more, unless they were blurred
MIN_JUMPS = 0.4  # unlike neighbours more than a level apart: brightness changes by small steps, classes do not
FEW_LEVELS, MIN_JUMPS_OF_FEW = 9, 0.2  # ids of few classes may be in order: organs inside bodies
PICTURE_LEVELS = 5  # fewer levels are no brightness of a picture
COLOUR_FACTORS = (37, 91, 151)  # odd: id × factor modulo 256 is another red, green and blue for every id
PALETTE_FORMATS = (".png", ".bmp", ".tif", ".tiff")
FIX = (
    "colour them: with a palette the files keep their ids and are read in its colours. If they are pictures all the "
    "same, spread their levels over 0 to 255"
)


@dataclass(frozen=True)
class GreyStats:
    """What neighbours across a grey image are like: its levels, the share of equal ones off the most frequent level,
    that of pixels unlike both neighbours, and the share of unlike neighbours that are more than a level apart."""

    levels: frozenset[int]
    equal: float
    single: float
    jumps: float


def check_id_maps(dataset: Dataset, listed: Mapping[tuple[str, str], Sequence[Item]]) -> list[Issue]:
    """Return an error for each split and domain whose files are maps of class ids and would arrive as almost black
    pictures. Drawn images and files that cannot be read are left out."""
    issues = []
    for (split, letter), items in listed.items():
        if split == Split.PAIRS or not dataset.domains[letter == "B"].pixels.is_rgb8:
            continue
        files = [item for item in items if item.file]
        found = _of_sample([files[index] for index in evenly_spaced(len(files), LOOKED_AT)])
        if not found or not are_ids(found):
            continue
        levels = sorted(frozenset[int]().union(*(stats.levels for stats in found)) - {IGNORE})
        void = f" and {IGNORE}" if any(IGNORE in stats.levels for stats in found) else ""
        equal = f"{np.median([stats.equal for stats in found]):.0%} of neighbouring pixels equal"
        text = (
            f"{split} {letter} holds maps of class ids, not pictures: {plural(len(found), 'file')} of {len(files)} "
            f"looked at, all grey, no level but {levels[0]} {'to' if len(levels) > 2 else 'and'} {levels[-1]}{void}, "
            f"{equal}: they would arrive almost black; colour them with a palette"
        )
        command = colour_command([item.file for item in files if item.file])
        issues.append(Issue("id-maps", "error", text, f"{FIX}{':' if command else ''}\n{command}".rstrip()))
    return issues


def are_ids(images: Sequence[GreyStats]) -> bool:
    """Return whether grey images of one set, without a level from `MAX_ID` + 1 to 254, are maps of class ids."""
    levels = frozenset[int]().union(*(stats.levels for stats in images)) - {IGNORE}
    if len(levels) <= 2:
        return len(levels) == 2  # a mask of 0 and 255 has one of them, and is a picture
    equal, single, jumps = (
        float(np.median([getattr(stats, name) for stats in images])) for name in ("equal", "single", "jumps")
    )
    if len(levels) < PICTURE_LEVELS:
        return equal >= MIN_EQUAL
    least = MIN_JUMPS_OF_FEW if len(levels) <= FEW_LEVELS else MIN_JUMPS
    return equal >= MIN_EQUAL and single <= MAX_SINGLE and jumps >= least


def grey_stats(image: np.ndarray) -> GreyStats | None:
    """Return the statistics of an image, uint8 (H, W, 3); None where it has a colour, or a level from `MAX_ID` + 1 to
    254."""
    grey = image[:: max(1, len(image) // ROWS), :, 0]
    found = frozenset(np.flatnonzero(np.bincount(image[..., 0].ravel(), minlength=256)).tolist())
    if max(found - {IGNORE}, default=0) > MAX_ID or (image != image[..., :1]).any():
        return None
    usual = np.bincount(grey.ravel()).argmax()
    steps, off = np.abs(np.diff(grey.astype(np.int16), axis=1)), grey != usual
    unlike = steps > 0
    single = unlike[:, :-1] & unlike[:, 1:] & off[:, 1:-1]
    return GreyStats(
        found, _share(~unlike[off[:, :-1]]), _share(single[off[:, 1:-1]]), _share(steps[unlike] > 1)
    )  # fmt: skip


def colour_command(files: Sequence[Path]) -> str:
    """Return the command that gives grey files of one folder a palette, in place and with their ids kept; "" where they
    lie in several folders or have several formats, or one without palettes."""
    folders, endings = {file.parent for file in files}, {file.suffix for file in files}
    ending = next(iter(endings))
    if len(folders) > 1 or len(endings) > 1 or ending.lower() not in PALETTE_FORMATS:
        return ""
    colours = f"bytes(i * k % 256 for i in range(256) for k in {COLOUR_FACTORS})"
    code = (
        "import glob; from PIL import Image; [(m := Image.open(f).convert('L'), "
        f"m.putpalette({colours}), m.save(f)) for f in glob.glob('*{ending}')]"
    )
    return f'(cd -- {shell_word(str(files[0].parent))} && python -c "{code}")'


def _of_sample(items: Sequence[Item]) -> list[GreyStats]:
    """Return the statistics of those of the items that can be read; none where one of them is no map of ids."""
    found = []
    for item in items:
        try:
            assert item.file is not None
            read = header(item.file)
            if read.lossy or read.mode in SIXTEEN_BIT_MODES:
                return []
            stats = grey_stats(item.image(PROCEDURAL_SIDE))
        except CgbenchError:  # said of the file by other checks
            continue
        if stats is None:
            return []
        found.append(stats)
    return found


def _share(true: np.ndarray) -> float:
    return float(true.mean()) if true.size else 0.0
