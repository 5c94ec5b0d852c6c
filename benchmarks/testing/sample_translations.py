"""Made-up translations to call a metric or a detector with: paired, unpaired with sets of unequal sizes, to label
images, of volumes and of several bands in numbers of their own, and with nothing but what is always there."""

from dataclasses import replace

import numpy as np

from cgbench.api.dataset import SemanticClass
from cgbench.api.metric import StoredImages, Translations
from cgbench.api.names import IGNORE, Direction
from cgbench.api.palette import nearest_class
from cgbench.pixel_format import PixelFormat, display_rgb

COUNT, SIDE = 60, 32
PALETTE = (
    SemanticClass("ground", (128, 64, 128)),
    SemanticClass("house", (70, 70, 70)),
    SemanticClass("tree", (107, 142, 35)),
    SemanticClass("sky", (70, 130, 180)),
)
COLOURS = np.zeros((256, 3), np.uint8)  # by class id; black where there is none
COLOURS[: len(PALETTE)] = [entry.colour for entry in PALETTE]
FEATURES = 12
MR, CT = PixelFormat(1, "float32", (0.0, 800.0)), PixelFormat(1, "int16", (-1000.0, 2000.0), "HU", (-200.0, 300.0))
BANDS = PixelFormat(4, "float32", (0.0, 1.0), "reflectance")


def sample_translations(count: int = COUNT) -> dict[str, Translations]:
    """Return translations of `count` images of 32 pixels (at least 4), by what they are.

    All but the last have every optional field, numbers of their own apart; the unpaired ones have two thirds as many
    targets as outputs, or four thirds, under keys of their own.
    """
    paired = _photos("paired photos", count)
    return {
        "paired photos": paired,
        "unpaired photos, fewer targets than outputs": _unpaired(paired, 2 * count // 3),
        "unpaired photos, more targets than outputs": _unpaired(paired, 4 * count // 3),
        "paired label images": _label_images(paired),
        "paired volumes": _stored(paired, MR, CT),
        "unpaired volumes": _stored(_unpaired(paired, 2 * count // 3), MR, CT),
        "paired images of several bands": _stored(paired, BANDS, BANDS),
        "photos and nothing else": Translations(
            paired.direction,
            paired.keys,
            paired.sources,
            paired.outputs,
            paired.target_kind,
            targets=paired.targets,
            target_keys=tuple(f"target of {key}" for key in paired.keys),
        ),
    }


def _photos(name: str, count: int, ood: bool = True) -> Translations:
    """Return translations of label images to photos, with everything that a metric may read."""
    rng = np.random.default_rng(sum(map(ord, name)))
    labels = _scenes(count, rng)
    sources = COLOURS[labels]
    targets = _noisy(sources, rng, 6)
    outputs, other_outputs, identities = (_noisy(targets, rng, level) for level in (20, 20, 4))
    translations = Translations(
        direction=Direction.A_TO_B, keys=tuple(f"{name} {index}" for index in range(count)), sources=sources,
        outputs=outputs, target_kind="photo", targets=targets, paired=True, reconstructions=_noisy(sources, rng, 9),
        other_outputs=other_outputs, identities=identities, labels=labels, target_labels=labels,
        finite=np.ones(count, bool), way_back=lambda numbers, images: images.copy(), palette=PALETTE,
        scorer=lambda photos: nearest_class(photos, PALETTE), scorer_features=_features, inception=_features,
        lpips=_distances,
    )  # fmt: skip
    return replace(translations, ood=_photos("out-of-distribution photos", count, ood=False)) if ood else translations


def _unpaired(paired: Translations, count: int) -> Translations:
    """Return the translations with `count` other target images, which are more or fewer than the outputs."""
    other = _photos("other photos", count, ood=False)
    return replace(
        paired, paired=False, targets=other.targets, target_keys=other.keys, target_labels=other.target_labels,
        identities=other.identities,
    )  # fmt: skip


def _label_images(paired: Translations) -> Translations:
    """Return the opposite direction: photos to label images, which no scorer and no feature extractor looks at."""
    turned = _turned(paired)
    assert paired.ood is not None
    images = turned.targets
    return replace(turned, identities=images, other_outputs=images, ood=_turned(paired.ood))


def _stored(given: Translations, source_pixels: PixelFormat, target_pixels: PixelFormat) -> Translations:
    """Return the translations with the numbers of two formats, masks with a border of 3 pixels, and groups of unequal
    sizes: the first image alone, the others in fours. Images are pictures of the numbers by the window."""
    assert given.targets is not None
    windows = (source_pixels, target_pixels, target_pixels)
    images = (given.sources, given.outputs, given.targets)
    sources, outputs, targets = (_numbers(part, pixels) for part, pixels in zip(images, windows, strict=True))
    masks = np.zeros(sources.shape[:3], np.uint8)
    masks[:, 3:-3, 3:-3] = 1
    return replace(
        given, sources=display_rgb(sources, source_pixels), outputs=display_rgb(outputs, target_pixels),
        targets=display_rgb(targets, target_pixels), groups=tuple(f"p{-(-k // 4)}" for k in range(len(sources))),
        stored=StoredImages(source_pixels, target_pixels, sources, outputs, targets, masks),
    )  # fmt: skip


def _numbers(images: np.ndarray, pixels: PixelFormat) -> np.ndarray:
    """Return pictures, uint8 (N, S, S, 3), as numbers of a format: its window as 0 to 255, red as its fourth band."""
    low, high = pixels.ends
    bands = np.concatenate([images, images[..., :1]], axis=3)[..., : pixels.channels]
    numbers = low + bands * ((high - low) / 255)
    return numbers.astype(pixels.dtype)


def _turned(given: Translations) -> Translations:
    """Return the photos of the given translations as sources, and the true label images as outputs and targets."""
    assert given.targets is not None
    return replace(
        given, direction=Direction.B_TO_A, target_kind="labels", sources=given.targets, targets=given.sources,
        outputs=given.sources.copy(), scorer=None, scorer_features=None,
    )  # fmt: skip


def _scenes(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return class ids, uint8 (N, 32, 32): ground below the sky, a house, a tree; the last image has no class."""
    maps = np.full((count, SIDE, SIDE), 3, np.uint8)
    for scene in maps:
        horizon, left, right = rng.integers(12, 22), rng.integers(0, 10), rng.integers(16, 24)
        scene[horizon:] = 0
        scene[horizon - 8 : horizon, left : left + 9] = 1
        scene[horizon - 6 : horizon + 1, right : right + 7] = 2
        scene[0, :3] = IGNORE
    maps[-1] = IGNORE
    return maps


def _noisy(images: np.ndarray, rng: np.random.Generator, level: float) -> np.ndarray:
    return np.clip(np.rint(images + rng.normal(0, level, images.shape)), 0, 255).astype(np.uint8)


def _features(images: np.ndarray) -> np.ndarray:
    """Return features, float64 (N, 12): means over quarters of the image."""
    quarters = images.reshape(len(images), 2, SIDE // 2, 2, SIDE // 2, 3).mean(axis=(2, 4))
    return np.asarray(quarters.reshape(len(images), FEATURES) / 255)


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return distances, float64 (N,)."""
    return np.asarray(np.abs(_features(first) - _features(second)).mean(axis=1))
