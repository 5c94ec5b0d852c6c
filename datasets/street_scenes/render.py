"""The renderer of a street scene: the face that each pixel shows, and the light that comes from it.

First every face is drawn as its number (painter's algorithm), which gives the label map. The photo is then shaded
from the numbers: the ray of a pixel meets the plane of its face at a known point, which determines texture, shadow,
lamp light and haze.
"""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from cgbench.datasets.street_scenes.geometry import ASPHALT, CLOUDS, FACADE, GRASS, MATERIALS, NEAREST, PAVING
from cgbench.datasets.street_scenes.materials import Surface, paint, rgb, sky
from cgbench.datasets.street_scenes.scene import BACK, Scene

IS_GROUND = np.isin(np.arange(MATERIALS), (ASPHALT, PAVING, GRASS))
RESPONSE = 1.45  # steepness of the camera's response curve
MAX_LAMPS = 5  # the nearest street lamps light a scene
LAMPLIGHT = (1.0, 0.78, 0.48)


@lru_cache(maxsize=1)  # the photo and the labels of a scene show the same faces
def draw_faces(scene: Scene, size: int) -> np.ndarray:
    """Return the number of the face that each pixel shows, int32 (size, size), read-only."""
    canvas = Image.new("I", (size, size), 0)
    draw = ImageDraw.Draw(canvas)
    for number, outline in enumerate(_outlines(scene, scene.model.points, size)):
        if outline is not None:
            draw.polygon(outline, fill=number)
    return np.asarray(canvas)


def _outlines(scene: Scene, polygons: list[np.ndarray], size: int) -> list[list[float] | None]:
    """Return each polygon's corners in pixels (x, y, x, y, ...), None for those outside the image."""
    if not polygons:
        return []
    counts = np.array([len(points) for points in polygons])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    positions = scene.camera.project(np.concatenate(polygons))
    low, high = np.minimum.reduceat(positions, starts), np.maximum.reduceat(positions, starts)
    visible: list[bool] = np.all((high > 0) & (low < 1), axis=1).tolist()
    corners = np.clip(positions * size - 0.5, -30 * size, 30 * size).ravel().tolist()
    ends = (2 * (starts + counts)).tolist()
    return [corners[a:b] if ok else None for a, b, ok in zip((2 * starts).tolist(), ends, visible, strict=True)]


def render_labels(scene: Scene, side: int) -> np.ndarray:
    """Return the class ids of a scene, uint8 (side, side); 255 where a pixel belongs to no class."""
    numbers = draw_faces(scene, 2 * side)[1::2, 1::2]
    return np.array([row[0] for row in scene.model.rows], dtype=np.uint8)[numbers]


def render_photo(scene: Scene, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return a photo of a scene, uint8 (side, side, 3), rendered at twice the side; `rng` draws the sensor's noise."""
    size = 2 * side
    surface, across, up = _visible_surface(scene, size)
    paint(surface, scene.light)
    emitted = surface.colour * surface.glow
    colour = surface.colour * _light(scene, surface, size) + emitted
    fog = 1 - np.exp(-scene.light.haze * surface.position[2])
    colour += (rgb(scene.light.horizon) - colour) * fog
    above = np.flatnonzero(surface.material == CLOUDS)
    colour[:, above] = sky(scene.light, across[above], up[above])
    return _expose(scene, _downsampled(colour, side), _downsampled(emitted, side), rng)


def _downsampled(values: np.ndarray, side: int) -> np.ndarray:
    """Return the means (side, side, 3) over 2 × 2 blocks of pixels, of values (3, 4 side²)."""
    pixels = values.reshape(3, side, 2, side, 2)
    total = pixels[:, :, 0, :, 0] + pixels[:, :, 0, :, 1] + pixels[:, :, 1, :, 0] + pixels[:, :, 1, :, 1]
    return np.ascontiguousarray(total.transpose(1, 2, 0)) * np.float32(0.25)


def _visible_surface(scene: Scene, size: int) -> tuple[Surface, np.ndarray, np.ndarray]:
    """Return the surface that each pixel shows, and the slopes X/Z and (Y - height)/Z of its ray, each (size²,)."""
    number = draw_faces(scene, size).ravel()
    rows = np.array(scene.model.rows, dtype=np.float32).T
    across, up = (slope.ravel() for slope in scene.camera.rays(size))
    plane = _planes(scene).take(number, axis=1)
    slant = plane[0] * across + plane[1] * up + plane[2]
    z = np.clip(plane[3] / np.where(np.abs(slant) < 1e-6, np.float32(1e-6), slant), NEAREST, 3000)
    surface = Surface(
        number=number,
        material=rows[1].astype(np.uint8).take(number),
        colour=rows[2:5].take(number, axis=1),
        glow=rows[5].take(number),
        position=(across * z, up * z + np.float32(scene.camera.height), z),
        normal=plane[:3],
        parameters=rows[6:],
    )
    return surface, across, up


def _planes(scene: Scene) -> np.ndarray:
    """Return each face's plane (4, faces): the normal towards the camera, and its product with points of the plane."""
    corner = np.array([points[:3] for points in scene.model.points])
    corner[:, :, 1] -= scene.camera.height
    a, b = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    normal = np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )
    length = np.sqrt((normal * normal).sum(axis=1, keepdims=True))
    normal = np.where(length < 1e-9, (0.0, 0.0, -1.0), normal / np.maximum(length, 1e-9))
    product = (normal * corner[:, 0]).sum(axis=1, keepdims=True)
    return (np.concatenate([normal, product], axis=1) * np.where(product > 0, -1, 1)).T.astype(np.float32)


