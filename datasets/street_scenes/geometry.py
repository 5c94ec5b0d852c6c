"""The geometry of a street scene: flat faces in metres, drawn back to front, and the camera that sees them.

World: X to the right, Y up, Z ahead of the camera, in metres; the ground is Y = 0 and the camera stands at
(0, height, 0). Image plane: 0 to 1 from left to right and from top to bottom, so that a scene has no resolution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

ROAD, SIDEWALK, BUILDING, POLE, VEGETATION, SKY, PERSON, CAR = range(8)

# Materials: what a face's surface looks like close up.
MATERIALS = 9
PLAIN, FACADE, ASPHALT, PAVING, GRASS, FOLIAGE, CLOUDS, PAINT, GLASS = range(MATERIALS)

PLASTER, BRICK, PANEL, BAND = range(4)  # styles of a wall
PARAMETERS = 10  # numbers that a face may hand to its material
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
        """Add a flat polygon of at least three world points (n, 3). Colours are 0 to 1; `glow` is light it emits."""
        padding = (0.0,) * (PARAMETERS - len(parameters))
        self.points.append(np.asarray(points, dtype=np.float64))
        self.rows.append((label, material, *colour, glow, *parameters, *padding))


def wall_x(x: float, low: float, high: float, z1: float, z2: float) -> list[tuple[float, float, float]]:
    """Return an upright quadrilateral along the street, at `x`."""
    z1, z2 = max(z1, NEAREST), max(z2, NEAREST)
    return [(x, low, z1), (x, high, z1), (x, high, z2), (x, low, z2)]


def wall_z(z: float, low: float, high: float, x1: float, x2: float) -> list[tuple[float, float, float]]:
    """Return an upright quadrilateral that faces the camera, at depth `z`."""
    z = max(z, NEAREST)
    return [(x1, low, z), (x1, high, z), (x2, high, z), (x2, low, z)]


def floor(x1: float, x2: float, z1: float, z2: float, y: float = 0.0) -> list[tuple[float, float, float]]:
    """Return a level quadrilateral at height `y`."""
    z1, z2 = max(z1, NEAREST), max(z2, NEAREST)
    return [(x1, y, z1), (x1, y, z2), (x2, y, z2), (x2, y, z1)]


@cache
def circle(corners: int, turn: float = 0.0) -> np.ndarray:
    """Return a regular polygon (corners, 3) of radius 1 around the origin, that faces the camera."""
    angle = np.arange(corners) * (2 * math.pi / corners) + turn
    return np.stack([np.cos(angle), np.sin(angle), np.zeros(corners)], axis=1)


def disc(x: float, y: float, z: float, radius: float, corners: int = 10, turn: float = 0.0) -> np.ndarray:
    """Return a regular polygon (corners, 3) that faces the camera."""
    return circle(corners, turn) * radius + (x, y, z)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a uniform number in [low, high)."""
    return low + (high - low) * rng.random()


def pick(rng: np.random.Generator, choices: Sequence) -> object:
    """Return one of `choices`, all equally likely."""
    return choices[int(rng.random() * len(choices))]


def tinted(rng: np.random.Generator, colour: Colour, spread: float = 0.06) -> Colour:
    """Return `colour` with each channel moved by up to `spread`, within 0 to 1."""
    r, g, b = rng.random(3).tolist()
    return tuple(min(1.0, max(0.0, c + spread * (2 * d - 1))) for c, d in zip(colour, (r, g, b), strict=True))


def darker(colour: Colour, factor: float) -> Colour:
    """Return `colour` times `factor`, at most 1."""
    return tuple(min(1.0, c * factor) for c in colour)
