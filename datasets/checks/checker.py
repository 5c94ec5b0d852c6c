"""The whole check: list, look at every image once, compare sets; all problems in one report."""

import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from cgbench.api.dataset import Dataset, Item
from cgbench.datasets.checks.file_checks import check_files, check_folders
from cgbench.datasets.checks.image_checks import (
    check_images,
    check_labels,
    check_repeated,
    check_shapes,
    check_swapped,
    usual_size,
)
from cgbench.datasets.checks.image_stats import DRAWN_MOST, ImageStats, compute_all_stats, tasks
from cgbench.datasets.checks.near_duplicates import CLOSE, near_duplicates
from cgbench.datasets.checks.report import CHECKS, SEVERITIES, Issue, Report, SplitSummary, issues_for, shown
from cgbench.datasets.checks.shared_scenes import MOST, same_scenes
from cgbench.errors import CgbenchError, DataMissing
from cgbench.formatting import printable

NEEDED = ("train", "test")
ALMOST = 0.9  # share of names in common from which two test folders were meant to be pairs

Listed = dict[tuple[str, str], Sequence[Item]]
ProgressCallback = Callable[[int, int], None]


def check(
    dataset: Dataset, splits: Sequence[str] = (), limit: int = 0, update: ProgressCallback | None = None
) -> Report:
    """Return everything that is wrong with a dataset: of all splits or the named ones, of all images or `limit` spread
    evenly over each split and domain (of drawn datasets 100, unless said otherwise).

    Raises `DataMissing` where there is nothing to look at.
    """
    started = time.perf_counter()
    unknown = [split for split in splits if split not in dataset.splits]
    if unknown:
        raise CgbenchError(f"{dataset.name} has no split '{unknown[0]}': it has {', '.join(dataset.splits)}")
    missing = dataset.missing()
    if missing and dataset.root is None:
        raise DataMissing(missing)
    listed, findings = _list(dataset, list(splits or dataset.splits))
    if missing and not any(listed.values()):
        raise DataMissing(missing)
    findings += check_folders(dataset)
    findings += check_files(dataset, [item for items in listed.values() for item in items])
    findings += _almost_pairs(dataset, listed)
    drawn = any(item.file is None for items in listed.values() for item in items[:1])
    limit = limit or (DRAWN_MOST if drawn else 0)
    few = {place: _spread(items, limit) for place, items in listed.items()}
    seen = compute_all_stats(dataset, tasks(dataset, few), os.cpu_count() or 1, update)
    findings += [*check_images(seen), *check_labels(dataset, seen), *check_shapes(seen), *check_repeated(seen)]
    findings += check_swapped(seen)
    more, remarks = _compare(dataset, seen)
    counted = [
        SplitSummary(
            *place, dataset.domains[place[1] == "B"].name, len(items), usual_size(_of(seen, *place, few[place]))
        )
        for place, items in listed.items()
    ]
    if limit and any(len(items) > limit for items in listed.values()):
        remarks.insert(0, f"only {limit} images of each split and domain were looked at")
    order, ranks = list(CHECKS), list(SEVERITIES)
    found = sorted([*findings, *more], key=lambda f: (ranks.index(f.severity), order.index(f.check)))
    root = printable(str(dataset.root)) if dataset.root and dataset.folders() else ""
    seconds = time.perf_counter() - started
    return Report(dataset.label, root, tuple(counted), tuple(dict.fromkeys(found)), tuple(remarks), seconds)


def _list(dataset: Dataset, splits: Sequence[str]) -> tuple[Listed, list[Issue]]:
    """Return the items of every split and domain, and what is wrong with the lists: empty, lonely, named alike."""
    listed, findings, entries = {}, [], {}
    for split in splits:
        for letter, domain in zip("AB", dataset.domains, strict=True):
            try:
                listing = dataset.listing(split, letter)
            except CgbenchError as error:
                findings.append(Issue("missing", "error", str(error).splitlines()[0], "see what 'cgbench run' says"))
                listed[split, letter] = ()
                continue
            listed[split, letter] = listing.items
            entries |= {(shown(problem.file, dataset.root), problem.text): None for problem in listing.problems}
            if not listing.items:
                severity = "error" if split in NEEDED else "warning"
                text = f"split '{split}' has no image of domain {letter} ({domain.name})"
                findings.append(Issue("empty", severity, text, "see what the dataset expects: 'cgbench datasets'"))
            keys = [item.key for item in listing.items]
            double = sorted({key for key in keys if keys.count(key) > 1}) if len(set(keys)) < len(keys) else []
            text = f"split '{split}', domain {letter}: two images have this key"
            findings += issues_for(
                "partner", "error", "give each image a key of its own", [(key, text) for key in double]
            )
    findings += issues_for("partner", "error", "mend the list of files", entries)
    for split in {"test", "pairs"} & set(splits):
        if split == "pairs" or dataset.paired_test:
            findings += _unequal(split, *(listed[split, letter] for letter in "AB"))
    return listed, findings


def _unequal(split: str, a: Sequence[Item], b: Sequence[Item]) -> list[Issue]:
    """Return the images that lack a partner where a split says that it is paired."""
    keys = [{item.key: item for item in items} for items in (a, b)]
    alone = [
        (key, letter) for letter, one, other in (("A", *keys), ("B", *keys[::-1])) for key in one.keys() - other.keys()
    ]
    entries = [(printable(key), f"split '{split}' has it in domain {letter} only") for key, letter in sorted(alone)]
    return issues_for("partner", "error", "a paired split needs both images", entries)


