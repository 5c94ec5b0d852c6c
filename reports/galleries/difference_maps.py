"""Difference maps: output minus truth in stored units, in colours that are symmetric around 0."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image

from cgbench.api.names import Direction
from cgbench.files import file_name
from cgbench.reports.formats.display_windows import amount, with_unit
from cgbench.reports.formats.picture_table import DIVERGING, Picture, PictureTable, Scale
from cgbench.reports.galleries.stored_numbers import StoredNumbers, block_means
from cgbench.reports.galleries.worst_images import DirectionGallery, shown_seed
from cgbench.selection import evenly_spaced

PERCENTILE = 99.5  # of absolute differences, the end of a scale: a few extremes would leave all else white
BUDGET = 4_000_000  # bytes of all maps of a page, before base64
FACTORS = (1, 2, 3, 4, 6, 8)
IMAGES = 4  # of the figure
NO_IMAGE = "no image"


@dataclass(frozen=True)
class DifferenceMap:
    """One map as a data URI, and its caption with the mean absolute difference of the picture."""

    uri: str
    caption: str


@dataclass(frozen=True)
class DifferenceMaps:
    """The maps of one direction's gallery by method and file name of the key, and the scale they share: ±`limit`, as a
    text with the unit, and its colour bar as a data URI. `note` says what the numbers are."""

    limit: str
    bar: str
    note: str
    maps: Mapping[tuple[str, str], DifferenceMap] = field(default_factory=dict)

    def of(self, method: str, key: str) -> DifferenceMap | None:
        """Return the map of a method's output for a test image, None where there is none."""
        return self.maps.get((method, file_name(key)))


class Difference(NamedTuple):
    """Output minus truth (H, W), float64, the mean over bands, and the mean absolute difference over all bands."""

    image: np.ndarray
    error: float


def difference(output: np.ndarray | None, truth: np.ndarray | None) -> Difference | None:
    """Return output minus truth; None where one is missing or another size."""
    if output is None or truth is None or output.shape != truth.shape:
        return None
    numbers = output.astype(np.float64) - truth
    return Difference(numbers.mean(axis=2), float(np.abs(numbers).mean()))


def symmetric_limit(differences: Sequence[np.ndarray]) -> float:
    """Return the end of a scale for differences: their absolute 99.5th percentile, rounded up to two digits; 1 where
    all are 0."""
    values = np.concatenate([np.abs(image[np.isfinite(image)]).ravel() for image in differences])
    limit = float(np.percentile(values, PERCENTILE)) if len(values) else 0.0
    limit = limit or float(values.max(initial=0.0))
    if not limit:
        return 1.0
    unit = 10.0 ** (math.floor(math.log10(limit)) - 1)
    return float(f"{math.ceil(limit / unit - 1e-9) * unit:.2g}")


def gallery_differences(numbers: StoredNumbers, galleries: Sequence[DirectionGallery]) -> dict[str, DifferenceMaps]:
    """Return the maps of all galleries whose target is not 8-bit RGB and whose test images are pairs, by direction."""
    found = {gallery.direction: _differences(numbers, gallery) for gallery in galleries}
    found = {direction: maps for direction, maps in found.items() if maps}
    for factor in FACTORS:
        drawn = {direction: _drawn(numbers, direction, maps, factor) for direction, maps in found.items()}
        if sum(len(entry.uri) for maps in drawn.values() for entry in maps.maps.values()) * 3 // 4 <= BUDGET:
            break
    return drawn if found else {}


def _differences(numbers: StoredNumbers, gallery: DirectionGallery) -> dict[tuple[str, str], Difference]:
    """Return the differences of all outputs of a gallery by method and file name of the key."""
    found, direction = {}, gallery.direction
    for method in gallery.methods:
        trial = next(trial for trial in numbers.run.trials_of(method) if trial.seed == gallery.seed)
        for example in gallery.examples:
            truth = numbers.truth(direction, example.key)
            if measured := difference(numbers.output(trial, direction, example.key), truth):
                found[method, file_name(example.key)] = measured
    return found


