"""Formats and windows of domains: measured where they are left open, and what lies outside of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from cgbench.api.dataset import Dataset, Item
from cgbench.api.names import Split
from cgbench.datasets.checks.image_stats import PROCEDURAL_SIDE, ImageStats
from cgbench.datasets.checks.report import Issue, issues_for
from cgbench.datasets.images.measured_windows import sampled_window
from cgbench.errors import CgbenchError
from cgbench.formatting import plural
from cgbench.pixel_format import PERCENTILES, PixelFormat

FULL_RANGES = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "int16": (-32768.0, 32767.0), "float32": (0.0, 1.0)}
MOSTLY_OUTSIDE = 0.5  # share of an image's numbers outside of the window
WINDOW_FIX = "look whether they belong to the domain, or give a window with --set window_a=LOW:HIGH or window_b"


class DomainWindows:
    """The formats of both domains, with windows: those that the dataset leaves open are measured on its training
    images, or on those that are there."""

    def __init__(self, dataset: Dataset, selected: Mapping[tuple[str, str], Sequence[Item]]) -> None:
        self.formats: dict[str, PixelFormat] = {}
        self.measured_on: dict[str, str] = {}
        self.issues: list[Issue] = []
        for letter, domain in zip("AB", dataset.domains, strict=True):
            items = selected.get((Split.TRAIN, letter), ())
            kind = "training image" if items else "image"
            items = items or [item for (_, other), of_set in selected.items() if other == letter for item in of_set]
            try:
                self.formats[letter], count = sampled_window(domain.pixels, _readable(items), len(items))
                self.measured_on[letter] = plural(count, kind) if count else ""
            except CgbenchError as error:
                self.formats[letter] = replace(domain.pixels, window=FULL_RANGES[domain.pixels.dtype])
                if items:
                    fix = "look at the training images: networks can learn nothing from them"
                    self.issues.append(Issue("window", "error", f"domain {letter}: {error}", fix))

    def described(self, stats: Sequence[ImageStats]) -> tuple[str, ...]:
        """Return a line for each domain; none where both hold pictures."""
        if all(pixels.is_rgb8 for pixels in self.formats.values()):
            return ()
        return tuple(
            described_numbers(letter, pixels, self.measured_on.get(letter, ""), stats)
            for letter, pixels in self.formats.items()
            if any(image.letter == letter for image in stats)
        )


def _readable(items: Sequence[Item]) -> Iterator[np.ndarray]:
    """Yield the images that can be read; `check_images` names the others."""
    for item in items:
        with suppress(Exception):  # a plug-in may raise anything
            yield item.image(PROCEDURAL_SIDE)


def check_windows(stats: Sequence[ImageStats]) -> list[Issue]:
    """Return an issue for each image of which most numbers lie outside of the window."""
    entries = []
    for image in stats:
        if image.below + image.above > MOSTLY_OUTSIDE * image.numbers:
            outside = f"{image.below / image.numbers:.0%} of its numbers lie below the window"
            entries.append((image.name, f"{outside}, {image.above / image.numbers:.0%} above"))
    return issues_for("window", "warning", WINDOW_FIX, entries)


def described_numbers(letter: str, pixels: PixelFormat, measured_on: str, stats: Sequence[ImageStats]) -> str:
    """Return the format of a domain with its window, and how many numbers of its images lie outside, one line.
    `measured_on` are the images that the window was measured on, such as "12 training images", or "" if it was not."""
    good = [image for image in stats if image.letter == letter and not image.problem]
    text = f"{letter}: {pixels.described()}"
    if measured_on:
        low, high = PERCENTILES
        text += f", measured: percentiles {low:g} and {high:g} of {measured_on}"
    numbers, below, above = (sum(getattr(image, name) for image in good) for name in ("numbers", "below", "above"))
    if pixels.is_rgb8 or not numbers:
        return text
    return f"{text}; {below / numbers:.2%} of {numbers:,} numbers lie below and {above / numbers:.2%} above"
