"""Formats, compression and sizes that tell the domains apart are reported, by headers or pixels; alike sets are not."""

import io

import numpy as np
import pytest
from PIL import Image

from cgbench.api.dataset import Domain
from cgbench.api.registry import DATASETS
from cgbench.datasets.checks.checker import check
from cgbench.datasets.checks.compression import share_ordered
from cgbench.datasets.checks.image_stats import block_grid
from cgbench.datasets.folder import Folder
from cgbench.datasets.images.decoding import header
from helpers.cli import cgbench
from helpers.image_folders import scene

SETS = ("trainA", "trainB", "testA", "testB")


def plain(image):
    return image


def as_jpeg(image, quality=75, **options):
    """The image after compression."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, **options)
    return Image.open(io.BytesIO(buffer.getvalue()))


def folder_of(root, save, images=5, size=(128, 96)):
    """A folder of four sets of scenes; `save` writes (set, image, path without extension)."""
    number = 0
    for name in SETS:
        (root / name).mkdir(parents=True)
        for _ in range(images):
            save(name, scene(number, name.endswith("A"), size), root / name / f"{name[-1]}{number:03d}")
            number += 1
    return root


def found(root):
    """The texts of the issues of the check, which are warnings and the only ones."""
    issues = check(Folder(root)).issues
    assert {(issue.check, issue.severity) for issue in issues} <= {("compression", "warning")}, issues
    return [issue.text for issue in issues]


def test_jpeg_against_png_is_reported_with_figures(tmp_path):
    def save(name, image, path):
        if name.endswith("A"):
            image.save(f"{path}.jpg", quality=75)
        else:
            image.save(f"{path}.png")

    root = folder_of(tmp_path / "set", save)
    assert found(root) == [
        "train A: JPEG, quality about 75, 4:2:0, 128 × 96; train B: PNG, 128 × 96: a discriminator and FID can "
        "separate the domains by compression alone"
    ]
    output = cgbench("datasets", "check", "folder", "--data-root", root)
    assert "sets that differ in format, compression or size (1)" in output and "→ prepare both alike" in output


def test_a_small_domain_against_a_large_one_is_reported(tmp_path):
    def save(name, image, path):
        (image if name.endswith("B") else image.resize((32, 24))).save(f"{path}.png")

    assert found(folder_of(tmp_path / "set", save)) == [
        "train A: PNG, 32 × 24; train B: PNG, 128 × 96: a discriminator and FID can separate the domains by size alone"
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"quality": 50}, "train A: JPEG, quality about 50, 4:2:0, 128 × 96; train B: JPEG, quality about 90, 4:2:0"),
        ({"quality": 90, "subsampling": 0}, "train A: JPEG, quality about 90, 4:4:4, 128 × 96; train B: JPEG, quality"),
    ],
)
def test_two_kinds_of_jpeg_are_reported(tmp_path, options, text):
    def save(name, image, path):
        image.save(f"{path}.jpg", **(options if name.endswith("A") else {"quality": 90}))

    (issue,) = found(folder_of(tmp_path / "set", save))
    assert issue.startswith(text)


def test_a_test_set_of_another_format_than_its_training_set_is_reported(tmp_path):
    def save(name, image, path):
        image.save(f"{path}.jpg" if name == "testB" else f"{path}.png")

    assert found(folder_of(tmp_path / "set", save)) == [
        "test B: JPEG, quality about 75, 4:2:0, 128 × 96; train B: PNG, 128 × 96: FID and all distances to test images "
        "would measure compression too"
    ]


@pytest.mark.parametrize("quality", [50, 75, 85])
def test_jpeg_saved_as_png_again_is_found_in_the_pixels(tmp_path, quality):
    def save(name, image, path):
        (as_jpeg(image, quality) if name.endswith("B") else image).save(f"{path}.png")

    (issue,) = found(folder_of(tmp_path / "set", save))
    assert issue.startswith("train B has the 8 × 8 grid of JPEG in its pixels, train A has not (0.")
    assert issue.endswith("a discriminator and FID can separate the domains by compression alone")


def test_a_test_set_that_was_jpeg_is_found_in_the_pixels(tmp_path):
    def save(name, image, path):
        (as_jpeg(image) if name == "testA" else image).save(f"{path}.png")

    (issue,) = found(folder_of(tmp_path / "set", save))
    assert issue.startswith("test A has the 8 × 8 grid") and "FID and all distances to test images" in issue


@pytest.mark.parametrize(
    "change",
    [plain, as_jpeg, lambda image: image.resize((64, 48)).resize((128, 96), Image.Resampling.NEAREST)],
    ids=["png", "jpeg as png", "enlarged"],
)
def test_sets_that_are_alike_give_nothing(tmp_path, change):
    assert found(folder_of(tmp_path / "set", lambda name, image, path: change(image).save(f"{path}.png"))) == []


def test_jpeg_everywhere_with_qualities_that_vary_alike_gives_nothing(tmp_path):
    def save(name, image, path):
        image.save(f"{path}.jpg", quality=(60, 75, 85, 95)[int(path.name[1:]) % 4])

    assert found(folder_of(tmp_path / "set", save)) == []


@pytest.mark.parametrize(
    ("extension", "options", "said"),
    [
        ("webp", {"lossless": True}, ""),
        ("tif", {"compression": "tiff_lzw"}, ""),
        ("bmp", {}, ""),
        ("webp", {"quality": 80}, "train A: lossy WebP, 128 × 96; train B: PNG, 128 × 96"),
        ("tif", {"compression": "jpeg"}, "train A: lossy TIFF, 128 × 96; train B: PNG, 128 × 96"),
    ],
)
def test_of_other_formats_only_lossy_ones_differ_from_png(tmp_path, extension, options, said):
    def save(name, image, path):
        image.save(f"{path}.{extension}", **options) if name.endswith("A") else image.save(f"{path}.png")

    issues = found(folder_of(tmp_path / "set", save))
    assert len(issues) == bool(said) and all(issue.startswith(said) for issue in issues)


def test_animated_and_transparent_webp_are_told_apart_too(tmp_path):
    frames = [scene(number).convert("RGBA") for number in range(2)]
    for lossless in (True, False):
        frames[0].putalpha(100)
        for options in ({}, {"save_all": True, "append_images": frames[1:]}):
            frames[0].save(tmp_path / "a.webp", lossless=lossless, **options)
            assert header(tmp_path / "a.webp").lossy is not lossless


def test_few_files_of_another_format_give_nothing(tmp_path):
    def save(name, image, path):
        image.save(f"{path}.jpg" if path.name == "A000" else f"{path}.png")

    assert found(folder_of(tmp_path / "set", save)) == []


def test_label_maps_are_png_beside_photos_that_are_jpeg(tmp_path):
    class Labelled(Folder):
        domains = (Domain("labels", "labels"), Domain("photo"))

    def save(name, image, path):
        if name.endswith("B"):
            image.save(f"{path}.jpg")
        else:
            image.quantize(6).convert("RGB").resize((32, 24), Image.Resampling.NEAREST).save(f"{path}.png")

    root = folder_of(tmp_path / "set", save)
    assert [issue for issue in check(Labelled(root)).issues if issue.check == "compression"] == []


@pytest.mark.parametrize("name", ["streets", "phantoms"])
def test_drawn_sets_give_nothing(name):
    assert check(DATASETS.get(name), limit=8).issues == ()


def test_the_grid_of_blocks_is_strong_after_compression_and_absent_without():
    photo = scene(0, size=(256, 192)).convert("L")
    strengths = [block_grid(np.asarray(as_jpeg(photo, quality))) for quality in (90, 75, 50, 20)]
    assert block_grid(np.asarray(photo)) < 0.02 < strengths[0] and strengths == sorted(strengths)
    moved = as_jpeg(photo, 50).crop((3, 5, 256, 192))
    assert block_grid(np.asarray(moved)) > 0.1, "wherever the grid begins"
    assert block_grid(np.asarray(photo)[:63]) is None and block_grid(np.zeros((64, 64), np.uint8)) is None


def test_the_share_of_ordered_pairs():
    assert share_ordered([2, 3], [0, 1]) == 1 and share_ordered([0, 1], [2, 3]) == 0
    assert share_ordered([1, 1], [1, 1]) == 0.5 and share_ordered([0, 2], [1, 3]) == 0.25


def flat(number, step=1):
    """A drawing of rectangles of single colours, whose edges lie at multiples of `step` pixels."""
    rng = np.random.default_rng([5, number])
    colours = np.zeros((96, 128, 3), np.uint8)
    for y, x, height, width in rng.integers(0, (96, 128, 40, 60), (12, 4)) // step * step:
        colours[y : y + height + step, x : x + width + step] = rng.integers(0, 256, 3)
    return Image.fromarray(colours)


@pytest.mark.parametrize("step", [1, 4, 8])
@pytest.mark.parametrize("quality", [None, 60])
def test_flat_pictures_have_no_grid_and_are_compared_with_none(tmp_path, step, quality):
    def save(name, image, path):
        picture = flat(int(path.name[1:]) + 50 * (name == "testB"), step) if name.endswith("B") else image
        (as_jpeg(picture, quality) if quality and not name.endswith("B") else picture).save(f"{path}.png")

    assert found(folder_of(tmp_path / "set", save)) == []
    assert block_grid(np.asarray(flat(0, step).convert("L"))) is None
