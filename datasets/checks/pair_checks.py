"""Checks of test images as pairs: files without a partner, names that lie, and pairs that no name gives away."""

from collections.abc import Sequence

import numpy as np

from cgbench.api.dataset import Dataset, Item
from cgbench.api.names import Split
from cgbench.datasets.checks.image_stats import ImageStats
from cgbench.datasets.checks.report import Issue, display_name, issues_for
from cgbench.datasets.pairing.edge_likeness import Likeness, pair_likeness
from cgbench.datasets.pairing.names import Pairing, match_names
from cgbench.formatting import printable
from cgbench.selection import evenly_spaced

MOST_COMPARED = 500  # pairs, evenly spaced
ENOUGH = 8  # pairs from which likeness contradicts the names
DOUBTFUL_P = 0.05


def check_pairs(dataset: Dataset, a: Sequence[Item], b: Sequence[Item], stats: Sequence[ImageStats]) -> list[Issue]:
    """Return the issues of the test images `a` and `b` as pairs: where they are none but for a few names; where they
    are by name and not by likeness, or the other way round. `stats` are those of the images that were decoded."""
    if not a or not b:
        return []
    if dataset.paired_test:
        places = {item.key: index for index, item in enumerate(b)}
        named = [(index, places[item.key]) for index, item in enumerate(a) if item.key in places]
        return _lying_names(dataset, _likeness(a, b, named, stats))
    found = match_names(*([_name(item) for item in items] for items in (a, b)))
    if found.almost:
        single = [*(a[index] for index in found.left[0]), *(b[index] for index in found.left[1])]
        entries = [
            (display_name(item.file, dataset.root) if item.file else printable(item.key), "has no partner")
            for item in single
        ]
        fix = "add the partners or mend the names: as it is, no pairs are measured"
        if dataset.pair_rule:
            fix += f"; --set paired=yes measures {len(found.pairs)}"
        return issues_for("pairs", "warning", fix, entries)
    return _unnamed_pairs(dataset, found, a, b, stats)


def name_pairs(a: Sequence[Item], b: Sequence[Item]) -> list[tuple[int, int]]:
    """Return the index pairs of images that belong together by their names; none where few do."""
    found = match_names(*([_name(item) for item in items] for items in (a, b)))
    return [(i, j) for _, i, j in found.pairs]


def _name(item: Item) -> str:
    return item.file.stem if item.file else item.key


def _lying_names(dataset: Dataset, likeness: Likeness | None) -> list[Issue]:
    """Return a warning where the images of a pair are no more alike than others."""
    if not likeness or likeness.pairs < ENOUGH or likeness.p <= DOUBTFUL_P:
        return []
    text = (
        f"they are pairs {dataset.pair_rule or 'as the dataset declares'}, but the images of a pair are no more alike "
        f"than others (edges of {likeness.pairs} pairs, p = {likeness.p:.2g})"
    )
    fix = "if they do not belong together, 'cgbench run' with --set paired=no measures no pairs"
    return [Issue("pairs", "warning", text, fix)]


def _unnamed_pairs(
    dataset: Dataset, found: Pairing, a: Sequence[Item], b: Sequence[Item], stats: Sequence[ImageStats]
) -> list[Issue]:
    """Return a note where test images that are not treated as pairs may be some, by name or by order and likeness."""
    if found.complete:
        pairs, names, which = [(i, j) for _, i, j in found.pairs], f"names match {found.rule}", "the images of a pair"
    else:
        pairs = [(k, k) for k in range(len(a))] if len(a) == len(b) else []
        names, which = "names do not match", "images with the same place in order"
    likeness = _likeness(a, b, pairs, stats)
    alike = likeness is not None and likeness.pairs >= ENOUGH and likeness.alike
    if not alike and not (found.complete and dataset.pair_rule):
        return []
    if likeness and alike:
        names += f", {which} are alike (edges of {likeness.pairs} pairs, p = {likeness.p:.2g})"
    why = dataset.pair_rule or "the dataset declares none"
    text = f"{names}, and they are not taken for pairs: {why}"
    fix = "if they belong together, let the dataset declare 'paired_test'"
    if dataset.pair_rule:
        way = "--set paired=yes" if found.complete else "give both files of a pair one name"
        fix = f"if they belong together, {way}"
    return [Issue("pairs", "note", text, fix)]


def _likeness(
    a: Sequence[Item], b: Sequence[Item], pairs: Sequence[tuple[int, int]], stats: Sequence[ImageStats]
) -> Likeness | None:
    """Return how alike the images of the pairs are of which both were decoded; None of fewer than two."""
    edges = {_place(image.letter, image.split, image.item): image.edges for image in stats}
    places = [(_place("A", Split.TEST, a[i]), _place("B", Split.TEST, b[j])) for i, j in pairs]
    found = [(edges.get(left), edges.get(right)) for left, right in places]
    both = [(left, right) for left, right in found if left is not None and right is not None]
    chosen = [both[index] for index in evenly_spaced(len(both), MOST_COMPARED)]
    return pair_likeness(*(np.stack(side) for side in zip(*chosen, strict=True))) if len(chosen) > 1 else None


def _place(letter: str, split: str, item: Item) -> tuple[str, str, str]:
    """Return what identifies an image among those that were decoded: a file in two splits was decoded once."""
    return (letter, "", str(item.file)) if item.file else (letter, split, item.key)
