"""Pictures of one band at full depth on the page, where a script shows them by any window.

A picture's 16-bit numbers lie in the red and green bytes of a PNG. Integers are kept as they are; floating-point
numbers are rounded to 65,536 levels of the domain's window.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from cgbench.api.names import Direction
from cgbench.files import file_name
from cgbench.pixel_format import PixelFormat
from cgbench.reports.formats.display_windows import domain_formats, shown
from cgbench.reports.formats.images import UnreadableImage, read_png
from cgbench.reports.galleries.image_grid import INPUT, TRUTH, ImageGrids
from cgbench.reports.galleries.stored_numbers import StoredNumbers, block_means
from cgbench.reports.galleries.worst_images import DirectionGallery
from cgbench.results.run import SHOWN_ONCE, RunRecords, TrialResult

LEVELS = 65535
BUDGET = 8_000_000  # bytes of all packed pictures, before base64; beyond it they are reduced
FACTORS = (1, 2, 3, 4, 6, 8)
HOUNSFIELD = "HU"
PRESETS = (("soft tissue", -160, 240), ("lung", -1350, 150), ("bone", -450, 1050))  # HU: usual windows of CT viewers

Wanted = tuple[str, int | None, str, str]  # method, seed (None: of an untrained row), direction, file name of the key


@dataclass(frozen=True)
class WindowControl:
    """The control of one domain. Code `c` of a packed picture is the number `offset + c * step`; `presets` are names
    and windows, the whole window of the domain first."""

    letter: str
    name: str
    unit: str
    low: float
    high: float
    offset: float
    step: float
    text: str
    presets: tuple[tuple[str, float, float], ...]

    @property
    def rounded(self) -> bool:
        """Whether packed numbers are rounded to levels of the window."""
        return self.step != 1

    @property
    def number_step(self) -> str:
        """The step of the number fields."""
        return "any" if self.rounded else "1"


@dataclass(frozen=True)
class FullDepth:
    """What the page holds of its pictures beside the 8-bit ones: controls by domain, packed pictures as base64, and
    where each picture's lies among them. `factor` is how many times packed pictures were reduced; `coarse` names the
    domains of which some have the 256 levels of their 8-bit picture, as the run holds no finer numbers."""

    formats: Mapping[str, PixelFormat]
    controls: tuple[WindowControl, ...] = ()
    packed: tuple[str, ...] = ()
    places: Mapping[Wanted, int] = field(default_factory=dict)
    factor: int = 1
    coarse: tuple[str, ...] = ()

    def attributes(self, method: str, seed: int | None, direction: str, key: str) -> Markup:
        """Return the attributes of an image element: what it shows, and its packed picture; "" for 8-bit RGB."""
        letter = letter_of(method, direction)
        text = shown(self.formats.get(letter))
        if not text:
            return Markup("")
        place = self.places.get((method, seed, direction, file_name(key)))
        numbers = "" if place is None else f' data-domain="{letter}" data-numbers="{place}"'
        return Markup(f' data-shown="{escape(text)}"{numbers}')


def letter_of(method: str, direction: str) -> str:
    """Return the domain of a method's pictures: the source's for the input, the target's for all others."""
    forth = direction.startswith(Direction.A_TO_B)
    return "A" if forth == (method == INPUT) else "B"


