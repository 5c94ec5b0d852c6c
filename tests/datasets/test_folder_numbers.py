"""`folder` on files of other numbers than 8-bit RGB: the format of each domain, its pairs, and the dataset check."""

import json

import numpy as np
import pytest
import tifffile

from cgbench.datasets.checks.checker import check
from cgbench.datasets.checks.quick_checks import check_quickly
from cgbench.datasets.folder import Folder
from cgbench.datasets.images.decoding import read_image
from cgbench.errors import DataBroken
from cgbench.pixel_format import PERCENTILES, RGB8, PixelFormat
from helpers.cli import cgbench
from helpers.image_folders import healthy, scene


def twelve_bits(number):
    """A scene as 12-bit grey, uint16 (96, 96)."""
    return np.asarray(scene(number).convert("L")).astype(np.uint16) * 16


def four_bands(number):
    """A scene as reflectances in four bands, float32 (96, 96, 4)."""
    colours = np.asarray(scene(number, warm=False)).astype(np.float32) / 255
    return np.concatenate([colours, colours[..., :1]], axis=2)


def save(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        tifffile.imwrite(path, array, photometric="minisblack", planarconfig="contig" if array.ndim == 3 else None)


@pytest.fixture
def root(tmp_path):
    """A folder of 12-bit grey in `.npy` (A) and of four bands in TIFF (B), no two images of one scene."""
    for split, count, first in (("train", 6, 0), ("test", 3, 50)):
        for letter in "AB":
            (tmp_path / "sat" / f"{split}{letter}").mkdir(parents=True)
        for number in range(first, first + count):
            save(tmp_path / "sat" / f"{split}A" / f"a{number:03d}.npy", twelve_bits(number))
            save(tmp_path / "sat" / f"{split}B" / f"b{number:03d}.tif", four_bands(100 + number))
    return tmp_path / "sat"


def test_the_formats_of_the_domains_are_found_and_the_numbers_are_unchanged(root):
    dataset = Folder(root)
    assert dataset.missing() is None
    assert [domain.pixels for domain in dataset.domains] == [
        PixelFormat(1, "uint16", window=None),
        PixelFormat(4, "float32", window=None),
    ]
    item = dataset.items("train", "A")[1]
    np.testing.assert_array_equal(item.image(64)[..., 0], twelve_bits(1))
    np.testing.assert_array_equal(dataset.items("test", "B")[0].image(64), four_bands(150))


def test_photos_stay_8_bit_rgb(tmp_path):
    dataset = Folder(healthy(tmp_path / "set"))
    assert [domain.pixels for domain in dataset.domains] == [RGB8, RGB8]
    item = dataset.items("train", "A")[0]
    np.testing.assert_array_equal(item.image(64), read_image(item.file))


def test_a_file_of_another_format_is_refused_beside_one_of_the_others(root):
    scene(900).save(root / "testA" / "photo.png")
    dataset = Folder(root)
    said = (
        "photo.png: holds an 8-bit picture, but 9 of 10 files of domain A hold 1 band of uint16, such as "
        "trainA/a000.npy: store all images of a domain alike"
    )
    with pytest.raises(DataBroken, match=said):
        dataset.items("test", "A")
    assert len(dataset.items("train", "A")) == 6


def test_a_file_that_is_refused_by_its_header_ends_a_listing(root):
    save(root / "trainA" / "a.npy", np.zeros((9, 9)))
    with pytest.raises(DataBroken, match=r"trainA/a\.npy: its numbers are float64, .*: store float32"):
        Folder(root).items("train", "A")


def test_numbers_side_by_side_are_divided(tmp_path):
    for split, numbers in (("train", range(4)), ("test", range(4, 6))):
        (tmp_path / split).mkdir()
        for number in numbers:
            both = np.concatenate([twelve_bits(number), 65535 - twelve_bits(number)], axis=1)
            save(tmp_path / split / f"{number}.npy", both)
    dataset = Folder(tmp_path)
    assert dataset.missing() is None and dataset.paired_test
    assert {domain.pixels for domain in dataset.domains} == {PixelFormat(1, "uint16", window=None)}
    a, b = (dataset.items("test", letter)[0].image(64) for letter in "AB")
    np.testing.assert_array_equal(a[..., 0], twelve_bits(4))
    np.testing.assert_array_equal(b[..., 0], 65535 - twelve_bits(4))


def test_pairs_by_running_numbers_are_recognised_by_their_likeness(tmp_path):
    for split, numbers in (("train", range(3)), ("test", range(10, 22))):
        for letter, ending in (("A", "npy"), ("B", "tif")):
            (tmp_path / f"{split}{letter}").mkdir()
            for number in numbers:
                image = twelve_bits(number) if letter == "A" else four_bands(number)
                save(tmp_path / f"{split}{letter}" / f"{number}.{ending}", image)
    dataset = Folder(tmp_path)
    assert dataset.paired_test and "their images are alike" in dataset.pair_rule


def test_the_check_tells_formats_windows_and_what_lies_outside(root):
    report = check(Folder(root))
    train = np.stack([twelve_bits(number) for number in range(6)])
    every = np.concatenate([train, *(twelve_bits(number)[None] for number in range(50, 53))])
    low, high = np.percentile(train, PERCENTILES, method="nearest")
    assert report.formats[0] == (
        f"A: 1 band of uint16, window {low:g} to {high:g}, measured: percentiles 0.5 and 99.5 of 6 training images; "
        f"{(every < low).mean():.2%} of {every.size:,} numbers lie below and {(every > high).mean():.2%} above"
    )
    assert report.formats[1].startswith("B: 4 bands of float32, window ")
    assert report.count("error") == 0 and "dark" not in {issue.check for issue in report.issues}
    assert check_quickly(Folder(root)) == [issue for issue in report.issues if issue.check == "compression"]


def test_the_check_names_every_file_that_does_not_belong(root):
    scene(900).save(root / "trainA" / "photo.png")
    save(root / "trainA" / "flat.npy", np.full((96, 96), 700, np.uint16))
    save(root / "testA" / "bright.npy", np.full((96, 96), 60000, np.uint16) + twelve_bits(3))
    save(root / "trainB" / "nan.tif", np.where(four_bands(7) > 2, 0, np.float32("nan")).astype(np.float32))
    save(root / "trainB" / "three.tif", four_bands(8)[..., :3])
    save(root / "testB" / "wide.npy", np.zeros((9, 9)))
    report = check(Folder(root))
    found = {(issue.check, file) for issue in report.issues for file in issue.files}
    assert found >= {
        ("mixed", "trainA/photo.png"), ("mixed", "trainB/three.tif"), ("constant", "trainA/flat.npy"),
        ("window", "testA/bright.npy"), ("unreadable", "trainB/nan.tif"), ("unreadable", "testB/wide.npy"),
    }  # fmt: skip
    output = cgbench("datasets", "check", "folder", "--data-root", root, code=1)
    assert "numbers of A: 1 band of uint16, window " in output and "36,864 of 36,864 numbers are NaN" in output
    data = json.loads(cgbench("datasets", "check", "folder", "--data-root", root, "--format", "json", code=1))
    assert len(data["formats"]) == 2


def test_a_domain_of_one_number_has_no_window(root):
    for path in (root / "trainA").iterdir():
        save(path, np.full((96, 96), 5, np.uint16))
    (issue,) = [issue for issue in check(Folder(root)).issues if issue.check == "window" and not issue.files]
    assert issue.severity == "error" and "all numbers of the training images are 5" in issue.text


def test_a_stray_array_beside_pictures_is_of_another_format(tmp_path):
    root = healthy(tmp_path / "set")
    save(root / "trainA" / "stray.npy", twelve_bits(0))
    assert {file for issue in check(Folder(root)).issues if issue.check == "mixed" for file in issue.files} == {
        "trainA/stray.npy"
    }
