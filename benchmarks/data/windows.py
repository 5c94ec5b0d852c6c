"""The windows of the two domains: set by hand, recorded, or measured on training images."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cgbench.api.dataset import Dataset, Domain
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.config import TrialConfig
from cgbench.pixel_format import PixelFormat, measured_window, recorded_format, with_window

Domains = tuple[Domain, Domain]


def domains_as_set(dataset: Dataset, config: TrialConfig) -> Domains:
    """Return the domains with the windows of `window_a` and `window_b`."""
    a, b = (domain.pixels for domain in dataset.domains)
    return _domains(dataset, (with_window(a, config.window_a, "window_a"), with_window(b, config.window_b, "window_b")))


def domains_as_measured(dataset: Dataset, a: ImageSet, b: ImageSet) -> Domains:
    """Return the domains, those whose window is to be measured with that of their training images."""
    formats = [domain.pixels for domain in dataset.domains]
    measured = [
        replace(pixels, window=measured_window(_numbers(images))) if pixels.window is None else pixels
        for pixels, images in zip(formats, (a, b), strict=True)
    ]
    return _domains(dataset, measured)


def _numbers(images: ImageSet) -> np.ndarray:
    """Return the numbers of the images, without those beside images of sizes of their own."""
    areas = images.areas()
    return images.images if areas is None else images.images[areas > 0]


def domains_as_recorded(dataset: Dataset, record: Mapping[str, Any]) -> Domains:
    """Return the domains with the windows that `record`, a trial.json, says: a trained network sees no others."""
    stored = [recorded_format(domain.get("pixels")).window for domain in record["dataset"]["domains"]]
    formats = [replace(domain.pixels, window=window) for domain, window in zip(dataset.domains, stored, strict=True)]
    return _domains(dataset, formats)


def with_windows(dataset: Dataset, a: ImageSet, b: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Return two sets with the windows of the dataset's domains."""
    first, second = (domain.pixels for domain in dataset.domains)
    return a.with_pixels(first), b.with_pixels(second)


def _domains(dataset: Dataset, formats: Iterable[PixelFormat]) -> Domains:
    a, b = (replace(domain, pixels=pixels) for domain, pixels in zip(dataset.domains, formats, strict=True))
    return a, b
