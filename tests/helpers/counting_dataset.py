"""A procedural dataset that counts the images it renders, and helpers for tests of the decoded-image cache."""

import os
from pathlib import Path

import numpy as np

from cgbench import Dataset, Domain, Item, SemanticClass
from cgbench.benchmarks.data import cache_entries, cache_key, decoded_cache
from cgbench.benchmarks.data.geometry import square
from cgbench.benchmarks.data.loading import load_images
from cgbench.benchmarks.runtime.cache_dir import decoded_folder
from helpers.tiny_models import tiny_config

SIDE = 12


class Drawn(Dataset):
    """Images and labels of noise that depend on every argument; `rendered` counts them."""

    name, summary = "drawn", "noise"
    domains = (Domain("labels", "labels"), Domain("photo"))
    palette = tuple(SemanticClass(str(k), (k, k, k)) for k in range(3))
    paired_test = True

    def __init__(self, count: int = 6, cache_identity: str | None = "first") -> None:
        super().__init__(None)
        self.count, self.cache_identity, self.rendered = count, cache_identity, 0

    def identity(self) -> str | None:
        return self.cache_identity

    def items(self, split, domain):
        def draw(number, channels, side):
            self.rendered += 1
            seed = [number, channels, *map(ord, split + domain + str(self.cache_identity))]
            high = len(self.palette) if channels == 1 else 256
            noise = np.random.default_rng(seed).integers(0, high, (side + 3, side, channels), dtype=np.uint8)
            return noise if channels == 3 else noise[..., 0]

        return [
            Item(f"{split}{k}", lambda side, k=k: draw(k, 3, side), lambda side, k=k: draw(k, 1, side))
            for k in range(self.count)
        ]


def eager(monkeypatch, folder: Path, limit: str = "1 MB") -> Path:
    """Cache sets of any size in a cache of its own, trust files at once, and reset the warnings. Returns the folder of
    the cache."""
    monkeypatch.setenv("CGBENCH_CACHE", str(folder))
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", limit)
    monkeypatch.setattr(decoded_cache, "MIN_CACHED_IMAGES", 1)
    monkeypatch.setattr(cache_key, "SETTLE_SECONDS", -1e9)
    monkeypatch.setattr(cache_entries, "warned", set())
    monkeypatch.setattr(cache_entries, "in_use", set())
    return decoded_folder()


def load(dataset: Dataset, split="test", domain="B", side=SIDE, labels=True, limit=0, **settings):
    return load_images(dataset, split, domain, square(side, tiny_config(**settings).resize_mode), limit, labels=labels)


def same(actual, expected) -> bool:
    """Whether two image sets have the same keys, bits and digest."""
    return (
        actual.keys == expected.keys
        and np.array_equal(actual.images, expected.images)
        and (actual.labels is None) == (expected.labels is None)
        and (actual.labels is None or np.array_equal(actual.labels, expected.labels))
        and actual.digest == expected.digest
    )


def entries(root: Path) -> list[str]:
    """The names in the cache, apart from its lock."""
    return sorted(name for name in os.listdir(root) if name != ".lock") if root.is_dir() else []
