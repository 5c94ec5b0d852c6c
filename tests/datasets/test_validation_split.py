"""Validation images held out of the training set: never trained on, not by the scorer either."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from cgbench.api.dataset import Dataset, Domain, FileProblem, Item, Listing, SemanticClass
from cgbench.datasets.phantoms import Phantoms
from cgbench.datasets.streets import Streets
from cgbench.datasets.validation_split import ValidationSplit, hold_out
from cgbench.errors import CgbenchError


class Halves(Dataset):
    """Twenty scenes, of which A trains on the first ten and B on the others."""

    name, summary, splits = "halves", "for the test", ("train", "test", "pairs")
    domains = (Domain("a"), Domain("b"))

    def items(self, split, domain):
        scenes = {"train": range(10) if domain == "A" else range(10, 20), "pairs": range(20)}.get(split, range(3))
        return [Item(f"{split == 'test'}-{k}", lambda side: np.zeros((side, side, 3), np.uint8)) for k in scenes]


def keys(dataset, split, domain):
    return [item.key for item in dataset.items(split, domain)]


def test_training_and_pairs_lack_what_is_held_out():
    data, whole = hold_out(Halves(), 3), Halves()
    held = {domain: keys(data, "val", domain) for domain in "AB"}
    assert held == {"A": ["False-0", "False-4", "False-9"], "B": ["False-10", "False-14", "False-19"]}
    for domain in "AB":
        assert sorted(keys(data, "train", domain) + held[domain]) == sorted(keys(whole, "train", domain))
        assert not {*held["A"], *held["B"]} & set(keys(data, "pairs", domain))
        assert keys(data, "test", domain) == keys(whole, "test", domain)
    assert len(keys(data, "pairs", "A")) == 14 and "val" not in whole.splits


def test_a_dataset_with_a_split_of_its_own_or_a_count_of_zero_stays_as_it_is():
    streets, halves = Streets(), Halves()
    assert hold_out(streets, 5) is streets and hold_out(halves, 0) is halves


class Declared(Halves):
    """A dataset whose every declaration differs from the default."""

    licence, source, label_source, split_rule = "a licence", "a source", "a label source", "a rule"
    palette, settings = (SemanticClass("x", (1, 2, 3)),), {"demo": {"batch_size": 2}}
    paired_test = shares_scenes = True
    pair_rule = "by a rule"
    label = "labelled"
    test_splits, test_split = ("val", "night"), "night"

    def missing(self):
        return "all of it"

    def identity(self):
        return "an identity"

    def folders(self):
        return (self.root / "x",)

    def unused_folders(self):
        return (self.root / "y",)

    def remarks(self):
        return ("a remark",)

    def listing(self, split, domain):
        return Listing(self.items(split, domain), (FileProblem(Path("a.png"), "is broken"),))

    def direction_name(self, direction):
        return f"to {direction}"

    def target(self, direction):
        return Domain(direction)


def test_all_else_is_that_of_the_wrapped_dataset():
    whole = Declared(Path("root"))
    data = hold_out(whole, 3)
    public = {name for name in (*vars(Dataset), *Dataset.__annotations__, *vars(whole)) if not name.startswith("_")}
    methods = {name for name in public if callable(getattr(Dataset, name, None))}
    values = public - methods - {"splits"}
    assert {"name", "label", "domains", "root", "label_source", "settings", "shares_scenes", "pair_rule"} < values
    for name in values:
        assert getattr(data, name) == getattr(whole, name), name
    assert (data.missing(), data.identity(), data.folders()) == ("all of it", "an identity", (Path("root/x"),))
    assert (data.unused_folders(), data.remarks()) == ((Path("root/y"),), ("a remark",))
    assert (data.direction_name("AtoB"), data.target("BtoA")) == ("to AtoB", Domain("BtoA"))
    assert data.splits == (*whole.splits, "val")
    for split in data.splits:
        listing = data.listing(split, "A")
        assert [item.key for item in listing.items] == keys(data, split, "A") and len(listing.problems) == 1


def test_a_subclass_without_an_identity_of_its_own_has_none_when_wrapped():
    class Other(Declared):
        pass

    assert isinstance(hold_out(Other(), 3), ValidationSplit) and hold_out(Other(), 3).identity() is None
    assert hold_out(Halves(), 3).identity() is None


def test_a_view_can_be_pickled():
    data = hold_out(Halves(), 3)
    assert keys(pickle.loads(pickle.dumps(data)), "val", "A") == keys(data, "val", "A")


def test_something_must_be_left_to_train_on():
    with pytest.raises(CgbenchError, match="validation_images=10: dataset 'halves' has 10 training images of domain A"):
        hold_out(Halves(), 10)


@pytest.mark.parametrize("dataset", [Streets(), Phantoms()])
def test_drawn_validation_scenes_are_neither_trained_nor_tested_on(dataset):
    used = {
        item.key for split in ("train", "pairs", "test") for domain in "AB" for item in dataset.items(split, domain)
    }
    for domain in "AB":
        assert not used & {item.key for item in dataset.items("val", domain)}
    first, test = (dataset.items(split, "B")[0].image(16) for split in ("val", "test"))
    assert not np.array_equal(first, test)
