"""Things that stand or move in a street: cars, persons, trees, hedges, lamp posts, signs and traffic lights."""

import math
from functools import cache

import numpy as np

from cgbench.datasets.street_scenes.geometry import (
    CAR,
    FOLIAGE,
    GLASS,
    NEAREST,
    PAINT,
    PERSON,
    PLAIN,
    POLE,
    VEGETATION,
    Colour,
    Model,
    between,
    circle,
    darker,
    disc,
    pick,
    tinted,
    wall_x,
    wall_z,
)

# Side profile from the rear end: depths (share of length) of belt and roof at the rear, roof and belt at the front;
# then width, height and length in metres.
CARS = {
    "saloon": (0.17, 0.30, 0.62, 0.77, 1.80, 1.45, 4.6),
    "hatchback": (0.03, 0.14, 0.60, 0.76, 1.74, 1.50, 4.0),
    "estate": (0.03, 0.10, 0.62, 0.77, 1.80, 1.50, 4.7),
    "off-roader": (0.02, 0.07, 0.66, 0.78, 1.90, 1.80, 4.6),
    "van": (0.01, 0.03, 0.76, 0.90, 1.95, 2.20, 5.0),
}
CAR_PAINTS = (
    (0.85, 0.86, 0.87), (0.60, 0.62, 0.64), (0.36, 0.37, 0.40), (0.10, 0.10, 0.12), (0.66, 0.10, 0.10),
    (0.12, 0.22, 0.52), (0.10, 0.32, 0.22), (0.80, 0.64, 0.14), (0.60, 0.50, 0.38), (0.35, 0.58, 0.72),
    (0.80, 0.36, 0.10), (0.30, 0.12, 0.16),
)  # fmt: skip
CLOTHES = (
    (0.12, 0.13, 0.18), (0.20, 0.25, 0.42), (0.70, 0.14, 0.14), (0.82, 0.80, 0.76), (0.42, 0.36, 0.28),
    (0.16, 0.40, 0.30), (0.85, 0.66, 0.18), (0.48, 0.50, 0.54), (0.55, 0.25, 0.50), (0.30, 0.50, 0.70),
)  # fmt: skip
SKIN = ((0.90, 0.72, 0.60), (0.76, 0.56, 0.42), (0.50, 0.34, 0.24), (0.32, 0.21, 0.16))
TYRE, HUB, WINDOW, BUMPER = (0.06, 0.06, 0.07), (0.45, 0.46, 0.48), (0.12, 0.15, 0.18), (0.14, 0.14, 0.15)
BARK = (0.30, 0.23, 0.17)
BELT = 0.6  # height of the window line, share of the car's height


@cache
def car_shape(kind: str, front: bool, side: int) -> tuple[np.ndarray, tuple[tuple[int, int, str], ...]]:
    """Return the corners (n, 3) of a car's faces, and for each face its first and last corner and its part.

    Corners are in shares of the car's width (centred), height and length (0 is the near end).

    `front` says which end is near; `side` is -1 or 1 for the visible flank, or 0 where none is.
    """
    a, b, c, d = CARS[kind][:4]
    if front:
        a, b, c, d = 1 - d, 1 - c, 1 - b, 1 - a
    nose = 0.93 if front else 1.0
    top = 0.43  # the cabin leans inwards
    faces = [
        ([(-top, 1, b), (-top, 1, c), (top, 1, c), (top, 1, b)], "body"),
        ([(-0.5, BELT * nose, 0), (-0.5, BELT, a), (0.5, BELT, a), (0.5, BELT * nose, 0)], "body"),
        ([(-0.5, BELT, a), (-top, 1, b), (top, 1, b), (0.5, BELT, a)], "body"),
        ([(-0.44, BELT + 0.03, a + 0.002), (-0.38, 0.95, b), (0.38, 0.95, b), (0.44, BELT + 0.03, a + 0.002)], "glass"),
        (_end(-0.47, -0.33, 0.0, 0.20), "tyre"),
        (_end(0.33, 0.47, 0.0, 0.20), "tyre"),
        (_end(-0.46, 0.46, 0.10, 0.20), "bumper"),
        (_end(-0.5, 0.5, 0.16, BELT * nose), "body"),
        (_end(-0.49, 0.49, 0.16, 0.26), "bumper"),
        (_end(-0.14, 0.14, 0.28, 0.36), "plate"),
        (_end(-0.48, -0.30, 0.42, 0.53), "light"),
        (_end(0.30, 0.48, 0.42, 0.53), "light"),
    ]
    if front:
        faces.insert(-2, (_end(-0.27, 0.27, 0.38, 0.50), "bumper"))
    if side:
        faces += _flank(0.5 * side, top * side, (a, b, c, d), CARS[kind][5] / CARS[kind][6])
    ends = np.cumsum([len(points) for points, _ in faces]).tolist()
    parts = tuple((end - len(points), end, part) for end, (points, part) in zip(ends, faces, strict=True))
    return np.array([corner for points, _ in faces for corner in points]), parts


