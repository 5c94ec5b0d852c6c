"""`folder`: your own images, in one of the two common layouts.

- two folders per split: trainA, trainB, testA, testB. Whether the test images are pairs is decided by their names
  (pairing.py) and, where these only count, by their likeness (pair_decision.py), or by the setting `paired`. valA and
  valB, where they exist, are validation images;
- side by side: train/ and test/ (or val/), each file two images of equal width, A left and B right. The test images
  are paired; A trains on the first half of the sorted files and B on the second, so that training stays unpaired.
  Where both test/ and val/ exist, val/ holds the validation images.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from cgbench.api.dataset import Dataset, Domain, FileProblem, Item, Listing
from cgbench.api.names import Split
from cgbench.api.registry import DATASETS
from cgbench.datasets.images import image_files, whole_image
from cgbench.datasets.layouts import FOLDERS, by_key, halves, side_by_side_test, stem
from cgbench.datasets.pair_decision import PairDecision, decide_pairs
from cgbench.digests import source_digest
from cgbench.errors import CgbenchError, DataMissing
from cgbench.formatting import printable

IMAGE_MODULES = ("cgbench.datasets.folder", "cgbench.datasets.images", "cgbench.datasets.layouts")  # decide the pixels

EXPECTED = """folder: {problem}.
  Expected either trainA, trainB, testA and testB with images in each,
  or train and test (or val) whose images show A and B side by side, at least two of them in train.
  Say where: --data-root DIR, DIR being the directory that holds these folders."""


def half(index: int, path: Path, side: int = 0) -> np.ndarray:
    """Return the left (0) or right (1) half of an image file, uint8 (H, W / 2, 3)."""
    return halves(path)[index]


@DATASETS.register
class Folder(Dataset):
    """Two domains of photos in a directory of the user, whose name is the dataset's label."""

    name = "folder"
    summary = "your own images: trainA, trainB, testA, testB, or pairs side by side in train and test"
    licence = "that of your images"
    domains = (Domain("A"), Domain("B"))
    splits: tuple[str, ...] = (Split.TRAIN, Split.TEST)

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root)
        self._decision: PairDecision | None = None
        self._asked = "auto"  # the setting `paired`
        self.side_by_side = root is not None and not self._two_folders() and side_by_side_test(root) is not None
        if self.side_by_side:
            validation = (Split.VAL,) if all(image_files(root / name) for name in ("test", "val")) else ()
            self.splits = (Split.TRAIN, *validation, Split.TEST, Split.PAIRS)
            self.split_rule = "the first half of the sorted files gives A, the second half B"
        else:
            self.split_rule = "A and B as the folders trainA and trainB divide them"
            if root is not None and all(image_files(root / name) for name in ("valA", "valB")):
                self.splits = (Split.TRAIN, Split.VAL, Split.TEST)

    def configure(self, split: str = "", paired: str = "auto") -> None:
        """Apply the settings `split` and `paired`; `paired=yes` raises where no file has a partner by its name."""
        super().configure(split)
        self._asked, self._decision = paired, None
        if paired == "yes" and self.missing() is None:
            self._pairs()

    @property
    def paired_test(self) -> bool:  # type: ignore[override]
        """Whether the test images are pairs, decided when it is first asked."""
        return self._pairs().paired

    @property
    def pair_rule(self) -> str:  # type: ignore[override]
        """The rule by which the test images are pairs, or why they are not."""
        return self._pairs().rule

    @property
    def label(self) -> str:
        """The directory's name."""
        return printable(self.root.resolve().name) if self.root else self.name

    def missing(self) -> str | None:
        """Return None if a layout is complete, else a description of the expected layouts and of what is there."""
        if self.root is None:
            return EXPECTED.format(problem="no directory was given")
        if not self.root.is_dir():
            return EXPECTED.format(problem=f"{self.root} is not a directory")
        if self.side_by_side and len(image_files(self.root / "train")) >= 2:
            return None
        counts = {name: len(image_files(self.root / name)) for name in (*FOLDERS, "train", "test", "val")}
        if all(counts[name] for name in FOLDERS):
            return None
        folders = [f"{name} ({count} images)" for name, count in counts.items() if (self.root / name).is_dir()]
        return EXPECTED.format(problem=f"{self.root} holds {', '.join(folders) or 'none of the expected folders'}")

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the images of a domain, sorted by file name; no labels."""
        if split not in self.splits:
            raise CgbenchError(f"folder: unknown split '{split}': use {', '.join(self.splits)}")
        if missing := self.missing():
            raise DataMissing(missing)
        return self.listing(split, domain).sound()

    def listing(self, split: str, domain: str) -> Listing:
        """Return the images of a domain, and the files with duplicate names."""
        if self.side_by_side:
            return self._side_by_side(split, domain)
        if split == Split.TEST and self.paired_test:
            files, problems = self._pairs().files[domain == "B"], list[FileProblem]()
        else:
            files, problems = by_key(image_files(self.root / f"{split}{domain}"), stem)
        return Listing([Item(key, partial(whole_image, path), file=path) for key, path in files.items()], problems)

    def identity(self) -> str | None:
        """Return the digest of the modules that read the files."""
        return source_digest(*IMAGE_MODULES)

    def folders(self) -> Sequence[Path]:
        """Return trainA, trainB, testA and testB, or train and its test folder, and those of the validation images."""
        if self.root is None:
            return ()
        validation = Split.VAL in self.splits
        if self.side_by_side:
            return (self.root / "train", side_by_side_test(self.root), *([self.root / "val"] if validation else []))
        return tuple(self.root / name for name in (*FOLDERS, *(("valA", "valB") if validation else ())))

    def _pairs(self) -> PairDecision:
        """Return the decision whether the test images are pairs; it is made once."""
        if self._decision is None:
            if self.side_by_side:
                no = self._asked == "no"
                self._decision = PairDecision(not no, "paired=no" if no else "side by side in one file")
            else:
                first, second = (image_files(self.root / name) if self.root else [] for name in ("testA", "testB"))
                self._decision = decide_pairs(first, second, self._asked)
        return self._decision

    def _side_by_side(self, split: str, domain: str) -> Listing:
        side = 0 if domain == "A" else 1
        folders: dict[str, Path] = {Split.TEST: side_by_side_test(self.root), Split.VAL: self.root / "val"}
        paths = image_files(folders.get(split, self.root / "train"))
        if split == Split.TRAIN:
            middle = len(paths) // 2
            paths = paths[middle:] if side else paths[:middle]
        files, problems = by_key(paths, stem)
        return Listing([Item(key, partial(half, side, path), file=path) for key, path in files.items()], problems)

    def _two_folders(self) -> bool:
        return any((self.root / name).is_dir() for name in FOLDERS)