def _light(scene: Scene, surface: Surface, size: int) -> np.ndarray:
    """Return the light (3, N) that falls on each pixel's surface: sky, sun with shadows, lamps."""
    light = scene.light
    facing = np.asarray(light.sun, np.float32) @ surface.normal
    sunny = np.clip(facing, 0, 1)
    ground = IS_GROUND[surface.material]
    if light.shadows:
        shaded = _ground_mask(scene, scene.shadows, size)
        sunny[shaded & ground] *= 0.08
        _shade_walls(scene, surface, sunny)
    open_sky = 0.84 + 0.16 * surface.normal[1]
    open_sky[_ground_mask(scene, scene.contacts, size) & ground] *= 0.45
    total = open_sky * rgb(light.ambient) + sunny * rgb(light.sun_colour)
    x, y, z = surface.position
    for lamp in sorted(scene.lamps, key=lambda position: position[2])[:MAX_LAMPS]:
        near = 1 / (1 + 0.10 * ((x - lamp[0]) ** 2 + (y - 0.6 * lamp[1]) ** 2 + (z - lamp[2]) ** 2))
        total += (0.9 * near) * rgb(LAMPLIGHT)
    return total


def _ground_mask(scene: Scene, polygons: list[np.ndarray], size: int) -> np.ndarray:
    """Return the mask of the pixels inside the polygons on the ground, bool (size²,)."""
    canvas = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(canvas)
    ahead = [points for points in polygons if points[:, 2].max() > NEAREST]
    for outline in _outlines(scene, ahead, size):
        if outline is not None:
            draw.polygon(outline, fill=1)
    return np.array(canvas).ravel().astype(bool)


def _shade_walls(scene: Scene, surface: Surface, sunny: np.ndarray) -> None:
    """Remove sunlight from walls along the street where the buildings opposite block it."""
    sun_x, sun_y, sun_z = scene.light.sun
    if abs(sun_x) < 0.05:
        return
    near, opposite = scene.sides if sun_x > 0 else scene.sides[::-1]
    _, y, z = surface.position
    lit = (surface.material == FACADE) & (np.sign(surface.normal[0]) == np.sign(sun_x)) & (sunny > 0)
    where = np.flatnonzero(lit)
    run = abs(opposite.x - near.x) / abs(sun_x)
    metre = np.clip(z[where] + run * sun_z + BACK, 0, len(opposite.heights) - 1).astype(np.int32)
    blocked = y[where] + run * sun_y < opposite.heights[metre]
    sunny[where[blocked]] *= 0.08


def _expose(scene: Scene, colour: np.ndarray, emitted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the photo, uint8 (side, side, 3): bloom, exposure, camera response, vignette and noise."""
    light, side = scene.light, len(colour)
    if emitted.max() > 0.1:
        bright = Image.fromarray((np.clip(emitted, 0, 1) * 255).astype(np.uint8))
        bloom = np.asarray(bright.filter(ImageFilter.GaussianBlur(side / 40)), dtype=np.float32) / 255
        colour = colour + (0.9 if light.lamps else 0.3) * bloom
    shown = 1 - np.exp(-RESPONSE * light.exposure * np.asarray(light.balance, np.float32) * colour)
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    shown *= (1 - light.vignette * 2 * (axis[:, None] ** 2 + axis**2))[:, :, None]
    shown += light.noise * rng.standard_normal(shown.shape, dtype=np.float32)
    return (np.clip(shown, 0, 1) * 255 + 0.5).astype(np.uint8)
