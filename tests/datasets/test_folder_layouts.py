"""Layouts of own images: which are read and as what, and what is said of the others."""

import shutil

import numpy as np
import pytest
from PIL import Image

from cgbench.api.dataset import Dataset, Domain, guarded
from cgbench.benchmarks.testing.conformance import check_dataset
from cgbench.benchmarks.trials.request import open_dataset
from cgbench.datasets.checks.file_checks import check_folders
from cgbench.datasets.folder import Folder
from cgbench.datasets.layouts.seams import continues, look_at_seams
from cgbench.datasets.validation_split import hold_out
from cgbench.errors import DataMissing, PluginError
from helpers.cli import SMALL, cgbench
from helpers.image_folders import FOUR, healthy, put, scene


def levels(dataset):
    """The levels of train A, train B, test A and test B: the place of their folder in the list given to `put`."""
    sets = [dataset.items(split, domain) for split in ("train", "test") for domain in "AB"]
    return [{int(item.image(8)[0, 0, 0]) // 10 for item in items} for items in sets]


READ = {
    "trainA": FOUR,
    "TrainA": ("TrainA", "TrainB", "TestA", "TestB"),
    "TRAINA": ("TRAINA", "TRAINB", "TESTA", "TESTB"),
    "traina": ("traina", "trainb", "testa", "testb"),
    "train_A": ("train_A", "train_B", "test_A", "test_B"),
    "train-A": ("train-A", "train-B", "test-A", "test-B"),
    "A/train": ("A/train", "B/train", "A/test", "B/test"),
    "a/Train": ("a/Train", "b/Train", "a/Test", "b/Test"),
    "train/A": ("train/A", "train/B", "test/A", "test/B"),
    "trainhorse": ("trainhorse", "trainzebra", "testhorse", "testzebra"),
    "train_Zebra": ("train_apple", "train_Zebra", "test_apple", "test_Zebra"),
    "train/horse": ("train/horse", "train/zebra", "test/horse", "test/zebra"),
    "horse/train": ("horse/train", "zebra/train", "horse/test", "zebra/test"),
    "valA as test": ("trainA", "trainB", "valA", "valB"),
    "A/val as test": ("A/train", "B/train", "A/val", "B/val"),
    "training": ("training/A", "training/B", "testing/A", "testing/B"),
    "one level deep": tuple(f"horses/{name}" for name in FOUR),
    "two levels deep": tuple(f"data/horses/{name}" for name in FOUR),
    "sub-folders": ("trainA/city1", "trainB/city1", "testA", "testB"),
}


@pytest.mark.parametrize("name", READ)
def test_a_layout_that_can_mean_one_thing_only_is_read(name, tmp_path):
    dataset = Folder(put(tmp_path / "set", READ[name]))
    assert dataset.missing() is None
    assert levels(dataset) == [{1}, {2}, {3}, {4}]
    assert dataset.layout.name(dataset.layout.sets["train", "B"].path) in dataset.split_rule
    check_dataset("folder", tmp_path / "set")


def test_the_usual_layout_is_read_without_a_remark_and_with_the_keys_that_it_had(tmp_path):
    dataset = Folder(put(tmp_path, [*FOUR, "valA", "valB"]))
    assert (dataset.splits, dataset.remarks()) == (("train", "val", "test"), ())
    assert [item.key for item in dataset.items("train", "A")] == ["0", "1"]
    assert dataset.folders() == tuple(tmp_path / name for name in (*FOUR, "valA", "valB"))


@pytest.mark.parametrize(
    "name, remark",
    [
        ("trainhorse", "A is 'horse' and B is 'zebra': by the alphabet"),
        ("train_Zebra", "A is 'apple' and B is 'Zebra': by the alphabet"),
        ("valA as test", "valA and valB are the test set, as no folders are named for it"),
        ("one level deep", "read from the folder horses in "),
        ("sub-folders", "trainA: 2 images are read from its sub-folders, city1"),
    ],
)
def test_what_the_names_do_not_say_is_said_by_the_plan_and_by_the_check(name, remark, tmp_path):
    put(tmp_path, READ[name])
    assert any(text.startswith(remark) for text in Folder(tmp_path).remarks())
    said = remark.split(" images ")[0]
    assert said in " ".join(cgbench("datasets", "check", "folder", "--data-root", tmp_path).split())
    run = ["run", "--methods", "gan_only", "--dataset", "folder", "--data-root", tmp_path, "--dry-run", *SMALL]
    assert said in " ".join(cgbench(*run).split())


def test_validation_images_of_one_domain_are_said_not_to_be_read(tmp_path):
    dataset = Folder(put(tmp_path, [*FOUR, "valA", "trainC"]))
    assert dataset.missing() is None and dataset.splits == ("train", "test")
    assert sorted(dataset.remarks()) == [
        "trainC is not read (2 images)",
        "valA is not read (2 images): validation images are read of both domains or of none",
    ]
    unread = [file for issue in check_folders(dataset) for file in issue.files]
    assert sorted(unread) == ["trainC/0.png", "trainC/1.png", "valA/0.png", "valA/1.png"]
    assert hold_out(dataset, 1).unused_folders() == dataset.unused_folders()
    assert hold_out(dataset, 1).remarks() == dataset.remarks()


def test_images_of_a_sub_folder_beside_others_are_counted_as_not_read(tmp_path):
    root = put(tmp_path, [*FOUR, "trainA/more", "trainA/more/deeper"], images=3)
    (root / "trainA" / "notes").mkdir()
    dataset = Folder(root)
    assert [item.key for item in dataset.items("train", "A")] == ["0", "1", "2"]
    (issue,) = check_folders(dataset)
    assert len(issue.files) == 6 and issue.text == "in a sub-folder of trainA"
    output = cgbench("datasets", "check", "folder", "--data-root", root)
    assert "trainA/more/0.png, trainA/more/1.png" in output and "and 3 more" in output


def test_images_of_sub_folders_have_the_sub_folder_in_their_keys(tmp_path):
    dataset = Folder(put(tmp_path, ["trainA/x", "trainB", "testA/x", "testB/x", "trainA/y"]))
    assert [item.key for item in dataset.items("train", "A")] == ["x/0", "x/1", "y/0", "y/1"]
    dataset.configure(paired="yes")
    assert dataset.paired_test and [item.key for item in dataset.items("test", "B")] == ["x/0", "x/1"]
    assert check_folders(dataset) == []
    shutil.move(tmp_path / "testB" / "x", tmp_path / "testB" / "z")
    assert not Folder(tmp_path).paired_test


def test_sub_folders_of_sub_folders_are_read_to_three_levels_and_what_lies_deeper_is_counted(tmp_path):
    dataset = Folder(put(tmp_path, ["trainA/a/b/c", "trainA/a/b/c/d", "trainB", "testA", "testB"]))
    assert [item.key for item in dataset.items("train", "A")] == ["a/b/c/0", "a/b/c/1"]
    assert [file for issue in check_folders(dataset) for file in issue.files] == [
        "trainA/a/b/c/d/0.png", "trainA/a/b/c/d/1.png",
    ]  # fmt: skip


def test_a_run_writes_the_outputs_of_images_in_sub_folders(tmp_path):
    root = put(tmp_path / "set", ["trainA", "trainB", "testA/x", "testB/y"])
    cgbench("run", "--methods", "gan_only", "--dataset", "folder", "--data-root", root, "--runs-dir", tmp_path,
            "--name", "r", *SMALL)  # fmt: skip
    written = sorted(path.name for path in (tmp_path / "r/set/gan_only/seed-0/outputs").glob("*/*.png"))
    assert [name[:3] for name in written] == ["x-0", "x-1", "y-0", "y-1"]


def test_a_set_one_level_deep_is_called_as_its_own_folder(tmp_path):
    put(tmp_path / "archive", READ["one level deep"])
    assert Folder(tmp_path / "archive").label == Folder(tmp_path / "archive" / "horses").label == "horses"


@pytest.mark.parametrize("extension", [".heif", ".nii.gz"])
def test_the_check_counts_files_of_these_formats_as_not_read(extension, tmp_path):
    (put(tmp_path, FOUR) / f"trainA/0{extension}").write_bytes(b"")
    (issue,) = check_folders(Folder(tmp_path))
    assert issue.text == f"'{extension}' files are not read" and issue.files == (f"trainA/0{extension}",)


# pairs side by side, or plain photos


def photo(number, width=128):
    """A photo-like picture: scenes have smooth grounds, sharp shapes and noise."""
    return np.asarray(scene(number, size=(width, 96)))


def in_folders(root, pictures):
    for folder in ("train", "test"):
        (root / folder).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(root / folder / f"{number}.png")
    return root


def test_plain_photos_are_refused(tmp_path):
    dataset = Folder(in_folders(tmp_path, [photo(number) for number in range(9)]))
    text = dataset.missing()
    assert "holds plain photos in train and test, not pairs side by side" in text
    assert f"In {dataset._seams.continuing} of 8 images" in text and dataset._seams.continuing >= 6
    with pytest.raises(DataMissing, match="plain photos"):
        dataset.items("train", "A")
    assert "plain photos" in cgbench("datasets", "check", "folder", "--data-root", tmp_path, code=2)


def test_who_knows_that_photos_without_a_seam_are_pairs_says_so(tmp_path):
    in_folders(tmp_path, [photo(number) for number in range(4)])
    with pytest.raises(DataMissing, match="--set paired=yes"):
        open_dataset("folder", tmp_path)
    assert len(open_dataset("folder", tmp_path, paired="yes").items("test", "A")) == 4


@pytest.mark.parametrize("kind", ["labels and photo", "photo and photo", "shrunk"])
def test_pairs_side_by_side_are_read_without_a_remark(kind, tmp_path):
    pictures = []
    for number in range(8):
        right = photo(number)
        left = (right // 64 * 64 + 20) if kind == "labels and photo" else photo(number + 100)
        pair = np.concatenate([left[:, ::-1], right], axis=1)
        if kind == "shrunk":
            pair = np.asarray(Image.fromarray(pair).resize((128, 64), Image.Resampling.BICUBIC))
        pictures.append(pair)
    dataset = Folder(in_folders(tmp_path, pictures))
    assert (dataset.missing(), dataset.remarks()) == (None, ())
    assert len(dataset.items("test", "A")) == 8


def test_pairs_whose_seam_shows_nothing_are_read_with_a_remark(tmp_path):
    sketch = np.full((48, 96, 3), 255, np.uint8)
    sketch[20:28, 20:28] = sketch[10:30, 60:80] = 40  # white margins on both sides of the seam
    dataset = Folder(in_folders(tmp_path, [sketch] * 3))
    assert dataset.missing() is None
    assert dataset.remarks()[0].startswith("read as pairs side by side, but only 0 of 6 images")


def test_noise_and_unreadable_files_tell_nothing(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    (tmp_path / "text.png").write_text("no image")
    assert continues(tmp_path / "noise.png") is None and continues(tmp_path / "text.png") is None
    seams = look_at_seams([tmp_path / "noise.png"] * 20)
    assert (seams.images, seams.plain_photos, seams.unclear) == (8, False, True)


# remarks of other packages


class Remarking(Dataset):
    name, summary, domains = "remarking", "a dataset with bad remarks", (Domain("A"), Domain("B"))

    def items(self, split, domain):
        return []

    def remarks(self):
        return "one text"


def test_remarks_of_a_plug_in_that_are_no_texts_are_its_error():
    with pytest.raises(PluginError, match="remarks returned 'one text', not a sequence of texts"):
        guarded(Remarking(), "dataset 'remarking' of package theirs").remarks()


def test_a_healthy_folder_has_no_remarks(tmp_path):
    assert Folder(healthy(tmp_path)).remarks() == ()
