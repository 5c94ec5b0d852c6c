"""The decision whether test images are pairs: by their file names and, where names only count, by their likeness."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from cgbench.datasets.images.stored import look_at
from cgbench.datasets.pairing.edge_likeness import ENOUGH, MAX_P, Likeness, edge_map, pair_likeness
from cgbench.datasets.pairing.names import Pairing, match_names
from cgbench.errors import CgbenchError, DataBroken
from cgbench.formatting import plural, printable
from cgbench.selection import evenly_spaced

LOOKED_AT = 32  # pairs, evenly spaced, whose images are compared
NAMED = 3  # files of each folder that a message names


@dataclass(frozen=True)
class PairDecision:
    """Whether the files of two test folders are pairs. `rule` says by what, or why not; where they are, `files` are
    those of both folders by their keys, the same in the same order."""

    paired: bool
    rule: str
    files: tuple[Mapping[str, Path], Mapping[str, Path]] = field(default_factory=lambda: ({}, {}))


def decide_pairs(
    first: Sequence[Path], second: Sequence[Path], names: Sequence[Sequence[str]], asked: str = "auto"
) -> PairDecision:
    """Return whether the files of two test folders are pairs, by their `names` without extensions.

    `asked` is the setting `paired`. "auto" takes them for pairs where every file has a partner by its name and, if the
    names do no more than count, the images of a pair are more alike than others: up to 64 files are decoded then. "yes"
    takes those with a partner and leaves out the others; where none has one, `CgbenchError` is raised.
    """
    if asked == "no":
        return PairDecision(False, "paired=no")
    found = match_names(*names)
    left = [
        [folder[index].name for index in indices] for folder, indices in zip((first, second), found.left, strict=True)
    ]
    if asked == "yes":
        if not found.pairs:
            raise CgbenchError(f"paired=yes: no file of testA has a partner in testB by its name: {_few(left)}")
        rule = f"{found.rule}; left out for want of a partner: {_few(left)}" if any(left) else found.rule
        return _paired(rule, found, first, second)
    if not found.complete:
        return PairDecision(False, _why_incomplete(found, left))
    pairs = _paired(found.rule, found, first, second)
    if not found.running:
        return pairs
    likeness = look(pairs)
    if likeness and likeness.alike:
        return _paired(f"{found.rule}; their images are alike{_p_value(likeness)}", found, first, second)
    seen = "there are too few images to compare"
    if likeness:
        more = "not clearly more" if likeness.p <= MAX_P or likeness.pairs < ENOUGH else "no more"
        seen = f"images of one number are {more} alike than others{_p_value(likeness)}"
    reason = f"names are running numbers, and {seen}; --set paired=yes if they are pairs"
    return PairDecision(False, reason)


def look(pairs: PairDecision) -> Likeness | None:
    """Return how alike the images of a pair are, from some of the pairs; None where fewer than two can be read."""
    keys = list(pairs.files[0])
    maps = []
    for key in (keys[index] for index in evenly_spaced(len(keys), LOOKED_AT)):
        try:
            images = [look_at(side[key]) for side in pairs.files]
        except DataBroken:
            continue  # whoever uses the file says what is wrong with it
        maps.append([edge_map(Image.fromarray(image)) for image in images])
    return pair_likeness(*np.stack(maps, axis=1)) if len(maps) > 1 else None


def _p_value(likeness: Likeness) -> str:
    return f" (p = {likeness.p:.2g}, {likeness.pairs} pairs compared)" if likeness.pairs >= ENOUGH else ""


def _paired(rule: str, found: Pairing, first: Sequence[Path], second: Sequence[Path]) -> PairDecision:
    files = {key: first[i] for key, i, _ in found.pairs}, {key: second[j] for key, _, j in found.pairs}
    return PairDecision(True, printable(rule), files)


def _why_incomplete(found: Pairing, left: Sequence[Sequence[str]]) -> str:
    """Return why files are no pairs of which some have no partner, or none."""
    single, total = sum(map(len, left)), 2 * len(found.pairs) + sum(map(len, left))
    if not found.almost:
        why = f"only {total - single} of {total} names have a partner" if found.pairs else "names do not match"
        way = f"; --set paired=yes measures the {plural(len(found.pairs), 'pair')}" if len(found.pairs) > 1 else ""
        return f"{why}: {_few(left)}{way}" if single else "there are none"
    has, its = ("has", "its name") if single == 1 else ("have", "their names")
    pairs = plural(len(found.pairs), "pair")
    way = f"mend {its}, or --set paired=yes measures the {pairs}"
    return f"{single} of {total} files {has} no partner: {_few(left)}; {way}"


def _few(left: Sequence[Sequence[str]]) -> str:
    """Return the first names of both folders."""
    texts = []
    for letter, names in zip("AB", left, strict=True):
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        texts.append(f"{', '.join(map(printable, names[:NAMED]))}{more} in test{letter}" if names else "")
    return ", ".join(filter(None, texts))
