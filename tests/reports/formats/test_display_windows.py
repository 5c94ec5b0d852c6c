"""What pictures are said to show."""

import pytest

from cgbench.pixel_format import RGB8, PixelFormat
from cgbench.reports.formats.display_windows import amount, domain_formats, shown, shown_in

CT = PixelFormat(1, "int16", (-1000.0, 2000.0), "HU")
BANDS = PixelFormat(4, "uint16", (0.0, 10000.0))


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (None, ""),
        (RGB8, ""),
        (CT, "shown: -1000 to 2000 HU as black to white"),
        (PixelFormat(1, "uint8", (0.0, 255.0)), "shown: 0 to 255 as black to white"),
        (PixelFormat(2, "float32", (0.0, 0.5)), "shown: band 1 of 2, 0 to 0.5 as black to white"),
        (PixelFormat(3, "uint8", (0.0, 200.0)), "shown: bands 1 to 3 as RGB, each with 0 to 200 as black to white"),
        (BANDS, "shown: bands 1 to 3 of 4 as RGB, each with 0 to 10000 as black to white"),
    ],
)
def test_a_format_is_shown_by_its_window(pixels, text):
    assert shown(pixels) == text


def test_a_direction_names_its_source_first_and_no_rgb():
    dataset = {"domains": [{"name": "MR", "pixels": BANDS.record()}, {"name": "CT", "pixels": CT.record()}]}
    assert [entry[:2] for entry in shown_in(dataset, "BtoA-ood")] == [("B", "CT"), ("A", "MR")]
    dataset["domains"][0] = {"name": "photo"}
    assert shown_in(dataset, "AtoB") == [("B", "CT", shown(CT))]
    assert domain_formats(dataset) == {"B": CT}
    assert shown_in({}, "AtoB") == []
    assert domain_formats({"domains": [{"name": "MR", "pixels": {"unit": "HU"}}]}) == {}


def test_amounts_have_three_digits_and_no_exponent():
    assert [amount(number, "HU") for number in (12345.6, 84.26, 0.01234)] == ["12346 HU", "84.3 HU", "0.0123 HU"]
    assert amount(7, "") == "7"