def _drawn(
    numbers: StoredNumbers, direction: str, found: Mapping[tuple[str, str], Difference], factor: int
) -> DifferenceMaps:
    pixels = numbers.formats(direction)[1]
    limit = symmetric_limit([image for image, _ in found.values()])
    maps = {
        wanted: DifferenceMap(_map_uri(block_means(image, factor), limit), f"MAE {amount(error, pixels.unit)}")
        for wanted, (image, error) in found.items()
    }  # fmt: skip
    bar = _map_uri(np.linspace(-limit, limit, 256)[None], limit)
    note = "Below an output: output − truth, blue where it is too low and red where it is too high"
    note += f", the mean over {pixels.channels} bands" if pixels.channels > 1 else ""
    note += ", all on the scale above; the few larger differences have its end colours. MAE is over the whole picture"
    note += ", so it differs from tables, which measure inside masks where a dataset has them."
    note += f" Maps are reduced {factor} times by averaging." if factor > 1 else ""
    return DifferenceMaps(with_unit(f"{limit:g}", pixels.unit), bar, note, maps)


def _difference_picture(output: np.ndarray | None, truth: np.ndarray | None, unit: str) -> Picture | str:
    measured = difference(output, truth)
    return Picture(measured.image, "difference", f"MAE {amount(measured.error, unit)}") if measured else NO_IMAGE


def _map_uri(image: np.ndarray, limit: float) -> str:
    """Return differences (H, W) as a PNG in colours, -limit to limit."""
    share = (np.nan_to_num(image, posinf=limit, neginf=-limit) / limit).clip(-1, 1)
    picture = Image.fromarray((127.5 + 127.5 * share).round().astype(np.uint8)).convert("P")
    colours = matplotlib.colormaps[DIVERGING](np.arange(256))[:, :3]
    picture.putpalette((255 * colours).round().astype(np.uint8).ravel().tolist())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def difference_table(numbers: StoredNumbers, direction: str, images: int = IMAGES) -> PictureTable | None:
    """Return the truth and the differences of all methods from it, for test images that are evenly spaced over those
    with scores, of one seed; None without pairs, and for 8-bit RGB."""
    seed, pixels = shown_seed(numbers.run), numbers.formats(direction)[1]
    keys = numbers.keys(direction) if seed is not None and not pixels.is_rgb8 else []
    keys = [keys[index] for index in evenly_spaced(len(keys), images)]
    truths = {key: numbers.truth(direction, key) for key in keys}
    cells: list[tuple[Picture | str, ...]] = [
        tuple(NO_IMAGE if truth is None else Picture(truth[..., 0], "target") for truth in truths.values())
    ]
    for trial in numbers.of_seed(seed).values():
        outputs = {key: numbers.output(trial, direction, key) for key in keys}
        cells.append(tuple(_difference_picture(outputs[key], truths[key], pixels.unit) for key in keys))
    found = [item.numbers for row in cells[1:] for item in row if isinstance(item, Picture)]
    if not found:
        return None
    limit, unit = symmetric_limit(found), f", {pixels.unit}" if pixels.unit else ""
    name = numbers.run.dataset["domains"][direction == Direction.A_TO_B]["name"]
    bands = "" if pixels.channels == 1 else " (band 1)"
    mean = "" if pixels.channels == 1 else f", mean over {pixels.channels} bands"
    scales = {
        "target": Scale(*pixels.ends, f"{name}{bands}{unit}"),
        "difference": Scale(-limit, limit, f"output − truth{mean}{unit}", diverging=True),
    }
    rows_shown = ("ground truth", *(f"{name} − truth" for name in numbers.of_seed(seed)))
    return PictureTable(
        f"difference-maps-{direction}", f"Differences from the truth, seed {seed}", tuple(keys), rows_shown,
        tuple(cells), scales, "MAE is over the whole picture; tables measure inside masks where a dataset has them.",
    )  # fmt: skip
