"""Stored numbers of a run's pictures: outputs, truth and sources as they were before they became 8-bit pictures."""

import math
from functools import cached_property
from pathlib import Path

import numpy as np

from cgbench.api.metric import SOURCE
from cgbench.api.names import Direction, TrialState
from cgbench.datasets.volume_files import orientation, readers
from cgbench.errors import IMAGE_ERRORS, CgbenchError
from cgbench.files import file_name
from cgbench.pixel_format import RGB8, PixelFormat, display_rgb
from cgbench.reports.formats.display_windows import domain_formats
from cgbench.reports.formats.images import read_png
from cgbench.reports.galleries.image_grid import INPUT, TRUTH
from cgbench.results.record_files import read_score_rows
from cgbench.results.run import RunRecords, TrialResult
from cgbench.results.run_folder import TrialFolder

VOLUME_SUFFIXES = (".nii.gz", ".mha")


class StoredNumbers:
    """The stored numbers that a run folder holds. Images are (H, W, C) in the type and unit of their domain."""

    def __init__(self, run: RunRecords) -> None:
        self.run = run
        self.by_letter = domain_formats(run.dataset)
        self._axes: dict[str, str] = {}

    def formats(self, direction: str) -> tuple[PixelFormat, PixelFormat]:
        """Return the formats of a direction's sources and targets."""
        source, target = ("A", "B") if direction == Direction.A_TO_B else ("B", "A")
        return self.by_letter.get(source, RGB8), self.by_letter.get(target, RGB8)

    def untrained(self, method: str) -> TrialResult | None:
        """Return the first finished trial of an untrained row, whose images are those of every seed."""
        trials = self.run.trials_of(method) if method in self.run.order else []
        return next((trial for trial in trials if trial.state == TrialState.DONE), None)

    def of_seed(self, seed: int | None) -> dict[str, TrialResult]:
        """Return the finished trials of one seed by trained method."""
        trials = [trial for name in self.run.trained for trial in self.run.trials_of(name) if trial.seed == seed]
        return {trial.method: trial for trial in trials if trial.state == TrialState.DONE}

    def output(self, trial: TrialResult | None, direction: str, key: str) -> np.ndarray | None:
        """Return a trial's translation of test image `key`; None where the target is 8-bit RGB, or no file holds it."""
        if trial is None or self.formats(direction)[1].is_rgb8:
            return None
        stem = trial.folder.numbers(direction) / file_name(key)
        for path in (stem.with_name(f"{stem.name}{suffix}") for suffix in (".png", ".tif")):
            if path.is_file():
                return _read_image(path)
        return self._slice(trial.folder, direction, key)

    def truth(self, direction: str, key: str) -> np.ndarray | None:
        """Return the true target of test image `key`; None without pairs."""
        return self.output(self.untrained(TRUTH), direction, key)

    def source(self, direction: str, key: str) -> np.ndarray | None:
        """Return test image `key` itself: where test images are pairs it is a true target of the other direction, else
        the copy in the target's format is taken back into the source's window, float32. None where that is coarser than
        the source."""
        source, target = self.formats(direction)
        if source.is_rgb8:
            return None
        back = Direction.B_TO_A if direction == Direction.A_TO_B else Direction.A_TO_B
        if (numbers := self.truth(back, key)) is not None:
            return numbers
        copy = self.output(self.untrained(INPUT), direction, key)
        if copy is None or source.channels != target.channels or _levels(target) < _levels(source):
            return None
        (low, high), (target_low, target_high) = source.ends, target.ends
        share = (copy.astype(np.float64) - target_low) / (target_high - target_low)
        return (low + share * (high - low)).astype(np.float32)

    def keys(self, direction: str) -> list[str]:
        """Return the keys of a direction's test images whose scores are known, sorted."""
        return sorted(self._keys[direction].values())

    def volume_file(self, trial: TrialResult, direction: str, patient: str) -> Path | None:
        """Return the volume that a trial saved of a patient, None where it saved none that can be read here."""
        stem = trial.folder.numbers(direction) / file_name(patient)
        paths = (stem.with_name(f"{stem.name}{suffix}") for suffix in VOLUME_SUFFIXES)
        return None if readers.missing_libraries() else next((path for path in paths if path.is_file()), None)

    @cached_property
    def _keys(self) -> dict[str, dict[str, str]]:
        """The keys of source images by their file names, from which a key cannot be read."""
        found: dict[str, dict[str, str]] = {direction: {} for direction in Direction}
        for trial in self.run.trials:
            if all(found.values()):
                break
            for row in read_score_rows(trial.folder.image_scores) if trial.folder.image_scores.is_file() else ():
                if row.get("of", SOURCE) == SOURCE:
                    found[row["direction"]][file_name(row["key"])] = row["key"]
        return found

    def _slice(self, folder: TrialFolder, direction: str, key: str) -> np.ndarray | None:
        """Return one slice of a patient's volume."""
        patient, _, index = self._keys[direction].get(file_name(key), "").rpartition("/")
        trial = next(trial for trial in self.run.trials if trial.folder == folder)
        path = self.volume_file(trial, direction, patient) if patient and index.isdecimal() else None
        try:
            axis = self._axis(folder, direction, key, path, int(index)) if path else ""
            return readers.oriented_voxels(path, axis)[int(index)][..., None] if path and axis else None
        except CgbenchError:
            return None

    def _axis(self, folder: TrialFolder, direction: str, key: str, path: Path, index: int) -> str:
        """Return the axis whose slice is the saved picture, which no file names; "" where none is."""
        if direction not in self._axes:
            picture = np.asarray(read_png(folder.output(direction, key))[1].convert("RGB"))
            target = self.formats(direction)[1]
            for axis in orientation.DIRECTIONS:
                voxels = readers.oriented_voxels(path, axis)
                fits = index < len(voxels) and voxels.shape[1:] == picture.shape[:2]
                if fits and (display_rgb(voxels[index][None, ..., None], target)[0] == picture).all():
                    self._axes[direction] = axis
                    break
        return self._axes.get(direction, "")


def _read_image(path: Path) -> np.ndarray | None:
    """Return the numbers of an image file (H, W, C), None for a damaged one."""
    try:
        if path.suffix == ".png":
            image = np.asarray(read_png(path)[1])
        else:
            import tifffile

            image = tifffile.imread(path)
    except (CgbenchError, *IMAGE_ERRORS, ValueError):
        return None
    return image[..., None] if image.ndim == 2 else image


def block_means(image: np.ndarray, factor: int) -> np.ndarray:
    """Return an image (H, W) reduced `factor` times by the means of square blocks, float64; the last row and column of
    blocks may be smaller."""
    rows, columns = (np.arange(0, length, factor) for length in image.shape)
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), rows, axis=0), columns, axis=1)
    heights, widths = (np.diff([*edges, length]) for edges, length in zip((rows, columns), image.shape, strict=True))
    return sums / np.outer(heights, widths)


def _levels(pixels: PixelFormat) -> float:
    """Return how many numbers of a format lie in its window."""
    return math.inf if pixels.dtype == "float32" else pixels.ends[1] - pixels.ends[0]
