"""Conformance of datasets: a dataset that breaks one promise is refused with a line that names it."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgbench import Dataset, Domain, Item, SemanticClass
from cgbench.benchmarks.testing.conformance import check_dataset
from cgbench.pixel_format import PixelFormat

PALETTE = (SemanticClass("sky", (70, 130, 180)), SemanticClass("road", (128, 64, 128)))
CALLS = itertools.count()


def image(side):
    return np.zeros((side, side, 3), np.uint8)


def ids(side):
    return np.eye(side, dtype=np.uint8)


class Sound(Dataset):
    """A dataset that keeps every promise."""

    name, summary = "sound", "keeps every promise"
    domains = (Domain("labels", "labels"), Domain("photo"))
    palette = PALETTE
    splits = ("train", "test", "pairs")
    paired_test = True

    def items(self, split, domain):
        return [Item(f"{split}-{index}", image, ids) for index in range(4)]

    def identity(self):
        return "sound 1"


def with_items(items):
    """A sound dataset but for its items: `items(dataset, split, domain)`."""
    return type("Broken", (Sound,), {"items": items})


def only(**values):
    """A sound dataset whose items have other values of `Item`."""
    return with_items(lambda self, split, domain: [Item(**{"key": split, "image": image, "labels": ids, **values})])


def refusal(dataset, root=None):
    with pytest.raises(AssertionError) as failure:
        check_dataset(dataset, root)
    assert str(failure.value) and "\n" not in str(failure.value)
    return str(failure.value)


def test_sound_datasets_pass():
    check_dataset(Sound)
    check_dataset(lambda root: Sound(root))


@pytest.mark.parametrize("name", ["phantoms", "streets"])
def test_built_in_procedural_datasets_pass(name):
    check_dataset(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"summary": ""}, "needs a name and a summary"),
        ({"domains": (Domain("one"),)}, "has 1 domains, not two"),
        ({"domains": (Domain("one", "sketch"), Domain("two"))}, "a domain's kind is photo or labels"),
        ({"splits": ("train",)}, "needs the splits train and test"),
        ({"splits": ("train", "test", "night")}, "nothing reads the splits ['night']"),
        ({"palette": (PALETTE[0], PALETTE[0])}, "two classes of the palette have one name"),
        ({"palette": (PALETTE[0], SemanticClass("other", (70, 130, 180)))}, "have one colour"),
        ({"palette": tuple(SemanticClass(str(i), (i % 256, i // 256, 0)) for i in range(256))}, "at most 255"),
        ({"settings": {"huge": {}}}, "has settings for 'huge', and no preset has that name"),
        ({"settings": {"demo": {"stepz": 3}}}, "unknown setting 'stepz'"),
        ({"missing": lambda self: "get it\nthere"}, "the data is not there: ['get it']"),
        ({"identity": lambda self: 3}, "its identity is None or one line"),
        ({"identity": lambda self: f"{next(CALLS)}"}, "two instances have different identities"),
        ({"folders": lambda self: [Path("/nowhere")]}, "/nowhere is no folder"),
    ],
)
def test_a_declaration_that_is_wrong(changes, message):
    assert message in refusal(type("Broken", (Sound,), changes))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (with_items(lambda self, split, domain: []), "split 'train', domain A: there is no image"),
        (only(key=7), "a key is not text"),
        (with_items(lambda self, split, domain: [Item("a", image, ids)] * 2), "two images have the key ['a']"),
        (
            with_items(lambda self, split, domain: [Item(str(next(CALLS)), image, ids)]),
            "the order changes from call to call",
        ),
        (
            with_items(lambda self, split, domain: [Item(f"{id(self)}", image, ids)]),
            "two instances list different images",
        ),
        (only(image=lambda side: image(side) / 255), "an image must be uint8 (H, W, 3), not float64"),
        (only(image=lambda side: ids(side)), "an image must be uint8 (H, W, 3), not uint8 (32, 32)"),
        (only(image=lambda side: image(side).tolist()), "an image must be an array, not list"),
        (only(image=lambda side: image(side) + np.uint8(next(CALLS) % 256)), "another one the second time"),
        (only(labels=lambda side: ids(side).astype(int)), "labels must be uint8 (H, W), not int64"),
        (only(labels=lambda side: ids(side) + np.uint8(next(CALLS) % 2)), "labels are other ones the second time"),
        (only(labels=lambda side: ids(side)[:9]), "labels (9, 32) for an image (32, 32)"),
        (only(labels=lambda side: ids(side) * 2), "class id [2], and the palette has 2 classes"),
        (only(mask=lambda side: ids(side).astype(bool)), "a mask must be uint8 (H, W), not bool"),
        (only(mask=lambda side: ids(side) + np.uint8(next(CALLS) % 2)), "the mask is another one the second time"),
        (only(mask=lambda side: ids(side)[:9]), "a mask (9, 32) for an image (32, 32)"),
        (only(mask=lambda side: ids(side) * 255), "a mask of 0 and 1 has 255"),
        (only(mask_file=Path("/nowhere/m.png")), "there is no file /nowhere/m.png"),
        (only(labels=None), "there is a palette, and ['pairs'] has no labels"),
        (only(file=Path("/nowhere/1.png")), "there is no file /nowhere/1.png"),
        (
            with_items(lambda self, split, domain: [Item(f"{split}{domain}", image, ids)]),
            "split 'test': it is paired, and the keys of A and B differ",
        ),
    ],
)
def test_items_that_break_a_promise(dataset, message):
    assert message in refusal(dataset)


def test_images_are_in_the_format_of_their_domain():
    ct = PixelFormat(1, "int16", (-1000.0, 1000.0), "HU")
    domains = (Domain("labels", "labels"), Domain("CT", pixels=ct))

    def items(self, split, domain):
        draw = image if domain == "A" else (lambda side: image(side)[..., :1].astype(np.int16))
        return [Item(split, draw, ids, mask=ids)]

    sound = type("Scans", (Sound,), {"domains": domains, "items": items})
    check_dataset(sound)
    pictures = type("Broken", (Sound,), {"domains": domains})
    assert "domain B: 'train-0': an image must be int16 (H, W, 1), not uint8 (32, 32, 3)" in refusal(pictures)


def test_files_outside_of_the_folders_and_in_two_splits(tmp_path):
    path = tmp_path / "inside" / "1.png"
    path.parent.mkdir()
    Image.fromarray(image(32)).save(path)
    assert "is in 'test' and in 'train'" in refusal(only(file=path))
    elsewhere = type("Broken", (only(file=path),), {"folders": lambda self: [tmp_path / "other"]})
    (tmp_path / "other").mkdir()
    assert "lies in none of `folders()`" in refusal(elsewhere)


def test_a_listing_with_another_content_than_the_items():
    def listing(self, split, domain):
        return super(type(self), self).listing(split, "A" if domain == "B" else domain)

    def items(self, split, domain):
        return [Item(f"{split}-{domain if split == 'train' else ''}", image, ids)]

    dataset = type("Broken", (with_items(items),), {"listing": listing})
    assert "split 'train', domain B: `listing` and `items` differ" in refusal(dataset)


def test_what_is_no_dataset():
    assert "returns int, not a Dataset" in refusal(lambda root: 3)
