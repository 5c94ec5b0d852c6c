"""Dice and HD95 against counting by hand and all distances between boundary pixels."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from cgbench import METRICS, Translations
from cgbench.api.dataset import SemanticClass
from cgbench.api.metric import StoredImages
from cgbench.benchmarks.metrics.functional.region_overlap import dice, hausdorff_95
from cgbench.pixel_format import PixelFormat

CT, MR = PixelFormat(1, "int16", (-1000.0, 2000.0), "HU"), PixelFormat(1, "float32", (0.0, 800.0))
PALETTE = tuple(SemanticClass(name, (level,) * 3) for name, level in (("air", 0), ("soft", 120), ("bone", 240)))
GROUPS = ("p1", "p1", "p2")
DIAGONAL = np.hypot(20, 30)


def blobs(rng, count=3, shape=(20, 30)):
    regions = np.zeros((count, *shape), bool)
    for region in regions:
        for _ in range(3):
            top, left = rng.integers(0, shape[0] - 6), rng.integers(0, shape[1] - 6)
            region[top : top + rng.integers(2, 7), left : left + rng.integers(2, 7)] = True
    return regions


def edge(region):
    """Return the coordinates of pixels with one of four neighbours outside of the region or of the image."""
    padded = np.pad(region, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(region & ~inner)


def plain_hd95(true, predicted):
    there, back = [], []
    for a, b in zip(map(edge, true), map(edge, predicted), strict=True):
        between = cdist(a, b) if len(a) and len(b) else np.full((len(a) or 1, len(b) or 1), DIAGONAL)
        there += list(between.min(axis=1))[: len(a)]
        back += list(between.min(axis=0))[: len(b)]
    return max(np.percentile(part, 95) for part in (there, back) if part)


@pytest.mark.parametrize("seed", range(8))
def test_the_distance_is_that_of_all_pairs_of_boundary_pixels(seed):
    rng = np.random.default_rng(seed)
    true, predicted = blobs(rng), blobs(rng)
    if seed % 2:
        predicted[1] = False  # a slice that lacks the region
    assert hausdorff_95(true, predicted) == pytest.approx(plain_hd95(true, predicted))
    overlap = 2 * (true & predicted).sum() / (true.sum() + predicted.sum())
    assert dice(true, predicted) == pytest.approx(overlap)


def test_a_shifted_square_is_as_far_as_it_was_shifted():
    true, shifted = np.zeros((2, 1, 20, 30), bool)
    true[:, 5:10, 5:10], shifted[:, 5:10, 9:14] = True, True
    assert hausdorff_95(true, shifted) == 4 and hausdorff_95(true, true) == 0
    assert dice(true, shifted) == pytest.approx(2 * 5 / 50) and dice(true, true) == 1


def test_regions_that_are_missing():
    region, none = np.ones((1, 20, 30), bool), np.zeros((1, 20, 30), bool)
    assert dice(region, none) == 0 and hausdorff_95(region, none) == DIAGONAL
    assert np.isnan(dice(none, region)) and np.isnan(hausdorff_95(none, region))


def translations(labels, outputs=None, masks=None, pixels=CT, groups=GROUPS, **changes):
    shape = labels.shape
    pictures = np.zeros((*shape, 3), np.uint8)
    numbers = np.zeros((*shape, 1), np.int16)
    outputs = numbers if outputs is None else outputs
    stored = StoredImages(MR, pixels, numbers.astype(np.float32), outputs, numbers, masks)
    keys = tuple(map(str, range(len(labels))))
    given = Translations("AtoB", keys, pictures, pictures, "photo", targets=pictures, paired=True, groups=groups)
    return replace(given, labels=labels, palette=PALETTE, stored=replace(stored, **changes))


def class_maps(rng):
    maps = np.zeros((3, 20, 30), np.uint8)
    maps[blobs(rng)] = 1
    maps[:2][blobs(rng, 2)] = 2  # the second patient has no bone
    return maps


def test_tissues_are_counted_by_patient_inside_the_masks_without_ignored_pixels():
    rng = np.random.default_rng(3)
    labels, predicted = class_maps(rng), class_maps(rng)
    labels[0, :3] = 255
    masks = np.ones(labels.shape, np.uint8)
    masks[:, :, 25:] = 0
    given = replace(translations(labels, masks=masks), scorer=lambda images: predicted)
    metric = METRICS.get("tissue_agreement")
    assert metric.not_applicable(given) is None
    found = metric.compute(given)
    counted = (labels != 255) & (masks == 1)
    by_class = np.full((2, 3), np.nan)
    far = np.full((2, 3), np.nan)
    for place, rows in enumerate(([0, 1], [2])):
        for number in range(3):
            a, b = ((maps[rows] == number) & counted[rows] for maps in (labels, predicted))
            if a.any():
                by_class[place, number] = 2 * (a & b).sum() / (a.sum() + b.sum())
                far[place, number] = plain_hd95(a, b)
    assert np.isnan(by_class[1, 2]) and np.isfinite(by_class[0]).all()
    assert found.per_image["dice"] == pytest.approx(np.nanmean(by_class, axis=1))
    assert found.per_image["hd95"] == pytest.approx(np.nanmean(far, axis=1))
    assert found.values["dice"] == pytest.approx(np.nanmean(by_class, axis=1).mean())
    assert found.details["dice/bone"] == pytest.approx(by_class[0, 2])
    assert found.details["hd95/soft"] == pytest.approx(far[:, 1].mean())


def test_several_scorers_give_their_mean():
    rng = np.random.default_rng(4)
    labels, one, two = (class_maps(rng) for _ in range(3))
    metric, given = METRICS.get("tissue_agreement"), translations(labels)
    alone = [metric.compute(replace(given, scorer=lambda images, maps=maps: maps)) for maps in (one, two)]
    pairs = tuple((None, lambda images, maps=maps: maps) for maps in (one, two))
    both = metric.compute(replace(given, scorer=lambda images: one, scorers=pairs))
    for name in ("dice", "hd95"):
        assert both.by_scorer[name] == pytest.approx([scores.values[name] for scores in alone])
        assert both.values[name] == pytest.approx(np.mean(both.by_scorer[name]))


def test_a_patient_without_labels_is_left_out():
    labels = class_maps(np.random.default_rng(5))
    predicted = labels.copy()
    labels[2] = 255
    found = METRICS.get("tissue_agreement").compute(replace(translations(labels), scorer=lambda images: predicted))
    assert found.values == {"dice": 1, "hd95": 0} and np.isnan(found.per_image["dice"][1])
    assert found.reasons["dice"].startswith("1 of 2 left out")


def test_bone_is_what_is_above_the_threshold_in_both():
    rng = np.random.default_rng(6)
    true, predicted = blobs(rng), blobs(rng)
    true[2] = False
    numbers = [np.where(region, 251, 250).astype(np.int16)[..., None] for region in (true, predicted)]
    given = translations(np.zeros(true.shape, np.uint8), numbers[1], targets=numbers[0])
    metric = METRICS.get("bone_agreement")
    assert metric.not_applicable(given) is None
    found = metric.compute(given)
    overlap = 2 * (true & predicted)[:2].sum() / (true[:2].sum() + predicted[:2].sum())
    assert found.values["bone_dice"] == pytest.approx(overlap)
    assert found.values["bone_hd95"] == pytest.approx(plain_hd95(true[:2], predicted[:2]))
    assert found.reasons["bone_dice"] == "1 of 2 left out: no pixel above 250 HU in the true images"


def test_when_they_apply():
    bone, tissues = METRICS.get("bone_agreement"), METRICS.get("tissue_agreement")
    labels = np.zeros((3, 20, 30), np.uint8)
    given = translations(labels)
    assert bone.not_applicable(translations(labels, pixels=MR)) == "is for translations to CT images in HU"
    narrow = PixelFormat(1, "int16", (-160.0, 240.0), "HU")
    assert bone.not_applicable(translations(labels, pixels=narrow)).startswith("250 HU lie outside of the window, -160")
    assert "scorer" in tissues.not_applicable(given)
    assert "8-bit RGB" in tissues.not_applicable(replace(given, stored=None))
    assert "labels" in tissues.not_applicable(replace(given, labels=None))
