"""Axial slices of an anatomy: material of each point, CT numbers, MR signal."""

import numpy as np

from cgbench.datasets.trunk_phantoms.anatomy import Anatomy, Ellipsoid
from cgbench.datasets.trunk_phantoms.materials import MATERIALS, NUMBERS, TISSUE_OF

SAMPLES = 3  # per pixel and axis
THICKNESS = 0.05  # of a slice: about 1 cm
# z of the samples of a pixel within the slice, each of the three in every row and column: a pixel's number is the mean
# of the materials in its volume, at the price of a plane
HEIGHTS = THICKNESS / 3 * np.array([[-1, 0, 1], [0, 1, -1], [1, -1, 0]])
AIR, FAT = NUMBERS["air"], NUMBERS["fat"]
HU = np.array([material.hu for material in MATERIALS.values()])
SIGNAL = np.array([material.signal for material in MATERIALS.values()])
TISSUES = np.array(TISSUE_OF, np.uint8)

CT_TEXTURE, CT_NOISE, STREAKS = 6.0, 12.0, 12.0  # standard deviations in HU: within tissue, of a pixel, of a streak
LOWEST_HU = -1024  # scanners store no less
MR_TEXTURE = 0.05  # standard deviation of the signal within tissue, relative
BIAS = 0.15  # standard deviation of the coil's field, relative
GAIN = (0.85, 1.15)  # of the receiver in a scan: units are arbitrary
MR_NOISE = 30.0  # standard deviation of the real and of the imaginary part of a pixel


def materials(anatomy: Anatomy, z: float, side: int) -> np.ndarray:
    """Return the number of the material at the centre of each pixel of the plane z, uint8 (side, side)."""
    return _drawn(anatomy.parts, side, np.full((1, 1), z))


def tissues(anatomy: Anatomy, z: float, side: int) -> np.ndarray:
    """Return the class at the centre of each pixel of the plane z, uint8 (side, side)."""
    return TISSUES[materials(anatomy, z, side)]


def body(anatomy: Anatomy, z: float, side: int) -> np.ndarray:
    """Return uint8 (side, side): 1 where the centre of a pixel lies in the body, gas in it included, else 0."""
    return (_drawn(anatomy.parts[:1], side, np.full((1, 1), z)) != AIR).astype(np.uint8)


def _drawn(parts: tuple[Ellipsoid, ...], side: int, heights: np.ndarray) -> np.ndarray:
    """Return the materials at the points of a grid, uint8 (side, side). `heights`, (n, n), are the z of n × n points,
    which are repeated over the grid."""
    centres, phase = _centres(side), np.arange(side) % len(heights)
    drawn = np.full((side, side), AIR, np.uint8)
    low, high = heights.min(), heights.max()
    for part in parts:
        if part.z - part.c >= high or part.z + part.c <= low:
            continue
        limits = 1 - ((heights - part.z) / part.c) ** 2
        c, s, reach = np.cos(part.angle), np.sin(part.angle), max(limits.max(), 0) ** 0.5
        across, down = (reach * np.hypot(part.a * m, part.b * n) for m, n in ((c, s), (s, c)))
        rows = slice(*np.searchsorted(centres, (part.y - down, part.y + down)))
        columns = slice(*np.searchsorted(centres, (part.x - across, part.x + across)))
        u, v = centres[columns] - part.x, centres[rows, None] - part.y
        aa, bb = part.a**2, part.b**2
        distance = (2 * c * s * (1 / aa - 1 / bb) * v) * u  # of the quadratic form of the turned ellipse
        distance += (c * c / aa + s * s / bb) * u**2
        distance += (s * s / aa + c * c / bb) * v**2
        inside = distance <= limits[np.ix_(phase[rows], phase[columns])]
        drawn[rows, columns][inside] = NUMBERS[part.material]
    return drawn


