"""A small world for planted failures: scenes of five classes, photos of them, and a scorer that knows their colours."""

from dataclasses import replace

import numpy as np

from cgbench import SemanticClass, Translations
from cgbench.palette import nearest_class

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
    """Class ids (count, 32, 32): sky over road, with a house, a tree and a car in front, each elsewhere."""
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
    """Pictures of scenes, uint8 (N, 32, 32, 3): photos have a light and a grain of their own."""
    pictures = COLOURS[kind][maps].astype(float)
    if kind == "photo":
        rng = np.random.default_rng([6, name])
        light = rng.uniform(0.85, 1.1, (len(maps), 1, 1, 3)) * np.linspace(0.95, 1.05, SIDE)[:, None, None]
        pictures = pictures * light + rng.normal(0, 4, pictures.shape)
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)


def world(direction="AtoB", paired=True, ood=True):
    """Translations that are the truth itself, of labels to photos (AtoB) or back."""
    maps = scenes()
    kinds = ("labels", "photo") if direction == "AtoB" else ("photo", "labels")
    given = Translations(
        direction=direction, keys=tuple(f"test-{index:02d}" for index in range(COUNT)),
        sources=render(maps, kinds[0]), outputs=render(maps, kinds[1]), target_kind=kinds[1],
        targets=render(maps, kinds[1]), paired=True, labels=maps, target_labels=maps, palette=PALETTE,
        finite=np.ones(COUNT, bool), scorer=lambda photos: nearest_class(photos, PHOTO),
    )  # fmt: skip
    if not paired:
        other = scenes(name=1)
        given = replace(given, paired=False, targets=render(other, kinds[1], 1), target_labels=other)
    if not ood:
        return given
    odd = scenes(name=2)
    pictures = {kind: render(odd, kind, 2) for kind in kinds}
    strange = replace(
        given, keys=tuple(f"ood-{index:02d}" for index in range(COUNT)), sources=pictures[kinds[0]], labels=odd,
        outputs=pictures[kinds[1]], targets=pictures[kinds[1]], target_labels=odd, paired=True,
    )  # fmt: skip
    return replace(given, ood=strange)


def redrawn(given, change, share=1.0):
    """The outputs that would be right for other scenes: `change(maps)` of the first `share` of the images."""
    maps, count = given.labels.copy(), round(share * len(given.labels))
    maps[:count] = change(maps[:count].copy())
    return replace(given, outputs=render(maps, given.target_kind))


def became(old, new):
    """A change of scenes in which one class becomes another."""
    return lambda maps: np.where(maps == old, new, maps).astype(np.uint8)


def swapped(first, second):
    """A change of scenes in which two classes change places."""
    order = np.arange(5, dtype=np.uint8)
    order[[first, second]] = second, first
    return lambda maps: order[maps]


def blended(given, first, second, share):
    """Outputs of `share` of the second picture and the rest of the first."""
    mixed = (1 - share) * first.astype(float) + share * second
    return replace(given, outputs=np.clip(np.rint(mixed), 0, 255).astype(np.uint8))


def noisy(images, level):
    """Pictures with Gaussian noise of `level` of 255."""
    rng = np.random.default_rng(9)
    return np.clip(np.rint(images + rng.normal(0, level, images.shape)), 0, 255).astype(np.uint8)


def hiding(given, bits):
    """Outputs whose lowest `bits` hold the source's highest, and the way back that reads them; 0 bits hide nothing:
    then the way back goes through the picture itself, a fixed change of its colours."""
    if not bits:
        outputs = given.sources[..., ::-1] // 2 + 40
        back = np.clip((outputs.astype(int) - 40) * 2, 0, 255).astype(np.uint8)[..., ::-1]
        assert np.abs(back.astype(int) - given.sources).max() <= 1
        turn = lambda numbers, images: np.clip((images.astype(int) - 40) * 2, 0, 255).astype(np.uint8)[..., ::-1]  # noqa: E731
        return replace(given, outputs=outputs.astype(np.uint8), way_back=turn)
    low = given.sources >> (8 - bits)
    outputs = (given.targets >> bits << bits) | low
    middle = (1 << (8 - bits)) // 2
    read = lambda numbers, images: ((images & ((1 << bits) - 1)) << (8 - bits)) + np.uint8(middle)  # noqa: E731
    return replace(given, outputs=outputs, way_back=read)
