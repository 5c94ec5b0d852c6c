"""`phantoms`: procedural MR-like and CT-like slices with exact tissue labels, for translation between modalities.

Anatomy k of a split is drawn from the stream (SEED, "phantoms", split, k) alone, in coordinates from -1 to 1, so that
it is the same at any resolution. The two domains show different people: those with a CT are larger, with more fat,
larger organs and more lesions. A translator without a constraint on the source tends to change its anatomy, which the
labels reveal: the subject of shape consistency (Zhang et al. 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from cgbench.api.dataset import Dataset, Domain, Item, SemanticClass
from cgbench.api.names import Split
from cgbench.api.registry import DATASETS
from cgbench.digests import source_digest
from cgbench.errors import CgbenchError
from cgbench.seeds import generator

SEED = 1  # of the dataset; a new one would make another dataset
IMAGE_MODULES = ("cgbench.datasets.phantoms", "cgbench.seeds")  # decide the pixels
TRAIN, TEST, VAL = 400, 50, 50  # anatomies of each population
SUPERSAMPLING = 3  # samples per pixel and axis; a grey value is their mean

PALETTE = (
    SemanticClass("air", (0, 0, 0)),
    SemanticClass("fat", (240, 210, 90)),
    SemanticClass("muscle", (170, 60, 50)),
    SemanticClass("bone", (245, 245, 235)),
    SemanticClass("organ", (120, 70, 150)),
    SemanticClass("fluid", (60, 140, 220)),
    SemanticClass("lesion", (80, 200, 90)),
)
AIR, FAT, MUSCLE, BONE, ORGAN, FLUID, LESION = range(len(PALETTE))
# mean grey of each tissue, 0 to 1: no monotonic curve maps one modality to the other
GREYS = {"mr": (0.03, 0.80, 0.30, 0.10, 0.46, 0.95, 0.66), "ct": (0.02, 0.28, 0.52, 0.97, 0.62, 0.42, 0.74)}
TEXTURE = 0.035  # standard deviation of the smooth variation within tissue
NOISE = 0.03  # standard deviation of the noise of a pixel


@dataclass(frozen=True)
class Population:
    """Ranges of a population's anatomies: half width and height of the body, thickness of the fat, size of the organs,
    and the share of people with a lesion."""

    width: tuple[float, float]
    height: tuple[float, float]
    fat: tuple[float, float]
    organ: tuple[float, float]
    lesion: float


POPULATIONS = {
    "mr": Population((0.62, 0.76), (0.48, 0.60), (0.05, 0.10), (0.26, 0.34), lesion=0.3),
    "ct": Population((0.74, 0.90), (0.58, 0.74), (0.10, 0.18), (0.34, 0.44), lesion=0.7),
}


@dataclass(frozen=True)
class Ellipse:
    """A filled ellipse of one tissue: centre, half axes, and the angle of the first axis in radians."""

    tissue: int
    x: float
    y: float
    a: float
    b: float
    angle: float = 0.0


def anatomy(split: str, index: int) -> tuple[Ellipse, ...]:
    """Return anatomy `index` of "train-mr", "train-ct", "test-mr" or "test-ct": ellipses in drawing order."""
    rng = generator(SEED, "phantoms", split, index)
    people = POPULATIONS[split.rpartition("-")[2]]
    width, height, fat = rng.uniform(*people.width), rng.uniform(*people.height), rng.uniform(*people.fat)
    w, h = width - fat, height - fat  # of the body within the fat
    tilt = rng.uniform(-0.08, 0.08)
    parts = [Ellipse(FAT, 0, 0, width, height, tilt), Ellipse(MUSCLE, 0, 0, w, h, tilt)]
    parts.append(Ellipse(FAT, 0, -0.1 * h, 0.86 * w, 0.72 * h, tilt))  # between the organs
    side = rng.uniform(-0.05, 0.05)
    size = rng.uniform(*people.organ)
    liver = Ellipse(ORGAN, -0.40 * w, side - 0.12 * h, size, 0.85 * size, rng.uniform(-0.5, 0.5))
    stomach = (0.42 * w, -0.30 * h + rng.uniform(-0.05, 0.05))
    parts += [liver, Ellipse(MUSCLE, *stomach, 0.26 * w, 0.24 * h, rng.uniform(0, 3))]
    parts.append(Ellipse(FLUID, *stomach, 0.20 * w, 0.17 * h, rng.uniform(0, 3)))
    parts.append(Ellipse(AIR, stomach[0], stomach[1] - 0.06 * h, 0.10 * w, rng.uniform(0.03, 0.07) * h))
    for sign in (-1, 1):
        kidney = sign * (0.46 + rng.uniform(-0.04, 0.04)) * w, 0.40 * h
        parts.append(Ellipse(ORGAN, *kidney, 0.13 * w, 0.19 * h, sign * rng.uniform(0.1, 0.5)))
        parts.append(Ellipse(FLUID, kidney[0] - sign * 0.04 * w, kidney[1], 0.04 * w, 0.07 * h))
    parts += _skeleton(rng, w, h, tilt)
    if rng.random() < people.lesion:
        radius, turn = rng.uniform(0.05, 0.10), rng.uniform(0, 2 * np.pi)
        place = liver.x + 0.45 * liver.a * np.cos(turn), liver.y + 0.45 * liver.b * np.sin(turn)
        parts.append(Ellipse(LESION, *place, radius, radius * rng.uniform(0.7, 1.0), turn))
    return tuple(parts)


def _skeleton(rng: np.random.Generator, w: float, h: float, tilt: float) -> list[Ellipse]:
    """Return ribs along the wall of the trunk, and a vertebra with its canal."""
    ribs = []
    for turn in np.linspace(0.15, 0.85, 6) * np.pi:
        for sign in (-1, 1):
            angle = -np.pi / 2 + sign * (turn + rng.uniform(-0.05, 0.05))
            x, y = 0.93 * w * np.cos(angle), 0.90 * h * np.sin(angle)
            x, y = x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)
            ribs.append(Ellipse(BONE, x, y, rng.uniform(0.05, 0.08), 0.028, angle + np.pi / 2))
    body = rng.uniform(0.13, 0.16)
    spine = [Ellipse(MUSCLE, sign * 0.2 * w, 0.74 * h, 0.17 * w, 0.16 * h) for sign in (-1, 1)]
    spine += [Ellipse(BONE, 0, 0.52 * h, body, 0.8 * body), Ellipse(BONE, 0, 0.78 * h, 0.05, 0.14 * h)]
    return [*ribs, *spine, Ellipse(FLUID, 0, 0.52 * h + 0.95 * body, 0.055, 0.045)]


def tissues(parts: Sequence[Ellipse], side: int) -> np.ndarray:
    """Return the tissue at the centre of each pixel, uint8 (side, side)."""
    centres = _centres(side)
    ids = np.full((side, side), AIR, np.uint8)
    for part in parts:
        reach = 1.001 * max(part.a, part.b)  # half the side of a square around the ellipse
        rows, columns = (slice(*np.searchsorted(centres, (at - reach, at + reach))) for at in (part.y, part.x))
        u, v = centres[columns] - part.x, centres[rows, None] - part.y
        c, s = np.cos(part.angle), np.sin(part.angle)
        inside = ((u * c + v * s) / part.a) ** 2 + ((v * c - u * s) / part.b) ** 2 <= 1
        ids[rows, columns][inside] = part.tissue
    return ids


def labels(split: str, index: int, side: int) -> np.ndarray:
    """Return the class ids of an anatomy, uint8 (side, side)."""
    return tissues(anatomy(split, index), side)


def slice_image(modality: str, split: str, index: int, side: int) -> np.ndarray:
    """Return the slice of an anatomy in "mr" or "ct", uint8 (side, side, 3), grey."""
    fine = tissues(anatomy(split, index), side * SUPERSAMPLING)
    blocks = (side, SUPERSAMPLING, side, SUPERSAMPLING)
    grey = np.asarray(GREYS[modality])[fine].reshape(blocks).mean(axis=(1, 3))
    inside = (fine != AIR).reshape(blocks).mean(axis=(1, 3))
    rng = generator(SEED, "phantoms", split, index, modality)
    x, y = _grid(side)
    grey += TEXTURE * inside * _waves(rng, x, y, waves=12, fastest=9 if modality == "mr" else 4)
    pixels = generator(SEED, "phantoms", split, index, modality, "sensor", side)
    if modality == "mr":
        grey *= 1 + 0.18 * _waves(rng, x, y, waves=3, fastest=0.6)  # the coil's field is uneven
        real, imaginary = grey + pixels.normal(0, NOISE, grey.shape), pixels.normal(0, NOISE, grey.shape)
        grey = np.hypot(real, imaginary)  # Rician noise: a magnitude is measured
    else:
        grey += inside * _streaks(rng, x, y) + pixels.normal(0, NOISE, grey.shape)
    levels = np.round(255 * grey.clip(0, 1)).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _centres(side: int) -> np.ndarray:
    """Return the pixel centres along one side, from -1 to 1."""
    return (np.arange(side) + 0.5) / side * 2 - 1


def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the pixel centres, from -1 to 1, to the right and down."""
    return np.meshgrid(_centres(side), _centres(side))


