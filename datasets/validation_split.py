"""Validation images out of the training set, for datasets that have none of their own."""

import copy
from collections.abc import Sequence

import numpy as np

from cgbench.api.dataset import Dataset, Item
from cgbench.errors import CgbenchError


def hold_out(dataset: Dataset, count: int) -> Dataset:
    """Return the dataset with a split `val`: `count` training images of each domain, which it then does not train on.

    The images are spread evenly over the training set of their domain. `pairs` loses the scenes that either domain
    keeps back, so that neither the scorer nor a supervised method has seen them. The dataset itself is returned where
    it has a split `val` or the count is 0; one that would have no image left to train on raises `CgbenchError`.
    """
    if not count or "val" in dataset.splits:
        return dataset
    held = {domain: _spread_keys(dataset, domain, count) for domain in "AB"}

    def items(split: str, domain: str) -> Sequence[Item]:
        if split == "val":
            return [item for item in dataset.items("train", domain) if item.key in held[domain]]
        if split == "train":
            return [item for item in dataset.items("train", domain) if item.key not in held[domain]]
        if split == "pairs":
            return [item for item in dataset.items("pairs", domain) if item.key not in held["A"] | held["B"]]
        return dataset.items(split, domain)

    view = copy.copy(dataset)
    view.splits = (*dataset.splits, "val")
    view.items = items
    return view


def _spread_keys(dataset: Dataset, domain: str, count: int) -> set[str]:
    keys = [item.key for item in dataset.items("train", domain)]
    if count >= len(keys):
        raise CgbenchError(
            f"validation_images={count}: dataset '{dataset.label}' has {len(keys)} training images of domain {domain}, "
            "and some must be left to train on"
        )
    return {keys[index] for index in np.linspace(0, len(keys) - 1, count).round().astype(int)}
