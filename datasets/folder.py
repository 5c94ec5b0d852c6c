"""`folder`: your own images, in one of the common layouts (`layouts/folder_layouts` has them all).

- two folders per split: trainA, trainB, testA, testB, or other names of the same meaning. Whether the test images are
  pairs is decided by their names and, where these only count, by their likeness (`pairing`), or by the setting
  `paired`. valA and valB, where they exist, are validation images, or the test set where there is no other;
- side by side: train/ and test/ (or val/), each file two images of equal width, A left and B right. The test images
  are paired; A trains on the first half of the sorted files and B on the second, so that training stays unpaired.
  Where both test/ and val/ exist, val/ holds the validation images. Plain photos in these folders are refused.

Photos of 8 bits are read as RGB. Files of other numbers (16-bit grey and RGB, signed, floating-point, up to 64 bands,
`.npy`) are read as they are stored, where all of their domain have one format (`images/stored`).
"""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from cgbench.api.dataset import Dataset, Domain, FileProblem, Item, Listing
from cgbench.api.names import Split
from cgbench.api.registry import DATASETS
from cgbench.datasets.images.stored import STORED_MODULES, read_stored, stored_image
from cgbench.datasets.layouts.domain_formats import DomainFormat, domain_format
from cgbench.datasets.layouts.file_keys import by_key, halves, stem
from cgbench.datasets.layouts.folder_advice import expectation, holds_photos, layout_problem
from cgbench.datasets.layouts.folder_layouts import FolderLayout, Place, find_layout
from cgbench.datasets.layouts.seams import Seams, look_at_seams
from cgbench.datasets.pairing.decision import PairDecision, decide_pairs
from cgbench.digests import source_digest
from cgbench.errors import CgbenchError, DataMissing
from cgbench.formatting import plural, printable

# the modules that decide the pixels
IMAGE_MODULES = (
    "cgbench.datasets.folder", *STORED_MODULES, "cgbench.datasets.layouts.domain_formats",
    "cgbench.datasets.layouts.file_keys", "cgbench.datasets.layouts.folder_layouts",
)  # fmt: skip


def half(index: int, path: Path, side: int = 0) -> np.ndarray:
    """Return the left (0) or right (1) half of an image file, (H, W / 2, C)."""
    return halves(path, read_stored)[index]


