"""Checks of files that their headers make suspicious: these few are decoded before training to be sure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cgbench.api.dataset import Dataset, Item
from cgbench.api.names import Split
from cgbench.datasets.checks.file_checks import Headers
from cgbench.datasets.checks.image_stats import PROCEDURAL_SIDE
from cgbench.datasets.checks.report import Issue, display_name, issues_for
from cgbench.datasets.images.decoding import BLACK_SET, DARK_LEVEL, SIXTEEN_BIT_MODES, SPREAD_LEVELS, arrive_black
from cgbench.errors import CgbenchError, DataBroken
from cgbench.formatting import printable

READ = 8  # suspicious files of a split that are decoded
Listed = Mapping[tuple[str, str], Sequence[Item]]


def check_suspects(dataset: Dataset, listed: Listed, headers: Headers) -> list[Issue]:
    """Return an error for files that hold two images side by side and cannot be halved, and for each set whose 16-bit
    pictures arrive almost black: the errors of loading that headers announce."""
    return [*_odd_widths(dataset, listed, headers), *_black_sets(dataset, listed, headers)]


def _odd_widths(dataset: Dataset, listed: Listed, headers: Headers) -> list[Issue]:
    """Return an error for each file of an odd width that is an image of both domains and is refused as one."""
    entries: dict[tuple[str, str], None] = {}
    for split in dataset.splits:
        both = {item.file for item in listed[split, "A"]} & {item.file for item in listed[split, "B"]}
        odd = [item for item in listed[split, "A"] if item.file in both and _is_odd(item, headers)]
        for item in odd[:READ]:
            try:
                item.image(PROCEDURAL_SIDE)
            except DataBroken as error:
                assert item.file is not None
                text = str(error).removeprefix(f"{printable(str(item.file))}: ")
                entries[display_name(item.file, dataset.root), text] = None
    return issues_for("unreadable", "error", "mend, replace or remove them", entries)


def _is_odd(item: Item, headers: Headers) -> bool:
    found = headers.by_file.get(item.file) if item.file else None
    return found is not None and bool((found.width if found.orientation < 5 else found.height) % 2)


def _black_sets(dataset: Dataset, listed: Listed, headers: Headers) -> list[Issue]:
    """Return an error for each set of which at least half are 16-bit pictures, and none of these is bright enough."""
    issues = []
    for (split, letter), items in listed.items():
        deep = [
            item
            for item in items
            if item.file in headers.by_file and headers.by_file[item.file].mode in SIXTEEN_BIT_MODES
        ]
        if split == Split.PAIRS or not arrive_black([0] * len(deep), len(items)) or not all(map(_is_dark, deep)):
            continue
        name = display_name(Path(str(deep[0].file)), dataset.root)
        issues.append(Issue("dark", "error", BLACK_SET.format(split, letter), SPREAD_LEVELS, (name,)))
    return issues


def _is_dark(item: Item) -> bool:
    """Return whether a picture stays below `DARK_LEVEL`; of one that cannot be read that is not known."""
    try:
        return bool(item.image(PROCEDURAL_SIDE).max() < DARK_LEVEL)
    except CgbenchError:
        return False