def _end(x1: float, x2: float, y1: float, y2: float) -> list[tuple[float, float, float]]:
    return [(x1, y1, 0.0), (x1, y2, 0.0), (x2, y2, 0.0), (x2, y1, 0.0)]


def _flank(x: float, top: float, profile: tuple[float, ...], ratio: float) -> list[tuple[list, str]]:
    """Return the faces of one side; `ratio` is height over length, so that wheels are round."""
    a, b, c, d = profile
    middle, inner = (b + c) / 2, x + 0.8 * (top - x)
    faces: list[tuple[list, str]] = [
        ([(x, 0.16, 0), (x, BELT * 0.97, 0), (x, BELT, a), (x, BELT, d), (x, BELT * 0.93, 1), (x, 0.16, 1)], "flank"),
        ([(x, BELT, a), (top, 1, b), (top, 1, c), (x, BELT, d)], "flank"),
        (
            [(x, 0.63, a + 0.03), (inner, 0.93, b + 0.02), (inner, 0.93, middle - 0.01), (x, 0.63, middle - 0.01)],
            "glass",
        ),
        (
            [(x, 0.63, middle + 0.01), (inner, 0.93, middle + 0.01), (inner, 0.93, c - 0.01), (x, 0.63, d - 0.03)],
            "glass",
        ),
    ]
    for centre in (0.19, 0.81):
        for radius, part in ((0.215, "tyre"), (0.12, "hub")):
            turn = [i * math.pi / 5 for i in range(10)]
            points = [(x, 0.215 + radius * math.sin(t), centre + radius * ratio * math.cos(t)) for t in turn]
            faces.append((points, part))
    return faces


def add_car(model: Model, rng: np.random.Generator, x: float, z: float, front: bool, lamps: bool) -> tuple[float, ...]:
    """Add a car whose near end is at depth `z` and return its width, height and length in metres."""
    kind = str(pick(rng, list(CARS)))
    width, height, length = CARS[kind][4:]
    paint = tinted(rng, pick(rng, CAR_PAINTS), 0.08)
    side = 0 if abs(x) < width / 2 else (-1 if x > 0 else 1)
    lit = 1.0 if lamps and rng.random() < 0.6 else 0.0
    light = ((0.95, 0.93, 0.80), 1.3 * lit) if front else ((0.75, 0.08, 0.06), 0.8 * lit)
    looks = {
        "body": (paint, PAINT, 0.0), "flank": (paint, PAINT, 0.0), "glass": (WINDOW, GLASS, 0.0),
        "bumper": (BUMPER, PLAIN, 0.0), "plate": ((0.88, 0.88, 0.80), PLAIN, 0.0), "light": (light[0], PLAIN, light[1]),
        "tyre": (TYRE, PLAIN, 0.0), "hub": (HUB, PLAIN, 0.0),
    }  # fmt: skip
    shape, parts = car_shape(kind, front, side)
    corners = shape * (width, height, length) + (x, 0.0, z)
    for start, end, part in parts:
        if z < 30 or part not in ("hub", "plate", "bumper"):  # too small to see further away
            colour, material, glow = looks[part]
            model.add(corners[start:end], CAR, colour, material, (height,), glow)
    return width, height, length


