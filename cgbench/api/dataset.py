"""The declaration of a dataset: two domains, splits, and optional pairs and labels."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgbench.api.inspection import Inspection
from cgbench.api.names import Direction, Split
from cgbench.errors import CgbenchError, DataBroken, PluginError, error_line
from cgbench.formatting import plural, printable, shortened
from cgbench.pixel_format import RGB8, PixelFormat
from cgbench.progress import ProgressCallback

if TYPE_CHECKING:
    import numpy as np

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPIPE)  # of the machine, whoever meets them


@dataclass(frozen=True)
class Domain:
    """One of the two image collections. `kind` is "photo" or "labels": label images are resized without blending.
    `pixels` is the format of its numbers; label images are 8-bit RGB."""

    name: str
    kind: str = "photo"
    pixels: PixelFormat = RGB8


@dataclass(frozen=True)
class SemanticClass:
    """A class of the label maps: its name and its colour (R, G, B), 0 to 255. Its id is its place in the palette."""

    name: str
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Item:
    """One image, loaded when asked for.

    `key` names it within its split and domain, and is the same in both domains where test images are paired.
    `image(side)` returns (H, W, C) in the format of its domain, uint8 (H, W, 3) for pictures, and `labels(side)` class
    ids, uint8 (H, W) with 255 ignored. `mask(side)` is uint8 (H, W): 1 where numbers are measured, such as the body of
    a patient, else 0. `side` is the short side of what will be made of it: a procedural dataset renders for it, a file
    is returned at its own size. `file` and `labels_file` are what they are read from, if anything: decoded images are
    cached until these change; a mask is read from `file` or `mask_file`.
    """

    key: str
    image: Callable[[int], np.ndarray]
    labels: Callable[[int], np.ndarray] | None = None
    file: Path | None = None
    labels_file: Path | None = None
    mask: Callable[[int], np.ndarray] | None = None
    mask_file: Path | None = None


@dataclass(frozen=True)
class FileProblem:
    """A file that cannot have a place in its split, and what to do about it; `text` follows the file's name. `check` is
    the dataset check that reports it (`cgbench.datasets.checks.report.CHECKS`)."""

    file: Path
    text: str
    check: str = "partner"


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
    pair_rule: str = ""  # by what test images are pairs, such as "by the same name", or why they are none
    shares_scenes: bool = False  # whether both training sets show the same scenes by the published recipe
    split_rule: str = ""  # how unpaired training sets are made of paired scenes, one sentence for the record
    label_source: str = ""  # where class ids come from, where they are not given as such
    splits: tuple[str, ...] = (Split.TRAIN, Split.TEST)
    test_splits: tuple[str, ...] = ()  # what the setting `split` may choose the test images from, the usual one first
    test_split: str = ""  # the one that was chosen; empty: the usual one
    settings: Mapping[str, Mapping[str, Any]] = {}  # preset -> values of the dataset's layer
    primary: Mapping[str, str] = {}  # direction -> the number that methods are judged by, decided before a run
    whole_groups: bool = False  # whether no split may divide a group, such as a patient
    picture_files: bool = True  # whether items' files are pictures, whose headers Pillow reads
    image_groups: str = ""  # what test images that are not independent have in common, such as "clip"; empty: nothing
    slicing: Mapping[str, Any] = {}  # how volumes become slices, for the record, where images are slices

    def __init__(self, root: Path | None = None) -> None:
        self.root = root

    def configure(self, split: str = "", paired: str = "auto") -> None:
        """Apply the settings `split` and `paired` of a run; what the dataset cannot do raises `CgbenchError`."""
        if split and split not in self.test_splits:
            known = f"use {', '.join(self.test_splits)}" if self.test_splits else "it has one test set: leave it unset"
            raise CgbenchError(f"split={shortened(split)}: dataset '{self.label}' cannot be measured on that; {known}")
        self.test_split = split
        if paired == "no":
            self.paired_test, self.pair_rule = False, "paired=no"
        elif paired == "yes" and not self.paired_test:
            raise CgbenchError(f"paired=yes: the test images of dataset '{self.label}' are no pairs")

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

    def unused_folders(self) -> Sequence[Path]:
        """Return folders that look as if they belonged to the dataset and are not read, to be said; none by default."""
        return ()

    def remarks(self) -> Sequence[str]:
        """Return what a run on this data should know, one line each, such as how its folders are read; none by default.

        The plan of a run and the dataset checks print them.
        """
        return ()

    def inspect(
        self, splits: Sequence[str], limit: int = 0, update: ProgressCallback | None = None
    ) -> Inspection:  # fmt: skip
        """Return what the dataset check should say, for a dataset whose files are no pictures (`picture_files`): all of
        the named splits, or `limit` files of each split and domain, were read. `update(done, total)` is called after
        each file."""
        return Inspection(())

    def write_outputs(
        self, folder: Path, direction: str, keys: Sequence[str], outputs: Sequence[np.ndarray], pixels: PixelFormat,
    ) -> Sequence[Path]:  # fmt: skip
        """Write translated test images as files of the dataset's own kind, such as volumes, and return these; by
        default there are none. `outputs` are (H, W, C) in stored numbers of the target's format `pixels`."""
        return ()

    def group(self, key: str) -> str:
        """Return the group of a test image, such as its clip, where `image_groups` names one: images of one group count
        as one where a difference is generalised to other images. By default every image is a group of its own."""
        return key

    def primary_number(self, direction: str) -> str:
        """Return the name of the one number that methods are judged by in a direction: as `primary` declares, else IoU
        where there are classes, SSIM of pairs, and FID; MAE of pairs where images are not 8-bit RGB."""
        labels = "label_iou" if self.target(direction).kind == "labels" else "fcn_iou"
        pairs = "ssim" if all(domain.pixels.is_rgb8 for domain in self.domains) else "mae"
        return self.primary.get(direction) or (labels if self.palette else pairs if self.paired_test else "fid")

    def direction_name(self, direction: str) -> str:
        """Return "labels→photo" for AtoB, and the reverse for BtoA."""
        a, b = (domain.name for domain in self.domains)
        return f"{a}→{b}" if direction == Direction.A_TO_B else f"{b}→{a}"

    def target(self, direction: str) -> Domain:
        """Return the domain that `direction` translates to."""
        return self.domains[1 if direction == Direction.A_TO_B else 0]


