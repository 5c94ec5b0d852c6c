"""Three orthogonal views of patients' volumes: source, output of each method, truth and difference.

A volume is one file of a run, or the slices of a patient put together in the order of their keys.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cgbench.api.names import DIRECTIONS, Direction
from cgbench.datasets.volume_files import orientation, readers
from cgbench.errors import CgbenchError
from cgbench.pixel_format import PixelFormat
from cgbench.reports.formats.display_windows import amount
from cgbench.reports.formats.picture_table import Picture, PictureTable, Scale
from cgbench.reports.galleries.difference_maps import symmetric_limit
from cgbench.reports.galleries.image_grid import TRUTH
from cgbench.reports.galleries.stored_numbers import StoredNumbers
from cgbench.reports.galleries.worst_images import shown_seed
from cgbench.results.run import TrialResult
from cgbench.selection import evenly_spaced

VIEWS = ("axial", "coronal", "sagittal")
PATIENTS = 2
LEAST_SLICES = 4  # of which a volume is shown
SOURCE, TARGET, DIFFERENCE = "source", "target", "difference"

ReadSlice = Callable[[str], np.ndarray | None]


@dataclass(frozen=True, eq=False)
class Volume:
    """Numbers (D, H, W): slices from inferior to superior, rows from anterior to posterior, columns from right to left;
    `spacing` in millimetres, None where it is not known."""

    numbers: np.ndarray
    spacing: tuple[float, float, float] | None

    def fits(self, other: "Volume") -> bool:
        """Return whether both have the same shape."""
        return self.numbers.shape == other.numbers.shape

    def minus(self, other: "Volume") -> "Volume":
        """Return the difference of two volumes of one shape, float64."""
        return Volume(self.numbers.astype(np.float64) - other.numbers, self.spacing)

    def center(self) -> tuple[int, int, int]:
        """Return the voxel in the middle of the body: the medians of all voxels above the mean of the volume."""
        inside = np.nonzero(self.numbers > self.numbers.mean())
        if not len(inside[0]):
            inside = np.nonzero(np.ones(self.numbers.shape, bool))
        depth, row, column = (int(np.median(places)) for places in inside)
        return depth, row, column

    def view(self, name: str, center: tuple[int, int, int]) -> tuple[np.ndarray, float]:
        """Return the view through a voxel, superior at the top, and the height of its pixels over their width."""
        depth, row, column = center
        between, down, across = self.spacing or (1.0, 1.0, 1.0)
        if name == "axial":
            return self.numbers[depth], down / across
        if name == "coronal":
            return self.numbers[::-1, row], between / across
        return self.numbers[::-1, :, column], between / down


def view_tables(numbers: StoredNumbers, direction: str) -> list[PictureTable]:
    """Return a table of views for a few patients, evenly spaced over those with volumes; none for other images."""
    seed = shown_seed(numbers.run)
    target = numbers.formats(direction)[1]
    if seed is None or target.channels != 1:
        return []
    slices = patients(numbers.keys(direction))
    names = [name for name, keys in slices.items() if len(keys) >= LEAST_SLICES]
    chosen = [names[index] for index in evenly_spaced(len(names), PATIENTS)]
    tables = [_table(numbers, direction, seed, name, slices[name]) for name in chosen]
    return [table for table in tables if table]


def patients(keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the keys `PATIENT/NN` of each patient in the order of their slices; other keys are left out."""
    found: dict[str, list[str]] = {}
    for key in keys:
        patient, _, index = key.rpartition("/")
        if patient and index.isdecimal():
            found.setdefault(patient, []).append(key)
    return {patient: sorted(of, key=lambda key: int(key.rpartition("/")[2])) for patient, of in found.items()}


