"""Materials of a street scene: walls with windows, asphalt with markings, paving, grass, leaves, glass, sky.

Every material changes the colours (and the emitted light) of some pixels in place. Patterns come from two fixed
random tables, looked up at world positions, so that they are the same at any resolution.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from cgbench.datasets.street_scenes.geometry import (
    ASPHALT,
    BAND,
    BRICK,
    FACADE,
    FOLIAGE,
    GLASS,
    GRASS,
    PAINT,
    PANEL,
    PAVING,
    Colour,
)
from cgbench.datasets.street_scenes.lighting import Light
from cgbench.seeds import generator

TABLE = 256  # side of the random tables, which repeat


@dataclass
class Surface:
    """The surfaces that N pixels show, float32 unless noted; channels and coordinates are the first axis."""

    number: np.ndarray  # (N,) int, the face
    material: np.ndarray  # (N,) int
    colour: np.ndarray  # (3, N) reflectance, 0 to 1
    glow: np.ndarray  # (N,) emitted light, as a multiple of the colour
    position: tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y, z in metres, each (N,)
    normal: np.ndarray  # (3, N), towards the camera
    parameters: np.ndarray  # (10, faces)


def rgb(colour: Colour) -> np.ndarray:
    """Return a colour that broadcasts with those of pixels, float32 (3, 1)."""
    return np.array(colour, np.float32)[:, None]


@cache
def rough() -> np.ndarray:
    """Return a table of independent uniform numbers, 0 to 1."""
    return generator(0, "streets", "rough").random((TABLE, TABLE), dtype=np.float32)


@cache
def smooth() -> np.ndarray:
    """Return a table of smooth noise at several scales, mean 0 and standard deviation 1; it tiles seamlessly."""
    total = np.zeros((TABLE, TABLE))
    rng = generator(0, "streets", "smooth")
    at = np.arange(TABLE)
    for cells in (4, 8, 16, 32, 64, 128):
        grid = rng.standard_normal((cells, cells))
        low, part = at * cells // TABLE, (at * cells % TABLE) / TABLE
        part = part * part * (3 - 2 * part)
        high = (low + 1) % cells
        rows = grid[low] * (1 - part)[:, None] + grid[high] * part[:, None]
        total += (rows[:, low] * (1 - part) + rows[:, high] * part) / cells**0.75
    return (total / total.std()).astype(np.float32)


def look_up(table: np.ndarray, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return table values at positions in table cells; positions may be negative."""
    offset = np.float32(64 * TABLE)
    return table[(t + offset).astype(np.int32) & (TABLE - 1), (s + offset).astype(np.int32) & (TABLE - 1)]


def paint(surface: Surface, light: Light) -> None:
    """Apply its material to every pixel but those of the sky."""
    for material, function in SURFACES.items():
        where = np.flatnonzero(surface.material == material)
        if len(where):
            function(surface, where, light)


def facade(surface: Surface, where: np.ndarray, light: Light) -> None:
    """Apply plaster, brick, panels or bands, with windows in storeys and bays, and shops on the ground floor."""
    start, high, storey, bay, wide, tall, shop, style, seed, lively = surface.parameters[:, surface.number[where]]
    x, y, z = (part[where] for part in surface.position)
    along = np.where(np.abs(surface.normal[0, where]) > 0.5, z, x) - start
    near = np.clip(16 / z, 0.15, 1)
    colour = surface.colour[:, where] * _wall(along, y, style, seed, near)

    column, row = along / bay, (y - shop) / storey
    cell, level = np.floor(column), np.floor(row)
    across, up = np.abs(column - cell - np.float32(0.5)), np.abs(row - level - np.float32(0.53))
    low = y < shop
    ground = low & (across < 0.44) & (y > 0.45) & (y < shop - 0.75)
    upper = ~low & (y < high - 0.7) & (up < tall / 2 + 0.05) & (y > 0.6)
    frame = upper & (across < wide / 2 + 0.05)
    glass = (frame & (across < wide / 2) & (up < tall / 2)) | ground
    colour[:, frame] = 0.35 * colour[:, frame] + 0.62 * (0.35 + 0.65 * lively[frame])
    awning = low & (y > shop - 0.75)
    hue = np.stack([(seed[awning] * k) % 1 for k in (0.37, 0.61, 0.83)])
    colour[:, awning] = 0.15 + 0.7 * hue

    chance = look_up(rough(), cell * 3 + seed, np.where(low, -7, level) * 5 + seed)[glass]
    curtain = look_up(rough(), cell * 7 + seed, level * 11 + seed + 3)[glass]
    mirror = np.clip(y[glass] / 14, 0.15, 0.8) * rgb(light.horizon)
    colour[:, glass] = 0.07 + 0.16 * curtain + 0.45 * mirror * (0.4 + 0.6 * chance)
    shining = np.flatnonzero(glass)[chance < light.lit_windows * np.where(low[glass], 1.6, 1.0)]
    warm = 0.75 + 0.25 * look_up(rough(), cell + 31, level * 3 + seed)[shining]
    colour[:, shining] = rgb((1.0, 0.82, 0.52)) * warm
    glow = np.zeros(len(where), np.float32)
    glow[shining] = 0.85 if light.lamps else 0.25
    surface.glow[where] = glow
    surface.colour[:, where] = colour


