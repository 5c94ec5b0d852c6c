"""The state of a street scene: faces, shadows, lamps and the sides of the street."""

from dataclasses import dataclass, field

import numpy as np

from cgbench.datasets.street_scenes.geometry import Camera, Model, floor
from cgbench.datasets.street_scenes.lighting import Light

KERB = 0.12  # metres
BACK = 60.0  # metres behind the camera that the heights of a side reach


@dataclass(frozen=True)
class Side:
    """One side of the street: `x` of its fronts, and its height in metres at each metre of depth from -BACK on."""

    x: float
    heights: np.ndarray


@dataclass(eq=False)
class Scene:
    """A street: faces in drawing order, shadows on the ground, lamps, and both sides, which shade each other. It is not
    changed once it is built; scenes compare by identity."""

    camera: Camera
    light: Light
    model: Model = field(default_factory=Model)
    shadows: list[np.ndarray] = field(default_factory=list)  # ground polygons (n, 3) in the shadow of the sun
    contacts: list[np.ndarray] = field(default_factory=list)  # ground polygons under objects, dark in any light
    lamps: list[tuple[float, float, float]] = field(default_factory=list)  # positions of lit street lamps
    sides: tuple[Side, ...] = ()

    def cast(self, x1: float, x2: float, z1: float, z2: float, high: float) -> None:
        """Add the shadow of an upright box on the ground: the hull of its base and of its top's shadow.

        Args:
            x1: left side in metres.
            x2: right side in metres.
            z1: depth of the near side in metres.
            z2: depth of the far side in metres.
            high: height in metres.
        """
        if not self.light.shadows:
            return
        sun = self.light.sun
        dx, dz = -high * sun[0] / sun[1], -high * sun[2] / sun[1]
        (xa, xb), (za, zb) = (x1, x2) if dx > 0 else (x2, x1), (z1, z2) if dz > 0 else (z2, z1)
        hull = ((xa, za), (xa, zb), (xa + dx, zb + dz), (xb + dx, zb + dz), (xb + dx, za + dz), (xb, za))
        self.shadows.append(np.array([(x, 0.0, z) for x, z in hull]))

    def touch(self, x1: float, x2: float, z1: float, z2: float) -> None:
        """Add the dark ground below an object."""
        self.contacts.append(np.array(floor(x1, x2, z1, z2)))
