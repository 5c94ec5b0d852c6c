"""A street scene: faces, shadows, lamps and the sides of the street. State only."""

from dataclasses import dataclass, field

import numpy as np

from cgbench.datasets.street_scenes.geometry import (
    Camera,
    Model,
    floor,
)
from cgbench.datasets.street_scenes.lighting import Light

KERB = 0.12  # metres
BACK = 60.0  # metres behind the camera that the heights of a side reach


@dataclass(frozen=True)
class Side:
    """One side of the street: where its fronts stand, and how high it is at each metre from -BACK on."""

    x: float
    heights: np.ndarray


@dataclass(eq=False)
class Scene:
    """A street: faces in drawing order, shadows on the ground, lamps, and the heights that shade the other side. It is
    complete once it is built, and equals itself alone."""

    camera: Camera
    light: Light
    model: Model = field(default_factory=Model)
    shadows: list[np.ndarray] = field(default_factory=list)  # ground polygons (n, 3) that the sun does not reach
    contacts: list[np.ndarray] = field(default_factory=list)  # ground polygons under things, dark in any light
    lamps: list[tuple[float, float, float]] = field(default_factory=list)  # positions of lit street lamps
    sides: tuple[Side, ...] = ()

    def cast(self, x1: float, x2: float, z1: float, z2: float, high: float) -> None:
        """Note the shadow of an upright box on the ground: the hull of its base and of its top's shadow."""
        if not self.light.shadows:
            return
        sun = self.light.sun
        dx, dz = -high * sun[0] / sun[1], -high * sun[2] / sun[1]
        (xa, xb), (za, zb) = (x1, x2) if dx > 0 else (x2, x1), (z1, z2) if dz > 0 else (z2, z1)
        hull = ((xa, za), (xa, zb), (xa + dx, zb + dz), (xb + dx, zb + dz), (xb + dx, za + dz), (xb, za))
        self.shadows.append(np.array([(x, 0.0, z) for x, z in hull]))

    def touch(self, x1: float, x2: float, z1: float, z2: float) -> None:
        """Note the dark ground below a thing."""
        self.contacts.append(np.array(floor(x1, x2, z1, z2)))
