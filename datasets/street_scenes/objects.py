"""Objects of a street scene: persons, trees, hedges, lamp posts, signs and traffic lights."""

import math

import numpy as np

from cgbench.datasets.street_scenes.geometry import (
    FOLIAGE,
    NEAREST,
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

CLOTHES = (
    (0.12, 0.13, 0.18), (0.20, 0.25, 0.42), (0.70, 0.14, 0.14), (0.82, 0.80, 0.76), (0.42, 0.36, 0.28),
    (0.16, 0.40, 0.30), (0.85, 0.66, 0.18), (0.48, 0.50, 0.54), (0.55, 0.25, 0.50), (0.30, 0.50, 0.70),
)  # fmt: skip
SKIN = ((0.90, 0.72, 0.60), (0.76, 0.56, 0.42), (0.50, 0.34, 0.24), (0.32, 0.21, 0.16))
BARK = (0.30, 0.23, 0.17)


def add_person(model: Model, rng: np.random.Generator, x: float, z: float, ground: float) -> float:
    """Add a walking or standing person.

    Args:
        model: receives the faces.
        rng: source of the shape and the colours.
        x: metres to the right.
        z: depth in metres.
        ground: height of the feet in metres.

    Returns:
        The person's height in metres.
    """
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
    """Add a tree.

    Args:
        model: receives the faces.
        rng: source of the shape.
        x: metres to the right.
        z: depth in metres.
        ground: height of its foot in metres.
        colour: of its leaves.
        size: factor of all lengths.

    Returns:
        The height of the crown's centre and the crown's radius, in metres.
    """
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
    """Add a clipped hedge along the street.

    Args:
        model: receives the faces.
        rng: source of the shape.
        x: metres to the right.
        z1: depth of the near end in metres.
        z2: depth of the far end in metres.
        high: height in metres.
        colour: of its leaves.
    """
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
    """Add a lamp post whose arm reaches over the road.

    Args:
        model: receives the faces.
        rng: source of the shape and the colour.
        x: metres to the right.
        z: depth in metres.
        ground: height of its foot in metres.
        lit: whether its light is on.

    Returns:
        The position of its light in metres.
    """
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
    """Add a traffic sign or a traffic light on a post.

    Args:
        model: receives the faces.
        rng: source of the shape and the colours.
        x: metres to the right.
        z: depth in metres.
        ground: height of its foot in metres.
        lit: whether signs are lit by lamps.

    Returns:
        The height of the post in metres.
    """
    high, thick, size = between(rng, 2.2, 3.2), between(rng, 0.05, 0.08), between(rng, 0.30, 0.48)
    model.add(wall_z(z, ground, high, x - thick, x + thick), POLE, tinted(rng, (0.50, 0.51, 0.52), 0.08))
    form = rng.random()
    if form < 0.28:
        model.add(wall_z(z - 0.1, high - 0.1, high + 0.95, x - 0.19, x + 0.19), POLE, (0.10, 0.11, 0.10))
        lit_lamp = int(rng.integers(3))
        for i, colour in enumerate(((0.20, 0.85, 0.35), (0.95, 0.70, 0.12), (0.92, 0.12, 0.10))):
            on = i == lit_lamp
            shade = darker(colour, 1.0 if on else 0.25)
            model.add(disc(x, high + 0.1 + 0.3 * i, z - 0.12, 0.12, 8), POLE, shade, glow=float(on))
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
    """Add the visible faces of an upright box.

    Args:
        model: receives the faces.
        box: x1, x2, y1, y2, z1, z2 in metres.
        label: class id.
        colour: reflectance, 0 to 1.
        material: one of the materials of `geometry`.
    """
    x1, x2, y1, y2, z1, z2 = box
    model.add([(x1, y2, z1), (x1, y2, z2), (x2, y2, z2), (x2, y2, z1)], label, darker(colour, 1.05), material, (y2,))
    if x1 > 0 or x2 < 0:
        model.add(wall_x(x1 if x1 > 0 else x2, y1, y2, z1, z2), label, colour, material, (y2,))
    model.add(wall_z(z1, y1, y2, x1, x2), label, colour, material, (y2,))
