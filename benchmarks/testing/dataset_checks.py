"""Conformance of a dataset: what `Dataset` and `Item` promise of its declaration, order, keys, images and labels."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cgbench.api import declarations
from cgbench.api.dataset import Dataset, Item
from cgbench.api.declarations import is_line
from cgbench.api.names import IGNORE, Split
from cgbench.api.registry import DATASETS
from cgbench.benchmarks.testing.components import require, require_declared
from cgbench.config_layers import PRESETS, preset_values, resolve
from cgbench.datasets.images.decoding import same_shape
from cgbench.errors import CgbenchError
from cgbench.files import safe_name
from cgbench.selection import evenly_spaced

SIDE = 32  # pixels at which images are loaded
IMAGES = 3  # loaded per split and domain; keys are checked of all

Factory = Callable[[Path | None], Dataset]


def check_dataset(dataset: str | type[Dataset] | Factory, root: Path | None = None) -> None:
    """Run all checks of a dataset: a registered name, the class, or a function of `root` that makes the dataset.

    A few images of every split and domain are loaded. `root` is the folder that the data is in, as for `--data-root`;
    a dataset that needs none is checked without. Raises `AssertionError` with one line.
    """
    factory: Factory = DATASETS.factory(dataset) if isinstance(dataset, str) else dataset
    first, second = factory(root), factory(root)
    require(isinstance(first, Dataset), f"the factory returns {type(first).__name__}, not a Dataset")
    check_declaration(first)
    problem = first.missing()
    require(problem is None, f"dataset '{first.name}': the data is not there: {str(problem).splitlines()[:1]}")
    check_items(first, second)
    check_images(first, second)
    check_pairs(first)
    check_splits_apart(first)
    check_identity(first, second)


def check_declaration(dataset: Dataset) -> None:
    """Check the class attributes: name and summary, domains, splits, palette, and settings of known presets."""
    require_declared(declarations.check_dataset, dataset)
    name = dataset.name
    require(is_line(dataset.summary), f"dataset '{name}' needs a name and a summary of one line")
    safe_name(dataset.label)
    for what in ("name", "colour"):
        values = [getattr(entry, what) for entry in dataset.palette]
        require(len(set(values)) == len(values), f"dataset '{name}': two classes of the palette have one {what}")
    for preset, settings in dataset.settings.items():
        require(preset in PRESETS, f"dataset '{name}' has settings for '{preset}', and no preset has that name")
        try:
            resolve([("preset", preset_values(preset)), (name, settings)])
        except CgbenchError as error:
            raise AssertionError(f"dataset '{name}', settings for '{preset}': {error}") from None


def check_items(dataset: Dataset, again: Dataset) -> None:
    """Check that each split and domain has images, with keys of their own, in the same order every time."""
    for split, domain, where in _sets(dataset):
        keys = _keys(dataset.items(split, domain))
        require(keys, f"{where} there is no image")
        require(all(isinstance(key, str) and key for key in keys), f"{where} a key is not text, or is empty")
        doubled = sorted({key for key in keys if keys.count(key) > 1}) if len(set(keys)) < len(keys) else []
        require(not doubled, f"{where} two images have the key {doubled[:1]}")
        require(keys == _keys(dataset.items(split, domain)), f"{where} the order changes from call to call")
        require(keys == _keys(again.items(split, domain)), f"{where} two instances list different images")
        listing = dataset.listing(split, domain)
        require(not listing.problems, f"{where} {listing.problems[:1]} stands in the way")
        require(keys == _keys(listing.items), f"{where} `listing` and `items` differ")


def check_images(dataset: Dataset, again: Dataset) -> None:
    """Check images, labels and masks: types, shapes, known class ids, the same pixels every time, existing files."""
    folders = [folder.resolve() for folder in dataset.folders()]
    for split, domain, where in _sets(dataset):
        items, others = dataset.items(split, domain), again.items(split, domain)
        pixels = dataset.domains[domain == "B"].pixels
        for index in evenly_spaced(len(items), IMAGES):
            item, at = items[index], f"{where} '{items[index].key}':"
            image, repeated = item.image(SIDE), others[index].image(SIDE)
            _require_array(image, (pixels.channels,), f"{at} an image", pixels.dtype)
            require(np.array_equal(image, repeated), f"{at} the image is another one the second time")
            if item.labels is not None:
                _check_labels(dataset, item, image, at)
            if item.mask is not None:
                _check_mask(item.mask, image, at)
            for file in filter(None, (item.file, item.labels_file, item.mask_file)):
                require(file.is_file(), f"{at} there is no file {file}")
                inside = not folders or any(file.resolve().is_relative_to(folder) for folder in folders)
                require(inside, f"{at} {file} lies in none of `folders()`")


def _check_labels(dataset: Dataset, item: Item, image: np.ndarray, at: str) -> None:
    """Check the class ids of an image; those beyond the palette are refused where there is a palette."""
    assert item.labels is not None
    ids = item.labels(SIDE)
    _require_array(ids, (), f"{at} labels")
    require(np.array_equal(ids, item.labels(SIDE)), f"{at} the labels are other ones the second time")
    require(same_shape(*image.shape[:2], *ids.shape), f"{at} labels {ids.shape} for an image {image.shape[:2]}")
    beyond = ids[(ids >= len(dataset.palette)) & (ids != IGNORE)]
    known = not dataset.palette or not beyond.size
    require(known, f"{at} class id {beyond[:1]}, and the palette has {len(dataset.palette)} classes")


def _check_mask(mask: Callable[[int], np.ndarray], image: np.ndarray, at: str) -> None:
    """Check the mask of an image: 0 and 1, with its shape."""
    inside = mask(SIDE)
    _require_array(inside, (), f"{at} a mask")
    require(np.array_equal(inside, mask(SIDE)), f"{at} the mask is another one the second time")
    require(same_shape(*image.shape[:2], *inside.shape), f"{at} a mask {inside.shape} for an image {image.shape[:2]}")
    require(inside.max() <= 1, f"{at} a mask of 0 and 1 has {inside.max()}")


def check_pairs(dataset: Dataset) -> None:
    """Check that paired splits have the same keys in both domains, in one order, and `pairs` labels for a palette."""
    paired = [
        split for split in dataset.splits if split == Split.PAIRS or (split == Split.TEST and dataset.paired_test)
    ]
    for split in paired:
        a, b = (dataset.items(split, domain) for domain in "AB")
        where = f"dataset '{dataset.name}', split '{split}':"
        require(_keys(a) == _keys(b), f"{where} it is paired, and the keys of A and B differ")
        if split == Split.PAIRS and dataset.palette:
            bare = [item.key for items in (a, b) for item in items if item.labels is None]
            require(not bare, f"{where} there is a palette, and {bare[:1]} has no labels")


def check_splits_apart(dataset: Dataset) -> None:
    """Check that no file of validation or test images is trained on, and none of validation images is tested on."""
    files: dict[str, set[Path]] = {split: set() for split in Split}
    for split, domain, _ in _sets(dataset):
        files[split] |= {item.file for item in dataset.items(split, domain) if item.file is not None}
    for held, used in ((Split.TEST, Split.TRAIN), (Split.VAL, Split.TRAIN), (Split.VAL, Split.TEST)):
        shared = sorted(files[held] & files[used])
        require(not shared, f"dataset '{dataset.name}': {shared[:1]} is in '{held}' and in '{used}'")


def check_identity(dataset: Dataset, again: Dataset) -> None:
    """Check that the identity is None or text that two instances share, and that folders exist."""
    identity = dataset.identity()
    require(
        identity is None or is_line(identity), f"dataset '{dataset.name}': its identity is None or one line of text"
    )
    require(identity == again.identity(), f"dataset '{dataset.name}': two instances have different identities")
    for folder in dataset.folders():
        require(folder.is_dir(), f"dataset '{dataset.name}': {folder} is no folder")


def _sets(dataset: Dataset) -> list[tuple[str, str, str]]:
    """Return each split and domain, and how a message begins that is about them."""
    return [
        (split, domain, f"dataset '{dataset.name}', split '{split}', domain {domain}:")
        for split in dataset.splits
        for domain in "AB"
    ]


def _keys(items: Sequence[Item]) -> list[str]:
    return [item.key for item in items]


def _require_array(array: object, last: tuple[int, ...], what: str, dtype: str = "uint8") -> None:
    """Raise unless the array is of the type, (H, W, *last) and not empty."""
    shape = ", ".join(["H", "W", *map(str, last)])
    require(isinstance(array, np.ndarray), f"{what} must be an array, not {type(array).__name__}")
    assert isinstance(array, np.ndarray)
    valid = array.dtype == dtype and array.ndim == 2 + len(last) and array.shape[2:] == last and array.size
    require(valid, f"{what} must be {dtype} ({shape}), not {array.dtype} {array.shape}")
