"""Toy scenes for planted failures: class maps of five classes, photos of them, and a scorer by colour."""

from dataclasses import replace

import numpy as np

from cgbench import SemanticClass, Translations
from cgbench.api.palette import nearest_class

PALETTE = (
    SemanticClass("road", (128, 64, 128)),
    SemanticClass("building", (70, 70, 70)),
    SemanticClass("vegetation", (107, 142, 35)),
    SemanticClass("sky", (70, 130, 180)),
    SemanticClass("car", (0, 0, 142)),
)
PHOTO = tuple(
    SemanticClass(item.name, colour)
    for item, colour in zip(
        PALETTE, [(95, 90, 95), (170, 125, 90), (60, 125, 45), (160, 195, 235), (190, 40, 45)], strict=True
    )
)
ROAD, BUILDING, VEGETATION, SKY, CAR = range(5)
SIDE, COUNT = 32, 24
COLOURS = {"labels": np.array([item.colour for item in PALETTE]), "photo": np.array([item.colour for item in PHOTO])}


def scenes(count=COUNT, name=0):
    """Return class ids (count, 32, 32): sky over road, with a house, a tree and a car at random places."""
    rng = np.random.default_rng([5, name])
    maps = np.full((count, SIDE, SIDE), SKY, np.uint8)
    for scene in maps:
        horizon = rng.integers(13, 21)
        scene[horizon:] = ROAD
        left, wide, tall = rng.integers(0, 20), rng.integers(7, 12), rng.integers(6, 12)
        scene[horizon - tall : horizon, left : left + wide] = BUILDING
        left, wide, tall = rng.integers(0, 24), rng.integers(6, 9), rng.integers(8, 12)
        scene[horizon - tall : horizon + 1, left : left + wide] = VEGETATION
        left, top = rng.integers(0, 22), horizon + rng.integers(0, 4)
        scene[top : top + 7, left : left + 10] = CAR
    return maps


def render(maps, kind="photo", name=0):
    """Return images of scenes, uint8 (N, 32, 32, 3); photos have random light and noise."""
    images = COLOURS[kind][maps].astype(float)
    if kind == "photo":
        rng = np.random.default_rng([6, name])
        light = rng.uniform(0.85, 1.1, (len(maps), 1, 1, 3)) * np.linspace(0.95, 1.05, SIDE)[:, None, None]
        images = images * light + rng.normal(0, 4, images.shape)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def toy_translations(direction="AtoB", paired=True, ood=True):
    """Return translations that equal the truth, of labels to photos (AtoB) or of photos to labels (BtoA)."""
    maps = scenes()
    kinds = ("labels", "photo") if direction == "AtoB" else ("photo", "labels")
    translations = Translations(
        direction=direction, keys=tuple(f"test-{index:02d}" for index in range(COUNT)),
        sources=render(maps, kinds[0]), outputs=render(maps, kinds[1]), target_kind=kinds[1],
        targets=render(maps, kinds[1]), paired=True, labels=maps, target_labels=maps, palette=PALETTE,
        finite=np.ones(COUNT, bool), scorer=lambda photos: nearest_class(photos, PHOTO),
    )  # fmt: skip
    if not paired:
        unpaired = scenes(name=1)
        translations = replace(
            translations, paired=False, targets=render(unpaired, kinds[1], 1), target_labels=unpaired
        )
    if not ood:
        return translations
    ood_maps = scenes(name=2)
    images = {kind: render(ood_maps, kind, 2) for kind in kinds}
    ood_translations = replace(
        translations, keys=tuple(f"ood-{index:02d}" for index in range(COUNT)), sources=images[kinds[0]],
        outputs=images[kinds[1]], targets=images[kinds[1]], paired=True, labels=ood_maps, target_labels=ood_maps,
    )  # fmt: skip
    return replace(translations, ood=ood_translations)


def with_changed_scenes(translations, change, share=1.0):
    """Return outputs that render `change(maps)` for the first `share` of the images."""
    maps, count = translations.labels.copy(), round(share * len(translations.labels))
    maps[:count] = change(maps[:count].copy())
    return replace(translations, outputs=render(maps, translations.target_kind))


def replaced_class(old, new):
    """Return a change of class maps that replaces one class by another."""
    return lambda maps: np.where(maps == old, new, maps).astype(np.uint8)


def swapped_classes(first, second):
    """Return a change of class maps that exchanges two classes."""
    order = np.arange(5, dtype=np.uint8)
    order[[first, second]] = second, first
    return lambda maps: order[maps]


def blended(translations, first, second, share):
    """Return outputs that are (1 - share) · first + share · second."""
    mixed = (1 - share) * first.astype(float) + share * second
    return replace(translations, outputs=np.clip(np.rint(mixed), 0, 255).astype(np.uint8))


def noisy(images, level):
    """Return images with Gaussian noise of standard deviation `level`, of 255."""
    rng = np.random.default_rng(9)
    return np.clip(np.rint(images + rng.normal(0, level, images.shape)), 0, 255).astype(np.uint8)


def with_hidden_signal(translations, bits):
    """Return outputs whose lowest `bits` hold the source's highest, with a backward translation that reads them.

    With 0 bits nothing is hidden: translation and backward translation are fixed changes of the colours.
    """
    if not bits:
        outputs = translations.sources[..., ::-1] // 2 + 40
        back = np.clip((outputs.astype(int) - 40) * 2, 0, 255).astype(np.uint8)[..., ::-1]
        assert np.abs(back.astype(int) - translations.sources).max() <= 1
        recolour = lambda numbers, images: np.clip((images.astype(int) - 40) * 2, 0, 255).astype(np.uint8)[..., ::-1]  # noqa: E731
        return replace(translations, outputs=outputs.astype(np.uint8), way_back=recolour)
    low = translations.sources >> (8 - bits)
    outputs = (translations.targets >> bits << bits) | low
    middle = (1 << (8 - bits)) // 2
    read = lambda numbers, images: ((images & ((1 << bits) - 1)) << (8 - bits)) + np.uint8(middle)  # noqa: E731
    return replace(translations, outputs=outputs, way_back=read)
