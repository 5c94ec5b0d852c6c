"""The windows of the two domains: set by hand, recorded, or measured on training images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cgbench.api.dataset import Dataset, Domain
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.pixel_format import measured_window, recorded_format, with_window


def apply_window_settings(dataset: Dataset, config: TrialConfig) -> Dataset:
    """Return the dataset with the windows of `window_a` and `window_b`; a domain of label images has none to set."""
    settings = {"window_a": config.window_a, "window_b": config.window_b}
    domains = []
    for (name, setting), domain in zip(settings.items(), dataset.domains, strict=True):
        if setting and domain.kind != "photo":
            raise CgbenchError(f"{name}={setting}: {domain.name} are label images, whose colours are no numbers")
        domains.append(replace(domain, pixels=with_window(domain.pixels, setting, name)))
    return with_domains(dataset, domains)


def with_domains(dataset: Dataset, domains: Sequence[Domain]) -> Dataset:
    """Return the dataset with these domains; nothing is done where they are its own."""
    if tuple(domains) != dataset.domains:
        dataset.domains = (domains[0], domains[1])
    return dataset


def fix_windows(dataset: Dataset, a: ImageSet, b: ImageSet) -> None:
    """Give the domains whose window is to be measured that of their training images."""
    domains = [
        replace(domain, pixels=replace(domain.pixels, window=measured_window(images.images)))
        if domain.pixels.window is None
        else domain
        for domain, images in zip(dataset.domains, (a, b), strict=True)
    ]
    with_domains(dataset, domains)


def recorded_windows(dataset: Dataset, record: Mapping[str, Any]) -> Dataset:
    """Return the dataset with the windows that `record`, a trial.json, says: a trained network sees no others."""
    stored = [recorded_format(domain.get("pixels")) for domain in record["dataset"]["domains"]]
    domains = [
        replace(domain, pixels=replace(domain.pixels, window=pixels.window))
        for domain, pixels in zip(dataset.domains, stored, strict=True)
    ]
    return with_domains(dataset, domains)


def with_windows(dataset: Dataset, a: ImageSet, b: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Return two sets with the windows of the dataset's domains."""
    first, second = (domain.pixels for domain in dataset.domains)
    return a.with_pixels(first), b.with_pixels(second)
