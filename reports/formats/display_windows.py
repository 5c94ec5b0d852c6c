"""Display windows in words: which stored numbers a picture shows as black and as white."""

from collections.abc import Mapping
from typing import Any

from cgbench.pixel_format import PixelFormat, recorded_format


def domain_formats(dataset: Mapping[str, Any]) -> dict[str, PixelFormat]:
    """Return the formats of domains "A" and "B" of a recorded dataset; 8-bit RGB, and a format
    without a window, are left out."""
    records = [domain.get("pixels") for domain in dataset.get("domains", ())]
    whole = {letter: record for letter, record in zip("AB", records, strict=False) if record and record.get("window")}
    formats = {letter: recorded_format(record) for letter, record in whole.items()}
    return {letter: pixels for letter, pixels in formats.items() if not pixels.is_rgb8}


def shown(pixels: PixelFormat | None) -> str:
    """Return what pictures of a format show, "shown: -1000 to 2000 HU as black to white"; "" for 8-bit RGB."""
    if pixels is None or pixels.is_rgb8:
        return ""
    ends = f"{with_unit(f'{pixels.ends[0]:g} to {pixels.ends[1]:g}', pixels.unit)} as black to white"
    if pixels.channels == 1:
        return f"shown: {ends}"
    if pixels.channels == 2:
        return f"shown: band 1 of 2, {ends}"
    bands = "" if pixels.channels == 3 else f" of {pixels.channels}"
    return f"shown: bands 1 to 3{bands} as RGB, each with {ends}"


def shown_in(dataset: Mapping[str, Any], direction: str) -> list[tuple[str, str, str]]:
    """Return the domains of a direction that are not 8-bit RGB, source before target: letter, name, and what pictures
    show of it."""
    formats, letters = domain_formats(dataset), "AB" if direction.startswith("AtoB") else "BA"
    names = {letter: domain["name"] for letter, domain in zip("AB", dataset.get("domains", ()), strict=False)}
    return [(letter, names[letter], shown(formats[letter])) for letter in letters if letter in formats]


def with_unit(number: str, unit: str) -> str:
    """Return a number with its unit, "84 HU", or as it is where there is none."""
    return f"{number} {unit}" if unit else number


def amount(number: float, unit: str) -> str:
    """Return a measured number with its unit, in three digits or whole: "84.3 HU", "1203 HU"."""
    return with_unit(f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}", unit)