def describe_test_images(dataset: Dataset, a: int, b: int) -> str:
    """Return whether `a` test images of domain A and `b` of B are compared as pairs, and by which rule; one line."""
    if dataset.paired_test:
        return f"{plural(a, 'pair')} {dataset.pair_rule or 'as the dataset declares'}"
    why = dataset.pair_rule or "the dataset declares none"
    return f"{a} and {b}, not pairs ({why}): PSNR, SSIM, LPIPS and L1 to truth are not measured"


def guarded(dataset: Dataset, described: str) -> Dataset:
    """Return a dataset of another package whose methods and items raise `PluginError`, one line, for an error of their
    own, and where they return something else than they declare. `described` begins the line."""
    checks = {
        "missing": _checked_reason, "items": _checked_items, "listing": _checked_listing, "remarks": _checked_remarks,
        "group": _checked_group,
    }  # fmt: skip
    for name in ("missing", "items", "listing", "identity", "folders", "unused_folders", "remarks", "group"):
        method = _guarded_function(getattr(dataset, name), f"{described}: {name}", checks.get(name))
        with suppress(AttributeError):  # a class that allows no such attribute
            setattr(dataset, name, method)
    return dataset


def _guarded_function(function: Callable[..., Any], what: str, check: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return the function with its results passed through `check(result, what)`; errors become `PluginError`."""

    @wraps(function)
    def guarded_function(*arguments: Any, **named: Any) -> Any:
        try:
            result = function(*arguments, **named)
            return check(result, what) if check else result
        except CgbenchError:
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            given = [f"'{value}'" if isinstance(value, str) else repr(value) for value in (*arguments, *named.values())]
            raise PluginError(f"{what}({', '.join(given)}): {error_line(error)}") from error

    return guarded_function


def _checked_reason(reason: object, what: str) -> object:
    if reason is not None and not isinstance(reason, str):
        raise PluginError(f"{what} returned {type(reason).__name__}, neither None nor a text")
    return reason


def _checked_group(group: object, what: str) -> str:
    if not isinstance(group, str) or not group:
        raise PluginError(f"{what} returned {group!r}, not the name of a group")
    return group


def _checked_remarks(remarks: Any, what: str) -> Sequence[str]:
    if isinstance(remarks, str) or not all(isinstance(remark, str) for remark in remarks):
        raise PluginError(f"{what} returned {remarks!r}, not a sequence of texts")
    return tuple(remarks)


def _checked_listing(listing: object, what: str) -> Listing:
    if not isinstance(listing, Listing):
        raise PluginError(f"{what} returned {type(listing).__name__}, not a Listing")
    return replace(listing, items=_checked_items(listing.items, what))


def _checked_items(items: Any, what: str) -> Sequence[Item]:
    """Return the items, with functions of theirs that are guarded in turn."""
    found = []
    for item in items:
        if not isinstance(item, Item) or not isinstance(item.key, str):
            raise PluginError(f"{what} returned {item!r}, which is no Item with a text as its key")
        if not item.key or printable(item.key) != item.key:
            raise PluginError(f"{what}: the key {item.key!a} is no name that can be printed on one line")
        image = _guarded_function(item.image, f"{what}, image '{item.key}': image", _checked_array)
        labels = item.labels and _guarded_function(item.labels, f"{what}, image '{item.key}': labels", _checked_array)
        mask = item.mask and _guarded_function(item.mask, f"{what}, image '{item.key}': mask", _checked_array)
        found.append(replace(item, image=image, labels=labels, mask=mask))
    return found


def _checked_array(array: object, what: str) -> np.ndarray:
    import numpy as np

    if not isinstance(array, np.ndarray):
        raise PluginError(f"{what} returned {type(array).__name__}, not an array")
    return array
