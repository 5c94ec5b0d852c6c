"""The geometry of a street scene: flat faces in metres, in back-to-front order, and a pinhole camera.

World: X to the right, Y up, Z ahead of the camera, in metres; the ground is Y = 0 and the camera stands at
(0, height, 0). Image plane: 0 to 1 from left to right and from top to bottom, independent of the resolution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

import numpy as np

ROAD, SIDEWALK, BUILDING, POLE, VEGETATION, SKY, PERSON, CAR = range(8)

# materials of faces
MATERIALS = 9
PLAIN, FACADE, ASPHALT, PAVING, GRASS, FOLIAGE, CLOUDS, PAINT, GLASS = range(MATERIALS)

PLASTER, BRICK, PANEL, BAND = range(4)  # styles of a wall
PARAMETERS = 10  # of a face, for its material
NEAREST = 0.6  # metres; nothing is drawn closer to the camera than this

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks along Z, its principal point shifted to (`centre_u`, `centre_v`) of the image."""

    focal: float  # in image widths
    height: float  # metres above the road
    centre_u: float
    centre_v: float
    roll: float  # radians

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return image positions (N, 2), in image widths, of world points (N, 3) that lie ahead of the camera."""
        depth = np.maximum(points[:, 2], NEAREST)
        x = points[:, 0] / depth * self.focal
        y = (self.height - points[:, 1]) / depth * self.focal
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        return np.stack([cos * x - sin * y + self.centre_u, sin * x + cos * y + self.centre_v], axis=1)

    def rays(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the slopes X/Z and (Y - height)/Z of the rays through a grid of `size` × `size` pixel centres."""
        grid = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
        u = (grid - np.float32(self.centre_u))[None, :] / np.float32(self.focal)
        v = (grid - np.float32(self.centre_v))[:, None] / np.float32(self.focal)
        cos, sin = np.float32(math.cos(self.roll)), np.float32(math.sin(self.roll))
        return cos * u + sin * v, sin * u - cos * v


@dataclass
class Model:
    """Faces in drawing order. Row k of `rows` is: class, material, red, green, blue, glow, parameters."""

    points: list[np.ndarray] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)

    def add(
        self,
        points: np.ndarray | Sequence[Sequence[float]],
        label: int,
        colour: Colour,
        material: int = PLAIN,
        parameters: tuple[float, ...] = (),
        glow: float = 0.0,
    ) -> None:
        """Add a flat polygon.

        Args:
            points: at least three world points (n, 3).
            label: class id.
            colour: reflectance, 0 to 1.
            material: one of the materials, such as `PLAIN`.
            parameters: at most `PARAMETERS` numbers for the material.
            glow: emitted light, as a multiple of the colour.
        """
        padding = (0.0,) * (PARAMETERS - len(parameters))
        self.points.append(np.asarray(points, dtype=np.float64))
        self.rows.append((label, material, *colour, glow, *parameters, *padding))


def wall_x(x: float, low: float, high: float, z1: float, z2: float) -> list[tuple[float, float, float]]:
    """Return an upright quadrilateral along the street, at `x`.

    Args:
        x: metres to the right.
        low: height of the lower edge in metres.
        high: height of the upper edge in metres.
        z1: depth of the near end in metres.
        z2: depth of the far end in metres.

    Returns:
        Four world points.
    """
    z1, z2 = max(z1, NEAREST), max(z2, NEAREST)
    return [(x, low, z1), (x, high, z1), (x, high, z2), (x, low, z2)]


def wall_z(z: float, low: float, high: float, x1: float, x2: float) -> list[tuple[float, float, float]]:
    """Return an upright quadrilateral that faces the camera, at depth `z`.

    Args:
        z: depth in metres.
        low: height of the lower edge in metres.
        high: height of the upper edge in metres.
        x1: left end in metres.
        x2: right end in metres.

    Returns:
        Four world points.
    """
    z = max(z, NEAREST)
    return [(x1, low, z), (x1, high, z), (x2, high, z), (x2, low, z)]


def floor(x1: float, x2: float, z1: float, z2: float, y: float = 0.0) -> list[tuple[float, float, float]]:
    """Return a level quadrilateral.

    Args:
        x1: left edge in metres.
        x2: right edge in metres.
        z1: depth of the near edge in metres.
        z2: depth of the far edge in metres.
        y: height in metres.

    Returns:
        Four world points.
    """
    z1, z2 = max(z1, NEAREST), max(z2, NEAREST)
    return [(x1, y, z1), (x1, y, z2), (x2, y, z2), (x2, y, z1)]


@cache
def circle(corners: int, turn: float = 0.0) -> np.ndarray:
    """Return a regular polygon (corners, 3) of radius 1 around the origin, that faces the camera."""
    angle = np.arange(corners) * (2 * math.pi / corners) + turn
    return np.stack([np.cos(angle), np.sin(angle), np.zeros(corners)], axis=1)


def disc(x: float, y: float, z: float, radius: float, corners: int = 10, turn: float = 0.0) -> np.ndarray:
    """Return a regular polygon that faces the camera.

    Args:
        x: metres to the right of the centre.
        y: height of the centre in metres.
        z: depth in metres.
        radius: in metres.
        corners: number of corners.
        turn: angle of the first corner in radians.

    Returns:
        World points (corners, 3).
    """
    return circle(corners, turn) * radius + (x, y, z)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a uniform number in [low, high)."""
    return low + (high - low) * rng.random()


Choice = TypeVar("Choice")


def pick(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """Return an element of `choices`, uniformly drawn."""
    return choices[int(rng.random() * len(choices))]


def tinted(rng: np.random.Generator, colour: Colour, spread: float = 0.06) -> Colour:
    """Return `colour` with each channel shifted by up to `spread`, clipped to 0 to 1."""
    r, g, b = (
        min(1.0, max(0.0, c + spread * (2 * d - 1))) for c, d in zip(colour, rng.random(3).tolist(), strict=True)
    )
    return r, g, b


def darker(colour: Colour, factor: float) -> Colour:
    """Return `colour` times `factor`, at most 1."""
    r, g, b = (min(1.0, c * factor) for c in colour)
    return r, g, b
