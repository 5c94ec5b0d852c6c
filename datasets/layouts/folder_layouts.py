"""Layouts of a directory with two domains of images: which folder is which set, found once.

Read are, in any letter case and with `_`, `-` or nothing between the two parts of a name:

- two folders per split: trainA, trainB, testA, testB; A/train, B/train, A/test, B/test; or train/A, train/B, test/A,
  test/B. Other words than A and B are read where there are exactly two: the first of the alphabet is A;
- pairs side by side: train and test (or val) with images of their own.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from cgbench.api.names import Split
from cgbench.datasets.images.stored import EXTENSIONS, stored_files
from cgbench.datasets.layouts.file_keys import FOLDERS
from cgbench.errors import CgbenchError, DataBroken
from cgbench.formatting import plural, printable

SPLITS = {
    "train": Split.TRAIN, "training": Split.TRAIN, "test": Split.TEST, "testing": Split.TEST,
    "val": Split.VAL, "valid": Split.VAL, "validation": Split.VAL,
}  # fmt: skip
TWO_PARTS = re.compile(rf"({'|'.join(sorted(SPLITS, key=len, reverse=True))})([ _.-]?)(.+)", re.IGNORECASE)
ONE_NAME, DOMAIN_FIRST, SPLIT_FIRST, SIDE_BY_SIDE = "trainA", "A/train", "train/A", "side by side"
REQUIRED = tuple((split, domain) for split in (Split.TRAIN, Split.TEST) for domain in "AB")
NO_DOMAINS = ("leftImg8bit", "gtFine", "gtCoarse")  # of Cityscapes, which has a reader of its own
DEPTH = 3  # levels of sub-folders that are searched for images
LEVELS = 2  # of folders above a layout: an archive unpacked into a folder of its own
MAX_FOLDERS = 100  # of a directory in which a layout is looked for one level deeper


@dataclass(frozen=True)
class SetFolder:
    """A folder that is one set by its name: its split, the word for its domain as it is written ("" for pairs side by
    side), and the number of its images. They lie in its sub-folders where `nested`."""

    path: Path
    style: str
    split: str
    word: str
    images: int
    nested: bool = False

    def files(self) -> list[Path]:
        """Return the image files, sorted by name, or by their path in the folder where they lie in sub-folders."""
        return images_below(self.path) if self.nested else stored_files(self.path)

    def keys(self, key: Callable[[Path], str]) -> Callable[[Path], str]:
        """Return `key`, preceded by the sub-folder (`city1/000`) where images lie in sub-folders."""
        if not self.nested:
            return key
        return lambda path: "/".join([*map(printable, path.relative_to(self.path).parts[:-1]), key(path)])

    def subfolders(self) -> list[Path]:
        """Return the folders below this one whose images are read."""
        return sorted({path.parent for path in self.files()}) if self.nested else []


class Place(NamedTuple):
    """A set of a layout: a split and a domain, "A" or "B"."""

    split: str
    domain: str


@dataclass(frozen=True)
class FolderLayout:
    """The layout in `root`, which is the given directory or one inside it. `sets` has the folders that are read;
    `unused` those that look like sets and are not; `words` too many words for two domains; `inner` the directories
    inside that have a layout each. `style` is "" where there is none."""

    root: Path
    style: str = ""
    sets: Mapping[Place, SetFolder] = field(default_factory=dict)
    unused: tuple[SetFolder, ...] = ()
    remarks: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    inner: tuple[Path, ...] = ()

    @property
    def side_by_side(self) -> bool:
        """Whether both domains are in the same files."""
        return self.style == SIDE_BY_SIDE

    @property
    def absent(self) -> tuple[Place, ...]:
        """The required sets that have no images."""
        return tuple(Place(*place) for place in REQUIRED if Place(*place) not in self.sets)

    def has(self, split: str) -> bool:
        """Return whether both domains of a split have images."""
        return all(Place(split, domain) in self.sets for domain in "AB")

    def name(self, path: Path) -> str:
        """Return the printable path of a folder in the layout."""
        return printable(path.relative_to(self.root).as_posix())


def find_layout(root: Path) -> FolderLayout:
    """Return the layout in a directory, or in the only one inside it that has a complete one.

    A folder of the layout that may not be listed raises `DataBroken`.
    """
    found = layout_in(root)
    if found.sets or found.words:
        return found
    above = root
    for _ in range(LEVELS):
        folders = visible_folders(above)[:MAX_FOLDERS]
        complete = [layout for folder in folders if (layout := _complete_layout(folder)) is not None]
        if len(complete) > 1:
            return replace(found, inner=tuple(layout.root for layout in complete))
        if complete:
            place = complete[0].root.relative_to(root).as_posix()
            remark = f"read from the folder {printable(place)} in {printable(str(root))}"
            return replace(complete[0], remarks=(remark, *complete[0].remarks))
        if len(folders) != 1:
            break
        above = folders[0]
    return found


def layout_in(root: Path) -> FolderLayout:
    """Return the layout whose folders lie in `root` itself; of two, that with most of the required sets."""
    found = set_folders(root)
    pairs = _side_by_side(root, found)
    if pairs and Place(Split.TRAIN, "A") in pairs:
        return _with_remarks(FolderLayout(root, SIDE_BY_SIDE, pairs), found)
    best = FolderLayout(root)
    most_words: tuple[str, ...] = ()
    for style in (ONE_NAME, DOMAIN_FIRST, SPLIT_FIRST):
        folders = [folder for folder in found if folder.style == style]
        words = domain_words(folders)
        if len(words) > 2:
            most_words = most_words or words
            continue
        sets = _assigned(folders, words) if len(words) == 2 else {}
        if len(set(REQUIRED) & sets.keys()) > len(set(REQUIRED) & best.sets.keys()) or (sets and not best.sets):
            best = FolderLayout(root, style, sets)
    if not best.sets:
        best = FolderLayout(root, SIDE_BY_SIDE, pairs) if pairs else FolderLayout(root, words=most_words)
    return _with_remarks(best, found)


def set_folders(root: Path) -> list[SetFolder]:
    """Return the folders in `root`, and in its folders, that are sets by their names and hold images."""
    found = []
    for child in visible_folders(root, required=True):
        if split := SPLITS.get(child.name.lower()):
            if images := len(stored_files(child)):
                found.append(SetFolder(child, SIDE_BY_SIDE, split, "", images))
            for folder in visible_folders(child):
                if folder.name.lower() not in SPLITS:
                    found.append(_set_folder(folder, SPLIT_FIRST, split, folder.name))
        elif match := TWO_PARTS.fullmatch(child.name):
            found.append(_set_folder(child, ONE_NAME, SPLITS[match[1].lower()], match[3]))
        elif child.name not in NO_DOMAINS:
            for folder in visible_folders(child):
                if split := SPLITS.get(folder.name.lower()):
                    found.append(_set_folder(folder, DOMAIN_FIRST, split, child.name))
    exact = {name: rank for rank, name in enumerate((*FOLDERS, "valA", "valB", "train", "test", "val"))}
    found.sort(key=lambda folder: (exact.get(folder.path.name, len(exact)), folder.path))
    return [folder for folder in found if folder.images]


def domain_words(folders: Sequence[SetFolder]) -> tuple[str, ...]:
    """Return the words for the domains, in lower case: a and b where one of them is there, else all in the order of the
    alphabet."""
    words = sorted({folder.word.lower() for folder in folders})
    if {"a", "b"} & set(words):
        return ("a", "b")
    trained = sorted({folder.word.lower() for folder in folders if folder.split == Split.TRAIN})
    return tuple(trained if len(trained) >= 2 else words)


def visible_folders(root: Path, required: bool = False) -> list[Path]:
    """Return the folders in a directory, sorted by name, apart from hidden ones and `__MACOSX`, which archives hold.

    One that cannot be listed has none, or raises `DataBroken` where it is `required`.
    """
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if entry.name[0] not in "." and entry.is_dir()]
    except OSError as error:
        if required and not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise DataBroken(f"{root}: cannot be listed ({error.strerror}): allow yourself to read it") from None
        return []
    return [root / name for name in sorted(names) if name != "__MACOSX"]


def images_below(folder: Path, depth: int = DEPTH) -> list[Path]:
    """Return the images in the sub-folders of a folder, to a depth, sorted by their path."""
    found = []
    for child in visible_folders(folder) if depth else ():
        if child.suffix.lower() not in EXTENSIONS:
            found += [*stored_files(child), *images_below(child, depth - 1)]
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def _complete_layout(folder: Path) -> FolderLayout | None:
    try:
        layout = layout_in(folder)
    except CgbenchError:  # one that may not be listed is not the one that is meant
        return None
    return layout if layout.sets and not layout.absent else None


def _set_folder(path: Path, style: str, split: str, word: str) -> SetFolder:
    if images := len(stored_files(path)):
        return SetFolder(path, style, split, word, images)
    return SetFolder(path, style, split, word, len(images_below(path)), nested=True)


def _side_by_side(root: Path, found: Sequence[SetFolder]) -> dict[Place, SetFolder]:
    """Return the sets of pairs side by side; none beside trainA and the like, nor of CamVid, which has trainannot."""
    names = {child.name for child in visible_folders(root)}
    folders: dict[str, SetFolder] = {}
    for folder in found:
        if folder.style == SIDE_BY_SIDE:
            folders.setdefault(folder.split, folder)
    if names & {*FOLDERS, "trainannot"} or not folders.keys() & {Split.TEST, Split.VAL}:
        return {}
    if Split.TEST not in folders:
        folders[Split.TEST] = folders.pop(Split.VAL)
    return {Place(split, domain): folder for split, folder in folders.items() for domain in "AB"}


def _assigned(folders: Sequence[SetFolder], words: Sequence[str]) -> dict[Place, SetFolder]:
    """Return the folder of each split and domain; the validation images are the test set where there is no other."""
    sets: dict[Place, SetFolder] = {}
    for folder in folders:
        if folder.word.lower() in words:
            sets.setdefault(Place(folder.split, "AB"[words.index(folder.word.lower())]), folder)
    validation = {place for place in sets if place.split == Split.VAL}
    if len(validation) == 2 and not any(place.split == Split.TEST for place in sets):
        for place in validation:
            sets[Place(Split.TEST, place.domain)] = sets.pop(place)
    elif len(validation) == 1:
        del sets[validation.pop()]
    return sets


def _with_remarks(layout: FolderLayout, found: Sequence[SetFolder]) -> FolderLayout:
    """Return the layout with the folders that are not used, and remarks on what its names do not say."""
    if not layout.sets:
        return layout
    used = {folder.path for folder in layout.sets.values()}
    unused = tuple(folder for folder in found if folder.path not in used)
    a, b = (next((f for place, f in layout.sets.items() if place.domain == domain), None) for domain in "AB")
    remarks = []
    if a and b and a.word.lower() not in ("a", ""):
        remarks.append(f"A is '{printable(a.word)}' and B is '{printable(b.word)}': by the alphabet")
    tests = [layout.sets.get(Place(Split.TEST, domain)) for domain in "AB"]
    if tests[0] and tests[1] and tests[0].split == Split.VAL and not layout.side_by_side:
        both = " and ".join(layout.name(folder.path) for folder in tests if folder)
        remarks.append(f"{both} are the test set, as no folders are named for it")
    for folder in dict.fromkeys(layout.sets.values()):
        if folder.nested:
            names = [printable(path.relative_to(folder.path).as_posix()) for path in folder.subfolders()]
            listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            images = f"{plural(folder.images, 'image')} {'is' if folder.images == 1 else 'are'} read"
            remarks.append(f"{layout.name(folder.path)}: {images} from its sub-folders, {listed}")
    for folder in unused:
        why = (
            ": validation images are read of both domains or of none"
            if folder.split == Split.VAL and folder.word
            else ""
        )
        remarks.append(f"{layout.name(folder.path)} is not read ({plural(folder.images, 'image')}){why}")
    return replace(layout, unused=unused, remarks=tuple(remarks))
