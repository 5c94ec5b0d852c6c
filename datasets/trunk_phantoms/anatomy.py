"""Anatomies of the phantoms: a trunk of ellipsoids, from the upper liver to the lower abdomen.

x is to the right of the image, y down (to the back of the patient), z towards the feet. One unit is about 20 cm: the
field of view, -1 to 1, is 40 cm wide.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Population:
    """Ranges of a population's anatomies: half width and height of the trunk, thickness of the fat, size of the liver,
    and the share of patients with lesions."""

    width: tuple[float, float]
    height: tuple[float, float]
    fat: tuple[float, float]
    liver: tuple[float, float]
    lesions: float


POPULATIONS = {
    "mr": Population((0.62, 0.76), (0.50, 0.60), (0.04, 0.09), (0.26, 0.33), lesions=0.3),
    "ct": Population((0.76, 0.92), (0.60, 0.74), (0.09, 0.17), (0.34, 0.43), lesions=0.8),
}


@dataclass(frozen=True)
class Ellipsoid:
    """A filled ellipsoid of one material: centre, half axes, and the angle of its first axis in the slice, in
    radians; its third axis is that of the patient."""

    material: str
    x: float
    y: float
    z: float
    a: float
    b: float
    c: float
    angle: float = 0.0


@dataclass(frozen=True)
class Anatomy:
    """Ellipsoids in drawing order, later ones over earlier ones; the first is the whole body. `spine` is (x, y)."""

    parts: tuple[Ellipsoid, ...]
    spine: tuple[float, float]


def draw_anatomy(people: Population, rng: np.random.Generator) -> Anatomy:
    """Return an anatomy of a population. It is a function of the stream alone."""
    width, height, fat = rng.uniform(*people.width), rng.uniform(*people.height), rng.uniform(*people.fat)
    w, h = width - fat, height - fat  # of the muscles within the fat
    middle = rng.uniform(-0.2, 0.2)
    back = 0.12 * fat  # the fat is thinner at the back
    parts = [
        Ellipsoid("fat", 0, 0, middle, width, height, 2.0),
        Ellipsoid("muscle", 0, back, middle, w, h, 1.9),
        Ellipsoid("fat", 0, back - 0.12 * h, middle, 0.88 * w, 0.76 * h, 1.7),  # of the abdominal cavity
        *_back_muscles(w, h),
        *_bowel(rng, w, h),
        *_upper_organs(rng, people, w, h),
        *_kidneys(rng, w, h),
        *_vessels(rng, w, h),
        *_spine(rng, h),
        *_ribs(rng, w, h),
    ]
    turn, x, y = rng.uniform(-0.06, 0.06), rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03)
    placed = tuple(_placed(part, turn, x, y) for part in parts)
    spine = _placed(Ellipsoid("air", 0, 0.36 * h, 0, 1, 1, 1), turn, x, y)
    return Anatomy(placed, (spine.x, spine.y))


def _placed(part: Ellipsoid, turn: float, x: float, y: float) -> Ellipsoid:
    """Return a part of a patient who lies turned by an angle in radians, and beside the centre."""
    c, s = float(np.cos(turn)), float(np.sin(turn))
    return replace(part, x=part.x * c - part.y * s + x, y=part.x * s + part.y * c + y, angle=part.angle + turn)


def _back_muscles(w: float, h: float) -> Iterator[Ellipsoid]:
    for side in (-1, 1):
        yield Ellipsoid("muscle", side * 0.24 * w, 0.68 * h, 0, 0.20 * w, 0.20 * h, 2.5)
        yield Ellipsoid("muscle", side * 0.24 * w, 0.42 * h, 0.9, 0.11 * w, 0.16 * h, 1.0)  # psoas


def _bowel(rng: np.random.Generator, w: float, h: float) -> Iterator[Ellipsoid]:
    """Loops in the lower front of the abdomen, filled with fluid or, where they lie high, with gas."""
    for place in range(14):
        x = (-0.62 + 1.24 * (place % 7) / 6 + rng.uniform(-0.05, 0.05)) * w
        y = (-0.50 + 0.36 * (place // 7) + rng.uniform(-0.08, 0.08) + 0.25 * (x / w) ** 2) * h
        z = rng.uniform(-0.05, 0.7)
        a, b, c = rng.uniform(0.11, 0.16) * w, rng.uniform(0.11, 0.17) * h, rng.uniform(0.15, 0.35)
        angle = rng.uniform(0, np.pi)
        content, filled = ("air" if rng.random() < 0.25 else "fluid"), rng.uniform(0.5, 0.8)
        yield Ellipsoid("muscle", x, y, z, a, b, c, angle)
        yield Ellipsoid(content, x, y, z, filled * a, filled * b, 0.9 * c, angle)


def _upper_organs(rng: np.random.Generator, people: Population, w: float, h: float) -> Iterator[Ellipsoid]:
    """Spleen, stomach with fluid below and gas above, the two lobes of the liver, and its lesions."""
    z = rng.uniform(-0.30, -0.18)
    yield Ellipsoid("spleen", 0.64 * w, 0.24 * h, z, 0.17 * w, 0.30 * h, rng.uniform(0.22, 0.3), 0.35)
    x, y = 0.36 * w, -0.28 * h
    a, b, c = rng.uniform(0.26, 0.32) * w, rng.uniform(0.26, 0.32) * h, rng.uniform(0.25, 0.32)
    yield Ellipsoid("muscle", x, y, z, a, b, c, -0.3)
    yield Ellipsoid("fluid", x, y, z, a - 0.035, b - 0.035, c - 0.03, -0.3)
    yield Ellipsoid("air", x, y - 0.45 * b, z, 0.62 * a, rng.uniform(0.22, 0.36) * b, 0.7 * c)
    size = rng.uniform(*people.liver)
    liver = Ellipsoid("liver", size - 0.84 * w, -0.06 * h, z + 0.04, size, 0.78 * size, 1.2 * size, 0.12)
    left = Ellipsoid("liver", -0.04 * w, -0.42 * h, z - 0.04, 0.75 * size, 0.45 * size, 0.75 * size, -0.15)
    yield from (liver, left)
    for _ in range(3):
        yield _within(rng, liver, "blood", rng.uniform(0.018, 0.03), long=2.5)  # branches of the portal vein
    for _ in range(rng.integers(2, 6) if rng.random() < people.lesions else 0):
        yield _within(rng, liver, "lesion", rng.uniform(0.06, 0.12), long=1)


def _within(rng: np.random.Generator, whole: Ellipsoid, material: str, radius: float, long: float) -> Ellipsoid:
    """Return a round part well within another, `long` times as high as it is wide."""
    turn, out, z = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.6), rng.uniform(-0.5, 0.5)
    x, y = whole.x + out * whole.a * np.cos(turn), whole.y + out * whole.b * np.sin(turn)
    flat = rng.uniform(0.75, 1)
    return Ellipsoid(material, float(x), float(y), whole.z + z * whole.c, radius, flat * radius, long * radius, turn)


def _kidneys(rng: np.random.Generator, w: float, h: float) -> Iterator[Ellipsoid]:
    """Kidneys, the right one lower, with the fat of the sinus and the renal pelvis."""
    for side in (-1, 1):
        x, y, z = side * rng.uniform(0.46, 0.52) * w, 0.30 * h, (0.14 if side < 0 else 0.08) + rng.uniform(-0.05, 0.05)
        a, b, c = 0.14 * w, rng.uniform(0.20, 0.24) * h, rng.uniform(0.25, 0.3)
        angle = side * rng.uniform(0.2, 0.5)
        yield Ellipsoid("fat", x, y, z, a + 0.03, b + 0.03, c + 0.04, angle)
        yield Ellipsoid("kidney", x, y, z, a, b, c, angle)
        yield Ellipsoid("fat", x - side * 0.06 * w, y, z, 0.08 * w, 0.10 * h, 0.55 * c)
        yield Ellipsoid("fluid", x - side * 0.06 * w, y, z, 0.04 * w, 0.06 * h, 0.35 * c)


def _vessels(rng: np.random.Generator, w: float, h: float) -> Iterator[Ellipsoid]:
    """Aorta and inferior vena cava in front of the spine."""
    yield Ellipsoid("blood", 0.10 * w, 0.03 * h, 0, rng.uniform(0.05, 0.06), rng.uniform(0.05, 0.06), 3.0)
    yield Ellipsoid("blood", -0.12 * w, 0.02 * h, 0, rng.uniform(0.05, 0.07), rng.uniform(0.04, 0.055), 3.0)


def _bone(x: float, y: float, z: float, a: float, b: float, c: float, angle: float = 0.0) -> Iterator[Ellipsoid]:
    """A cortical shell of 3 mm around trabecular bone."""
    yield Ellipsoid("cortical bone", x, y, z, a, b, c, angle)
    shell = 0.015
    yield Ellipsoid("trabecular bone", x, y, z, a - shell, b - shell, c - shell, angle)


def _spine(rng: np.random.Generator, h: float) -> Iterator[Ellipsoid]:
    """Vertebrae on their discs, the arch of each, and the canal."""
    y, size, pitch, first = 0.36 * h, rng.uniform(0.23, 0.27) * h, 0.18, rng.uniform(-1.0, -0.82)
    canal = y + 0.8 * size + 0.10 * h
    yield Ellipsoid("muscle", 0, y, 0, 0.95 * size, 0.78 * size, 3.0)  # discs
    for z in np.arange(first, 1, pitch):
        yield from _bone(0, canal, z, 0.19 * h, 0.16 * h, 0.08)
        yield from _bone(0, canal + 0.18 * h, z + 0.03, 0.028, 0.12 * h, 0.07)  # spinous process
        for side in (-1, 1):  # transverse processes
            yield from _bone(side * 0.28 * h, canal + 0.03 * h, z, 0.20 * h, 0.03, 0.045, side * 0.25)
        yield from _bone(0, y, z, size, 0.82 * size, 0.105)
    yield Ellipsoid("fluid", 0, canal, 0, 0.11 * h, 0.09 * h, 3.0)


def _ribs(rng: np.random.Generator, w: float, h: float) -> Iterator[Ellipsoid]:
    """Ribs as chains of flat ellipsoids that descend along the wall of the trunk from back to front."""
    first = rng.uniform(-1.0, -0.87)
    for number in range(8):
        z = first + 0.13 * number
        longest = 2.5 - 0.17 * number  # radians from the back; the lower ribs are short
        for turn in np.arange(0.45, longest, 0.09):
            for side in (-1, 1):
                angle = np.pi / 2 - side * turn
                x, y = 0.935 * w * np.cos(angle), 0.93 * h * np.sin(angle)
                along = np.arctan2(0.93 * h * np.cos(angle), -0.935 * w * np.sin(angle))
                yield from _bone(float(x), float(y), z + 0.17 * turn, 0.06, 0.028, 0.04, float(along))