def ct_slice(
    anatomy: Anatomy, z: float, side: int, scan: np.random.Generator, sensor: np.random.Generator
) -> np.ndarray:
    """Return CT numbers in HU, int16 (side, side, 1).

    Args:
        anatomy: The patient.
        z: The middle of the slice.
        side: The side in pixels.
        scan: The stream of what all slices of the scan share: the texture of the tissue.
        sensor: The stream of the slice's noise and streaks.

    Returns:
        The slice, with partial volume, faint streaks through the spine, as of beam hardening, and Gaussian noise.
    """
    numbers, inside = _averages(anatomy, z, side, HU)
    numbers += CT_TEXTURE * inside * _waves(scan, side, z, waves=12, fastest=4)
    numbers += inside * _streaks(sensor, side, anatomy.spine)
    numbers += sensor.normal(0, CT_NOISE, numbers.shape)
    return np.round(numbers).clip(LOWEST_HU, 3071).astype(np.int16)[..., None]


def mr_slice(
    anatomy: Anatomy, z: float, side: int, scan: np.random.Generator, sensor: np.random.Generator
) -> np.ndarray:
    """Return MR signal in arbitrary units, uint16 (side, side, 1).

    Args:
        anatomy: The patient.
        z: The middle of the slice.
        side: The side in pixels.
        scan: The stream of what all slices of the scan share: gain, the coil's field, the texture of the tissue.
        sensor: The stream of the slice's noise.

    Returns:
        The slice, with partial volume, an uneven field and Rician noise: a magnitude is measured.
    """
    signal, _ = _averages(anatomy, z, side, SIGNAL)
    signal *= scan.uniform(*GAIN) * (1 + BIAS * _waves(scan, side, z, waves=3, fastest=0.6))
    signal *= 1 + MR_TEXTURE * _waves(scan, side, z, waves=12, fastest=9)
    real, imaginary = signal + sensor.normal(0, MR_NOISE, signal.shape), sensor.normal(0, MR_NOISE, signal.shape)
    return np.round(np.hypot(real, imaginary)).clip(0, 65535).astype(np.uint16)[..., None]


def _averages(anatomy: Anatomy, z: float, side: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the materials' values in each pixel's volume, and the share that is no air, (side, side)."""
    fine = _drawn(anatomy.parts, side * SAMPLES, z + HEIGHTS).reshape(side, SAMPLES, side, SAMPLES)
    return values[fine].mean(axis=(1, 3)), (fine != AIR).mean(axis=(1, 3))


def _centres(side: int) -> np.ndarray:
    """Return the pixel centres along one side, from -1 to 1."""
    return (np.arange(side) + 0.5) / side * 2 - 1


def _waves(rng: np.random.Generator, side: int, z: float, waves: int, fastest: float) -> np.ndarray:
    """Return a plane of a smooth random field in space of about unit variance, (side, side): waves in all directions of
    up to `fastest` periods per unit."""
    turn, rise, speed, phase = rng.random((4, waves, 1))
    rate = 2 * np.pi * fastest * (0.3 + 0.7 * speed)
    level = np.sqrt(1 - (2 * rise - 1) ** 2)  # rise: uniform over the sphere of directions
    x = rate * level * np.cos(2 * np.pi * turn) * _centres(side)
    y = rate * level * np.sin(2 * np.pi * turn) * _centres(side) + rate * (2 * rise - 1) * z + 2 * np.pi * phase
    # cos(x + y) without a cosine per pixel; einsum's own loops, whose sums do not depend on the number of threads
    total = np.einsum("kr,kc->rc", np.concatenate([np.cos(y), -np.sin(y)]), np.concatenate([np.cos(x), np.sin(x)]))
    return np.asarray(total * (2 / waves) ** 0.5)


def _streaks(rng: np.random.Generator, side: int, centre: tuple[float, float]) -> np.ndarray:
    """Return faint straight streaks through a point in HU, (side, side)."""
    x, y = _centres(side) - centre[0], _centres(side)[:, None] - centre[1]
    total = np.zeros((side, side))
    for turn, amount in zip(rng.uniform(0, np.pi, 6), rng.normal(0, STREAKS, 6), strict=True):
        total += amount * np.exp(-(((x * np.sin(turn) - y * np.cos(turn)) / 0.03) ** 2))
    return total
