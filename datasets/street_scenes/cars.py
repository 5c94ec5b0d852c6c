"""Cars of a street scene."""

import math
from functools import cache

import numpy as np

from cgbench.datasets.street_scenes.geometry import CAR, GLASS, PAINT, PLAIN, Model, pick, tinted

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
TYRE, HUB, WINDOW, BUMPER = (0.06, 0.06, 0.07), (0.45, 0.46, 0.48), (0.12, 0.15, 0.18), (0.14, 0.14, 0.15)
BELT = 0.6  # height of the window line, share of the car's height


@cache
def car_shape(kind: str, front: bool, side: int) -> tuple[np.ndarray, tuple[tuple[int, int, str], ...]]:
    """Return the corners (n, 3) of a car's faces, and for each face its first and last corner and its part.

    Corners are in shares of the car's width (centred), height and length (0 is the near end). `front` is whether the
    front is the near end; `side` is -1 or 1 for the visible flank, or 0 for none.
    """
    a, b, c, d = CARS[kind][:4]
    if front:
        a, b, c, d = 1 - d, 1 - c, 1 - b, 1 - a
    nose = 0.93 if front else 1.0
    top = 0.43  # the cabin leans inwards
    faces: list[tuple[list[tuple[float, float, float]], str]] = [
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
    """Add a car.

    Args:
        model: receives the faces.
        rng: source of its kind and colours.
        x: of its middle, in metres.
        z: depth of its near end in metres.
        front: whether the near end is the front.
        lamps: whether its lamps may be lit.

    Returns:
        Its width, height and length in metres.
    """
    kind = str(pick(rng, list(CARS)))
    width, height, length = CARS[kind][4:]
    paint = tinted(rng, pick(rng, CAR_PAINTS), 0.08)
    side = 0 if abs(x) < width / 2 else (-1 if x > 0 else 1)
    lit = 1.0 if lamps and rng.random() < 0.6 else 0.0
    light = ((0.95, 0.93, 0.80), 1.3 * lit) if front else ((0.75, 0.08, 0.06), 0.8 * lit)
    styles = {
        "body": (paint, PAINT, 0.0), "flank": (paint, PAINT, 0.0), "glass": (WINDOW, GLASS, 0.0),
        "bumper": (BUMPER, PLAIN, 0.0), "plate": ((0.88, 0.88, 0.80), PLAIN, 0.0), "light": (light[0], PLAIN, light[1]),
        "tyre": (TYRE, PLAIN, 0.0), "hub": (HUB, PLAIN, 0.0),
    }  # fmt: skip
    shape, parts = car_shape(kind, front, side)
    corners = shape * (width, height, length) + (x, 0.0, z)
    for start, end, part in parts:
        if z < 30 or part not in ("hub", "plate", "bumper"):  # too small to be visible further away
            colour, material, glow = styles[part]
            model.add(corners[start:end], CAR, colour, material, (height,), glow)
    return width, height, length
