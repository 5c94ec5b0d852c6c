"""Validation images out of the training set: never trained on, not by the scorer either."""

import numpy as np
import pytest

from cgbench.api.dataset import Dataset, Domain, Item
from cgbench.datasets.phantoms import Phantoms
from cgbench.datasets.streets import Streets
from cgbench.datasets.validation_split import hold_out
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
