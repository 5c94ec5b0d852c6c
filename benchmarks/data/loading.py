"""Loading of the images of a dataset's split and domain, decoded or from the cache."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cgbench.api.dataset import Dataset, Item
from cgbench.benchmarks.data.decode import ImageSetSpec
from cgbench.benchmarks.data.decoded_cache import load_or_decode
from cgbench.benchmarks.data.geometry import Geometry
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.errors import DataBroken
from cgbench.formatting import shell_word
from cgbench.progress import ProgressCallback
from cgbench.selection import evenly_spaced


def check_command(dataset: Dataset) -> str:
    """Return the command that lists all issues of a dataset."""
    place = f" --data-root {shell_word(str(dataset.root))}" if dataset.root else ""
    return f"cgbench datasets check {dataset.name}{place}"


@contextmanager
def suggest_dataset_check(dataset: Dataset) -> Iterator[None]:
    """Add the command that lists all issues of the dataset to a `DataBroken` raised inside."""
    try:
        yield
    except DataBroken as error:
        raise DataBroken(f"{error} ({check_command(dataset)} lists all that is wrong)") from None


def selected(items: Sequence[Item], limit: int, spread: bool) -> list[Item]:
    """Return at most `limit` of the items, all where it is 0: evenly spaced ones with `spread`, else the first."""
    count = min(limit or len(items), len(items))
    return [items[index] for index in (evenly_spaced(len(items), count) if spread else range(count))]


def load_images(
    dataset: Dataset, split: str, domain: str, geometry: Geometry, limit: int = 0,
    spread: bool = False, progress: ProgressCallback | None = None, labels: bool = False,
) -> ImageSet:  # fmt: skip
    """Return a domain of a split as images of a geometry: from the cache of decoded images, else decoded.

    Args:
        dataset: The dataset.
        split: The name of the split.
        domain: "A" or "B".
        geometry: The shape that images are resized for, and how.
        limit: The number of images to load; 0 for all.
        spread: Whether a `limit` selects evenly spaced images instead of the first ones.
        progress: Called after each image with (done, total).
        labels: Whether class ids are decoded too, where every image has them.

    Returns:
        The decoded images.

    Raises:
        DataBroken: The domain is empty or keys are not unique (before an image is decoded), or a file cannot be used.
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
        items = selected(items, limit, spread)
        return load_or_decode(ImageSetSpec(dataset, split, domain, items, geometry, labels), progress)
