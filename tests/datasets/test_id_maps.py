"""Maps of class ids given as pictures are refused before training; dark photos, slices and masks of 0, 255 are not."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageFilter

from cgbench.api.registry import DATASETS
from cgbench.datasets import phantoms, streets
from cgbench.datasets.checks.checker import check
from cgbench.datasets.checks.id_maps import LOOKED_AT
from cgbench.datasets.checks.quick_checks import check_quickly
from cgbench.datasets.folder import Folder
from cgbench.datasets.images.decoding import read_image, read_labels
from cgbench.pixel_format import display_rgb
from helpers.cli import SMALL, cgbench
from helpers.image_folders import healthy, scene

SIDE = 96


def ids_of(number, classes=9):
    """A map of class ids, uint8 (96, 96): rectangles of any class beside any other."""
    rng = np.random.default_rng([3, number])
    ids = np.zeros((SIDE, SIDE), np.uint8)
    for y, x, height, width, of_class in rng.integers(0, (SIDE, SIDE, 32, 32, classes), (14, 5)):
        ids[y : y + height + 8, x : x + width + 8] = of_class
    return ids


def with_void(ids):
    return np.where(ids == 34, 255, ids).astype(np.uint8)


def ramp(ids):
    """A palette file whose colours are the greys of its ids."""
    image = Image.fromarray(ids)
    image.putpalette([level for level in range(256) for _ in range(3)])
    return image


def grey(number):
    return scene(number, size=(SIDE, SIDE)).convert("L")


def set_with(root, picture, domains=("trainB", "testB"), ending="png"):
    """A healthy folder whose B is `picture(number)` instead, an array or an image."""
    healthy(root)
    for domain in domains:
        for number, path in enumerate(sorted((root / domain).iterdir())):
            made = picture(number)
            path.unlink()
            (Image.fromarray(made) if isinstance(made, np.ndarray) else made).save(path.with_suffix(f".{ending}"))
    return Folder(root)


def found(dataset):
    """The texts of the errors about class ids, by the checks before training and by the data check."""
    texts = [issue.text for issue in check_quickly(dataset) if issue.check == "id-maps"]
    assert texts == [issue.text for issue in check(dataset).issues if issue.check == "id-maps"]
    return texts


IDS = {
    "nine classes": (ids_of, "0 to 8, 9"),
    "ids of Cityscapes": (lambda number: with_void(ids_of(number, 35)), "0 to 33 and 255, 9"),
    "a palette of greys": (lambda number: ramp(ids_of(number)), "0 to 8, 9"),
    "three equal channels": (lambda number: Image.fromarray(ids_of(number)).convert("RGB"), "0 to 8, 9"),
    "a mask of 0 and 1": (lambda number: ids_of(number, 2), "0 and 1, 9"),
    "three classes": (lambda number: ids_of(number, 3), "0 to 2, 9"),
    "streets": (lambda number: streets.labels("train", number, 64), "0 to 7, 8"),
    "organs inside bodies": (lambda number: phantoms.labels("train-mr", number, 3, 128), "0 to 7, 86%"),
}


@pytest.mark.parametrize("name", IDS)
def test_class_ids_are_an_error_that_says_what_was_seen(name, tmp_path):
    picture, seen = IDS[name]
    train, test = found(set_with(tmp_path / "set", picture))
    assert train.startswith(
        f"train B holds maps of class ids, not pictures: 8 files of 12 looked at, all grey, no level but {seen}"
    )
    assert "would arrive almost black; colour them with a palette" in train and test.startswith("test B holds")


@pytest.mark.parametrize("ending", ["bmp", "tif", "webp"])
def test_class_ids_in_other_lossless_files_are_found(ending, tmp_path):
    options = {"webp": {"lossless": True}}.get(ending, {})
    dataset = set_with(tmp_path / "set", ids_of)
    for folder in ("trainB", "testB"):
        for path in list((tmp_path / "set" / folder).iterdir()):
            Image.open(path).save(path.with_suffix(f".{ending}"), **options)
            path.unlink()
    assert len(found(dataset)) == 2


def mr_picture(number):
    return display_rgb(phantoms.image("mr", "train-mr", number, 3, 128)[None], phantoms.MR)[0]


PICTURES = {
    "a mask of 0 and 255": lambda number: ids_of(number, 2) * 255,
    "a mask of one bit": lambda number: Image.fromarray(ids_of(number, 2) * 255).convert("1"),
    "colours of a palette": lambda number: Image.fromarray(streets.label_image("train", number, SIDE)).quantize(9),
    "grey photos": grey,
    "MR slices": lambda number: mr_picture(number)[..., 0],
    "one colour": lambda number: np.full((32, 32), 7, np.uint8),
    **{f"photos at 1/{k}": lambda number, k=k: np.asarray(grey(number)) // k for k in (7, 10, 14, 20, 40)},
    **{f"slices at 1/{k}": lambda number, k=k: mr_picture(number) // k for k in (7, 14, 40)},
    "blurred dark photos": lambda number: np.asarray(grey(number).filter(ImageFilter.GaussianBlur(2))) // 10,
    "dark photos of streets": lambda number: streets.photo("train", number, 128) // 12,
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_however_dark_are_none(name, tmp_path):
    assert found(set_with(tmp_path / "set", PICTURES[name])) == []


def test_one_picture_among_those_looked_at_says_that_the_set_holds_pictures(tmp_path):
    assert found(set_with(tmp_path / "set", lambda number: grey(number) if number == 0 else ids_of(number))) == []


def test_files_that_cannot_be_read_are_left_to_other_checks(tmp_path):
    dataset = set_with(tmp_path / "set", ids_of)
    (tmp_path / "set" / "trainB" / "a.png").write_bytes(b"")
    assert found(dataset)[0].startswith("train B holds maps of class ids, not pictures: 7 files of 13 looked at")


@pytest.mark.parametrize("name", ["streets", "phantoms"])
def test_drawn_sets_are_not_decoded(name):
    assert check_quickly(DATASETS.get(name)) == []


def test_few_files_are_decoded_and_one_of_a_set_of_pictures(tmp_path, monkeypatch):
    dataset = set_with(tmp_path / "set", ids_of, domains=("trainB",))
    decoded = []
    monkeypatch.setattr(
        "cgbench.datasets.images.decoding._as_rgb",
        lambda image: decoded.append(image.filename) or image.convert("RGB"),
    )
    check_quickly(dataset)
    counts = {folder: sum(f"/{folder}/" in name for name in decoded) for folder in ("trainA", "trainB", "testB")}
    assert counts == {"trainA": 1, "trainB": LOOKED_AT, "testB": 1}


def test_a_run_refuses_them_before_it_trains_and_the_command_of_the_check_mends_them(tmp_path):
    root = tmp_path / "it's mine"
    set_with(root, ids_of)
    run = ["run", "--methods", "gan_only", "--dataset", "folder", "--data-root", root, *SMALL, "--runs-dir", tmp_path]
    for more in ([], ["--dry-run"]):
        output = cgbench(*run, *more, code=2)
        assert "\ncgbench: train B holds maps of class ids" in output and "cgbench datasets check folder" in output
    commands = [
        line.strip()
        for line in cgbench("datasets", "check", "folder", "--data-root", root, code=1).splitlines()
        if line.strip().startswith("(cd ")
    ]
    assert len(commands) == 2
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", "\n".join(commands)], check=True, timeout=60, env={**os.environ, "PATH": path})
    assert found(Folder(root)) == []
    file = sorted((root / "trainB").iterdir())[0]
    assert (read_labels(file) == ids_of(0)).all(), "the ids are kept"
    assert len(np.unique(read_image(file).reshape(-1, 3), axis=0)) == len(np.unique(ids_of(0)))


def test_files_of_several_folders_or_without_palettes_get_no_command(tmp_path):
    dataset = set_with(tmp_path / "set", ids_of)
    (tmp_path / "set" / "trainB" / "b012.png").rename(tmp_path / "set" / "trainB" / "b012.bmp")
    fixes = [issue.fix for issue in check_quickly(dataset) if issue.check == "id-maps"]
    assert "(cd" not in fixes[0] and "(cd" in fixes[1]
