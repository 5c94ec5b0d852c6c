"""The light and weather of a street scene: sun, sky, haze, lamps and the camera's exposure."""

import math
from dataclasses import dataclass

import numpy as np

from cgbench.datasets.street_scenes.geometry import Colour, between, tinted

# kind: share of scenes, sun elevation (degrees), sun, ambient, zenith, horizon (RGB), clouds, share of lit windows
KINDS = {
    "clear": (0.36, (22, 62), (1.05, 0.96, 0.80), (0.50, 0.56, 0.66), (0.24, 0.45, 0.78), (0.72, 0.82, 0.92), 0.5, 0.0),
    "overcast": (
        0.22, (40, 60), (0.10, 0.10, 0.10), (0.78, 0.81, 0.84), (0.62, 0.66, 0.71), (0.84, 0.86, 0.88), 0.9, 0.08,
    ),
    "golden": (
        0.18, (9, 20), (1.05, 0.70, 0.38), (0.46, 0.43, 0.48), (0.36, 0.46, 0.68), (0.98, 0.76, 0.48), 0.6, 0.10,
    ),
    "dusk": (0.12, (2, 5), (0.12, 0.08, 0.08), (0.36, 0.36, 0.46), (0.18, 0.22, 0.42), (0.86, 0.50, 0.42), 0.7, 0.45),
    "night": (0.12, (30, 50), (0.03, 0.04, 0.06), (0.17, 0.18, 0.25), (0.03, 0.04, 0.10), (0.16, 0.14, 0.19), 0.4, 0.5),
}  # fmt: skip


@dataclass(frozen=True)
class Light:
    """The light of one scene. Colours are RGB factors, directions are unit vectors towards the sun."""

    kind: str
    sun: tuple[float, float, float]
    sun_colour: Colour
    ambient: Colour
    zenith: Colour
    horizon: Colour
    clouds: float  # 0 to 1
    lit_windows: float  # share of windows with light in them
    lamps: bool  # whether street lamps and headlights are on
    haze: float  # per metre
    wet: float  # 0 dry, 1 a road that mirrors the sky
    exposure: float
    balance: Colour  # white balance
    noise: float  # standard deviation of the sensor noise, 0 to 1
    vignette: float
    sky_seed: int

    @property
    def shadows(self) -> bool:
        """Whether the sun is strong enough to cast shadows."""
        return self.kind in ("clear", "golden")


def draw_light(rng: np.random.Generator) -> Light:
    """Draw the time of day, the weather and the camera's settings."""
    kind = str(rng.choice(list(KINDS), p=[row[0] for row in KINDS.values()]))
    _, elevations, sun_colour, ambient, zenith, horizon, clouds, lit = KINDS[kind]
    elevation = math.radians(between(rng, *elevations))
    azimuth = between(rng, -math.pi, math.pi)
    sun = (math.cos(elevation) * math.sin(azimuth), math.sin(elevation), math.cos(elevation) * math.cos(azimuth))
    dark = kind in ("dusk", "night")
    return Light(
        kind=kind,
        sun=sun,
        sun_colour=tinted(rng, sun_colour, 0.04),
        ambient=tinted(rng, ambient, 0.04),
        zenith=tinted(rng, zenith, 0.05 if kind != "night" else 0.02),
        horizon=tinted(rng, horizon, 0.06 if kind != "night" else 0.04),
        clouds=clouds * between(rng, 0.3, 1.2),
        lit_windows=lit * between(rng, 0.5, 1.3),
        lamps=dark,
        haze=between(rng, 0.001, 0.006) * (2.0 if kind in ("overcast", "golden") else 1.0),
        wet=between(rng, 0.2, 0.7) if rng.random() < (0.4 if dark or kind == "overcast" else 0.05) else 0.0,
        exposure=between(rng, 0.9, 1.35),
        balance=tinted(rng, (0.98, 0.98, 0.98), 0.05),
        noise=between(rng, 0.008, 0.02) * (1.4 if dark else 1.0),
        vignette=between(rng, 0.05, 0.35),
        sky_seed=int(rng.integers(256)),
    )
