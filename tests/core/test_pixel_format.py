"""Pixel formats: windows, 8-bit pictures of them, records, and what is refused."""

import numpy as np
import pytest
import torch

from cgbench.benchmarks.data.conversion import shown_to_signed, to_signed, to_stored
from cgbench.errors import CgbenchError
from cgbench.pixel_format import (
    RGB8,
    PixelFormat,
    display_rgb,
    measured_window,
    outside_counts,
    recorded_format,
    with_window,
)

CT = PixelFormat(1, "int16", (-1000, 2000), "HU")


@pytest.mark.parametrize(
    ("pixels", "numbers"),
    [
        (PixelFormat(1, "uint16", (0, 4095)), np.arange(4096, dtype=np.uint16)),
        (CT, np.arange(-1000, 2001, dtype=np.int16)),
        (PixelFormat(1, "uint16", (0, 65535)), np.arange(65536, dtype=np.uint16)),
        (RGB8, np.arange(256, dtype=np.uint8)),
    ],
)
def test_stored_numbers_survive_the_way_to_the_networks_and_back(pixels, numbers):
    images = np.repeat(numbers.reshape(1, 1, -1, 1), pixels.channels, axis=-1)
    signed = to_signed(torch.from_numpy(images).permute(0, 3, 1, 2), pixels)
    assert (float(signed.min()), float(signed.max())) == (-1, 1)
    assert np.array_equal(to_stored(signed, pixels), images)


def test_floats_come_back_to_seven_digits_of_the_window():
    pixels = PixelFormat(4, "float32", (-0.25, 1.75), "reflectance")
    images = np.random.default_rng(0).uniform(-0.25, 1.75, (2, 5, 7, 4)).astype(np.float32)
    back = to_stored(to_signed(torch.from_numpy(images).permute(0, 3, 1, 2), pixels), pixels)
    assert back.dtype == np.float32 and np.abs(back - images).max() < 2e-7 * 2


def test_what_lies_outside_the_window_is_its_nearer_end_and_is_counted():
    images = np.array([-3000, -1001, -1000, 0, 2000, 2001, 32767], np.int16).reshape(1, 1, 7, 1)
    signed = to_signed(torch.from_numpy(images), CT).flatten()
    assert signed.tolist() == pytest.approx([-1, -1, -1, -1 / 3, 1, 1, 1])
    assert outside_counts(images, CT) == (2, 2)
    assert to_stored(torch.tensor([float("nan"), float("inf"), -5]).view(1, 1, 1, 3), CT).ravel().tolist() == [
        -1000, 2000, -1000,
    ]  # fmt: skip


def test_pictures_show_the_window_as_0_to_255():
    images = np.array([-1000, 500, 2000, 3000], np.int16).reshape(1, 2, 2, 1)
    assert display_rgb(images, CT)[0, ..., 0].tolist() == [[0, 128], [255, 255]]
    assert display_rgb(images, CT, (0, 1000)).ravel()[::3].tolist() == [0, 128, 255, 255]
    colours = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    assert display_rgb(colours, RGB8) is colours
    bands = PixelFormat(5, "uint8", (0.0, 255.0))
    assert np.array_equal(display_rgb(np.arange(20, dtype=np.uint8).reshape(1, 2, 2, 5), bands)[0, 0, 1], [5, 6, 7])


def test_pictures_of_a_window_become_what_networks_see_again():
    images = np.array([-1000, 500, 2000, 0], np.int16).reshape(1, 2, 2, 1)
    signed = to_signed(torch.from_numpy(images).permute(0, 3, 1, 2), CT)
    assert torch.allclose(shown_to_signed(display_rgb(images, CT), CT), signed, atol=1.01 / 255)
    fitting = [count for count in range(1, 8) if PixelFormat(count, "int16", (0, 1)).fits_in_pictures]
    assert fitting == [1, 3]


def test_a_format_is_its_record_again():
    for pixels in (RGB8, CT, PixelFormat(4, "float32", None), PixelFormat(1, "uint16", (0, 4095), "", (0, 100))):
        assert recorded_format(pixels.record()) == pixels
    assert recorded_format(None) == RGB8


def test_a_window_is_set_by_hand_or_measured():
    assert with_window(CT, "-160:240", "window_a").window == (-160, 240)
    assert with_window(CT, "measured", "window_a").window is None and with_window(CT, "", "window_a") is CT
    for wrong in ("5", "2:1", "1:2:3", "nan:1", "a:b", "1:1"):
        with pytest.raises(CgbenchError, match=r"window_a=.*LOW:HIGH"):
            with_window(CT, wrong, "window_a")
    numbers = np.arange(1001, dtype=np.int16)
    assert measured_window(numbers) == (5, 995)
    spike = np.zeros(10_000, np.int16)
    spike[3] = 7
    assert measured_window(spike) == (0, 7)
    with pytest.raises(CgbenchError, match="no window can be measured"):
        measured_window(np.ones(5))


def test_formats_that_cannot_be_are_refused():
    for wrong in ({"dtype": "float64"}, {"channels": 0}, {"channels": 65}, {"window": (1, 1)}, {"display": (2, 1)}):
        with pytest.raises(CgbenchError, match="pixel format"):
            PixelFormat(**wrong)