def _waves(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, waves: int, fastest: float) -> np.ndarray:
    """Return a smooth random field of about unit variance: waves of up to `fastest` periods per unit."""
    total = np.zeros_like(x)
    for turn, speed, phase in rng.random((waves, 3)):
        along = x * np.cos(2 * np.pi * turn) + y * np.sin(2 * np.pi * turn)
        total += np.cos(2 * np.pi * (fastest * (0.3 + 0.7 * speed) * along + phase))
    return total * (2 / waves) ** 0.5


def _streaks(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return faint straight streaks through the spine, the beam-hardening artefacts of bone in CT."""
    total = np.zeros_like(x)
    for turn, amount in zip(rng.uniform(0, np.pi, 6), rng.normal(0, 0.03, 6), strict=True):
        distance = (x * np.sin(turn)) - (y - 0.35) * np.cos(turn)
        total += amount * np.exp(-((distance / 0.03) ** 2))
    return total


@DATASETS.register
class Phantoms(Dataset):
    """MR-like (A) and CT-like (B) slices of procedural trunks. The two training sets show different people, from
    different populations; half of the test anatomies come from each population, and all are rendered in both
    modalities, so that the ground truth is known."""

    name = "phantoms"
    summary = "drawn MR and CT slices with exact labels, anatomies differ between the domains; built in"
    licence = "Apache-2.0"
    source = "made by cgbench"
    domains = (Domain("MR"), Domain("CT"))
    palette = PALETTE
    paired_test = True
    pair_rule = "by anatomy: each is rendered in both modalities"
    splits = (Split.TRAIN, Split.VAL, Split.TEST, Split.PAIRS)
    settings = {"demo": {"scorer_steps": 600}}  # procedural tissue is learnt sooner than real scenes
    split_rule = f"{TRAIN} anatomies of one population in MR, {TRAIN} of another, with larger bodies and organs, in CT"

    def identity(self) -> str | None:
        """Return the digest of the modules that render the images."""
        return source_digest(*IMAGE_MODULES)

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the slices of a domain with their labels; training hands these only to methods that declare them."""
        if split not in self.splits:
            raise CgbenchError(f"phantoms: unknown split '{split}': use {', '.join(self.splits)}")
        modality = "mr" if domain == "A" else "ct"
        people = [modality] if split == Split.TRAIN else ["mr", "ct"]
        sizes: dict[str, tuple[str, int]] = {Split.TEST: ("test", TEST), Split.VAL: ("val", VAL)}
        prefix, count = sizes.get(split, ("train", TRAIN))
        return [
            Item(f"{name}-{index:03d}", partial(slice_image, modality, name, index), partial(labels, name, index))
            for name in (f"{prefix}-{kind}" for kind in people)
            for index in range(count)
        ]
