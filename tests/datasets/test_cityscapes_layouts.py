"""Cityscapes as people have it: archives packed, apart, a level too high or deep, incomplete, or with other labels."""

import re

import numpy as np
import pytest
from PIL import Image

from cgbench.benchmarks.execution.reevaluation import open_test_data
from cgbench.config import TrialConfig
from cgbench.datasets.cityscapes import PALETTE, Cityscapes
from cgbench.errors import DataBroken, DataMissing
from helpers.cli import cgbench
from helpers.image_folders import scene

CITIES = {"train": ("ulm", 2), "val": ("lindau", 1)}
IDS = [[7, 8, 11, 26, 33, 0, 6, 21]] * 4


def put(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def city(photos, labels, kind="labelIds", ids=IDS, splits=("train", "val")):
    """Write two training scenes and one of `val` into a folder of photos and one of labels."""
    for split in splits:
        name, count = CITIES[split]
        for number in range(count):
            stem = f"{name}_{number:06d}_000019"
            put(photos / split / name / f"{stem}_leftImg8bit.png", np.full((4, 8, 3), 30))
            put(labels / split / name / f"{stem}_gtFine_{kind}.png", ids)


@pytest.mark.parametrize(
    "place, photos, labels",
    [
        ("", "cityscapes/leftImg8bit", "cityscapes/gtFine"),
        ("", "Cityscapes/leftImg8bit", "Cityscapes/gtFine"),
        ("", "CITYSCAPES/leftImg8bit", "CITYSCAPES/gtFine"),
        ("", "data/cityscapes/leftImg8bit", "data/cityscapes/gtFine"),
        ("", "leftImg8bit_trainvaltest/leftImg8bit", "gtFine_trainvaltest/gtFine"),
        ("", "leftImg8bit/leftImg8bit", "gtFine/gtFine"),
        ("cityscapes", "cityscapes/a/leftImg8bit", "cityscapes/b/gtFine"),
        ("leftImg8bit", "leftImg8bit", "gtFine"),
        ("gtFine", "leftImg8bit", "gtFine"),
        ("leftImg8bit/train", "leftImg8bit", "gtFine"),
        ("x/leftImg8bit", "x/leftImg8bit", "x/gtFine"),
    ],
)
def test_the_archives_are_found_where_there_is_one_of_each(place, photos, labels, tmp_path):
    city(tmp_path / photos, tmp_path / labels)
    dataset = Cityscapes(tmp_path / place)
    assert (dataset.missing(), dataset.layout, dataset.label_source) == (None, "raw", "gtFine labelIds")
    assert [item.key for item in dataset.items("train", "A")] == ["ulm_000000_000019", "ulm_000001_000019"]
    assert [item.key for item in dataset.items("test", "B")] == ["lindau_000000_000019"]
    assert [folder.name for folder in dataset.folders()] == ["ulm", "lindau", "ulm", "lindau"]
    usual = not place and photos.split("/")[0].lower() == "cityscapes"
    assert (dataset.remarks() == ()) is usual
    if not usual:
        assert str(tmp_path / photos) in dataset.remarks()[0] and str(tmp_path / labels) in dataset.remarks()[0]


def test_prepared_copies_are_found_in_a_folder_of_any_case(tmp_path):
    for name in ("trainA", "trainB", "testA", "testB"):
        put(tmp_path / "Cityscapes" / name / "1.png", np.full((4, 8, 3), 70))
    assert Cityscapes(tmp_path).layout == "folders" and Cityscapes(tmp_path).missing() is None


def prepared(root, label, photo=scene):
    """Write a copy like CycleGAN's: photos in A, `label(number)` in B."""
    for number, name in enumerate(("trainA", "testA", "trainB", "testB")):
        (root / name).mkdir(parents=True)
        for k in range(3):
            (label if name[-1] == "B" else photo)(10 * number + k).save(root / name / f"{k}.jpg", quality=75)


def label_image(number, colours=tuple(entry.colour for entry in PALETTE)):
    """Rectangles of a palette's colours, blurred by resizing."""
    rng = np.random.default_rng(number)
    pixels = np.full((96, 96, 3), colours[0], np.uint8)
    for y, x, c in rng.integers(0, (90, 90, len(colours)), (8, 3)):
        pixels[y : y + 40, x : x + 40] = colours[c]
    return Image.fromarray(pixels).resize((128, 128), Image.Resampling.BICUBIC)


def class_ids(number):
    return Image.fromarray(np.full((64, 64), 7 + number % 20, np.uint8))


def other_palette(number):
    return label_image(number, ((0, 0, 255), (0, 255, 0), (255, 255, 0), (0, 255, 255)))


def test_prepared_label_images_may_be_blurred_and_compressed(tmp_path):
    prepared(tmp_path, label_image)
    assert Cityscapes(tmp_path).missing() is None


@pytest.mark.parametrize(
    ("label", "photo", "said"),
    [
        (scene, scene, "trainB are not in the label colours of Cityscapes"),
        (class_ids, scene, r"trainB are not in the label colours of Cityscapes \(0% of the pixels are\)"),
        (other_palette, scene, "for other pictures use --dataset folder"),
        (scene, label_image, "those in trainA are: exchange A and B"),
    ],
    ids=["photos", "class ids", "another palette", "exchanged"],
)
def test_four_folders_of_other_pictures_are_not_taken_for_cityscapes(label, photo, said, tmp_path):
    prepared(tmp_path, label, photo)
    assert re.search(said, Cityscapes(tmp_path).missing().splitlines()[0])
    with pytest.raises(DataMissing):
        Cityscapes(tmp_path).items("train", "A")


def test_pairs_side_by_side_of_other_pictures_are_not_taken_for_cityscapes(tmp_path):
    for split in ("train", "val"):
        for k in range(3):
            put(tmp_path / split / f"{k}.png", np.concatenate([scene(k), scene(k + 50)], axis=1))
    assert "right halves" in Cityscapes(tmp_path).missing().splitlines()[0]


def test_folders_without_an_image_that_is_read_are_not_ready(tmp_path):
    for name in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.gif").write_bytes(b"GIF89a")
    assert "trainA has no image that is read, only 1 other file" in Cityscapes(tmp_path).missing().splitlines()[0]
    run = ["run", "--methods", "gan_only", "--dataset", "cityscapes", "--data-root", tmp_path, "--preset", "smoke"]
    assert "trainA has no image that is read" in cgbench(*run, "--dry-run", code=2)


def archives(root, names):
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / name).write_bytes(b"PK")


