"""Validation images held out of the training set, for datasets that have none of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgbench.api.dataset import Dataset, Domain, Item, Listing
from cgbench.api.names import Split
from cgbench.errors import CgbenchError
from cgbench.pixel_format import PixelFormat
from cgbench.selection import evenly_spaced

if TYPE_CHECKING:
    import numpy as np


def hold_out(dataset: Dataset, count: int) -> Dataset:
    """Return the dataset with a split `val`: `count` training images of each domain, which are not trained on.

    The images are spread evenly over the training set of their domain. `pairs` loses the scenes that are held out of
    either domain, so that neither the scorer nor a supervised method has seen them. The dataset itself is returned
    where it has a split `val` or the count is 0; one that would have no image left to train on, or whose groups must
    not be divided, raises `CgbenchError`.
    """
    if not count or Split.VAL in dataset.splits:
        return dataset
    if dataset.whole_groups:
        text = f"images of one {dataset.image_groups} would train and validate"
        raise CgbenchError(
            f"validation_images={count}: {text}: give '{dataset.label}' a split of its own for validation"
        )
    return ValidationSplit(dataset, {domain: _spread_keys(dataset, domain, count) for domain in "AB"})


def _spread_keys(dataset: Dataset, domain: str, count: int) -> set[str]:
    keys = [item.key for item in dataset.items(Split.TRAIN, domain)]
    if count >= len(keys):
        raise CgbenchError(
            f"validation_images={count}: dataset '{dataset.label}' has {len(keys)} training images of domain {domain}, "
            "and some must be left to train on"
        )
    return {keys[index] for index in evenly_spaced(len(keys), count)}


class ValidationSplit(Dataset):
    """A view of `dataset` with a split `val`: the training images of each domain whose keys are in `held_out`."""

    def __init__(self, dataset: Dataset, held_out: Mapping[str, Set[str]]) -> None:
        super().__init__(dataset.root)
        self.dataset, self.held_out = dataset, held_out
        self.name, self.summary = dataset.name, dataset.summary
        self.licence, self.source = dataset.licence, dataset.source
        self.domains, self.palette = dataset.domains, dataset.palette
        self.paired_test, self.pair_rule = dataset.paired_test, dataset.pair_rule
        self.shares_scenes = dataset.shares_scenes
        self.split_rule, self.settings = dataset.split_rule, dataset.settings
        self.test_splits, self.test_split = dataset.test_splits, dataset.test_split
        self.primary, self.image_groups = dataset.primary, dataset.image_groups
        self.picture_files, self.whole_groups = dataset.picture_files, dataset.whole_groups
        self.splits = (*dataset.splits, Split.VAL)

    def configure(self, split: str = "", paired: str = "auto") -> None:
        """Apply the settings `split` and `paired` to the wrapped dataset."""
        self.dataset.configure(split, paired)
        self.paired_test, self.pair_rule = self.dataset.paired_test, self.dataset.pair_rule

    @property
    def label(self) -> str:
        """The label of the wrapped dataset."""
        return self.dataset.label

    @property
    def slicing(self) -> Mapping[str, Any]:  # type: ignore[override]
        """How the wrapped dataset slices volumes."""
        return self.dataset.slicing

    @property
    def label_source(self) -> str:  # type: ignore[override]
        """The label source of the wrapped dataset, which may depend on its files."""
        return self.dataset.label_source

    def missing(self) -> str | None:
        """Return None if the data is there, else what is missing and how to get it."""
        return self.dataset.missing()

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the images of a domain, in the order of the wrapped dataset."""
        return self._select(split, domain, self.dataset.items(_wrapped(split), domain))

    def listing(self, split: str, domain: str) -> Listing:
        """Return the images of a domain, and the problems of the wrapped dataset's list."""
        listing = self.dataset.listing(_wrapped(split), domain)
        return Listing(self._select(split, domain, listing.items), listing.problems)

    def identity(self) -> str | None:
        """Return the identity of the wrapped dataset; None where its class does not declare one of its own."""
        # the decoded-image cache asks `vars` too: an inherited identity does not speak for a subclass
        return self.dataset.identity() if "identity" in vars(type(self.dataset)) else None

    def folders(self) -> Sequence[Path]:
        """Return the folders whose files are read as images."""
        return self.dataset.folders()

    def unused_folders(self) -> Sequence[Path]:
        """Return the folders that look as if they belonged to the dataset and are not read."""
        return self.dataset.unused_folders()

    def remarks(self) -> Sequence[str]:
        """Return the remarks of the wrapped dataset."""
        return self.dataset.remarks()

    def direction_name(self, direction: str) -> str:
        """Return the name of a direction, such as "labels→photo"."""
        return self.dataset.direction_name(direction)

    def group(self, key: str) -> str:
        """Return the group of a test image."""
        return self.dataset.group(key)

    def write_outputs(
        self, folder: Path, direction: str, keys: Sequence[str], outputs: Sequence[np.ndarray], pixels: PixelFormat,
    ) -> Sequence[Path]:  # fmt: skip
        """Write translated images as files of the wrapped dataset's own kind, such as volumes."""
        return self.dataset.write_outputs(folder, direction, keys, outputs, pixels)

    def target(self, direction: str) -> Domain:
        """Return the domain that `direction` translates to."""
        return self.dataset.target(direction)

    def _select(self, split: str, domain: str, items: Sequence[Item]) -> Sequence[Item]:
        """Return those of the wrapped dataset's items that belong to a split."""
        if split == Split.VAL:
            return [item for item in items if item.key in self.held_out[domain]]
        if split == Split.TRAIN:
            return [item for item in items if item.key not in self.held_out[domain]]
        if split == Split.PAIRS:
            return [item for item in items if item.key not in self.held_out["A"] | self.held_out["B"]]
        return items


def _wrapped(split: str) -> str:
    """Return the split of the wrapped dataset that holds the images of a split."""
    return Split.TRAIN if split == Split.VAL else split