@DATASETS.register
class Folder(Dataset):
    """Two domains of photos in a directory of the user, whose name is the dataset's label."""

    name = "folder"
    summary = "your own images: trainA, trainB, testA, testB, or pairs side by side in train and test"
    licence = "that of your images"
    splits: tuple[str, ...] = (Split.TRAIN, Split.TEST)

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root)
        self._decision: PairDecision | None = None
        self._asked = "auto"  # the setting `paired`
        self.layout = find_layout(root) if root is not None else FolderLayout(Path())
        self.side_by_side = self.layout.side_by_side
        validation = (Split.VAL,) if self.layout.has(Split.VAL) else ()
        if self.side_by_side:
            self.splits = (Split.TRAIN, *validation, Split.TEST, Split.PAIRS)
            self.split_rule = "the first half of the sorted files gives A, the second half B"
        else:
            self.splits = (Split.TRAIN, *validation, Split.TEST)
            train = [self.layout.sets.get(Place(Split.TRAIN, domain)) for domain in "AB"]
            names = [self.layout.name(folder.path) for folder in train if folder] or ["trainA", "trainB"]
            self.split_rule = f"A and B as the folders {' and '.join(names)} divide them"

    def configure(self, split: str = "", paired: str = "auto") -> None:
        """Apply the settings of a run. `paired=yes` raises where no test image has a partner by its name, and says that
        files with no visible seam hold two images."""
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
    def domains(self) -> tuple[Domain, Domain]:  # type: ignore[override]
        """The domains with the formats of their images, which are found by the headers of all files when first
        asked."""
        a, b = self._formats
        return Domain("A", pixels=a.pixels), Domain("B", pixels=b.pixels)

    @property
    def label(self) -> str:
        """The name of the directory that holds the layout, which may lie in the given one."""
        return printable(self.layout.root.resolve().name) if self.root else self.name

    def missing(self) -> str | None:
        """Return None if a layout is complete, else what is there, which layout is nearest and how to mend it."""
        if self.root is None:
            return expectation("no directory was given")
        if not self.root.is_dir():
            return expectation(f"{self.root} is not a directory")
        return layout_problem(self.layout, None if self._asked == "yes" else self._seams)

    def remarks(self) -> Sequence[str]:
        """Return what the names of the folders do not say: which is read as what, and which is not read."""
        remarks = self.layout.remarks
        if self._seams is not None and self._seams.unclear:
            with_seam = f"{self._seams.jumping} of {plural(self._seams.images, 'image')} looked at show a seam"
            remarks = (*remarks, f"read as pairs side by side, but only {with_seam}: look whether they are pairs")
        return remarks

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the images of a domain, sorted by file name; no labels."""
        if split not in self.splits:
            raise CgbenchError(f"folder: unknown split '{split}': use {', '.join(self.splits)}")
        if missing := self.missing():
            raise DataMissing(missing)
        return self.listing(split, domain).sound()

    def listing(self, split: str, domain: str) -> Listing:
        """Return the images of a domain, and the files with duplicate names or of another format than the rest; none
        where plain photos lie in the folders of pairs side by side."""
        if self._seams is not None:
            photos = self._asked != "yes" and holds_photos(self.layout, self._seams)
            return Listing(()) if photos else self._side_by_side(split, domain)
        folder = self.layout.sets.get(Place(split, domain))
        if folder is None:
            return Listing(())
        if split == Split.TEST and self.paired_test:
            files, problems = self._pairs().files[domain == "B"], list[FileProblem]()
        else:
            files, problems = by_key(folder.files(), folder.keys(stem))
        images = {key: partial(stored_image, path) for key, path in files.items()}
        return self._of_one_format(domain, [Item(key, images[key], file=files[key]) for key in files], problems)

    def identity(self) -> str | None:
        """Return the digest of the modules that read the files."""
        return source_digest(*IMAGE_MODULES)

    def folders(self) -> Sequence[Path]:
        """Return the folders of the sets, and those of their sub-folders that are read."""
        folders = self.layout.sets.values()
        return tuple(dict.fromkeys(path for folder in folders for path in (folder.path, *folder.subfolders())))

    def unused_folders(self) -> Sequence[Path]:
        """Return folders that look like sets and are not read, such as valA without valB."""
        return tuple(folder.path for folder in self.layout.unused)

    @cached_property
    def _formats(self) -> tuple[DomainFormat, DomainFormat]:
        """The formats of the files of domains A and B."""
        if self.root is None:
            return DomainFormat(), DomainFormat()
        if self.side_by_side:
            found = domain_format(self._files("A"), "A")
            return found, found
        return domain_format(self._files("A"), "A"), domain_format(self._files("B"), "B")

    def _files(self, letter: str) -> list[Path]:
        """Return the files of all sets of a domain."""
        folders = dict.fromkeys(folder for place, folder in self.layout.sets.items() if place.domain == letter)
        return [path for folder in folders for path in folder.files()]

    @cached_property
    def _seams(self) -> Seams | None:
        """The seams of a few images of pairs side by side."""
        if not self.side_by_side:
            return None
        return look_at_seams(self._files("A"))

    def _pairs(self) -> PairDecision:
        """Return the decision whether the test images are pairs; it is made once."""
        if self._decision is None:
            if self.side_by_side:
                no = self._asked == "no"
                self._decision = PairDecision(not no, "paired=no" if no else "side by side in one file")
            else:
                folders = [self.layout.sets.get(Place(Split.TEST, domain)) for domain in "AB"]
                files = [folder.files() if folder else [] for folder in folders]
                names = [list(map(folder.keys(stem), folder.files())) if folder else [] for folder in folders]
                self._decision = decide_pairs(files[0], files[1], names, self._asked)
        return self._decision

    def _side_by_side(self, split: str, domain: str) -> Listing:
        side = 0 if domain == "A" else 1
        folder = self.layout.sets.get(Place(Split.TRAIN if split == Split.PAIRS else split, domain))
        paths = folder.files() if folder else []
        if split == Split.TRAIN:
            middle = len(paths) // 2
            paths = paths[middle:] if side else paths[:middle]
        files, problems = by_key(paths, stem)
        items = [Item(key, partial(half, side, path), file=path) for key, path in files.items()]
        return self._of_one_format(domain, items, problems)

    def _of_one_format(self, domain: str, items: Sequence[Item], problems: Sequence[FileProblem]) -> Listing:
        """Return a listing in which files of another format than their domain's are problems."""
        others = self._formats[domain == "B"].problems
        odd = [others[item.file] for item in items if item.file in others]
        return Listing([item for item in items if item.file not in others], [*odd, *problems])
