"""Checks of sets: one scene in two colourings, unlike shapes, single pixels, layouts of which a part is missing."""

import numpy as np
import pytest
from PIL import Image

from cgbench.datasets.checks.block_grid import block_grid
from cgbench.datasets.checks.checker import check
from cgbench.datasets.folder import Folder
from helpers.cli import cgbench
from helpers.image_folders import healthy


def photo(seed, size=(64, 64)):
    small = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def folders(root, picture, train=12, test=4):
    """trainA to testB with `picture(letter, index)`."""
    for split, count in (("train", train), ("test", test)):
        for letter in "AB":
            folder = root / f"{split}{letter}"
            folder.mkdir(parents=True)
            for index in range(count):
                picture(letter, index + 100 * (split == "test")).save(folder / f"{index:02}.png")
    return root


def issues(report, name):
    return [issue for issue in report.issues if issue.check == name]


def test_the_colour_version_of_a_grey_picture_is_a_scene_in_both_sets_and_no_error(tmp_path):
    root = folders(tmp_path / "data", lambda letter, k: photo(k) if letter == "B" else photo(k).convert("L"))
    report = check(Folder(root))
    found = issues(report, "between-domains")
    assert len(found) == 12 and {issue.severity for issue in found} == {"warning"}
    assert "is it in other colours" in found[0].text and not report.count("error")


def test_the_same_picture_in_both_sets_is_an_error(tmp_path):
    report = check(Folder(folders(tmp_path / "data", lambda letter, k: photo(k))))
    found = issues(report, "between-domains")
    assert len(found) == 12 and {issue.severity for issue in found} == {"error"}


def test_half_upright_and_half_lying_is_one_issue_that_is_true(tmp_path):
    size = {0: (96, 64), 1: (64, 96)}
    root = folders(
        tmp_path / "data", lambda letter, k: photo([k, ord(letter)], size[k % 2] if letter == "A" else (64, 64))
    )
    (found,) = issues(check(Folder(root)), "shape")
    assert found.text.startswith("domain A mixes shapes: 8 landscape, 8 portrait; 50% are near ")


def test_few_outliers_are_named_against_the_usual_shape(tmp_path):
    root = folders(tmp_path / "data", lambda letter, k: photo([k, ord(letter)], (64, 96) if k in (3, 5) else (96, 64)))
    found = issues(check(Folder(root)), "shape")
    assert [issue.files for issue in found if "domain A" in issue.text] == [("trainA/03.png",), ("trainA/05.png",)]
    assert all("width : height is 1.50 in most of domain" in issue.text for issue in found)


def test_a_single_pixel_is_refused_by_its_header(tmp_path):
    root = healthy(tmp_path / "data")
    Image.new("RGB", (1, 1)).save(next((root / "trainA").iterdir()))
    command = ("run", "--methods", "cyclegan", "--dataset", "folder", "--data-root", root, "--preset", "smoke")
    for extra in (("--dry-run",), ()):
        assert "a single pixel is no picture" in cgbench(*command, *extra, "--runs-dir", tmp_path / "runs", code=2)


@pytest.mark.parametrize("missing", [("testA", "testB"), ("trainB",), ("trainA",), ("testB",)])
def test_a_layout_of_which_a_part_is_missing_ends_with_2_and_says_so_once(tmp_path, missing):
    root = healthy(tmp_path / "data")
    for name in missing:
        for file in (root / name).iterdir():
            file.unlink()
        (root / name).rmdir()
    text = cgbench("datasets", "check", "folder", "--data-root", root, code=2)
    assert text.count("data is missing") <= 1 and "a domain is empty" not in text and "test images:" not in text
    assert cgbench("run", "--methods", "cyclegan", "--dataset", "folder", "--data-root", root, code=2)


def test_the_edges_of_drawn_regions_are_no_grid_of_jpeg():
    regions = np.kron(np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8), np.ones((8, 8), np.uint8))
    assert block_grid(regions) is None
    noise = np.random.default_rng(0).integers(0, 60, regions.shape)
    assert block_grid(np.uint8(regions // 2 + noise)) is not None
