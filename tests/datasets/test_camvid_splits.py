"""CamVid's two test splits: `val`, the usual one, and the standard `test`."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from cgbench.benchmarks.trials.request import open_dataset
from cgbench.datasets.camvid import CamVid
from cgbench.errors import CgbenchError, DataMissing
from helpers.cli import SMALL, cgbench

COUNTS = {"train": 8, "val": 3, "test": 5}


def frames(root, splits=tuple(COUNTS)):
    """Write frames whose level and label name their split."""
    for place, split in enumerate(splits):
        for folder, mode in ((split, "RGB"), (f"{split}annot", "L")):
            (root / folder).mkdir(parents=True)
            for number in range(COUNTS[split]):
                colour = (10 * place,) * 3 if mode == "RGB" else place
                Image.new(mode, (32, 24), colour).save(root / folder / f"0001TP_{split}{number}.png")
    return root


def test_val_is_measured_unless_the_standard_split_is_chosen(tmp_path):
    frames(tmp_path / "camvid")
    usual, chosen, named = (open_dataset("camvid", tmp_path, split) for split in ("", "test", "val"))
    assert [len(data.items("test", "B")) for data in (usual, chosen, named)] == [3, 5, 3]
    assert chosen.items("test", "A")[0].key == "0001TP_test0" and chosen.paired_test
    assert (chosen.items("test", "B")[0].labels(8) == 2).all() and (usual.items("test", "B")[0].labels(8) == 1).all()
    assert [item.key for item in chosen.items("train", "A")] == [item.key for item in usual.items("train", "A")]
    assert usual.remarks() == ("measured on val (3 frames); the standard test split: --set split=test",)
    assert chosen.remarks() == ("measured on test (5 frames)",)
    assert [folder.name for folder in chosen.folders()] == ["train", "trainannot", "test", "testannot"]


def test_the_folders_of_the_other_split_are_not_needed(tmp_path):
    frames(tmp_path / "camvid", ("train", "val"))
    assert open_dataset("camvid", tmp_path).missing() is None
    with pytest.raises(DataMissing, match="no images in test, testannot"):
        open_dataset("camvid", tmp_path, "test")
    frames(tmp_path / "other" / "camvid", ("train", "test"))
    assert len(open_dataset("camvid", tmp_path / "other", "test").items("test", "A")) == COUNTS["test"]
    with pytest.raises(DataMissing, match="no images in val, valannot"):
        open_dataset("camvid", tmp_path / "other")


def test_another_split_is_refused_with_the_two_that_are_known(tmp_path):
    with pytest.raises(CgbenchError, match=r"split=train: .*use val, test"):
        CamVid(tmp_path).configure(split="train")


def test_a_run_says_and_records_what_it_measures_on_and_no_folder_holds_both(tmp_path):
    frames(tmp_path / "camvid")
    run = ["run", "--dataset", "camvid", "--data-root", tmp_path, "--runs-dir", tmp_path / "runs", *SMALL]
    output = cgbench(*run, "--methods", "gan_only", "--name", "usual")
    assert "measured on val (3 frames); the standard test split: --set split=test" in output
    assert "measured on test (5 frames)" in cgbench(
        *run, "--methods", "gan_only", "--name", "standard", "--set", "split=test"
    )
    records = {name: tmp_path / "runs" / name / "camvid" / "gan_only" / "seed-0" for name in ("usual", "standard")}
    splits = {name: json.loads((path / "trial.json").read_text())["config"]["split"] for name, path in records.items()}
    assert splits == {"usual": "", "standard": "test"}
    sources = {
        name: set(re.findall(r'"sources": "(\w+)"', (path / "protocols.json").read_text()))
        for name, path in records.items()
    }
    assert sources["usual"] and not sources["usual"] & sources["standard"]
    mixed = cgbench(*run, "--methods", "cycle_only", "--name", "usual", "--set", "split=test", code=2)
    assert "another comparison" in mixed and "split" in mixed


def test_label_maps_of_the_standard_split_are_checked(tmp_path):
    frames(tmp_path / "camvid")
    put = tmp_path / "camvid" / "testannot" / "0001TP_test0.png"
    Image.fromarray(np.full((24, 32), 12, np.uint8)).save(put)
    data = open_dataset("camvid", tmp_path, "test")
    with pytest.raises(CgbenchError, match=r"0001TP_test0\.png.*12"):
        data.items("test", "B")[0].labels(8)
