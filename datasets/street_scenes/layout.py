"""The layout of one street: the positions of all objects, in metres, drawn from one random stream."""

import numpy as np

from cgbench.datasets.street_scenes.cars import add_car
from cgbench.datasets.street_scenes.geometry import (
    ASPHALT,
    CLOUDS,
    GRASS,
    PAVING,
    ROAD,
    SIDEWALK,
    SKY,
    VEGETATION,
    Camera,
    Colour,
    between,
    darker,
    floor,
    pick,
    tinted,
    wall_x,
    wall_z,
)
from cgbench.datasets.street_scenes.lighting import draw_light
from cgbench.datasets.street_scenes.objects import add_lamp, add_person, add_sign, add_tree
from cgbench.datasets.street_scenes.ood_objects import add_animal, add_balloon, add_fallen_tree, add_truck
from cgbench.datasets.street_scenes.roadside import add_background, add_side
from cgbench.datasets.street_scenes.scene import KERB, Scene

FAR = 300.0  # metres to which the ground reaches
SEASONS = (
    ((0.20, 0.36, 0.13), (0.26, 0.42, 0.16)),
    ((0.36, 0.50, 0.18), (0.44, 0.56, 0.24)),
    ((0.62, 0.40, 0.12), (0.50, 0.24, 0.12), (0.66, 0.54, 0.18), (0.34, 0.40, 0.16)),
    ((0.38, 0.33, 0.24), (0.30, 0.34, 0.20)),
)
GROUNDS = ((0.27, 0.27, 0.28), (0.36, 0.35, 0.34), (0.21, 0.21, 0.23), (0.42, 0.39, 0.36))
PAVING_COLOURS = ((0.52, 0.51, 0.49), (0.42, 0.42, 0.43), (0.58, 0.50, 0.40), (0.50, 0.36, 0.30), (0.34, 0.34, 0.36))


def build_scene(rng: np.random.Generator, ood: bool = False) -> Scene:
    """Return a random street; with `ood`, one with an object that no training street shows."""
    light = draw_light(rng)
    camera = Camera(
        focal=between(rng, 0.62, 1.05),
        height=between(rng, 1.35, 2.6),
        centre_u=between(rng, 0.2, 0.8),
        centre_v=between(rng, 0.33, 0.73),
        roll=between(rng, -0.035, 0.035),
    )
    scene = Scene(camera, light)
    half = between(rng, 2.3, 6.5)  # half of the road's width
    camera_x = between(rng, -0.8, 0.9) * (half - 0.7)  # from the middle of the road
    left, right = -half - camera_x, half - camera_x
    leaves = pick(rng, SEASONS)
    end = between(rng, 20, 130)
    _add_sky_and_ground(scene, rng, left, right, leaves)
    add_background(scene.model, rng, end, leaves)
    scene.sides = tuple(add_side(scene, rng, edge, end, leaves) for edge in (left, right))
    _add_objects(scene, rng, left, right, leaves, ood)
    return scene


def _add_sky_and_ground(scene: Scene, rng: np.random.Generator, left: float, right: float, leaves: tuple) -> None:
    """Add the sky, the land, both pavements with their kerbs, and the road between `left` and `right`."""
    model, far = scene.model, 3000.0
    model.add(wall_z(far, -far, 4 * far, -4 * far, 4 * far), SKY, (1, 1, 1), CLOUDS)
    model.add(floor(-FAR, FAR, 0.6, FAR), VEGETATION, tinted(rng, leaves[0], 0.08), GRASS)
    paving = tinted(rng, pick(rng, PAVING_COLOURS))
    slab = between(rng, 0.5, 1.2)
    seed = float(rng.integers(256))
    verge = between(rng, 1.0, 2.2) if rng.random() < 0.25 else 0.0
    for edge, outwards in ((left, -1.0), (right, 1.0)):
        x1, x2 = sorted((edge, edge + outwards * 16))
        model.add(floor(x1, x2, 0.6, FAR, KERB), SIDEWALK, paving, PAVING, (slab, seed))
        if verge:
            x1, x2 = sorted((edge + outwards * 0.3, edge + outwards * (0.3 + verge)))
            model.add(floor(x1, x2, 0.6, FAR, KERB), VEGETATION, tinted(rng, leaves[-1], 0.05), GRASS)
        model.add(wall_x(edge, 0, KERB, 0.6, FAR), SIDEWALK, darker(paving, 1.15))
    crossing = between(rng, 5, 30) if rng.random() < 0.35 else -1.0
    lanes = int((right - left) > 6.5) + int((right - left) > 10.5)
    marks = (left, right, float(lanes), crossing, between(rng, 0.3, 1.0), seed, float(rng.random() < 0.5))
    model.add(floor(left, right, 0.6, FAR), ROAD, tinted(rng, pick(rng, GROUNDS), 0.03), ASPHALT, marks)


def _add_objects(scene: Scene, rng: np.random.Generator, left: float, right: float, leaves: tuple, ood: bool) -> None:
    """Place trees, lamps, signs, persons, cars and an out-of-distribution object, and add them from far to near."""
    planned: list[tuple[float, str, float]] = [*_rows(rng, left, right), *_traffic(rng, left, right, ood)]
    middle = (left + right) / 2
    if ood:
        kind = str(pick(rng, ("truck", "fallen tree", "animal", "balloon")))
        z, x = between(rng, 5.5, 10.0), middle + between(rng, -0.25, 0.25) * (right - left)
        planned = [entry for entry in planned if entry[0] > z or abs(entry[2] - x) > 4]  # nothing stands in front
        planned.append((z, kind, x))
    planned.sort(key=lambda entry: -entry[0])
    for z, kind, x in planned:
        _add_object(scene, rng, kind, x, z, leaves)