def _table(
    numbers: StoredNumbers, direction: str, seed: int, patient: str, keys: Sequence[str]
) -> PictureTable | None:  # fmt: skip
    back = next(other for other in DIRECTIONS if other != direction)
    made = {name: _volume(numbers, trial, direction, patient, keys) for name, trial in numbers.of_seed(seed).items()}
    outputs = {name: volume for name, volume in made.items() if volume}
    truth = _volume(numbers, numbers.untrained(TRUTH), direction, patient, keys)
    given = _volume(numbers, numbers.untrained(TRUTH), back, patient, keys)
    if given is None:
        given = _stacked(lambda key: numbers.source(direction, key), keys)
    reference = truth or given or next(iter(outputs.values()), None)
    if reference is None or not outputs:
        return None
    center, target = reference.center(), numbers.formats(direction)[1]
    given, truth = (volume if volume and volume.fits(reference) else None for volume in (given, truth))
    outputs = {name: volume for name, volume in outputs.items() if volume.fits(reference)}
    differences = {name: volume.minus(truth) for name, volume in outputs.items()} if truth else {}

    def views(volume: Volume | None, scale: str) -> list[Picture | str]:
        if volume is None:
            return [""] * len(VIEWS)
        pictures = [volume.view(view, center) for view in VIEWS]
        return [Picture(image, scale, aspect=aspect) for image, aspect in pictures]

    rows = {"input": views(given, SOURCE)} if given else {}
    rows |= {"ground truth": views(truth, TARGET)} if truth else {}
    rows |= {name: views(volume, TARGET) for name, volume in outputs.items()}
    scales = _scales(numbers, direction, given is not None)
    if differences:
        rows = {name: [*row, *views(differences.get(name), DIFFERENCE)] for name, row in rows.items()}
        seen = [item.numbers for row in rows.values() for item in row[len(VIEWS) :] if isinstance(item, Picture)]
        limit = symmetric_limit(seen)
        label = f"output − truth{f', {target.unit}' if target.unit else ''}"
        scales[DIFFERENCE] = Scale(-limit, limit, label, diverging=True)
    errors = ", ".join(
        f"{name} {amount(float(np.abs(volume.numbers).mean()), target.unit)}" for name, volume in differences.items()
    )
    columns = (*VIEWS, *(f"{view} − truth" for view in VIEWS if differences))
    return PictureTable(
        f"views-{direction}-{patient}", f"{patient}, seed {seed}", columns, tuple(rows),
        tuple(map(tuple, rows.values())), scales, _note(reference, len(keys), errors),
    )  # fmt: skip


def _note(reference: Volume, slices: int, errors: str) -> str:
    text = f"Views through the middle of the body, of {slices} translated slices. "
    if reference.spacing is None:
        text += "Slices are stacked in the order of their keys, the first at the top. Their spacing is not recorded: "
        text += "voxels are drawn as cubes."
    else:
        text += (
            f"Spacing {' × '.join(f'{length:.3g}' for length in reference.spacing)} mm; superior is at the top, the "
        )
        text += "patient's right on the left."
    return text + (f" MAE over the whole volume: {errors}." if errors else "")


def _scales(numbers: StoredNumbers, direction: str, has_source: bool) -> dict[str, Scale]:
    names = [domain["name"] for domain in numbers.run.dataset["domains"]]
    names = names if direction == Direction.A_TO_B else names[::-1]
    formats = dict(zip((SOURCE, TARGET), numbers.formats(direction), strict=True))
    scales = {key: _grey(name, formats[key]) for key, name in zip(formats, names, strict=True)}
    return scales if has_source else {TARGET: scales[TARGET]}


def _grey(name: str, pixels: PixelFormat) -> Scale:
    return Scale(*pixels.ends, f"{name}{f', {pixels.unit}' if pixels.unit else ''}")


def _volume(
    numbers: StoredNumbers, trial: TrialResult | None, direction: str, patient: str, keys: Sequence[str]
) -> Volume | None:
    """Return a trial's volume of a patient, from its file or its slices; None where there is none."""
    if trial is None:
        return None
    path = numbers.volume_file(trial, direction, patient)
    if path is None:
        return _stacked(lambda key: numbers.output(trial, direction, key), keys)
    try:
        spacing = orientation.oriented_spacing(readers.read_header(path).affine, "axial")
        return Volume(readers.oriented_voxels(path, "axial"), spacing)
    except CgbenchError:
        return None


def _stacked(read: ReadSlice, keys: Sequence[str]) -> Volume | None:
    """Return slices of one size as a volume, the first at the top; None where one is missing or has several bands."""
    images = [read(key) for key in keys]
    found = [image[..., 0] for image in images if image is not None and image.shape[2] == 1]
    if len(found) < len(keys) or len({image.shape for image in found}) != 1:
        return None
    return Volume(np.stack(found[::-1]), None)
