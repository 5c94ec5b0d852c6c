"""Class ids in place of photos are refused; dark photos, masks and coloured label maps are not taken for them."""

import numpy as np
import pytest
from PIL import Image

from cgbench.datasets.checks.class_ids import highest_id
from helpers.cli import cgbench

rng = np.random.default_rng(0)


def regions(levels, side=48, seed=1):
    """A map of six by six regions with the given levels."""
    small = np.random.default_rng(seed).choice(np.array(levels, np.uint8), (6, 6))
    return np.kron(small, np.ones((side // 6, side // 6), np.uint8))


def noisy(mean, side=48):
    return rng.gamma(2, mean / 2, (side, side)).clip(0, 39).astype(np.uint8)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (regions(range(9)), 8), (regions([0, 1]), 1), (regions([*range(34), 255]), 33), (regions([7, 11, 255]), 11),
        (regions([0, 255]), 0), (regions(range(0, 250, 25)), None), (noisy(6), None),
        (np.full((48, 48), 255, np.uint8), 0),
    ],
)  # fmt: skip
def test_low_levels_in_flat_areas_are_ids(picture, expected):
    found = highest_id(picture)
    assert found == expected if expected in (None, 0, 1, 8) else found is not None and found <= expected


def test_a_dark_photo_of_smooth_areas_with_noise_is_none():
    smooth = np.linspace(0, 30, 48)[None] + rng.normal(0, 1.5, (48, 48))
    assert highest_id(smooth.clip(0, 255).astype(np.uint8)) is None


def sets(root, b, count=8):
    """A folder of photos in A and of pictures `b(index)` in B."""
    for split, images in (("train", count), ("test", 4)):
        for letter in "AB":
            folder = root / f"{split}{letter}"
            folder.mkdir(parents=True)
            for index in range(images):
                photo = np.random.default_rng([index, images]).integers(0, 255, (48, 48, 3), np.uint8)
                Image.fromarray(photo if letter == "A" else b(index)).save(folder / f"{letter}{index}.png")
    return root


def test_a_run_on_class_ids_is_refused_before_training_and_the_check_says_why(tmp_path):
    root = sets(tmp_path / "data", lambda index: regions(range(9), seed=index))
    text = " ".join(cgbench("datasets", "check", "folder", "--data-root", root, code=1).split())
    assert "train B holds class ids, 0 to 8 in flat areas" in text and "colour them by a palette" in text
    command = ("run", "--methods", "cyclegan", "--dataset", "folder", "--data-root", root, "--preset", "smoke")
    for extra in (("--dry-run",), ()):
        text = cgbench(*command, *extra, "--runs-dir", tmp_path / "runs", code=2)
        assert "train B holds class ids, 0 to 8 in flat areas" in text
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "picture",
    [
        lambda index: noisy(6),
        lambda index: regions([0, 255], seed=index),
        lambda index: regions(range(9), seed=index) if index else noisy(100),
        lambda index: np.stack([regions(range(9), seed=index)] * 3, axis=2),
    ],
    ids=["dark photos", "black and white masks", "one photo among them", "RGB"],
)
def test_what_may_be_meant_is_not_refused(tmp_path, picture):
    root = sets(tmp_path / "data", picture)
    text = cgbench("datasets", "check", "folder", "--data-root", root)
    assert "class ids" not in text
