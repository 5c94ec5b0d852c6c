"""Figures of pictures in stored numbers: every scale has its colour bar, and no number is stretched by its picture."""

import numpy as np

from cgbench.reports.figures.pictures import _colours, picture_panel
from cgbench.reports.formats.picture_table import Picture, PictureTable, Scale

SCALES = {"target": Scale(-1000, 2000, "CT, HU"), "difference": Scale(-50, 50, "output − truth, HU", diverging=True)}


def table():
    numbers = np.linspace(-1000, 2000, 24).reshape(4, 6)
    rows = ((Picture(numbers, "target"), Picture(numbers / 40, "difference", "MAE 12 HU", 2.0)), ("no image", ""))
    return PictureTable("maps-AtoB", "P00, seed 0", ("truth", "method − truth"), ("a", "b"), rows, SCALES, "a note")


def test_a_panel_says_its_scales_and_shows_a_bar_for_each():
    panel = picture_panel(table(), "MR→CT")
    for text in ("CT, HU: -1000 to 2000", "output − truth, HU: -50 to 50"):
        assert text in panel.svg.split(">", 1)[0]
    for text in ("CT, HU", "output − truth, HU", "MAE 12 HU", "method − truth", "no image", "2000", "-1000", "-50"):
        assert f">{text}<" in panel.svg
    assert panel.note == "a note"


def test_a_panel_is_the_same_each_time_and_is_a_png_too():
    first, second = (picture_panel(table(), "MR→CT") for _ in range(2))
    assert first.svg == second.svg
    assert first.png() == second.png() and first.png().startswith(b"\x89PNG")


def test_numbers_are_coloured_by_their_scale_alone():
    grey = _colours(np.array([[-2000.0, -1000, 500, 2000, 9000, np.nan]]), SCALES["target"])
    assert grey[0, :, 0].tolist() == [0, 0, 128, 255, 255, 0]
    assert (grey == grey[..., :1]).all()
    low, zero, high = _colours(np.array([[-50.0, 0, 50]]), SCALES["difference"])[0].astype(int)
    assert low[2] > low[0] and high[0] > high[2] and zero.min() > 240
