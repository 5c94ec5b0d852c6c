"""Images of a dataset's split and domain, decoded or from the cache."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from cgbench.api.dataset import Dataset
from cgbench.benchmarks.data.decode import ImageSetSpec
from cgbench.benchmarks.data.decoded_cache import load_or_decode
from cgbench.benchmarks.data.image_set import ImageSet, ProgressCallback
from cgbench.config import TrialConfig
from cgbench.errors import DataBroken


@contextmanager
def suggest_dataset_check(dataset: Dataset) -> Iterator[None]:
    """Add to a `DataBroken` raised inside which command lists everything that is wrong with the dataset."""
    try:
        yield
    except DataBroken as error:
        raise DataBroken(f"{error} ('cgbench datasets check {dataset.name}' lists all that is wrong)") from None


def load_images(
    dataset: Dataset, split: str, domain: str, side: int, config: TrialConfig, limit: int = 0,
    spread: bool = False, progress: ProgressCallback | None = None, labels: bool = False,
) -> ImageSet:  # fmt: skip
    """Return a domain of a split as squares of `side` pixels: from the cache of decoded images, else decoded. `limit`
    takes the first images, or evenly `spread` ones.

    The class ids are decoded too if `labels` are asked for and every image has them. Raises `DataBroken`, before a
    picture is decoded where it can, if the domain is empty, keys are not unique, or a file cannot be used.
    """
    with suggest_dataset_check(dataset):
        items = list(dataset.items(split, domain))
        if not items:
            kind = dataset.domains[0 if domain == "A" else 1]
            raise DataBroken(
                f"dataset '{dataset.label}': split '{split}' has no image of domain {domain} ({kind.name})"
            )
        if len({item.key for item in items}) < len(items):
            raise DataBroken(f"dataset '{dataset.label}': two images of split '{split}', domain {domain}, have one key")
        if limit and limit < len(items):
            chosen = np.linspace(0, len(items) - 1, limit).round().astype(int) if spread else range(limit)
            items = [items[index] for index in chosen]
        return load_or_decode(ImageSetSpec(dataset, split, domain, items, side, config.resize_mode, labels), progress)
