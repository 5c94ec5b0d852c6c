"""The roadside of a street scene: rows of buildings, houses in gardens, parks, side streets, and the skyline."""

import numpy as np

from cgbench.datasets.street_scenes.geometry import (
    ASPHALT,
    BUILDING,
    FACADE,
    GRASS,
    PANEL,
    PLAIN,
    ROAD,
    VEGETATION,
    Colour,
    Model,
    between,
    darker,
    floor,
    pick,
    tinted,
    wall_x,
    wall_z,
)
from cgbench.datasets.street_scenes.objects import add_hedge, add_tree
from cgbench.datasets.street_scenes.scene import BACK, KERB, Scene, Side

WALLS = (
    (0.56, 0.30, 0.22), (0.66, 0.42, 0.30), (0.76, 0.62, 0.42), (0.80, 0.77, 0.70), (0.56, 0.56, 0.55),
    (0.42, 0.42, 0.44), (0.70, 0.60, 0.52), (0.60, 0.68, 0.72), (0.78, 0.56, 0.48), (0.58, 0.64, 0.52),
    (0.86, 0.82, 0.62), (0.34, 0.24, 0.20),
)  # fmt: skip
ROOFS = ((0.46, 0.22, 0.16), (0.26, 0.26, 0.29), (0.36, 0.28, 0.22), (0.40, 0.40, 0.42))


def add_side(scene: Scene, rng: np.random.Generator, edge: float, end: float, leaves: tuple[Colour, ...]) -> Side:
    """Add everything beyond the pavement of one side.

    Args:
        scene: receives the faces and shadows.
        rng: source of all choices.
        edge: x at which the pavement begins, in metres.
        end: depth up to which it is built, in metres.
        leaves: colours of the season.

    Returns:
        The side: the x of its fronts and its heights.
    """
    out = 1.0 if edge > 0 else -1.0
    front = edge + out * (between(rng, 2.0, 7.5) if rng.random() < 0.6 else between(rng, 1.5, 3.0))
    kind = str(rng.choice(["town", "houses", "park"], p=[0.58, 0.26, 0.16]))
    plots = list(_plots(rng, end, kind))
    heights = np.zeros(400, dtype=np.float32)
    tall = between(rng, 6, 24)
    if kind != "town":
        x1, x2 = sorted((front, edge + out * 16.5))
        scene.model.add(floor(x1, x2, 0.6, 300, KERB), VEGETATION, tinted(rng, leaves[0], 0.08), GRASS)
        if rng.random() < 0.6:
            add_hedge(scene.model, rng, front + out * 0.3, 0.6, end, between(rng, 0.6, 1.8), tinted(rng, leaves[0]))
    for z1, z2, use in reversed(plots):
        if use == "street":
            x1, x2 = sorted((edge, edge + out * 120))
            shade = (edge, edge, 0.0, -1.0, 0.0, 7.0, 0.0)
            scene.model.add(floor(x1, x2, z1, z2, KERB), ROAD, (0.33, 0.33, 0.34), ASPHALT, shade)
        elif use == "green":
            _add_grove(scene.model, rng, front, out, z1, z2, leaves)
        else:
            set_back = 0.0 if use == "town" else between(rng, 1.0, 4.5)
            high = add_building(scene.model, rng, front + out * set_back, z1, z2, use, tall)
            _cast_building(scene, front + out * set_back, out, z1, z2, high)
            heights[max(0, int(z1 + BACK)) : max(0, int(z2 + BACK))] = high
    return Side(front, heights)


def _plots(rng: np.random.Generator, end: float, kind: str) -> list[tuple[float, float, str]]:
    """Return the plots of one side of the street: (near depth, far depth, use)."""
    plots, z = [], between(rng, -14, 0)
    while z < end:
        draw = rng.random()
        if kind == "park":
            wide, use = between(rng, 6, 12), "green" if draw < 0.9 else "houses"
        elif draw < 0.10 and z > 3:
            wide, use = between(rng, 7, 11), "street"
        elif draw < (0.16 if kind == "town" else 0.32):
            wide, use = between(rng, 4, 10), "green"
        else:
            wide, use = between(rng, 7, 22) if kind == "town" else between(rng, 8, 12), kind
        plots.append((z, z + wide, use))
        z += wide
    return plots


def add_building(
    model: Model, rng: np.random.Generator, x: float, z1: float, z2: float, use: str, tall: float
) -> float:
    """Add a building.

    Args:
        model: receives the faces.
        rng: source of the style and the colours.
        x: of its front, in metres.
        z1: depth of the near end of the front in metres.
        z2: depth of the far end in metres.
        use: "houses", or another use of the plot.
        tall: typical height of the buildings of this side in metres.

    Returns:
        Its height in metres.
    """
    house = use == "houses"
    high = between(rng, 4.5, 7.5) if house else max(5.0, tall * between(rng, 0.6, 1.5))
    colour = tinted(rng, pick(rng, WALLS), 0.07)
    style = int(rng.integers(4)) if not house else int(rng.integers(2))
    shop = between(rng, 3.2, 4.2) if not house and rng.random() < 0.5 else 0.0
    storey, bay = between(rng, 2.7, 3.6), between(rng, 1.8, 3.6)
    parameters = (
        high,
        storey,
        bay,
        between(rng, 0.32, 0.72),
        between(rng, 0.42, 0.68),
        shop,
        float(style),
        float(rng.integers(256)),
        rng.random(),
    )
    if z2 <= 1.0:
        return high
    deep = 11.0 if x > 0 else -11.0
    gabled = house or rng.random() < 0.3
    if gabled:
        _add_roof(model, rng, x, deep, z1, z2, high, tinted(rng, pick(rng, ROOFS)), colour)
    if z1 > 1.0:
        model.add(wall_z(z1, 0, high, x, x + deep), BUILDING, darker(colour, 0.96), FACADE, (x, *parameters))
    model.add(wall_x(x, 0, high, z1, z2), BUILDING, colour, FACADE, (z1, *parameters))
    if not gabled:  # a cornice
        inwards = -0.25 if x > 0 else 0.25
        model.add(wall_x(x + inwards, high - 0.4, high, z1, z2), BUILDING, darker(colour, between(rng, 0.7, 1.25)))
        if z1 > 1.0:
            model.add(wall_z(z1 - 0.05, high - 0.4, high, x + inwards, x + deep), BUILDING, darker(colour, 0.9))
    return high


