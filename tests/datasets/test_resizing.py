"""Resizing of images of any number format: modes, rectangles, types, padding."""

import numpy as np
import pytest
from scipy.ndimage import zoom

from cgbench.datasets.images.resizing import padded, resized
from cgbench.errors import CgbenchError

RNG = np.random.default_rng(0)


def test_squash_and_crop():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    assert (resized(wide, (10, 10), "crop", blend=True) == 200).all(), "the centre of the long side is kept"
    squashed = resized(wide, (30, 30), "squash", blend=False)
    np.testing.assert_array_equal(squashed[0, :, 0], wide[0, :, 0])
    tall = np.swapaxes(wide, 0, 1)
    assert (resized(tall, (10, 10), "crop", blend=False) == 200).all()


def test_resizing_without_blending_makes_no_new_values():
    ids = RNG.choice(np.array([0, 7, 255], np.uint8), (37, 53))
    for fit in ("squash", "crop"):
        small = resized(ids, (16, 16), fit, blend=False)
        assert small.shape == (16, 16) and set(np.unique(small)) <= {0, 7, 255}


def test_resizing_with_blending_averages():
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = resized(np.repeat(checks[:, :, None], 3, axis=2), (8, 8), "squash", blend=True)
    assert small.shape == (8, 8, 3) and np.abs(small.astype(int) - 127).max() < 12, "antialiased, not sampled"


def test_an_image_of_the_right_size_is_untouched():
    image = RNG.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resized(image, (12, 12), "crop", blend=True), image)


def test_modes_give_the_shape_that_they_say():
    image = RNG.integers(0, 256, (36, 64, 3), dtype=np.uint8)
    shapes = {mode: resized(image, (16, 32), mode, blend=True).shape[:2] for mode in ("squash", "crop", "keep", "none")}
    assert shapes == {"squash": (16, 32), "crop": (16, 32), "keep": (16, 28), "none": (36, 64)}
    assert resized(image, (16, 32), "none", blend=True) is image
    with pytest.raises(CgbenchError, match="use squash, crop, keep, none"):
        resized(image, (8, 8), "stretch", blend=True)


def test_a_rectangle_is_cut_from_the_middle_of_the_longer_axis():
    image = np.zeros((30, 40), np.uint8)
    image[5:25] = 200  # 20 × 40, of the ratio 1 : 2
    assert (resized(image, (10, 20), "crop", blend=False) == 200).all()
    assert (resized(image.T, (20, 10), "crop", blend=False) == 200).all()


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "uint8"])
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_every_type_is_resized_as_floats_are(dtype, channels):
    low, high = (0, 1) if dtype == "float32" else (-1000, 3000) if dtype == "int16" else (0, 200)
    waves = np.sin(np.arange(48)[:, None] / 9 + np.arange(60) / 7)[..., None] * np.linspace(0.5, 1, channels)
    image = ((waves + 1) / 2 * (high - low) + low).astype(dtype)
    small = resized(image, (24, 30), "squash", blend=True)
    assert small.shape == (24, 30, channels) and small.dtype == image.dtype
    expected = zoom(image.astype(float), (0.5, 0.5, 1), order=3, grid_mode=True, mode="nearest")
    assert np.abs(small - expected)[2:-2, 2:-2].max() < 0.03 * (high - low)


def test_no_overshoot_leaves_the_type():
    image = np.zeros((8, 8, 1), np.uint16)
    image[:, 4:] = 65535
    large = resized(image, (32, 32), "squash", blend=True)
    assert large.dtype == np.uint16 and large[:, 0].max() == 0 and large[:, -1].min() == 65535
    nearest = resized(image.astype(np.int16), (32, 32), "squash", blend=False)
    assert set(np.unique(nearest)) == {0, -1}


def test_padding_puts_an_array_into_the_corner_of_a_larger_one():
    image = RNG.integers(0, 9, (3, 4, 2), dtype=np.int16)
    whole = padded(image, (5, 6), -1000)
    assert whole.shape == (5, 6, 2) and whole.dtype == np.int16
    assert np.array_equal(whole[:3, :4], image) and (whole[3:] == -1000).all() and (whole[:, 4:] == -1000).all()
    assert padded(image, (3, 4), 0) is image
