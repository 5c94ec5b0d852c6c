"""Dataset checks of label maps, of sets that were exchanged, and of plug-ins that keep no promise."""

import numpy as np
import pytest
from PIL import Image

from cgbench.api.dataset import Dataset, Domain, Item, SemanticClass
from cgbench.datasets.camvid import CamVid
from cgbench.datasets.checks.checker import check
from cgbench.datasets.folder import Folder
from helpers.image_folders import files_of, healthy, scene


@pytest.fixture
def city(tmp_path):
    """A small CamVid: label maps of random rectangles, and noisy photos of the same shapes."""
    root = tmp_path / "camvid"
    rng = np.random.default_rng(3)
    for split, count in (("train", 12), ("val", 6)):
        for kind in (split, f"{split}annot"):
            (root / kind).mkdir(parents=True)
        for k in range(count):
            ids = np.zeros((60, 80), np.uint8)
            for _ in range(8):
                y, x, c = rng.integers(0, 50), rng.integers(0, 70), rng.integers(1, 12)
                ids[y : y + rng.integers(8, 30), x : x + rng.integers(8, 30)] = c
            levels = rng.integers(30, 220, (12, 3))[ids] + rng.normal(0, 12, (60, 80, 3))
            name = f"{'0001TP' if k % 2 else '0006R0'}_{split}{k:03d}.png"
            Image.fromarray(ids).save(root / f"{split}annot" / name)
            Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(root / split / name)
    return root


def test_a_healthy_labelled_set_gives_nothing(city):
    assert check(CamVid(city)).issues == ()


def test_faults_of_label_maps_are_named(city):
    annot = city / "valannot"
    names = [path.name for path in sorted(annot.iterdir())]
    Image.fromarray(np.full((60, 80), 40, np.uint8)).save(annot / names[0])
    Image.fromarray(np.full((60, 80), 11, np.uint8)).save(annot / names[1])
    Image.fromarray(np.full((60, 80), 3, np.uint8)).save(annot / names[2])
    Image.fromarray(np.asarray(Image.open(annot / names[3]))[:, :60]).save(annot / names[3])
    (annot / names[4]).unlink()
    train = sorted((city / "train").iterdir())[0]
    exif = Image.Exif()
    exif[274] = 3
    Image.open(train).save(train, exif=exif)
    report = check(CamVid(city))
    assert files_of(report, "unreadable") == {f"valannot/{names[0]}"} and "class id 40" in report.issues[0].text
    assert files_of(report, "blank") == {f"valannot/{name}" for name in names[1:3]}
    assert files_of(report, "label-shape") == {f"val/{names[3]}"}
    assert files_of(report, "partner") == {f"val/{names[4]}"}
    assert files_of(report, "rotated") == {f"train/{train.name}"}


def test_labels_and_photos_exchanged_is_an_error(city):
    class Exchanged(CamVid):
        domains = (Domain("photo"), Domain("labels", "labels"))

    assert [f.check for f in check(Exchanged(city)).issues if f.severity == "error"] == ["swapped"]


def test_test_sets_exchanged_is_an_error(tmp_path):
    root = healthy(tmp_path / "set", train=20, test=14)
    (root / "testA").rename(root / "x")
    (root / "testB").rename(root / "testA")
    (root / "x").rename(root / "testB")
    report = check(Folder(root))
    assert {f.check for f in report.issues} == {"swapped"} and report.count("error") == 2


class Odd(Dataset):
    name, summary, palette = "odd", "", (SemanticClass("a", (0, 0, 0)), SemanticClass("b", (9, 9, 9)))
    domains = (Domain("x"), Domain("y"))
    paired_test = True

    def items(self, split, domain):
        pixels = [np.asarray(scene(940 + 10 * (domain == "B") + 100 * (split == "test") + k)) for k in range(4)]
        if (split, domain) == ("train", "A"):
            pixels[1] = pixels[1].astype(np.float32)
            pixels[2] = pixels[2][:, :, :1]
        ids = np.zeros((96, 96), np.uint8)
        ids[:9], ids[20:40] = 1, 2 if split == "test" and domain == "B" else 0
        keys = ["a", "b", "c", "d" if (split, domain) != ("test", "B") else "e"]
        items = [Item(k, lambda side, p=p: p, lambda side: ids) for k, p in zip(keys, pixels, strict=True)]
        if (split, domain) == ("train", "B"):
            items.append(Item("boom", lambda side: 1 / 0))
        return items


class Empty(Odd):
    def items(self, split, domain):
        return super().items(split, domain)[: 0 if (split, domain) == ("train", "B") else None]


def test_an_empty_domain_of_a_plugin_is_an_error():
    report = check(Empty())
    assert [f.text for f in report.issues if f.check == "empty"] == ["split 'train' has no image of domain B (y)"]
    assert not report.incomplete


def test_a_plugin_that_keeps_no_promise_is_reported_and_not_fatal():
    report = check(Odd())
    assert files_of(report, "unreadable") == {"train A b", "train A c", "train B boom"}
    assert any("ZeroDivisionError" in issue.text for issue in report.issues)
    assert files_of(report, "label-ids") == {f"test B {key}" for key in "abce"}
    assert files_of(report, "partner") == {"d", "e"}