def _add_roof(
    model: Model,
    rng: np.random.Generator,
    x: float,
    deep: float,
    z1: float,
    z2: float,
    high: float,
    tiles: Colour,
    wall: Colour,
) -> None:
    """Add a pitched roof with its ridge along the street, the near gable, and sometimes a chimney."""
    rise = between(rng, 1.8, 3.6)
    near, ridge, eave = max(z1, 0.6), x + deep / 2, x - deep * 0.03
    model.add(
        [(eave, high, near), (ridge, high + rise, near), (ridge, high + rise, z2), (eave, high, z2)], BUILDING, tiles
    )
    if z1 > 1.0:
        model.add([(x, high, z1), (ridge, high + rise, z1), (x + deep, high, z1)], BUILDING, darker(wall, 0.9))
    if rng.random() < 0.6:
        z = max(1.0, z1 + (z2 - z1) * between(rng, 0.2, 0.8))
        a = ridge - deep * 0.05
        model.add(wall_z(z, high + rise * 0.7, high + rise + 1.0, a, a + 0.9), BUILDING, darker(wall, 0.7))


def _cast_building(scene: Scene, x: float, out: float, z1: float, z2: float, high: float) -> None:
    """Add the shadow of a building; on its own side only where the sun stands beyond it."""
    if scene.light.sun[0] * out > 0 or z1 > 1:
        x1, x2 = sorted((x, x + out * 11))
        scene.cast(x1, x2, z1, z2, high)


def _add_grove(
    model: Model, rng: np.random.Generator, front: float, out: float, z1: float, z2: float, leaves: tuple[Colour, ...]
) -> None:
    """Add a garden: grass, bushes and a few trees."""
    x1, x2 = sorted((front, front + out * 18))
    if z2 > 0.8:
        model.add(floor(x1, x2, z1, z2, KERB), VEGETATION, tinted(rng, leaves[0], 0.08), GRASS)
    places = sorted(
        ((between(rng, z1, z2), between(rng, 1.5, 14)) for _ in range(int(rng.integers(1, 5)))), reverse=True
    )
    for z, aside in places:
        if z > 3.0:
            size = between(rng, 0.9, 1.7)
            add_tree(model, rng, front + out * aside, z, KERB, tinted(rng, pick(rng, leaves), 0.06), size)


def add_background(model: Model, rng: np.random.Generator, end: float, leaves: tuple[Colour, ...]) -> None:
    """Add the skyline, and sometimes buildings or trees that close the street at its end."""
    for _ in range(int(rng.integers(0, 16))):
        x, wide, high = between(rng, -160, 160), between(rng, 10, 35), rng.exponential(16) + 6
        wall = tinted(rng, pick(rng, WALLS), 0.05)
        parameters = (x, high, 3.5, 4.0, 0.5, 0.5, 0.0, float(PANEL), float(rng.integers(256)), rng.random())
        model.add(wall_z(between(rng, 200, 280), 0, high, x, x + wide), BUILDING, wall, FACADE, parameters)
    if rng.random() < 0.6:
        across = np.linspace(-260, 260, 41)
        top = between(rng, 3, 14) * (0.7 + 0.6 * rng.random(41))
        outline = np.stack([across, top, np.full(41, 190.0)], axis=1)
        hills = np.concatenate([outline, [(260, 0, 190), (-260, 0, 190)]])
        model.add(hills, VEGETATION, tinted(rng, leaves[0], 0.05), PLAIN)
    closing = rng.random()
    if closing < 0.28:
        model.add(floor(-60, 60, end + 1, end + 9, KERB), ROAD, (0.33, 0.33, 0.34))
        x, z = between(rng, -60, -40), end + between(rng, 9, 16)
        while x < 50:
            wide, high = between(rng, 9, 26), between(rng, 6, 26)
            parameters = (
                x,
                high,
                between(rng, 2.8, 3.6),
                between(rng, 2, 3.6),
                0.5,
                0.55,
                0.0,
                float(rng.integers(4)),
                float(rng.integers(256)),
                rng.random(),
            )
            model.add(
                wall_z(z, 0, high, x, x + wide), BUILDING, tinted(rng, pick(rng, WALLS), 0.07), FACADE, parameters
            )
            x += wide
    elif closing < 0.5:
        for _ in range(int(rng.integers(5, 12))):
            add_tree(
                model, rng, between(rng, -30, 30), end + between(rng, 2, 20), 0, tinted(rng, pick(rng, leaves)), 1.6
            )