def add_person(model: Model, rng: np.random.Generator, x: float, z: float, ground: float) -> float:
    """Add a walking or standing person and return the height in metres."""
    height = between(rng, 1.5, 1.95) * (1.0 if rng.random() < 0.88 else 0.68)
    coat, legs = tinted(rng, pick(rng, CLOTHES)), tinted(rng, pick(rng, CLOTHES))
    skin, hair = pick(rng, SKIN), tinted(rng, (0.18, 0.13, 0.09), 0.10)
    stride = between(rng, -0.16, 0.16)
    broad = between(rng, 0.12, 0.16)
    hem = 0.40 if rng.random() < 0.7 else 0.26

    def part(outline: list[tuple[float, float]], colour: Colour) -> None:
        model.add([(x + height * a, ground + height * b, z) for a, b in outline], PERSON, colour)

    for sign, tone in ((-1, 0.8), (1, 1.0)):
        hip, foot = sign * 0.05, sign * (0.04 + stride)
        part([(hip - 0.05, 0.50), (hip + 0.05, 0.50), (foot + 0.035, 0.03), (foot - 0.035, 0.03)], darker(legs, tone))
        part([(foot - 0.04, 0), (foot - 0.04, 0.035), (foot + 0.05, 0.035), (foot + 0.05, 0)], (0.08, 0.07, 0.07))
    arm = stride * 0.9
    for sign in (-1, 1):
        s = sign * broad
        part([(s, 0.81), (s + sign * 0.045, 0.78), (s + sign * 0.05 - arm, 0.46), (s - arm, 0.46)], darker(coat, 0.78))
    part(
        [
            (-broad * 0.8, 0.83),
            (broad * 0.8, 0.83),
            (broad, 0.77),
            (broad * 0.85, hem),
            (-broad * 0.85, hem),
            (-broad, 0.77),
        ],
        coat,
    )
    part([(-0.028, 0.85), (0.028, 0.85), (0.028, 0.81), (-0.028, 0.81)], darker(skin, 0.8))
    model.add(disc(x, ground + height * 0.925, z, height * 0.066, 9), PERSON, skin)
    part([(-0.066, 0.92), (-0.055, 0.98), (0, 1.0), (0.055, 0.98), (0.066, 0.92), (0.03, 0.955), (-0.03, 0.955)], hair)
    return height


def foliage(rng: np.random.Generator, centres: np.ndarray, radii: np.ndarray, corners: int = 14) -> np.ndarray:
    """Return ragged discs (n, corners, 3) around `centres` (n, 3)."""
    reach = radii[:, None] * (0.78 + 0.36 * rng.random((len(radii), corners)))
    return centres[:, None, :] + reach[:, :, None] * circle(corners)


def add_tree(
    model: Model, rng: np.random.Generator, x: float, z: float, ground: float, colour: Colour, size: float = 1.0
) -> tuple[float, float]:
    """Add a tree and return the height of its crown's centre and the crown's radius, in metres."""
    z = max(z, NEAREST)
    form = rng.random()
    stem = between(rng, 1.6, 3.0) * size
    tall, wide = between(rng, 2.6, 5.0) * size, between(rng, 1.4, 2.6) * size
    slim = form < 0.22  # poplar or cypress
    if slim:
        tall, wide, stem = tall * 1.4, wide * 0.6, stem * 0.5
    thick = between(rng, 0.12, 0.24) * size
    trunk = [(x - thick, ground, z), (x - thick * 0.6, ground + stem + 1, z), (x + thick * 0.6, ground + stem + 1, z)]
    model.add([*trunk, (x + thick, ground, z)], VEGETATION, tinted(rng, BARK))
    count = (9 if slim else int(rng.integers(5, 9))) if z < 40 else 3
    level = (np.arange(count) + 0.25 + 0.5 * rng.random(count)) / count  # evenly spread, so that no clump floats
    spread = np.sin(np.pi * (0.12 + 0.8 * level)) if form < 0.75 else 1.05 - level  # round, or pointed
    radii = np.maximum(
        wide * (0.5 + 0.25 * rng.random(count)) * (0.55 + 0.45 * spread), (1.0 if slim else 0.8) * tall / count
    )
    centres = np.stack(
        [x + wide * 0.6 * spread * (2 * rng.random(count) - 1), ground + stem + tall * level, np.full(count, z)], axis=1
    )
    middle = ground + stem + tall / 2
    for points, tone in zip(foliage(rng, centres, radii), 0.85 + 0.3 * rng.random(count), strict=True):
        model.add(points, VEGETATION, darker(colour, tone), FOLIAGE, (x, middle, wide, tall / 2 + wide * 0.5))
    return middle, wide


def add_hedge(
    model: Model, rng: np.random.Generator, x: float, z1: float, z2: float, high: float, colour: Colour
) -> None:
    """Add a clipped hedge along the street, at `x`."""
    side = 0.8 if x > 0 else -0.8
    z1, z2 = max(z1, NEAREST), max(z2, NEAREST)
    steps = np.linspace(z2, z1, 9)
    top = high * (0.86 + 0.24 * rng.random(9))
    outline = [(x, t, z) for t, z in zip(top.tolist(), steps.tolist(), strict=True)]
    model.add(wall_z(z1, 0, high, x, x + side), VEGETATION, darker(colour, 0.8), FOLIAGE, (x, high * 0.3, 1.0, high))
    model.add([(x, 0, z2), *outline, (x, 0, z1)], VEGETATION, colour, FOLIAGE, (x, high * 0.3, 1.0, high))