def full_depth(numbers: StoredNumbers, grids: ImageGrids, galleries: Sequence[DirectionGallery]) -> FullDepth:
    """Return the packed pictures of all that grids and galleries show of domains with one band."""
    run = numbers.run
    formats = domain_formats(run.dataset)
    names = [domain["name"] for domain in run.dataset.get("domains", ())]
    controls = {
        letter: _control(letter, name, formats[letter])
        for letter, name in zip("AB", names, strict=False)
        if letter in formats and formats[letter].channels == 1
    }
    images: dict[Wanted, tuple[WindowControl, np.ndarray]] = {}
    coarse: dict[str, str] = {}
    for wanted in dict.fromkeys([*_of_grids(run, grids), *_of_galleries(run, galleries)]):
        control = controls.get(letter_of(wanted[0], wanted[2]))
        if control is None:
            continue
        image = _numbers(numbers, wanted)
        if image is None and (image := _of_picture(numbers, wanted, control)) is not None:
            coarse[control.letter] = control.name
        if image is not None:
            images[wanted] = control, image[..., 0]
    for factor in FACTORS:
        packed = [pack(image, control, factor) for control, image in images.values()]
        if sum(map(len, packed)) <= BUDGET:
            break
    used = {control.letter for control, _ in images.values()}
    places = {wanted: place for place, wanted in enumerate(images)}
    shown_controls = tuple(control for letter, control in controls.items() if letter in used)
    files = tuple(base64.b64encode(file).decode() for file in packed)
    return FullDepth(formats, shown_controls, files, places, factor, tuple(coarse.values()))


def pack(image: np.ndarray, control: WindowControl, factor: int = 1) -> bytes:
    """Return numbers (H, W) as a PNG: the high byte of a number's code is red, the low byte green."""
    reduced = block_means(image, factor) if factor > 1 else image.astype(np.float64)
    codes = np.nan_to_num((reduced - control.offset) / control.step).round().clip(0, LEVELS).astype(np.uint16)
    colours = np.zeros((*codes.shape, 3), np.uint8)
    colours[..., 0], colours[..., 1] = codes >> 8, codes & 255
    buffer = io.BytesIO()
    Image.fromarray(colours).save(buffer, "PNG")
    return buffer.getvalue()


def _control(letter: str, name: str, pixels: PixelFormat) -> WindowControl:
    low, high = pixels.ends
    presets: list[tuple[str, float, float]] = [("whole window", low, high)]
    presets += [("display range", *pixels.display)] if pixels.display else []
    presets += PRESETS if pixels.unit == HOUNSFIELD else ()
    if pixels.dtype == "float32":
        offset, step = low, (high - low) / LEVELS
    else:
        offset, step = float(np.iinfo(pixels.dtype).min), 1.0
    return WindowControl(letter, name, pixels.unit, low, high, offset, step, shown(pixels), tuple(presets))


def _trial(numbers: StoredNumbers, method: str, seed: int | None) -> TrialResult | None:
    return numbers.untrained(method) if seed is None else numbers.of_seed(seed).get(method)


def _numbers(numbers: StoredNumbers, wanted: Wanted) -> np.ndarray | None:
    method, seed, direction, key = wanted
    if method == INPUT:
        return numbers.source(direction, key)
    return numbers.output(_trial(numbers, method, seed), direction, key)


def _of_picture(numbers: StoredNumbers, wanted: Wanted, control: WindowControl) -> np.ndarray | None:
    """Return numbers (H, W, 1) by the greys of a saved 8-bit picture; None where there is none."""
    method, seed, direction, key = wanted
    trial = _trial(numbers, method, seed)
    try:
        picture = read_png(trial.folder.output(direction, key))[1].convert("L") if trial else None
    except (FileNotFoundError, UnreadableImage):
        return None
    if picture is None:
        return None
    return control.low + np.asarray(picture)[..., None] * ((control.high - control.low) / 255)


def _of_grids(run: RunRecords, grids: ImageGrids) -> Iterable[Wanted]:
    for grid in grids.grids:
        for key in grid.keys:
            for column in grid.columns:
                seeds = [None] if run.roles[column.method] in SHOWN_ONCE else run.seeds
                yield from ((column.method, seed, grid.direction, file_name(key)) for seed in seeds)


def _of_galleries(run: RunRecords, galleries: Sequence[DirectionGallery]) -> Iterable[Wanted]:
    for gallery in galleries:
        for example in gallery.examples:
            key = file_name(example.key)
            yield from ((name, None, gallery.direction, key) for name in (INPUT, TRUTH))
            yield from ((name, gallery.seed, gallery.direction, key) for name in gallery.methods)
