"""Messages about own images that are not read, and the commands in them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cgbench.datasets.folder import Folder
from cgbench.errors import DataMissing
from helpers.cli import SMALL, cgbench
from helpers.image_folders import FOUR, put, scene

REFUSED = {
    "nothing": ((), ["none of the expected folders"]),
    "three words": (
        ("traincow", "trainhorse", "trainzebra", "testcow", "testhorse", "testzebra"),
        [
            "3 domains (cow, horse, zebra)",
            "mv -- traincow trainA && mv -- trainhorse trainB && mv -- testcow testA && mv -- testhorse testB",
        ],
    ),
    "no testB": (("trainA", "trainB", "testA"), ["testB is missing", "mkdir -p -- testB && ls -p -- trainB | LC_ALL"]),
    "no testA": (("trainA", "trainB", "testB"), ["testA is missing", "mkdir -p -- testA && ls -p -- trainA | LC_ALL"]),
    "no test": (("trainA", "trainB"), ["testA, testB are missing", "mkdir -p -- testA", "mkdir -p -- testB"]),
    "no test, train_A": (("train_A", "train_B"), ["test_A, test_B are missing", "mkdir -p -- test_B"]),
    "no test, Train/A": (("Train/A", "Train/B"), ["Test/A, Test/B are missing", "mkdir -p -- Test/B"]),
    "no test, words": (("trainhorse", "trainzebra"), ["testhorse, testzebra are missing", "mkdir -p -- testzebra"]),
    "no trainB": (("trainA", "testA", "testB"), ["trainB is missing", "trainA (20 images)"]),
    "test and one val": (("trainA", "trainB", "testA", "valB"), ["testB is missing", "valB (20 images)"]),
    "only trainA": (("trainA",), ["trainB, testA, testB are missing", "mkdir -p -- testA"]),
    "two domains": (
        ("horse", "zebra"),
        ["horse (20 images), zebra", "mv -- horse trainA && mv -- zebra trainB", "testB"],
    ),
    "pairs without test": (
        ("train",),
        ["train (20 images), and no test images", "mkdir -p -- test && ls -p -- train "],
    ),
    "two sets": ((*(f"x/{n}" for n in FOUR), *(f"y/{n}" for n in FOUR)), ["2 data sets, x, y", "--data-root", "/x"]),
    "camvid": (("train", "trainannot", "val", "valannot"), ["looks like camvid: --dataset camvid"]),
    "cityscapes": (("leftImg8bit/train/ulm", "gtFine/train/ulm"), ["looks like cityscapes: --dataset cityscapes"]),
    "pairs in test alone": (("test",), ["no training images", "two files in train"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_gets_a_message_with_what_is_there_and_the_command_that_mends_it(name, tmp_path):
    folders, expected = REFUSED[name]
    put(tmp_path / "my set", folders, images=20)
    (tmp_path / "my set").mkdir(exist_ok=True)
    text = Folder(tmp_path / "my set").missing()
    for part in expected:
        assert part in text, text
    assert text.startswith("folder: ") and "--data-root" in text and len(text.splitlines()) <= 9
    run = ["run", "--methods", "gan_only", "--dataset", "folder", "--data-root", tmp_path / "my set", *SMALL]
    assert text.splitlines()[0] in cgbench(*run, code=2)
    with pytest.raises(DataMissing):
        Folder(tmp_path / "my set").items("train", "A")


@pytest.mark.parametrize("name", [*REFUSED, "an empty testB"])
def test_the_check_of_what_is_not_complete_exits_like_a_run(name, tmp_path):
    put(tmp_path, REFUSED.get(name, (FOUR[:3],))[0], images=3)
    if name not in REFUSED:
        (tmp_path / "testB").mkdir()
    output = cgbench("datasets", "check", "folder", "--data-root", tmp_path, code=2)
    assert output.count("data is missing") <= 1 and "a domain is empty" not in output


def test_the_check_of_plain_photos_says_of_them_what_a_run_says_and_no_more(tmp_path):
    put(tmp_path, ("train", "test"), images=0)
    for number in range(8):
        scene(number, size=(128, 96)).save(tmp_path / ("train" if number < 5 else "test") / f"{number}.png")
    output = cgbench("datasets", "check", "folder", "--data-root", tmp_path, code=2)
    assert "holds plain photos in train and test" in output and "pairs side by side in one file" not in output
    assert str(Folder(tmp_path).missing()) in output


def commands(text):
    return [line.strip() for line in text.splitlines() if line.strip().startswith("(cd ")]


def paste(text, check=True):
    """Run the commands of a message as one pasted text."""
    return subprocess.run(["sh", "-c", "\n".join(commands(text))], check=check, timeout=20, capture_output=True)


@pytest.mark.parametrize("name", ["no testB", "no test", "no test, Train/A", "no test, words", "two domains"])
def test_the_commands_of_a_message_make_a_layout_that_is_read(name, tmp_path):
    root = put(tmp_path / "it's mine", REFUSED[name][0], images=20)
    paste(Folder(root).missing())
    dataset = Folder(root)
    assert dataset.missing() is None
    assert len(dataset.items("test", "B")) == 2, "a tenth"
    assert len(dataset.items("train", "B")) == 18


def test_a_folder_of_the_layout_itself_is_answered_with_the_one_above(tmp_path):
    put(tmp_path, FOUR)
    assert f"--data-root {tmp_path}" in Folder(tmp_path / "trainA").missing()


@pytest.mark.parametrize(
    "folders", [("A/train", "B/train", "A/test", "B/test"), ("train/A", "train/B", "test/A", "test/B")]
)
def test_half_of_a_layout_is_answered_with_the_directory_above(folders, tmp_path):
    put(tmp_path, folders)
    for folder in folders:
        for number in range(8):
            scene(number, size=(128, 96)).save(tmp_path / folder / f"{number}.png")
    assert f"--data-root {tmp_path}" in Folder(tmp_path / folders[0].split("/")[0]).missing()


def test_a_thousand_classes_do_not_flood_the_message(tmp_path):
    text = Folder(put(tmp_path, [f"train/n{number:04d}" for number in range(40)], images=1)).missing()
    assert "40 domains (n0000, " in text and "n0007 and 32 more)" in text and len(text) < 1200


def test_names_that_are_no_utf_8_do_not_break_a_message(tmp_path):
    root = tmp_path / os.fsdecode(b"caf\xe9\x1b")
    put(root, ["trainA", "trainB", "testA", os.fsdecode(b"tra\xe9/x")])
    output = cgbench("run", "--methods", "gan_only", "--dataset", "folder", "--data-root", root, *SMALL, code=2)
    assert "caf\\xe9\\x1b holds trainA (2 images)" in output and "\x1b" not in output


def test_an_incomplete_layout_is_an_error_of_the_check_with_its_command_in_one_line(tmp_path):
    put(tmp_path, FOUR[:3])
    output = cgbench("datasets", "check", "folder", "--data-root", tmp_path, code=2)
    assert output.count("data is missing") == 1 and "a domain is empty" not in output
    assert commands(output) == commands(Folder(tmp_path).missing()) != []


def test_the_command_of_three_domains_makes_a_layout_of_the_first_two(tmp_path):
    root = put(tmp_path, REFUSED["three words"][0], images=3)
    paste(Folder(root).missing())
    assert Folder(root).missing() is None
    assert sorted(path.name for path in root.iterdir()) == [
        "testA",
        "testB",
        "testzebra",
        "trainA",
        "trainB",
        "trainzebra",
    ]


OTHERS = ("Thumbs.db", "zz_notes.txt", "zz.png.part", ".zz.png")


@pytest.mark.parametrize("ending", ["png", "JPG", "jpeg", "webp", "tif", "tiff", "bmp"])
def test_images_alone_are_taken_for_the_test_whatever_else_lies_beside_them(ending, tmp_path):
    root = put(tmp_path, ["trainA", "trainB", "testB"], images=20)
    for path in (root / "trainA").iterdir():
        path.rename(path.with_suffix(f".{ending}"))
    for name in OTHERS:
        (root / "trainA" / name).write_text("no image")
    (root / "trainA" / "zz.png").mkdir()
    (root / "trainA" / f"9\xe9 '$x.{ending}").write_bytes((root / "trainA" / f"0.{ending}").read_bytes())
    (root / "trainA" / os.fsdecode(f"9z\xe9.{ending}".encode("latin-1"))).write_bytes(b"")
    paste(Folder(root).missing())
    assert len(list((root / "testA").iterdir())) == 2 and len(Folder(root).items("test", "A")) == 2
    assert {*OTHERS, "zz.png"} < {path.name for path in (root / "trainA").iterdir()}


@pytest.mark.parametrize("names", [("-horse", "--zebra"), ("train/-horse", "train/-zebra"), ("-a/train", "-b/train")])
def test_folders_that_begin_with_a_dash_are_moved_like_others(names, tmp_path, monkeypatch):
    put(tmp_path / "-set", names, images=20)
    monkeypatch.chdir(tmp_path)
    paste(Folder(Path("-set")).missing())
    assert Folder(tmp_path / "-set").missing() is None
    assert len(Folder(tmp_path / "-set").items("test", "B")) == 2


def test_a_command_that_fails_stops_those_that_are_pasted_with_it(tmp_path):
    root = put(tmp_path, ["horse", "zebra"], images=20)
    (root / "trainB").write_text("in the way")
    assert paste(Folder(root).missing(), check=False).returncode != 0
    assert not (root / "testA").exists()


def put_unread(root, folders, extension, files=6):
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(files):
            (root / folder / f"{number}{extension}").write_bytes(b"")
    return root


@pytest.mark.parametrize("extension", [".gif", ".HEIC", ".heif", ".jp2", ".dcm", ".nii", ".nii.gz"])
def test_files_of_a_format_that_is_not_read_are_the_reason_for_an_empty_folder(extension, tmp_path):
    root = put_unread(put(tmp_path, FOUR[1:]), ["trainA"], extension)
    said = f"trainA holds 6 {extension.lower()} files, which are not read: convert them to PNG"
    assert f"\n  {said}\n" in Folder(root).missing()


@pytest.mark.parametrize(
    "folders, said",
    [
        (FOUR, "testA, testB, trainA, trainB hold 24 .gif files"),
        (("horse", "zebra"), "horse, zebra hold 12 .gif files"),
        (("x/trainA/imgs",), "x/trainA/imgs holds 6 .gif files"),
        (("train",), "train holds 6 .gif files"),
    ],
)
def test_a_directory_of_nothing_but_unread_formats_says_where_they_are(folders, said, tmp_path):
    assert said in Folder(put_unread(tmp_path, folders, ".gif")).missing()


def test_one_file_and_the_files_of_the_directory_itself_are_named_too(tmp_path):
    assert (
        f"{tmp_path} holds 1 .gif file, which is not read: convert it to PNG"
        in Folder(put_unread(tmp_path, ["."], ".gif", files=1)).missing()
    )


def test_training_images_are_not_taken_where_the_test_images_have_another_format(tmp_path):
    text = Folder(put_unread(put(tmp_path, ["trainA", "trainB"], images=20), ["testA/x"], ".gif")).missing()
    assert "mkdir -p -- testB" in text and "mkdir -p -- testA" not in text and "testA/x holds 6 .gif files" in text


def test_pairs_of_another_format_are_the_reason_for_too_few_in_train(tmp_path):
    text = Folder(put_unread(put(tmp_path, ["train", "test"], images=1), ["train"], ".gif")).missing()
    assert "two files in train" in text and "train holds 6 .gif files" in text


RENAMED = {
    "plural words": (("train/horse", "train/zebra", "test/Horses", "test/Zebras"), "mv -- test/Horses test/horse"),
    "test/A": (("trainA", "trainB", "test/A", "test/B"), "mv -- test/A testA"),
    "test/B alone": (("trainA", "trainB", "testA", "test/B"), "mv -- test/B testB"),
    "testA": (("train/A", "train/B", "testA", "testB"), "mv -- train/A trainA"),
    "A/train": (("A/train", "B/train", "test/A", "test/B"), "mv -- test/A A/test"),
    "horses": (("trainhorse", "trainzebra", "test/horses", "test/zebras"), "mv -- test/horses testhorse"),
    "val": (("trainA", "trainB", "val/A", "val/B"), "mv -- val/A testA"),
    "the alphabet": (("trainA", "trainB", "test/zebra", "test/horse"), "mv -- test/horse testA"),
    "training": (("trainhorse", "trainzebra", "testA", "testB"), "mv -- trainhorse trainA"),
    "a dash": (("train/-horse", "train/zebra", "test/-horses", "test/Zebra"), "mv -- test/-horses test/-horse"),
}


@pytest.mark.parametrize("name", RENAMED)
@pytest.mark.parametrize("empty", [(), ("testA", "testB", "trainA", "trainB", "A/test")])
def test_sets_that_are_there_under_another_layout_are_renamed_and_no_training_image_is_taken(name, empty, tmp_path):
    folders, command = RENAMED[name]
    for folder in empty if name != "A/train" else empty[4:]:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    put(tmp_path, folders, images=3)
    text = Folder(tmp_path).missing()
    assert command in text and "tail" not in text and len(text.splitlines()) <= 9, text
    paste(text)
    dataset = Folder(tmp_path)
    assert dataset.missing() is None
    assert [len(dataset.items(split, domain)) for split in ("train", "test") for domain in "AB"] == [3] * 4


def test_a_validation_set_of_one_domain_does_not_become_its_test_set(tmp_path):
    text = Folder(put(tmp_path, ["trainA", "trainB", "testA", "val/B"], images=20)).missing()
    assert "To take some of the training images" in text and "rename" not in text


@pytest.mark.parametrize(
    "folders",
    [
        ("trainA/imgs", "trainB/imgs"),
        ("trainA/it's 1", "trainA/-2", "trainB"),
        ("A/train/x/y", "B/train/x"),
        ("trainA", "trainB", "testB", "trainA/.hidden", "trainA/more"),
    ],
)
def test_images_of_sub_folders_are_taken_for_the_test_with_their_sub_folders(folders, tmp_path):
    root = put(tmp_path / "a b", folders, images=20)
    (root / folders[0] / "zz.txt").write_text("no image")
    before = len(Folder(root).layout.sets["train", "A"].files())
    paste(Folder(root).missing())
    dataset = Folder(root)
    assert dataset.missing() is None
    assert len(dataset.items("test", "A")) == before // 10
    assert len(dataset.items("train", "A")) == before - before // 10
    assert (root / folders[0] / "zz.txt").exists()


@pytest.mark.parametrize("above", ["x", "x/y"])
def test_an_incomplete_layout_in_a_folder_is_found_and_made_complete(above, tmp_path):
    put(tmp_path, [f"{above}/trainA", f"{above}/trainB/imgs"], images=20)
    text = Folder(tmp_path).missing()
    assert f"{tmp_path / above} holds trainA (20 images), trainB (20 images)" in text
    assert "none of the expected folders" not in text
    paste(text)
    assert Folder(tmp_path).missing() is None


def test_several_incomplete_layouts_are_named(tmp_path):
    text = Folder(put(tmp_path, ["x/trainA", "x/trainB", "y/trainA", "y/trainB"])).missing()
    assert "holds 2 data sets that are not complete, x, y" in text and f"--data-root {tmp_path / 'x'}\n" in text


@pytest.mark.parametrize("name", ["horse2zebra.zip", "-my 'set'.ZIP", "set.tar", "set.tar.gz", "-set.tgz"])
def test_an_archive_that_is_not_unpacked_is_named_with_the_command_that_unpacks_it(name, tmp_path):
    form = "zip" if name.lower().endswith("zip") else "tar" if name.endswith("tar") else "gztar"
    packed = shutil.make_archive(str(tmp_path / "packed"), form, put(tmp_path / "images", FOUR))
    root = tmp_path / "a b"
    root.mkdir()
    shutil.move(packed, root / name)
    text = Folder(root).missing()
    assert f"none of the expected folders; not unpacked: {name}" in text
    command = "unzip -q -n ./" if form == "zip" else "tar -xkf ./"
    assert command in text.replace("'", "")
    if not shutil.which(command.split()[0]):
        pytest.skip(f"{command.split()[0]} is not installed")
    paste(text)
    assert Folder(root).missing() is None


def test_an_archive_beside_its_folder_is_not_unpacked_again(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set.zip").write_bytes(b"")
    assert "unpack" not in Folder(tmp_path).missing()


@pytest.mark.parametrize("above", ["x", "x/y"])
def test_a_training_folder_of_pairs_alone_is_found_one_folder_deeper(above, tmp_path):
    text = Folder(put(tmp_path, [f"{above}/train"], images=20)).missing()
    assert f"{tmp_path / above} holds train (20 images), and no test images" in text
    paste(text)
    assert len(list((tmp_path / above / "test").iterdir())) == 2


@pytest.mark.parametrize("inside", ["testA", "."])
@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_set_that_is_still_in_its_archive_is_unpacked_and_not_taken_from_training(inside, ending, empty, tmp_path):
    put(tmp_path / "packed", [inside], images=3)
    form = {"zip": "zip", "tar.gz": "gztar"}[ending]
    packed = shutil.make_archive(str(tmp_path / "archive"), form, tmp_path / "packed")
    root = put(tmp_path / "set", ["trainA", "trainB", "testB"], images=20)
    shutil.move(packed, root / f"testA.{ending}")
    if empty:
        (root / "testA").mkdir()
    text = Folder(root).missing()
    assert f"Not unpacked: testA.{ending}. To unpack:" in text and "tail" not in text
    if not shutil.which(ending.partition(".")[0].replace("zip", "unzip")):
        pytest.skip("the program that unpacks is not installed")
    paste(text)
    assert Folder(root).missing() is None and len(Folder(root).items("test", "A")) == 3


def test_an_archive_of_another_name_does_not_hide_the_way_to_test_images(tmp_path):
    root = put(tmp_path, ["trainA", "trainB", "testB"], images=20)
    (root / "notes.zip").write_bytes(b"no archive")
    assert "To take some of the training images" in Folder(root).missing()


def test_commands_name_folders_of_other_bytes_so_that_a_shell_reads_them(tmp_path):
    root = tmp_path / os.fsdecode(b"it's caf\xe9 \x1b\\x")
    put(root, [os.fsdecode(b"horse\xe9"), "zebra's"], images=20)
    text = Folder(root).missing()
    assert text.replace("\n", "").isprintable()
    assert len(commands(text)) == 3 and "$'" in commands(text)[0]
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    subprocess.run(["bash", "-c", "\n".join(commands(text))], check=True, timeout=20)
    assert Folder(root).missing() is None


def test_one_image_is_an_image(tmp_path):
    text = Folder(put(tmp_path, ["trainA", "trainB", "testA"], images=1)).missing()
    assert "holds trainA (1 image), trainB (1 image), testA (1 image)" in text