MISSING = {
    "both packed": (
        lambda root: archives(root, ["leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"]),
        ["2 archives not unpacked", "unzip -q -n gtFine_trainvaltest.zip && unzip -q -n leftImg8bit_trainvaltest.zip"],
    ),
    "one packed in cityscapes": (
        lambda root: archives(root / "cityscapes", ["gtFine_trainvaltest.zip"]),
        ["1 archive not unpacked", "/cityscapes && unzip", "missing: leftImg8bit_trainvaltest.zip"],
    ),
    "labels packed": (
        lambda root: (city(root / "leftImg8bit", root / "x"), archives(root, ["gtFine_trainvaltest.zip"])),
        ["only leftImg8bit", "1 archive not unpacked, gtFine_trainvaltest.zip", "unzip"],
    ),
    "photos alone": (
        lambda root: city(root / "leftImg8bit", root / "elsewhere"),
        ["found only leftImg8bit", "missing: gtFine (gtFine_trainvaltest.zip)"],
    ),
    "labels alone": (
        lambda root: city(root / "elsewhere", root / "gtFine"),
        ["found only gtFine", "missing: leftImg8bit (leftImg8bit_trainvaltest.zip)"],
    ),
    "coarse labels": (
        lambda root: city(root / "leftImg8bit", root / "gtCoarse"),
        ["only leftImg8bit", "gtCoarse, whose labels are too coarse: gtFine is missing"],
    ),
    "val alone": (
        lambda root: city(root / "leftImg8bit", root / "gtFine", splits=["val"]),
        ["leftImg8bit/train has no files *_leftImg8bit.png", "gtFine/train has no files *_gtFine_labelIds.png"],
    ),
    "train alone": (
        lambda root: city(root / "leftImg8bit", root / "gtFine", splits=["train"]),
        ["leftImg8bit/val has no files *_leftImg8bit.png", "gtFine/val has no files"],
    ),
    "colour files alone": (
        lambda root: city(root / "leftImg8bit", root / "gtFine", kind="color"),
        ["gtFine/train has no files *_gtFine_labelIds.png, only colour files"],
    ),
    "training ids alone": (
        lambda root: city(root / "leftImg8bit", root / "gtFine", kind="labelTrainIds"),
        ["has no files *_gtFine_labelIds.png, only files of training ids"],
    ),
    "two of each": (
        lambda root: [city(root / name / "leftImg8bit", root / name / "gtFine") for name in "xy"],
        ["2 folders leftImg8bit; 2 folders gtFine; give the directory that holds one of each"],
    ),
    "plain photos": (
        lambda root: [
            put(root / split / f"{n}.png", scene(n, size=(128, 96))) for split in ("train", "val") for n in range(4)
        ],
        ["holds plain photos in train, not photo and label image side by side"],
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_there_and_what_is_missing_is_said(name, tmp_path):
    write, expected = MISSING[name]
    write(tmp_path)
    text = Cityscapes(tmp_path).missing()
    for part in (*expected, "cityscapes-dataset.com", "--data-root"):
        assert part in text, text
    assert len(text.splitlines()) <= 9
    run = ["run", "--methods", "gan_only", "--dataset", "cityscapes", "--data-root", tmp_path, "--preset", "smoke"]
    assert expected[0] in cgbench(*run, code=2)
    with pytest.raises(DataMissing):
        Cityscapes(tmp_path).items("train", "A")


def test_val_alone_is_enough_to_evaluate(tmp_path):
    city(tmp_path / "leftImg8bit", tmp_path / "gtFine", splits=["val"])
    data = open_test_data("cityscapes", tmp_path, TrialConfig())
    assert [item.key for item in data.items("test", "A")] == ["lindau_000000_000019"]


def test_training_ids_under_the_name_of_label_ids_are_refused_in_one_line(tmp_path):
    city(tmp_path / "leftImg8bit", tmp_path / "gtFine", ids=[[0, 1, 2, 13, 18, 255, 10, 8]] * 4)
    dataset = Cityscapes(tmp_path)
    with pytest.raises(DataBroken, match=r"ulm_0000.*training ids \(0 to 18 and 255\) under the name of labelIds"):
        dataset.items("train", "B")
    run = ["run", "--methods", "gan_only", "--dataset", "cityscapes", "--data-root", tmp_path, "--preset", "smoke"]
    assert "training ids" in cgbench(*run, code=2)
    assert "training ids" in cgbench("datasets", "check", "cityscapes", "--data-root", tmp_path, code=1)


def test_one_map_of_low_ids_among_others_is_read(tmp_path):
    city(tmp_path / "leftImg8bit", tmp_path / "gtFine")
    put(
        tmp_path / "gtFine" / "train" / "ulm" / "ulm_000000_000019_gtFine_labelIds.png", [[7, 8, 11, 0, 1, 2, 3, 4]] * 4
    )
    assert len(Cityscapes(tmp_path).items("train", "A")) == 2
