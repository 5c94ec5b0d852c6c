"""Out-of-distribution objects, which no training street shows: their pixels belong to no class (255 in the labels)."""

import math

import numpy as np

from cgbench.api.names import IGNORE
from cgbench.datasets.street_scenes.cars import HUB, TYRE, WINDOW
from cgbench.datasets.street_scenes.geometry import (
    FOLIAGE,
    GLASS,
    NEAREST,
    PAINT,
    Colour,
    Model,
    between,
    darker,
    disc,
    pick,
    tinted,
    wall_x,
    wall_z,
)
from cgbench.datasets.street_scenes.objects import BARK, add_box, foliage

BRIGHT = ((0.85, 0.15, 0.15), (0.95, 0.75, 0.12), (0.15, 0.35, 0.75), (0.92, 0.90, 0.86), (0.20, 0.60, 0.35))
HIDES = ((0.45, 0.30, 0.18), (0.55, 0.54, 0.53), (0.86, 0.82, 0.76), (0.20, 0.16, 0.14), (0.66, 0.47, 0.26))


def add_balloon(model: Model, rng: np.random.Generator, x: float) -> None:
    """Add a hot-air balloon above the end of the street."""
    z, radius = between(rng, 28, 45), between(rng, 4.5, 7.0)
    x, y = x + between(rng, -0.12, 0.12) * z, between(rng, 0.16, 0.30) * z + radius
    first, second = pick(rng, BRIGHT), pick(rng, BRIGHT)
    second = second if second != first else darker(first, 0.5)
    angles = np.linspace(-math.pi / 2, math.pi / 2, 13)
    model.add(disc(x, y, z, radius, 28), IGNORE, first, FOLIAGE, (x, y, radius, radius))
    for start in (-0.9, -0.3, 0.3):  # gores: bands between two meridians
        left, right = math.sin(start), math.sin(start + 0.3)
        edge = [(x + radius * left * math.cos(t), y + radius * math.sin(t), z) for t in angles]
        edge += [(x + radius * right * math.cos(t), y + radius * math.sin(t), z) for t in angles[::-1]]
        model.add(edge, IGNORE, second, FOLIAGE, (x, y, radius, radius))
    skirt = [(x - radius * 0.55, y - radius * 0.8, z), (x + radius * 0.55, y - radius * 0.8, z)]
    model.add([*skirt, (x + 0.6, y - radius * 1.5, z), (x - 0.6, y - radius * 1.5, z)], IGNORE, first)
    model.add(wall_z(z, y - radius * 1.75, y - radius * 1.5, x - 0.8, x + 0.8), IGNORE, (0.42, 0.27, 0.14))


def add_truck(model: Model, rng: np.random.Generator, x: float, z: float) -> None:
    """Add a large lorry whose rear faces the camera."""
    paint, cargo = tinted(rng, pick(rng, BRIGHT)), tinted(rng, pick(rng, BRIGHT), 0.1)
    high, half = between(rng, 3.2, 3.9), 1.25
    add_box(model, (x - half, x + half, 0.5, high * 0.7, z + 7.2, z + 9.2), IGNORE, paint, PAINT)
    add_box(model, (x - half, x + half, 0.9, high, z, z + 7), IGNORE, cargo, PAINT)
    model.add(wall_z(z - 0.02, 0.35, 0.95, x - half, x + half), IGNORE, (0.12, 0.12, 0.13))
    model.add(wall_z(z - 0.04, 1.0, high - 0.15, x - 0.03, x + 0.03), IGNORE, darker(cargo, 0.5))
    model.add(wall_z(z - 0.04, high * 0.5, high * 0.62, x - half, x + half), IGNORE, darker(paint, 0.9))
    for side in (-1, 1):
        model.add(wall_z(z - 0.05, 0.6, 0.8, x + side * 1.15, x + side * 0.85), IGNORE, (0.8, 0.1, 0.08), glow=0.5)
        model.add(wall_z(z - 0.03, 0.0, 0.5, x + side * 1.2, x + side * 0.75), IGNORE, TYRE)
    if abs(x) > half:
        flank = x - half if x > 0 else x + half
        for start in (0.8, 2.0, 7.6):
            model.add(wall_x(flank, 0.0, 0.95, z + start, z + start + 1.0), IGNORE, TYRE)
            model.add(wall_x(flank, 0.3, 0.65, z + start + 0.3, z + start + 0.7), IGNORE, HUB)
        model.add(wall_x(flank, high * 0.45, high * 0.65, z + 8.0, z + 9.0), IGNORE, WINDOW, GLASS)