def _wall(along: np.ndarray, y: np.ndarray, style: np.ndarray, seed: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return the brightness of bare wall, around 1; patterns fade with distance (`near` 1 to 0)."""
    tone = 1 + 0.05 * look_up(smooth(), along * 9 + seed, y * 9) * near
    tone += 0.10 * look_up(smooth(), along * 1.5 + seed * 3, y * 0.8)
    course = np.floor(y * 3.4)
    brick = look_up(rough(), np.floor(along * 1.6 + 0.5 * (course % 2)) + seed, course + seed)
    mortar = (y * 3.4 - course) < 0.16
    tone += np.where(style == BRICK, near * (0.34 * brick - 0.17 + 0.2 * mortar), 0)
    seam = ((along % 1.8) < 0.07) | ((y % 1.8) < 0.07)
    tone -= np.where(style == PANEL, 0.22 * near * seam, 0)
    tone += np.where(style == BAND, 0.16 * np.sign((y % 3.2) - 0.5), 0)
    return tone


def asphalt(surface: Surface, where: np.ndarray, light: Light) -> None:
    """Apply a road surface: grain, worn tracks, repairs, lane markings and zebra crossings."""
    left, right, lanes, crossing, fresh, seed, dashed = surface.parameters[:7, surface.number[where]]
    x, _, z = (part[where] for part in surface.position)
    near = np.clip(9 / z, 0.1, 1)
    tone = 1 + 0.26 * near * (look_up(rough(), x * 40, z * 24) - 0.5)
    tone += 0.10 * look_up(smooth(), x * 7 + seed, z * 2.2)
    repair = look_up(rough(), np.floor(x / 1.3) + seed, np.floor(z / 4.1) + seed) < 0.10
    tone -= np.where(repair, 0.16, 0.0)
    width = np.maximum(right - left, 0.1)
    across = (x - left) / width
    worn = fresh * (0.55 + 0.25 * look_up(smooth(), x * 20, z * 9 + seed))
    line = np.float32(0.075) / width
    middle = (np.abs(across - 0.5) < line) & ((z % 6 < 3.2) | (dashed < 0.5)) & (lanes > 0)
    middle |= (np.abs(np.abs(across - 0.5) - 0.25) < line) & (z % 5 < 2) & (lanes > 1)
    edge = (np.abs(np.abs(across - 0.5) - 0.47) < line) & (fresh > 0.6)
    zebra = (crossing > 0) & (z > crossing) & (z < crossing + 3) & (x % 1.1 < 0.55)
    mark = np.clip(np.where((middle | edge | zebra) & (width > 1), worn, 0), 0, 0.9)
    colour = surface.colour[:, where] * tone
    colour = colour * (1 - mark) + np.float32(0.82) * mark
    if light.wet:
        shine = light.wet * np.clip(0.15 + z / 40 + 0.18 * look_up(smooth(), x * 5, z * 1.5), 0, 0.75)
        colour = colour * (1 - shine) + shine * rgb(light.horizon)
    surface.colour[:, where] = colour


def paving(surface: Surface, where: np.ndarray, light: Light) -> None:
    """Apply pavement slabs."""
    slab, seed = surface.parameters[:2, surface.number[where]]
    x, _, z = (part[where] for part in surface.position)
    near = np.clip(8 / z, 0, 1)
    column, row = np.floor(x / slab), np.floor(z / slab)
    tone = 1 + near * (0.22 * look_up(rough(), column + seed, row + seed) - 0.11)
    joint = ((x / slab - column) < 0.08) | ((z / slab - row) < 0.08)
    tone -= 0.2 * near * joint
    tone += 0.08 * look_up(smooth(), x * 8, z * 4 + seed) + 0.12 * near * (look_up(rough(), x * 30, z * 18) - 0.5)
    surface.colour[:, where] *= tone


def grass(surface: Surface, where: np.ndarray, light: Light) -> None:
    """Apply lawn and rough ground."""
    x, _, z = (part[where] for part in surface.position)
    near = np.clip(10 / z, 0.2, 1)
    tone = 1 + 0.14 * look_up(smooth(), x * 4, z * 2) + 0.4 * near * (look_up(rough(), x * 14, z * 6) - 0.5)
    surface.colour[:, where] *= tone


def foliage(surface: Surface, where: np.ndarray, light: Light) -> None:
    """Apply leaves around a centre (parameters: x, y, half width, half height): clumps, and a rounded normal."""
    middle_x, middle_y, wide, tall = surface.parameters[:4, surface.number[where]]
    x, y, z = (part[where] for part in surface.position)
    a = np.clip((x - middle_x) / np.maximum(wide, 0.1), -0.95, 0.95)
    b = np.clip((y - middle_y) / np.maximum(tall, 0.1), -0.95, 0.95)
    round_normal = np.stack([a, b, -np.sqrt(np.maximum(0.1, 1.3 - a * a - b * b))])
    surface.normal[:, where] = round_normal / np.sqrt((round_normal * round_normal).sum(axis=0))
    near = np.clip(14 / z, 0.3, 1)
    tone = (
        1
        + 0.24 * look_up(smooth(), (x + z) * 14, y * 14)
        + 0.45 * near * (look_up(rough(), (x + z) * 24, y * 24) - 0.5)
    )
    tone *= 0.82 + 0.22 * b
    leaf = surface.colour[:, where] * np.maximum(tone, 0.15)
    leaf[0] += 0.03 * look_up(smooth(), (x - z) * 5 + 90, y * 5)
    surface.colour[:, where] = np.clip(leaf, 0, 1)


def coachwork(surface: Surface, where: np.ndarray, light: Light) -> None:
    """Apply car paint: a reflection of the sky on the upper half, dirt below (parameter: height)."""
    high = surface.parameters[0, surface.number[where]]
    level = surface.position[1][where] / np.maximum(high, 0.3)
    crease = np.abs(level - 0.46) < 0.025
    tone = 0.72 + 0.42 * level - 0.12 * crease
    gloss = np.clip((level - 0.5) * 0.5, 0, 0.22) * rgb(light.horizon)
    surface.colour[:, where] = surface.colour[:, where] * tone + gloss


def glass(surface: Surface, where: np.ndarray, light: Light) -> None:
    """Apply car windows: dark, with a slanting reflection of the sky (parameter: height)."""
    high = surface.parameters[0, surface.number[where]]
    x, y, z = (part[where] for part in surface.position)
    level = y / np.maximum(high, 0.3)
    streak = ((x * 1.4 + z * 0.8 + y * 1.5) % 1.3 < 0.35) * 0.16
    mirror = np.clip((level - 0.6) * 1.1 + streak, 0, 0.6) * rgb(light.horizon)
    surface.colour[:, where] = surface.colour[:, where] + 0.7 * mirror


SURFACES = {
    FACADE: facade, ASPHALT: asphalt, PAVING: paving, GRASS: grass, FOLIAGE: foliage, PAINT: coachwork, GLASS: glass,
}  # fmt: skip


def sky(light: Light, across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return the colours (3, N) of sky seen along rays with slopes `across` (X/Z) and `up` (Y/Z), each (N,)."""
    height = np.clip(up, 0, 1.2)
    blend = np.clip(height * 1.5, 0, 1) ** np.float32(0.7)
    horizon = rgb(light.horizon)
    colour = horizon + (rgb(light.zenith) - horizon) * blend
    scale = 40 / (height + np.float32(0.25))  # clouds lie on a level sheet, smaller towards the horizon
    shape = look_up(smooth(), across * scale + light.sky_seed, scale + light.sky_seed)
    shape = shape + 0.35 * look_up(smooth(), across * scale * 3 + 11, scale * 3)
    cover = np.clip((shape + 2.2 * light.clouds - 1.4) * 0.55, 0, 1) * np.clip(height * 6, 0.1, 1)
    white = rgb(light.sun_colour) * 0.35 + rgb(light.ambient) * 0.75
    cloud = np.clip(white + 0.25 * horizon - 0.06 * np.clip(shape, -1, 2), 0, 1.1)
    colour = colour + (cloud - colour) * (0.9 * cover)
    sun_x, sun_y, sun_z = light.sun
    if sun_z > 0.05 and light.kind in ("clear", "golden"):
        distance = (across - sun_x / sun_z) ** 2 + (up - sun_y / sun_z) ** 2
        halo = 0.9 / (1 + distance * 500) + 0.35 / (1 + distance * 9)
        colour = colour + halo * rgb(light.sun_colour)
    return colour