def _almost_pairs(dataset: Dataset, listed: Listed) -> list[Issue]:
    """Return the files that keep two test folders from being pairs, where most names agree."""
    if dataset.paired_test or not all(listed.get(("test", letter)) for letter in "AB"):
        return []
    keys = [{_bare(item.key): item for item in listed["test", letter]} for letter in "AB"]
    shared, every = keys[0].keys() & keys[1].keys(), keys[0].keys() | keys[1].keys()
    if len(shared) < ALMOST * len(every):
        return []
    alone = [one[key] for one, other in (keys, keys[::-1]) for key in sorted(one.keys() - other.keys())]
    entries = [(shown(item.file, dataset.root) if item.file else item.key, "has no partner") for item in alone]
    return issues_for("pairs", "warning", "add the partners or remove these: as it is, no pairs are measured", entries)


def _bare(key: str) -> str:
    return key[:-2] if key.endswith(("_A", "_B")) and len(key) > 2 else key


def _spread(items: Sequence[Item], limit: int) -> Sequence[Item]:
    if not limit or limit >= len(items):
        return items
    return [items[index] for index in np.linspace(0, len(items) - 1, limit).round().astype(int)]


def _of(seen: Sequence[ImageStats], split: str, letter: str, items: Sequence[Item]) -> list[ImageStats]:
    """Return what was seen of a split and domain; a file that two splits share was looked at for the first of them."""
    files = {item.file for item in items if item.file}
    return [o for o in seen if o.letter == letter and (o.item.file in files if o.item.file else o.split == split)]


def _compare(dataset: Dataset, seen: Sequence[ImageStats]) -> tuple[list[Issue], list[str]]:
    """Return what comparisons between sets show, and remarks on how they were made."""
    sets: dict[tuple[str, str], list[ImageStats]] = {}
    for one in seen:
        if not one.problem and not one.constant:
            sets.setdefault((one.split, one.letter), []).append(one)
    findings, remarks = [], []
    photos = all(domain.kind == "photo" for domain in dataset.domains)
    wanted = [("leak", ("test", letter), ("train", letter)) for letter in "AB"]
    wanted += [("between-domains", ("train", "A"), ("train", "B"))] if photos else []
    for name, first, second in wanted:
        mine, theirs = sets.get(first, []), sets.get(second, [])
        found, remark = _duplicates(name, mine, theirs)
        findings += found
        if remark:
            remarks.append(f"{' '.join(first)} against {' '.join(second)}: {remark}")
    scenes, remark = _scenes(dataset, sets.get(("train", "A"), []), sets.get(("train", "B"), []))
    return [*findings, *scenes], [*remarks, *([remark] if remark else [])]


def _duplicates(name: str, first: Sequence[ImageStats], second: Sequence[ImageStats]) -> tuple[list[Issue], str]:
    if not first or not second:
        return [], ""
    pairs, threshold = near_duplicates(*(np.stack([one.thumb for one in part]) for part in (first, second)))
    entries = [(first[p.first].name, f"{second[p.second].name} is the same picture, {p.likeness:.2f}") for p in pairs]
    remedy = {
        "leak": "take them out of training: a method could have learnt them by heart",
        "between-domains": "remove them from one domain: there is nothing to translate",
    }[name]
    raised = f"all pictures are alike: near-duplicates count from {threshold:.2f}, and crops are not found"
    severity = "error" if name == "between-domains" and pairs and pairs[0].likeness > 0.999 else "warning"
    return issues_for(name, severity, remedy, entries), raised if threshold > CLOSE + 0.05 else ""


def _scenes(dataset: Dataset, a: Sequence[ImageStats], b: Sequence[ImageStats]) -> tuple[list[Issue], str]:
    """Return what shows that the training sets are pairs after all."""
    if not a or not b:
        return [], ""
    named = _same_names(a, b)
    result = same_scenes(*(np.stack([one.edges for one in part]) for part in (a, b)), named)
    thinned = f"same scenes: {MOST} images of each domain were compared" if max(len(a), len(b)) > MOST else ""
    if not result.pairs:
        return [], thinned
    if dataset.shares_scenes:
        text = f"{len(result.pairs)} scenes are in train A and in train B, as the published recipe has it"
        return [Issue("same-scenes", "note", text, "call it unpaired by order, not by scene")], thinned
    by = {"name": "the same name", "order": "the same place in order", "edges": ""}[result.how]
    remedy = "give each scene to one domain only, or the training is not unpaired"
    if by:
        text = f"{len(result.pairs)} pairs with {by} agree in their edges ({result.excess:.0f} standard errors)"
        files = tuple(f"{a[i].name} and {b[j].name}" for i, j in result.pairs)
        return [Issue("same-scenes", "warning", text, remedy, files)], thinned
    entries = [(a[i].name, f"{b[j].name} has the same edges") for i, j in result.pairs]
    return issues_for("same-scenes", "warning", remedy, entries), thinned


def _same_names(a: Sequence[ImageStats], b: Sequence[ImageStats]) -> list[tuple[int, int]]:
    places = {_bare(one.item.key): j for j, one in enumerate(b)}
    return [(i, places[key]) for i, one in enumerate(a) if (key := _bare(one.item.key)) in places]
