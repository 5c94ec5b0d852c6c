"""Packed pictures: every number of an integer, 65,536 levels of a floating-point one."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cgbench.pixel_format import RGB8
from cgbench.reports.galleries import full_depth as module
from cgbench.reports.galleries.full_depth import full_depth, letter_of
from cgbench.reports.galleries.image_grid import image_grids
from cgbench.reports.galleries.stored_numbers import StoredNumbers
from cgbench.reports.galleries.worst_images import worst_images
from cgbench.results.run import read_run
from helpers.run_folder import VALUES
from helpers.stored_run import BANDS, CT, FLOAT_CT, KEYS, METHODS, MR, build_stored_run, stored, translation


def depth_of(path, *formats, **options):
    run = read_run(build_stored_run(path, formats, **options))
    return full_depth(StoredNumbers(run), image_grids(run), worst_images(run, VALUES))


def unpacked(depth, method, seed, direction, key):
    """The numbers of a packed picture, as the page's script reads them."""
    place = depth.places[method, seed, direction, module.file_name(key)]
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(depth.packed[place])))).astype(int)
    control = next(control for control in depth.controls if control.letter == letter_of(method, direction))
    return control.offset + control.step * (256 * image[..., 0] + image[..., 1])


def test_integers_are_kept_also_outside_the_window(tmp_path):
    depth = depth_of(tmp_path / "run", MR, CT)
    truth = stored("B", 0, CT)[..., 0]
    assert truth.min() < CT.ends[0] and truth.max() > CT.ends[1]
    np.testing.assert_array_equal(unpacked(depth, "real", None, "AtoB", KEYS[0]), truth)
    np.testing.assert_array_equal(unpacked(depth, "copy", None, "AtoB", KEYS[0]), stored("A", 0, MR)[..., 0])
    made = translation("gan_only", 1, 0, "BtoA", (MR, CT))[..., 0]
    np.testing.assert_array_equal(unpacked(depth, "gan_only", 1, "BtoA", KEYS[0]), made)
    assert depth.factor == 1 and depth.coarse == ()


def test_floats_are_rounded_to_levels_of_the_window(tmp_path):
    depth = depth_of(tmp_path / "run", MR, FLOAT_CT, seeds=(0,))
    control = depth.controls[1]
    truth = stored("B", 0, FLOAT_CT)[..., 0].clip(*FLOAT_CT.ends)
    assert control.rounded and not depth.controls[0].rounded
    assert np.abs(unpacked(depth, "real", None, "AtoB", KEYS[0]) - truth).max() <= control.step / 2 + 1e-3


def test_a_large_page_holds_means_of_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUDGET", 25_000)
    depth = depth_of(tmp_path / "run", MR, CT, seeds=(0,))
    assert depth.factor > 1
    means = module.block_means(stored("B", 0, CT)[..., 0], depth.factor).round()
    np.testing.assert_array_equal(unpacked(depth, "real", None, "AtoB", KEYS[0]), means)


def test_inputs_without_finer_numbers_are_said_to_be_coarse(tmp_path):
    depth = depth_of(tmp_path / "run", MR, CT, seeds=(0,), methods=[name for name in METHODS if name != "real"])
    assert depth.coarse == ("CT",)
    picture = unpacked(depth, "copy", None, "BtoA", KEYS[0])
    assert np.abs(picture - stored("B", 0, CT)[..., 0].clip(*CT.ends)).max() <= 3000 / 255


@pytest.mark.parametrize(("formats", "letters"), [((RGB8, RGB8), ""), ((RGB8, CT), "B"), ((BANDS, CT), "B")])
def test_domains_of_one_band_have_a_control(tmp_path, formats, letters):
    depth = depth_of(tmp_path / "run", *formats, seeds=(0,))
    assert "".join(control.letter for control in depth.controls) == letters
    assert all(letter_of(method, direction) == "B" for method, _, direction, _ in depth.places)
    bands = str(depth.attributes("copy", None, "AtoB", KEYS[0]))
    assert ("bands 1 to 3 of 4 as RGB" in bands) == (formats[0] == BANDS) and "data-numbers" not in bands


def test_hounsfield_units_have_the_usual_windows(tmp_path):
    controls = depth_of(tmp_path / "run", MR, CT, seeds=(0,)).controls
    assert [name for name, *_ in controls[0].presets] == ["whole window"]
    whole, *usual = controls[1].presets
    assert whole == ("whole window", -1000, 2000)
    assert usual == [("soft tissue", -160, 240), ("lung", -1350, 150), ("bone", -450, 1050)]