def add_fallen_tree(model: Model, rng: np.random.Generator, x: float, z: float, colour: Colour) -> None:
    """Add a tree that lies across the road, its crown towards one side.

    Args:
        model: receives the faces.
        rng: source of the shape.
        x: of its middle, in metres.
        z: depth in metres.
        colour: of its leaves.
    """
    z = max(z, NEAREST)
    direction = 1.0 if rng.random() < 0.5 else -1.0
    long, thick = between(rng, 4.0, 6.0), between(rng, 0.35, 0.55)
    foot, tip = x - direction * long / 2, x + direction * long / 2
    bark = tinted(rng, BARK)
    model.add([(foot, 0, z), (foot, 2 * thick, z), (tip, thick, z), (tip, 0.1, z)], IGNORE, bark)
    model.add(disc(foot, thick, z - 0.05, thick * 1.1, 12), IGNORE, darker(bark, 1.5))
    model.add(disc(foot, thick, z - 0.06, thick * 0.5, 10), IGNORE, darker(bark, 1.1))
    for _ in range(3):
        base = foot + direction * long * between(rng, 0.3, 0.8)
        end = (base + direction * between(rng, 0.3, 1.0), between(rng, 1.2, 2.4), z)
        model.add([(base - 0.1, thick, z), end, (base + 0.1, thick, z)], IGNORE, bark)
    count = 8
    along = tip + direction * between(rng, 0.2, 1.0) + 1.4 * (rng.random(count) - 0.5)
    centres = np.stack([along, 0.5 + 1.4 * rng.random(count), np.full(count, z)], axis=1)
    for points in foliage(rng, centres, 0.5 + 0.5 * rng.random(count)):
        points[:, 1] = np.maximum(points[:, 1], 0.0)
        model.add(points, IGNORE, darker(colour, between(rng, 0.8, 1.1)), FOLIAGE, (float(tip), 0.8, 1.5, 1.5))


def add_animal(model: Model, rng: np.random.Generator, x: float, z: float) -> None:
    """Add a large animal in profile: a mixture of cow, deer and elephant."""
    z = max(z, NEAREST)
    hide, direction = tinted(rng, pick(rng, HIDES)), 1.0 if rng.random() < 0.5 else -1.0
    tall, neck = between(rng, 1.5, 2.6), between(rng, 0.1, 0.8)
    long, fat, leg = tall * between(rng, 0.9, 1.2), tall * between(rng, 0.38, 0.55), tall * between(rng, 0.07, 0.11)

    def part(outline: list[tuple[float, float]], colour: Colour, depth: float = 0.0) -> None:
        model.add([(x + direction * a, b, z - depth) for a, b in outline], IGNORE, colour)

    for place, tone in ((-0.40, 0.65), (0.32, 0.65), (-0.30, 0.9), (0.42, 0.9)):
        a = place * long
        part([(a - leg, 0), (a - leg * 1.3, tall * 0.6), (a + leg * 1.3, tall * 0.6), (a + leg, 0)], darker(hide, tone))
    body = disc(0, 0, z, 1.0, 18)
    body = np.stack([x + long * 0.55 * body[:, 0], tall - fat * 0.62 + fat * 0.6 * body[:, 1], body[:, 2]], axis=1)
    model.add(body, IGNORE, hide)
    front, back = long * 0.38, tall - fat * 0.3
    head = (long * 0.62 + neck * 0.35, tall + neck * 0.8)
    part([(front, back - fat * 0.4), (front, back + fat * 0.1), head, (head[0] + fat * 0.3, head[1] - fat * 0.3)], hide)
    size = fat * 0.30
    face = [(-size, 0), (-size * 0.6, size), (size * 0.6, size * 0.9), (size * 2.0, -size * 0.4), (size * 1.7, -size)]
    part([(head[0] + a, head[1] + b) for a, b in face], darker(hide, 1.1), 0.05)
    part(
        [(head[0] - size, head[1] + size), (head[0] - size * 1.6, head[1] + size * 2), (head[0], head[1] + size)], hide
    )
    part(
        [(-long * 0.55, tall - fat * 0.4), (-long * 0.6, tall * 0.45), (-long * 0.52, tall - fat * 0.7)],
        darker(hide, 0.7),
    )
    if rng.random() < 0.5:
        for _ in range(4):
            spot = disc(
                x + long * between(rng, -0.4, 0.4), tall - fat * between(rng, 0.4, 0.9), z - 0.02, fat * 0.16, 9
            )
            model.add(spot, IGNORE, darker(hide, 0.4) if hide[0] > 0.4 else (0.85, 0.83, 0.8))
