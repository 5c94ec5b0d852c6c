"""Datasets read from files: layouts, pairing, splits, labels, and messages about missing data."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgbench.api.dataset import Dataset
from cgbench.api.registry import DATASETS
from cgbench.benchmarks.testing.conformance import check_dataset
from cgbench.datasets import camvid, cityscapes
from cgbench.datasets.camvid import CamVid
from cgbench.datasets.cityscapes import Cityscapes
from cgbench.datasets.folder import Folder
from cgbench.errors import CgbenchError, DataBroken, DataMissing

BUILT_IN = ("camvid", "cityscapes", "folder", "streets")


def put(path: Path, pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)
    return path


def flat(value, height=6, width=8):
    return np.full((height, width, 3), value, np.uint8)


def keys(dataset, split, domain):
    return [item.key for item in dataset.items(split, domain)]


# all datasets


@pytest.mark.parametrize("name", BUILT_IN)
def test_declarations_are_complete(name):
    dataset = DATASETS.get(name)
    assert isinstance(dataset, Dataset) and dataset.name == name
    assert dataset.summary and dataset.licence and dataset.split_rule
    assert len(dataset.domains) == 2 and {"train", "test"} <= set(dataset.splits)
    assert len({entry.name for entry in dataset.palette}) == len({e.colour for e in dataset.palette})
    assert len(dataset.palette) == len({entry.colour for entry in dataset.palette}) < 255


@pytest.mark.parametrize("name", ["camvid", "cityscapes", "folder"])
def test_without_a_folder_the_user_is_told_how_to_get_the_data(name, tmp_path):
    for dataset in (DATASETS.get(name), DATASETS.factory(name)(tmp_path), DATASETS.factory(name)(tmp_path / "absent")):
        text = dataset.missing()
        assert text.startswith(f"{name}: ") and "--data-root" in text
        assert len(text.splitlines()) <= 20 and max(map(len, text.splitlines())) < 300
        with pytest.raises(DataMissing, match="--data-root"):
            dataset.items("train", "A")


@pytest.mark.parametrize("name", BUILT_IN)
def test_unknown_splits_are_refused(name):
    with pytest.raises(CgbenchError, match="unknown split 'night'"):
        DATASETS.get(name).items("night", "A")


def test_missing_reads_no_image(fake_camvid, city_raw, monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("an image was opened"))
    assert CamVid(fake_camvid).missing() is None
    assert Cityscapes(city_raw).missing() is None


# camvid

SEQUENCES = {"0001TP": 5, "0006R0": 4}


@pytest.fixture
def fake_camvid(tmp_path):
    root = tmp_path / "camvid"
    for split, sequences in (("train", SEQUENCES), ("val", {"0016E5": 3})):
        for name, count in sequences.items():
            for i in range(count):
                suffix = "jpg" if i % 2 else "png"
                put(root / split / f"{name}_{i:04d}.{suffix}", flat(10 * i))
                put(root / f"{split}annot" / f"{name}_{i:04d}.png", np.full((6, 8), i % 12))
    put(root / "valannot" / "0016E5_0000.png", [[0, 3, 10, 11]])
    return root


def test_camvid_trains_on_halves_of_sequences(fake_camvid):
    dataset = CamVid(fake_camvid)
    a, b = keys(dataset, "train", "A"), keys(dataset, "train", "B")
    assert a == ["0001TP_0000", "0001TP_0001", "0006R0_0000", "0006R0_0001"]
    assert b == ["0001TP_0002", "0001TP_0003", "0001TP_0004", "0006R0_0002", "0006R0_0003"]
    whole = {item.key: item.labels(0) for item in dataset.items("pairs", "B")}
    for item in (*dataset.items("train", "A"), *dataset.items("train", "B")):
        np.testing.assert_array_equal(item.labels(0), whole[item.key])  # each has the labels of its own frame
    assert "half" in dataset.split_rule


def test_camvid_tests_on_val_with_labels(fake_camvid):
    dataset = CamVid(fake_camvid)
    a, b = dataset.items("test", "A"), dataset.items("test", "B")
    assert [item.key for item in a] == [item.key for item in b] == ["0016E5_0000", "0016E5_0001", "0016E5_0002"]
    assert a[0].labels(64).tolist() == b[0].labels(64).tolist() == [[0, 3, 10, 255]]
    assert a[0].image(64).tolist() == [[[128, 128, 128], [128, 64, 128], [0, 128, 192], [0, 0, 0]]]
    assert b[0].image(64).shape == (6, 8, 3), "files keep their own size"


def test_camvid_scorer_has_all_training_photos(fake_camvid):
    scorer = CamVid(fake_camvid).items("pairs", "B")
    assert len(scorer) == sum(SEQUENCES.values()) and all(item.labels for item in scorer)


@pytest.mark.parametrize("name", ["camvid", "CamVid"])
def test_camvid_is_found_in_a_parent(fake_camvid, name):
    fake_camvid.rename(fake_camvid.with_name(name))
    assert CamVid(fake_camvid.parent).missing() is None
    assert len(CamVid(fake_camvid.parent).items("test", "A")) == 3


def test_camvid_names_files_with_wrong_ids(fake_camvid):
    put(fake_camvid / "valannot" / "0016E5_0001.png", [[12, 12]])
    with pytest.raises(DataBroken, match=r"0016E5_0001\.png.*12"):
        CamVid(fake_camvid).items("test", "B")[1].labels(64)


def test_camvid_names_lonely_files(fake_camvid):
    (fake_camvid / "valannot" / "0016E5_0002.png").unlink()
    with pytest.raises(DataBroken, match=r"0016E5_0002.*label map"):
        CamVid(fake_camvid).items("test", "B")


def test_camvid_says_which_folder_is_empty(fake_camvid):
    for path in (fake_camvid / "valannot").iterdir():
        path.unlink()
    assert "valannot" in CamVid(fake_camvid).missing()


def test_camvid_on_the_real_data():
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    root = Path(os.environ["CGBENCH_DATA"]) if "CGBENCH_DATA" in os.environ else beside
    dataset = CamVid(root)
    if dataset.missing():
        pytest.skip("CamVid is not here: set CGBENCH_DATA to the folder that holds camvid/")
    counts = [len(dataset.items("train", "A")), len(dataset.items("train", "B")), len(dataset.items("pairs", "B"))]
    assert counts == [183, 184, 367] and len(dataset.items("test", "A")) == 101
    assert not set(keys(dataset, "train", "A")) & set(keys(dataset, "train", "B"))
    item = dataset.items("test", "B")[50]
    assert item.image(256).shape == (360, 480, 3)
    ids = item.labels(256)
    assert set(np.unique(ids)) <= {*range(len(camvid.PALETTE)), 255}
    assert (ids[:60] == 0).mean() + (ids[:60] == 1).mean() + (ids[:60] == 5).mean() > 0.5, "sky, houses, trees above"
    assert (ids[-60:] == 3).mean() > 0.4, "road below"


# cityscapes


@pytest.fixture
def city_raw(tmp_path):
    root = tmp_path / "cityscapes"
    for split, city, count in (("train", "aachen", 2), ("train", "ulm", 1), ("val", "lindau", 2)):
        for i in range(count):
            stem = f"{city}_{i:06d}_000019"
            put(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", flat((10, 20, 30), 4, 8))
            put(root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png", [[7, 8, 11, 26, 33, 0, 6, 255]] * 4)
            put(root / "gtFine" / split / city / f"{stem}_gtFine_color.png", flat(99, 4, 8))
    return root


def test_cityscapes_raw(city_raw):
    for root in (city_raw, city_raw.parent):
        dataset = Cityscapes(root)
        assert (dataset.missing(), dataset.layout, dataset.label_source) == (None, "raw", "gtFine labelIds")
    train = ["aachen_000000_000019", "aachen_000001_000019", "ulm_000000_000019"]
    assert keys(dataset, "train", "A") == keys(dataset, "train", "B") == keys(dataset, "pairs", "B") == train
    a, b = dataset.items("test", "A"), dataset.items("test", "B")
    assert [item.key for item in a] == ["lindau_000000_000019", "lindau_000001_000019"] == [item.key for item in b]
    assert b[0].labels(128)[0].tolist() == [0, 1, 2, 13, 18, 255, 255, 255]
    assert a[0].image(128)[0, :5].tolist() == [
        [128, 64, 128], [244, 35, 232], [70, 70, 70], [0, 0, 142], [119, 11, 32],
    ]  # fmt: skip
    assert (a[0].image(128)[:, 5:] == 0).all()
    assert (b[0].image(128) == (10, 20, 30)).all()


def test_cityscapes_has_the_published_classes_and_sizes():
    assert [entry.name for entry in cityscapes.PALETTE][:3] == ["road", "sidewalk", "building"]
    assert len(cityscapes.PALETTE) == 19 and sorted(cityscapes.CLASSES) == list(cityscapes.CLASSES)
    assert Cityscapes.settings["paper"] == {"load_size": 143, "crop_size": 128, "blocks": 6}


def test_cityscapes_refuses_files_that_are_no_label_ids(city_raw):
    path = city_raw / "gtFine" / "val" / "lindau" / "lindau_000000_000019_gtFine_labelIds.png"
    put(path, [[7, 70]])
    with pytest.raises(DataBroken, match="lindau_000000_000019_gtFine_labelIds"):
        Cityscapes(city_raw).items("test", "B")[0].labels(128)


def test_cityscapes_names_a_photo_without_labels(city_raw):
    put(city_raw / "leftImg8bit" / "val" / "lindau" / "lindau_000009_000019_leftImg8bit.png", flat(1))
    with pytest.raises(DataBroken, match=r"lindau_000009_000019.*label map"):
        Cityscapes(city_raw).items("test", "A")


def test_cityscapes_says_which_archive_is_missing(city_raw):
    (city_raw / "gtFine").rename(city_raw / "elsewhere")
    text = Cityscapes(city_raw).missing()
    assert "found only leftImg8bit" in text
    for needed in ("cityscapes-dataset.com", "gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip", "CGBENCH_DATA"):
        assert needed in text


ROAD_AND_CAR = np.repeat([[[128, 64, 128], [0, 0, 142]]], 4, axis=0).repeat(4, axis=1)


def test_cityscapes_prepared_folders_exchange_a_and_b(tmp_path):
    for split in ("train", "test"):
        for i in (1, 2):
            put(tmp_path / f"{split}A" / f"{i}_A.png", flat(i, 4, 8))
            put(tmp_path / f"{split}B" / f"{i}_B.png", np.clip(ROAD_AND_CAR + 3, 0, 255))
    dataset = Cityscapes(tmp_path)
    assert dataset.layout == "folders" and "nearest" in dataset.label_source
    assert keys(dataset, "test", "A") == keys(dataset, "test", "B") == ["1", "2"]
    a, b = dataset.items("test", "A")[0], dataset.items("test", "B")[0]
    assert (b.image(128) == 1).all(), "B is the photo, from testA"
    assert a.image(128)[0, 0].tolist() == [131, 67, 131], "label images are given as they are"
    assert a.labels(128)[0].tolist() == [0] * 4 + [13] * 4


def test_cityscapes_side_by_side(tmp_path):
    for split in ("train", "val"):
        put(tmp_path / split / "7.png", np.concatenate([flat(5, 4, 8), ROAD_AND_CAR], axis=1))
    dataset = Cityscapes(tmp_path)
    assert dataset.layout == "side by side"
    a, b = dataset.items("test", "A")[0], dataset.items("test", "B")[0]
    np.testing.assert_array_equal(a.image(128), ROAD_AND_CAR)
    assert (b.image(128) == 5).all() and b.labels(128)[0].tolist() == [0] * 4 + [13] * 4


def test_cityscapes_void_colours_are_ignored(tmp_path):
    path = put(tmp_path / "x.png", [[[0, 0, 0], [111, 74, 0], [0, 0, 70], [152, 250, 150]]])
    assert cityscapes.decoded(path).tolist() == [[255, 255, 14, 9]]


def test_cityscapes_does_not_take_camvid_for_its_own(fake_camvid):
    assert Cityscapes(fake_camvid).missing() is not None


# folder


def two_folders(root, names_a, names_b):
    for split in ("train", "test"):
        for domain, names in (("A", names_a), ("B", names_b)):
            for i, name in enumerate(names):
                put(root / f"{split}{domain}" / name, flat(100 * (domain == "B") + i))
    return root


@pytest.mark.parametrize(
    "names_a, names_b, paired",
    [
        (["ant.png", "bee.png"], ["ant.png", "bee.png"], True),
        (["kyoto_A.png", "rome_A.png"], ["rome_B.png", "kyoto_B.png"], True),
        (["2_A.png", "10_A.png"], ["10_B.png", "2_B.png"], True),
        (["a.png", "b.png"], ["a.png", "c.png"], False),
        (["a.png", "b.png"], ["a.png", "b.png", "c.png"], False),
    ],
)
def test_folder_finds_pairs(tmp_path, names_a, names_b, paired):
    dataset = Folder(two_folders(tmp_path, names_a, names_b))
    assert dataset.missing() is None and dataset.paired_test is paired
    a, b = keys(dataset, "test", "A"), keys(dataset, "test", "B")
    assert (a == b) is paired
    assert len(dataset.items("train", "B")) == len(names_b)
    assert dataset.palette == () and dataset.items("test", "A")[0].labels is None


def test_folder_pairs_belong_together(tmp_path):
    for i, name in enumerate(("2", "10", "x_B")):
        for split in ("train", "test"):
            put(tmp_path / f"{split}A" / f"{name}_A.png", flat(i))
            put(tmp_path / f"{split}B" / f"{name}_B.png", flat(i + 100))
    dataset = Folder(tmp_path)
    for a, b in zip(dataset.items("test", "A"), dataset.items("test", "B"), strict=True):
        assert a.key == b.key and int(b.image(8)[0, 0, 0]) == int(a.image(8)[0, 0, 0]) + 100


def test_folder_is_named_after_its_directory(tmp_path, monkeypatch):
    root = two_folders(tmp_path / "horse2zebra", ["a.png"], ["b.png"])
    assert Folder(root).label == "horse2zebra" and Folder().label == "folder"
    monkeypatch.chdir(root)
    assert Folder(Path(".")).label == "horse2zebra"


@pytest.mark.parametrize("test_name", ["test", "val"])
def test_folder_side_by_side(tmp_path, test_name):
    for split, count in (("train", 5), (test_name, 2)):
        for i in range(count):
            put(tmp_path / split / f"{i}.png", np.concatenate([flat(i), flat(i + 100)], axis=1))
    dataset = Folder(tmp_path)
    assert dataset.missing() is None and dataset.paired_test and "first half" in dataset.split_rule
    assert (keys(dataset, "train", "A"), keys(dataset, "train", "B")) == (["0", "1"], ["2", "3", "4"])
    assert (dataset.items("train", "A")[1].image(8) == 1).all()
    assert (dataset.items("train", "B")[0].image(8) == 102).all()
    assert keys(dataset, "test", "A") == keys(dataset, "test", "B") == ["0", "1"]
    assert (dataset.items("test", "B")[1].image(8) == 101).all()
    assert dataset.items("test", "A")[1].image(8).shape == (6, 8, 3)


def test_folder_refuses_an_odd_width(tmp_path):
    for split in ("train", "test"):
        for i in range(2):
            put(tmp_path / split / f"{i}.png", flat(i, 6, 9))
    with pytest.raises(DataBroken, match=r"0\.png.*9 pixels wide"):
        Folder(tmp_path).items("train", "A")[0].image(8)


def test_folder_says_what_was_found(tmp_path):
    put(tmp_path / "trainA" / "a.png", flat(1))
    (tmp_path / "trainB").mkdir()
    text = Folder(tmp_path).missing()
    assert "trainA (1 image)" in text and "trainB (0 images)" in text and "testB" in text
    with pytest.raises(DataMissing):
        Folder(tmp_path).items("train", "A")


def test_folder_refuses_two_images_of_one_name(tmp_path):
    root = two_folders(tmp_path, ["a.png", "a.jpg"], ["b.png", "c.png"])
    with pytest.raises(DataBroken, match="same name"):
        Folder(root).items("train", "A")


# conformance


def test_camvid_conforms(fake_camvid):
    put(fake_camvid / "valannot" / "0016E5_0000.png", np.full((6, 8), 3))
    check_dataset("camvid", fake_camvid)


def test_cityscapes_conforms(city_raw, tmp_path):
    check_dataset("cityscapes", city_raw)
    for split, count in (("train", 3), ("test", 2)):
        for i in range(count):
            put(tmp_path / "pairs" / split / f"{i}.png", np.concatenate([flat(i, 4, 8), ROAD_AND_CAR], axis=1))
    check_dataset("cityscapes", tmp_path / "pairs")


def test_folder_conforms(tmp_path):
    check_dataset("folder", two_folders(tmp_path / "unpaired", ["a.png", "b.png"], ["c.png", "d.png", "e.png"]))
    check_dataset("folder", two_folders(tmp_path / "paired", ["1_A.png", "2_A.png"], ["1_B.png", "2_B.png"]))