def _rows(rng: np.random.Generator, left: float, right: float) -> list[tuple[float, str, float]]:
    """Return the objects along both pavements, and persons on the road: (depth, kind, x)."""
    planned = []
    alike = rng.random() < 0.5
    gaps = [(between(rng, 5, 16), rng.random()) for _ in range(2)]
    busy = between(rng, 0, 9)
    for i, (edge, out) in enumerate(((left, -1.0), (right, 1.0))):
        gap, planted = gaps[0] if alike else gaps[i]
        if planted < 0.55:
            for z in np.arange(between(rng, 3, 12), between(rng, 20, 75), gap).tolist():
                if rng.random() < 0.85:
                    planned.append((z + between(rng, -1, 1), "tree", edge + out * between(rng, 0.7, 1.4)))
        if rng.random() < 0.75:
            for z in np.arange(between(rng, 5, 18), 70, between(rng, 12, 28)).tolist():
                planned.append((z, "lamp", edge + out * 0.45))
        for _ in range(int(rng.integers(0, 4))):
            planned.append((between(rng, 3.5, 26), "sign", edge + out * between(rng, 0.4, 0.9)))
        for _ in range(rng.poisson(busy)):
            planned.append((3.2 + rng.exponential(9), "person", edge + out * between(rng, 0.4, 2.6)))
    for _ in range(rng.poisson(0.5)):
        planned.append((between(rng, 5, 25), "person", between(rng, left, right)))
    return planned


def _traffic(rng: np.random.Generator, left: float, right: float, ood: bool) -> list[tuple[float, str, float]]:
    """Return parked and moving cars: (depth of the near end, kind, x of the middle)."""
    planned, wide = [], right - left
    for edge, inwards, kind in ((left, 1.0, "car front"), (right, -1.0, "car rear")):
        full = pick(rng, (0.0, 0.3, 0.6, 0.9)) if wide > 6.5 else pick(rng, (0.0, 0.0, 0.3))
        z = between(rng, 2.5, 8)
        while z < 60:
            if rng.random() < full:
                planned.append((z, kind, edge + inwards * between(rng, 1.0, 1.25)))
            z += between(rng, 5.4, 7.0)
    room = 2.2 if wide > 9 else 0.0
    for kind, x in (("car front", left + room + 1.4), ("car rear", right - room - 1.4)):
        z = between(rng, 5, 30) + (12 if ood else 0)
        for _ in range(rng.poisson(0.9) if wide > 6 else rng.poisson(0.4)):
            middle = x + between(rng, -0.3, 0.3)
            if all(abs(entry[0] - z) > 5.2 or abs(entry[2] - middle) > 2.1 for entry in planned):
                planned.append((z, kind, middle))
            z += between(rng, 9, 30)
    return planned


def _add_object(
    scene: Scene, rng: np.random.Generator, kind: str, x: float, z: float, leaves: tuple[Colour, ...]
) -> None:
    """Add one object with its shadow."""
    model, lit = scene.model, scene.light.lamps
    colour = tinted(rng, pick(rng, leaves), 0.06)
    if kind.startswith("car"):
        width, height, length = add_car(model, rng, x, z, kind == "car front", lit)
        scene.touch(x - width * 0.52, x + width * 0.52, z - 0.15, z + length + 0.1)
        scene.cast(x - width / 2, x + width / 2, z, z + length, height * 0.85)
    elif kind == "person":
        height = add_person(model, rng, x, z, KERB)
        scene.touch(x - 0.2, x + 0.2, z - 0.15, z + 0.15)
        scene.cast(x - 0.15, x + 0.15, z - 0.1, z + 0.1, height)
    elif kind == "tree":
        middle, wide = add_tree(model, rng, x, z, KERB, colour)
        scene.cast(x - 0.15, x + 0.15, z - 0.15, z + 0.15, middle)
        _cast_crown(scene, x, z, middle, wide)
    elif kind == "lamp":
        position = add_lamp(model, rng, x, z, KERB, lit)
        scene.cast(x - 0.08, x + 0.08, z - 0.08, z + 0.08, position[1])
        if lit:
            scene.lamps.append(position)
    elif kind == "sign":
        scene.cast(x - 0.06, x + 0.06, z - 0.06, z + 0.06, add_sign(model, rng, x, z, KERB, lit))
    elif kind == "truck":
        add_truck(model, rng, x, z)
        scene.touch(x - 1.3, x + 1.3, z - 0.2, z + 9.2)
        scene.cast(x - 1.25, x + 1.25, z, z + 9, 3.4)
    elif kind == "fallen tree":
        add_fallen_tree(model, rng, x, z, colour)
        scene.touch(x - 3.0, x + 3.0, z - 0.3, z + 0.5)
    elif kind == "animal":
        add_animal(model, rng, x, z)
        scene.touch(x - 1.0, x + 1.0, z - 0.3, z + 0.3)
        scene.cast(x - 0.9, x + 0.9, z - 0.2, z + 0.2, 1.8)
    elif kind == "balloon":
        add_balloon(model, rng, 0.0)


def _cast_crown(scene: Scene, x: float, z: float, middle: float, wide: float) -> None:
    """Add the round shadow of a tree's crown."""
    if not scene.light.shadows:
        return
    sun = scene.light.sun
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    points = np.zeros((12, 3))
    points[:, 0] = x - middle * sun[0] / sun[1] + wide * np.cos(angle)
    points[:, 2] = z - middle * sun[2] / sun[1] + 1.3 * wide * np.sin(angle)
    scene.shadows.append(points)
