"""Difference maps: signs, one symmetric scale, units, and none without a truth."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cgbench.pixel_format import RGB8
from cgbench.reports.galleries import difference_maps as module
from cgbench.reports.galleries.difference_maps import (
    difference,
    difference_table,
    gallery_differences,
    symmetric_limit,
)
from cgbench.reports.galleries.stored_numbers import StoredNumbers
from cgbench.reports.galleries.worst_images import worst_images
from cgbench.results.run import read_run
from helpers.run_folder import VALUES
from helpers.stored_run import BANDS, CT, KEYS, METHODS, MR, SHAPE, build_stored_run, stored, translation


def maps_of(path, *formats, **options):
    run = read_run(build_stored_run(path, formats, **options))
    return gallery_differences(StoredNumbers(run), worst_images(run, VALUES))


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def test_a_difference_is_signed_and_does_not_wrap():
    output, truth = np.full((2, 2, 1), 5, np.uint16), np.full((2, 2, 1), 9, np.uint16)
    np.testing.assert_array_equal(difference(output, truth).image, np.full((2, 2), -4.0))
    assert difference(output, None) is None and difference(output, truth[:1]) is None


@pytest.mark.parametrize(
    ("values", "limit"), [([0.0], 1.0), ([-3.0, 1.0], 3.0), ([1234.0], 1300.0), ([0.0123], 0.013), ([100.0], 100.0)]
)
def test_the_scale_ends_at_a_round_number(values, limit):
    assert symmetric_limit([np.array([values])]) == pytest.approx(limit)


def test_a_few_extremes_do_not_set_the_scale():
    image = np.full((100, 100), 50.0)
    image[0, :20] = 5000
    assert symmetric_limit([image]) == 50
    assert symmetric_limit([np.array([[0.0] * 999 + [7.0]])]) == 7  # where nearly all are 0, they do


def test_all_maps_of_a_direction_share_a_scale_that_is_white_at_zero(tmp_path):
    maps = maps_of(tmp_path / "run", MR, CT)["AtoB"]
    differences = {
        (method, index): difference(translation(method, 0, index, "AtoB", (MR, CT)), stored("B", index, CT)).image
        for method in ("cyclegan", "gan_only") for index in range(len(KEYS))
    }  # fmt: skip
    shown = {wanted: entry for wanted in differences if (entry := maps.of(wanted[0], KEYS[wanted[1]]))}
    assert len(shown) == len(maps.maps) >= 12
    limit = float(maps.limit.removesuffix(" HU"))
    assert limit == symmetric_limit([differences[wanted] for wanted in shown])
    for wanted, entry in shown.items():
        codes = np.asarray(decoded(entry.uri))
        expected = (127.5 + 127.5 * (differences[wanted] / limit).clip(-1, 1)).round()
        np.testing.assert_array_equal(codes, expected)
        assert entry.caption == f"MAE {np.abs(differences[wanted]).mean():.3g} HU"
    bar = np.asarray(decoded(maps.bar).convert("RGB")).astype(int)[0]
    assert bar[0, 2] > bar[0, 0] and bar[-1, 0] > bar[-1, 2]  # blue below, red above
    assert bar[[127, 128]].min() > 240
    assert maps.of("cyclegan", "no such key") is None


def test_without_truth_and_for_rgb_there_are_none(tmp_path):
    methods = [name for name in METHODS if name != "real"]
    assert maps_of(tmp_path / "unpaired", MR, CT, methods=methods, seeds=(0,)) == {}
    assert set(maps_of(tmp_path / "rgb", RGB8, CT, seeds=(0,))) == {"AtoB"}


def test_many_maps_are_reduced_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUDGET", 20_000)
    maps = maps_of(tmp_path / "run", MR, CT, seeds=(0,))["AtoB"]
    assert "reduced" in maps.note
    assert decoded(maps.of("cyclegan", KEYS[0]).uri).size < SHAPE[::-1]


def test_the_table_of_bands_shows_their_mean(tmp_path):
    numbers = StoredNumbers(read_run(build_stored_run(tmp_path / "run", (MR, BANDS), seeds=(0,))))
    table = difference_table(numbers, "AtoB")
    assert table.rows == ("ground truth", "cyclegan − truth", "gan_only − truth")
    changed = translation("cyclegan", 0, 0, "AtoB", (MR, BANDS)).astype(float) - stored("B", 0, BANDS)
    picture = table.cells[1][0]
    np.testing.assert_allclose(picture.numbers, changed.mean(axis=2))
    assert picture.caption == f"MAE {np.abs(changed).mean():.3g} reflectance"
    scale = table.scales["difference"]
    assert scale.low == -scale.high and scale.label == "output − truth, mean over 4 bands, reflectance"
    assert len(difference_table(numbers, "BtoA").columns) == 4