def add_lamp(
    model: Model, rng: np.random.Generator, x: float, z: float, ground: float, lit: bool
) -> tuple[float, float, float]:
    """Add a lamp post whose arm reaches over the road; return where its light is."""
    high, thick, reach = between(rng, 4.2, 7.5), between(rng, 0.07, 0.12), between(rng, 0.6, 1.8)
    colour = tinted(
        rng, pick(rng, ((0.42, 0.44, 0.45), (0.18, 0.20, 0.20), (0.24, 0.32, 0.28), (0.62, 0.62, 0.60))), 0.05
    )
    inwards = -1.0 if x > 0 else 1.0
    end = x + inwards * reach
    model.add(wall_z(z, ground, high, x - thick, x + thick), POLE, colour)
    model.add(wall_z(z, high - 0.14, high, min(x, end), max(x, end)), POLE, colour)
    model.add(wall_z(z, high - 0.30, high - 0.04, end - 0.32, end + 0.32), POLE, (0.85, 0.83, 0.74), glow=1.2 * lit)
    return end, high - 0.3, z


def add_sign(model: Model, rng: np.random.Generator, x: float, z: float, ground: float, lit: bool) -> float:
    """Add a traffic sign or a traffic light on a post and return its height in metres."""
    high, thick, size = between(rng, 2.2, 3.2), between(rng, 0.05, 0.08), between(rng, 0.30, 0.48)
    model.add(wall_z(z, ground, high, x - thick, x + thick), POLE, tinted(rng, (0.50, 0.51, 0.52), 0.08))
    form = rng.random()
    if form < 0.28:
        model.add(wall_z(z - 0.1, high - 0.1, high + 0.95, x - 0.19, x + 0.19), POLE, (0.10, 0.11, 0.10))
        on = int(rng.integers(3))
        for i, colour in enumerate(((0.20, 0.85, 0.35), (0.95, 0.70, 0.12), (0.92, 0.12, 0.10))):
            tone = 1.0 if i == on else 0.25
            model.add(disc(x, high + 0.1 + 0.3 * i, z - 0.12, 0.12, 8), POLE, darker(colour, tone), glow=float(i == on))
    elif form < 0.5:
        model.add(disc(x, high, z - 0.1, size, 3, math.pi / 2), POLE, (0.80, 0.12, 0.12), glow=0.15 * lit)
        model.add(disc(x, high, z - 0.11, size * 0.6, 3, math.pi / 2), POLE, (0.92, 0.92, 0.90), glow=0.15 * lit)
    elif form < 0.78:
        inner = pick(rng, ((0.92, 0.92, 0.90), (0.10, 0.25, 0.65), (0.80, 0.12, 0.12)))
        model.add(disc(x, high, z - 0.1, size, 12), POLE, (0.78, 0.12, 0.12), glow=0.15 * lit)
        model.add(disc(x, high, z - 0.11, size * 0.7, 12), POLE, inner, glow=0.15 * lit)
    else:
        plate = pick(rng, ((0.10, 0.26, 0.62), (0.92, 0.78, 0.12), (0.10, 0.42, 0.26), (0.90, 0.90, 0.88)))
        wide = size * between(rng, 0.8, 1.8)
        model.add(wall_z(z - 0.1, high - size, high + size * 0.6, x - wide, x + wide), POLE, plate, glow=0.15 * lit)
        bar = wall_z(z - 0.11, high - size * 0.4, high - size * 0.1, x - wide * 0.7, x + wide * 0.7)
        model.add(bar, POLE, (0.93, 0.93, 0.92) if plate[0] < 0.5 else (0.1, 0.1, 0.1))
    return high


def add_box(model: Model, box: tuple[float, ...], label: int, colour: Colour, material: int = PLAIN) -> None:
    """Add the visible faces of an upright box (x1, x2, y1, y2, z1, z2)."""
    x1, x2, y1, y2, z1, z2 = box
    model.add([(x1, y2, z1), (x1, y2, z2), (x2, y2, z2), (x2, y2, z1)], label, darker(colour, 1.05), material, (y2,))
    if x1 > 0 or x2 < 0:
        model.add(wall_x(x1 if x1 > 0 else x2, y1, y2, z1, z2), label, colour, material, (y2,))
    model.add(wall_z(z1, y1, y2, x1, x2), label, colour, material, (y2,))
