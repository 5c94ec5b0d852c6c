"""A dataset to start from: photos in the folders train/summer, train/winter, test/summer and test/winter."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cgbench import CgbenchError, Dataset, Domain, Item, source_digest
from cgbench.datasets.images.decoding import image_files, whole_image

HOW_TO_GET = "my_dataset: get it from https://example.org and give its folder with --data-root"


class MyDataset(Dataset):
    """Summer (A) and winter (B)."""

    name = "my_dataset"  # also the entry point
    summary = "summer and winter photos"  # one line, for `cgbench datasets`
    licence = "that of the photos"
    source = "where it was published"
    domains = (Domain("summer"), Domain("winter"))  # Domain("labels", "labels") where a domain is label maps
    splits = ("train", "test")  # and, where there are any: val, pairs, ood; see cgbench.Dataset
    paired_test = False  # True: both domains have the same keys in "test", and paired metrics apply
    # pair_rule = "by scene" says by what they are pairs
    # palette = (SemanticClass("road", (128, 64, 128)), ...) where items have labels

    def missing(self) -> str | None:
        """Return None if the data is there, else what is missing and how to get it."""
        if self.root is None:
            return HOW_TO_GET
        empty = [folder for folder in self.folders() if not image_files(folder)]
        return f"{HOW_TO_GET} (no images in {empty[0]})" if empty else None

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the photos of a domain, sorted by file name."""
        if split not in self.splits:
            raise CgbenchError(f"{self.name}: unknown split '{split}': use {', '.join(self.splits)}")
        # `image` is called with the side of the square that is needed and returns uint8 (H, W, 3) of any size; an item
        # that is rendered renders for that side. `labels`, if any, returns class ids, uint8 (H, W), 255 for none.
        return [
            Item(path.stem, partial(whole_image, path), file=path) for path in image_files(self._folder(split, domain))
        ]

    def identity(self) -> str | None:
        """Return what decides the pixels besides the files, by which decoded images are kept: this source."""
        return source_digest(__name__, "cgbench.datasets.images")

    def folders(self) -> Sequence[Path]:
        """Return the folders whose files are read as images."""
        return [self._folder(split, domain) for split in self.splits for domain in "AB"] if self.root else []

    def _folder(self, split: str, domain: str) -> Path:
        if self.root is None:
            raise CgbenchError(HOW_TO_GET)
        return self.root / split / self.domains[domain == "B"].name
