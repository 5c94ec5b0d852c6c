"""The declaration of a dataset: two domains, splits, and optional pairs and labels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.api.names import Direction, Split
from cgbench.errors import DataBroken


@dataclass(frozen=True)
class Domain:
    """One of the two image collections. `kind` is "photo" or "labels": label images are resized without blending."""

    name: str
    kind: str = "photo"


@dataclass(frozen=True)
class SemanticClass:
    """A class of the label maps: its name and its colour (R, G, B), 0 to 255. Its id is its place in the palette."""

    name: str
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Item:
    """One image, loaded when asked for.

    `key` names it within its split and domain, and is the same in both domains where test images are paired.
    `image(side)` returns uint8 (H, W, 3) and `labels(side)` class ids, uint8 (H, W) with 255 ignored. `side` is the
    square that will be made of it: a procedural dataset renders for it, a file is returned at its own size. `file` and
    `labels_file` are what they are read from, if anything: decoded images are cached until these change.
    """

    key: str
    image: Callable[[int], np.ndarray]
    labels: Callable[[int], np.ndarray] | None = None
    file: Path | None = None
    labels_file: Path | None = None


@dataclass(frozen=True)
class FileProblem:
    """A file that cannot have a place in its split, and what to do about it; `text` follows the file's name."""

    file: Path
    text: str


@dataclass(frozen=True)
class Listing:
    """What a split and domain hold: the items, and the files that belong there and cannot be used."""

    items: Sequence[Item]
    problems: Sequence[FileProblem] = ()

    def sound(self) -> Sequence[Item]:
        """Return the items; the first problem, if any, raises `DataBroken`."""
        for problem in self.problems:
            raise DataBroken(f"{problem.file}: {problem.text}")
        return self.items


class Dataset(ABC):
    """A pair of domains A and B. A is the left one of the direction `AtoB`, for example labels in labels→photo.

    Splits: `train` (A and B not paired), `test`, and where they exist `val` (images to choose a checkpoint by, neither
    trained nor tested on), `pairs` (both images of every training scene with the same keys, and their labels: for
    supervised methods and for the scorer) and `ood` (test scenes of a kind that training never shows). Labels of
    training images are those of the image itself; only methods that declare that they read labels are given them.
    """

    name: str
    summary: str
    licence: str = ""
    source: str = ""
    domains: tuple[Domain, Domain]
    palette: tuple[SemanticClass, ...] = ()
    paired_test: bool = False
    shares_scenes: bool = False  # whether both training sets show the same scenes by the published recipe
    split_rule: str = ""  # how unpaired training sets are made of paired scenes, one sentence for the record
    label_source: str = ""  # where class ids come from, where they are not given as such
    splits: tuple[str, ...] = (Split.TRAIN, Split.TEST)
    settings: Mapping[str, Mapping[str, Any]] = {}  # preset -> values of the dataset's layer

    def __init__(self, root: Path | None = None) -> None:
        self.root = root

    @property
    def label(self) -> str:
        """The name in folders and tables; a dataset that serves many directories says which."""
        return self.name

    def missing(self) -> str | None:
        """Return None if the data is there, else what is missing and how to get it, in at most one screen."""
        return None

    @abstractmethod
    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the images of `domain` ("A" or "B") in `split`, in a fixed order.

        Where test images are paired, both domains have the same keys in the same order.
        """

    def listing(self, split: str, domain: str) -> Listing:
        """Return the items of a split with all problems of its list of files, for the dataset checks.

        Where `items` raises for the first unmatched file, this continues with the others.
        """
        return Listing(self.items(split, domain))

    def identity(self) -> str | None:
        """Return a text that identifies the images and labels beside split, domain, key, side and files, or None.

        Decoded images are cached for a dataset that has an identity, and decoded every time where it is None, as here.
        It must change whenever the code or an argument of the dataset would make another image; most datasets return
        `source_digest("their_package")`, the digest of their source. Files that are read must be the items' `file` and
        `labels_file`: those that changed are decoded again. A subclass must define its own.
        """
        return None

    def folders(self) -> Sequence[Path]:
        """Return the folders whose files are read as images; none where nothing is read."""
        return ()

    def direction_name(self, direction: str) -> str:
        """Return "labels→photo" for AtoB, and the reverse for BtoA."""
        a, b = (domain.name for domain in self.domains)
        return f"{a}→{b}" if direction == Direction.A_TO_B else f"{b}→{a}"

    def target(self, direction: str) -> Domain:
        """Return the domain that `direction` translates to."""
        return self.domains[1 if direction == Direction.A_TO_B else 0]
