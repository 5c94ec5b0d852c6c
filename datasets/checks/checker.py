"""The dataset checker: lists the files, decodes every image once, compares the sets, and reports all issues."""

import os
import time
from collections.abc import Sequence

import numpy as np

from cgbench.api.dataset import Dataset, Item, describe_test_images
from cgbench.api.names import Split
from cgbench.datasets.checks.compression import compare_block_grids
from cgbench.datasets.checks.domain_windows import DomainWindows, check_windows
from cgbench.datasets.checks.file_checks import check_files, check_folders, read_headers
from cgbench.datasets.checks.id_maps import check_id_maps
from cgbench.datasets.checks.image_checks import (
    check_images,
    check_labels,
    check_repeated,
    check_shapes,
    check_swapped,
    usual_size,
)
from cgbench.datasets.checks.image_stats import (
    MAX_PROCEDURAL_IMAGES,
    ImageStats,
    compute_all_stats,
    same_colours,
    stats_tasks,
)
from cgbench.datasets.checks.near_duplicates import THRESHOLD, Pair, near_duplicates
from cgbench.datasets.checks.pair_checks import check_pairs, name_pairs
from cgbench.datasets.checks.report import (
    PROBLEM_FIXES,
    Issue,
    Report,
    SplitSummary,
    display_name,
    issues_for,
    ranked,
)
from cgbench.datasets.checks.shared_scenes import MAX_IMAGES, same_scenes
from cgbench.errors import CgbenchError, DataMissing
from cgbench.formatting import plural, printable
from cgbench.progress import ProgressCallback
from cgbench.selection import evenly_spaced

REQUIRED_SPLITS = (Split.TRAIN, Split.TEST)
ABSENCES = ("missing", "empty")  # checks whose issues follow from data that is not there
COPY = 0.999  # similarity from which two pictures of the same colours are one
LEAK_FIX = "take them out of training: a method could have learnt them by heart"
TWICE_FIX = "remove them from one domain: there is nothing to translate"
SCENES_FIX = "give each scene to one domain only, or the training is not unpaired"


ItemsBySplit = dict[tuple[str, str], Sequence[Item]]


def check(
    dataset: Dataset, splits: Sequence[str] = (), limit: int = 0, update: ProgressCallback | None = None
) -> Report:
    """Return the report of all checks of a dataset: of all splits or the named ones, of all images or `limit` evenly
    spaced ones of each split and domain (by default 100 of procedural datasets).

    Raises `DataMissing` where there is nothing to check.
    """
    started = time.perf_counter()
    unknown = [split for split in splits if split not in dataset.splits]
    if unknown:
        raise CgbenchError(f"{dataset.name} has no split '{unknown[0]}': it has {', '.join(dataset.splits)}")
    missing = dataset.missing()
    if missing and dataset.root is None:
        raise DataMissing(missing)
    if not dataset.picture_files:
        if missing:
            raise DataMissing(missing)
        return _own_inspection(dataset, list(splits or dataset.splits), limit, update)
    listed, issues = _list(dataset, list(splits or dataset.splits))
    if missing and not any(listed.values()):
        raise DataMissing(missing)
    if missing:
        issues = [issue for issue in issues if issue.check not in ABSENCES]  # the message says what is not there
        what, *how = missing.splitlines()
        issues.append(Issue("missing", "error", what, "\n".join(map(str.strip, how)) or "see what 'cgbench run' says"))
    issues += check_folders(dataset)
    headers = read_headers(dataset, listed)
    issues += [*check_files(dataset, listed, headers), *check_id_maps(dataset, listed)]
    procedural = any(item.file is None for items in listed.values() for item in items[:1])
    limit = limit or (MAX_PROCEDURAL_IMAGES if procedural else 0)
    selected: ItemsBySplit = {
        place: [items[index] for index in evenly_spaced(len(items), limit)] for place, items in listed.items()
    }
    windows = DomainWindows(dataset, selected)
    issues += windows.issues
    stats = compute_all_stats(dataset, stats_tasks(selected), os.cpu_count() or 1, update, windows.formats)
    issues += check_windows(stats)
    issues += [*check_images(stats), *check_labels(dataset, stats), *check_shapes(stats), *check_repeated(stats)]
    issues += [*check_swapped(stats), *compare_block_grids(dataset, stats, headers.of_sets(listed))]
    test_a, test_b = (listed.get((Split.TEST, letter), ()) for letter in "AB")
    issues += check_pairs(dataset, test_a, test_b, stats)
    set_issues, remarks = _compare_sets(dataset, stats)
    remarks = [*dataset.remarks(), *remarks]
    if limit and any(len(items) > limit for items in listed.values()):
        remarks.insert(
            0, f"only {plural(limit, 'image')} of each split and domain {'was' if limit == 1 else 'were'} read"
        )
    root = printable(str(dataset.root)) if dataset.root and dataset.folders() else ""
    every = tuple(dict.fromkeys(ranked([*issues, *set_issues])))
    return Report(
        dataset.label, root, _summaries(dataset, listed, selected, stats), every,
        tuple(remarks), time.perf_counter() - started,
        describe_test_images(dataset, len(test_a), len(test_b)) if test_a and test_b else "", windows.described(stats),
    )  # fmt: skip


def _own_inspection(
    dataset: Dataset, splits: Sequence[str], limit: int, update: ProgressCallback | None
) -> Report:  # fmt: skip
    """Return the report of a dataset whose files are no pictures, from what it found itself."""
    started = time.perf_counter()
    found = dataset.inspect(splits, limit, update)
    issues = dict.fromkeys(
        Issue(finding.check, finding.severity, finding.text, finding.fix,
              (display_name(finding.file, dataset.root),) if finding.file else ())
        for finding in found.findings
    )  # fmt: skip
    listed, others = _list(dataset, splits)
    every = ranked([*issues, *(issue for issue in others if issue.check in ABSENCES)])
    summaries = [
        SplitSummary(
            split, letter, dataset.domains[letter == "B"].name, len(items), found.sizes.get((split, letter), "–")
        )
        for (split, letter), items in listed.items()
    ]
    test_a, test_b = (listed.get((Split.TEST, letter), ()) for letter in "AB")
    return Report(
        dataset.label, printable(str(dataset.root)), tuple(summaries), tuple(every),
        (*dataset.remarks(), *found.remarks), time.perf_counter() - started,
        describe_test_images(dataset, len(test_a), len(test_b)) if test_a and test_b else "",
    )  # fmt: skip


def _summaries(
    dataset: Dataset, listed: ItemsBySplit, selected: ItemsBySplit, stats: Sequence[ImageStats]
) -> tuple[SplitSummary, ...]:
    """Return the number of images of each split and domain, and the usual size of the selected ones."""
    summaries = []
    for (split, letter), items in listed.items():
        size = usual_size(_stats_of(stats, split, letter, selected[split, letter]))
        summaries.append(SplitSummary(split, letter, dataset.domains[letter == "B"].name, len(items), size))
    return tuple(summaries)


def _list(dataset: Dataset, splits: Sequence[str]) -> tuple[ItemsBySplit, list[Issue]]:
    """Return the items of every split and domain, and the issues of the lists: empty, unpaired, duplicate names."""
    listed: ItemsBySplit = {}
    issues: list[Issue] = []
    problems: dict[str, dict[tuple[str, str], None]] = {}
    for split in splits:
        for letter, domain in zip("AB", dataset.domains, strict=True):
            try:
                listing = dataset.listing(split, letter)
            except CgbenchError as error:
                issues.append(Issue("missing", "error", str(error).splitlines()[0], "see what 'cgbench run' says"))
                listed[split, letter] = ()
                continue
            listed[split, letter] = listing.items
            for problem in listing.problems:
                entries = problems.setdefault(problem.check, {})
                entries[display_name(problem.file, dataset.root), problem.text] = None
            if not listing.items and not listing.problems:
                severity = "error" if split in REQUIRED_SPLITS else "warning"
                text = f"split '{split}' has no image of domain {letter} ({domain.name})"
                issues.append(Issue("empty", severity, text, "see what the dataset expects: 'cgbench datasets'"))
            keys = [item.key for item in listing.items]
            duplicates = sorted({key for key in keys if keys.count(key) > 1}) if len(set(keys)) < len(keys) else []
            text = f"split '{split}', domain {letter}: two images have this key"
            issues += issues_for(
                "partner", "error", "give each image a key of its own", [(key, text) for key in duplicates]
            )
    for name, entries in problems.items():
        issues += issues_for(name, "error", PROBLEM_FIXES.get(name, "mend the list of files"), entries)
    for split in {Split.TEST, Split.PAIRS} & set(splits):
        if split == Split.PAIRS or dataset.paired_test:
            issues += _unpaired(split, *(listed[split, letter] for letter in "AB"))
    return listed, issues


def _unpaired(split: str, a: Sequence[Item], b: Sequence[Item]) -> list[Issue]:
    """Return an issue for each image without a counterpart in a paired split."""
    keys_a, keys_b = {item.key for item in a}, {item.key for item in b}
    single = [*((key, "A") for key in keys_a - keys_b), *((key, "B") for key in keys_b - keys_a)]
    entries = [(printable(key), f"split '{split}' has it in domain {letter} only") for key, letter in sorted(single)]
    return issues_for("partner", "error", "a paired split needs both images", entries)


def _stats_of(stats: Sequence[ImageStats], split: str, letter: str, items: Sequence[Item]) -> list[ImageStats]:
    """Return the statistics of a split and domain; those of a file in two splits are computed for the first of them."""
    files = {item.file for item in items if item.file}
    return [
        image
        for image in stats
        if image.letter == letter and (image.item.file in files if image.item.file else image.split == split)
    ]


def _compare_sets(dataset: Dataset, stats: Sequence[ImageStats]) -> tuple[list[Issue], list[str]]:
    """Return the issues of comparisons between sets, and remarks on these comparisons."""
    sets: dict[tuple[str, str], list[ImageStats]] = {}
    for image in stats:
        if not image.problem and not image.constant:
            sets.setdefault((image.split, image.letter), []).append(image)
    issues: list[Issue] = []
    remarks: list[str] = []
    for letter in "AB":
        test, train = (sets.get((split, letter), []) for split in (Split.TEST, Split.TRAIN))
        pairs = _duplicates(test, train, f"test {letter} against train {letter}", remarks)
        issues += issues_for("leak", "warning", LEAK_FIX, [_same_picture(test, train, pair) for pair in pairs])
    a, b = (sets.get((Split.TRAIN, letter), []) for letter in "AB")
    photos = all(domain.kind == "photo" for domain in dataset.domains)
    pairs = _duplicates(a, b, "train A against train B", remarks) if photos else []
    equal = [pair for pair in pairs if same_colours(a[pair.first], b[pair.second])]
    for pair in equal:
        severity = "error" if pair.similarity > COPY else "warning"
        issues += issues_for("between-domains", severity, TWICE_FIX, [_same_picture(a, b, pair)])
    scenes, remark = _scenes(dataset, a, b, [(pair.first, pair.second) for pair in pairs if pair not in equal])
    return [*issues, *scenes], [*remarks, *([remark] if remark else [])]


def _duplicates(
    first: Sequence[ImageStats], second: Sequence[ImageStats], title: str, remarks: list[str]
) -> list[Pair]:
    """Return the near-duplicates between two sets by their greys; a remark is added where the threshold is raised."""
    if not first or not second:
        return []
    pairs, threshold = near_duplicates(*(np.stack([image.thumb for image in images]) for images in (first, second)))
    if threshold > THRESHOLD + 0.05:
        raised = f"all pictures are alike: near-duplicates count from {threshold:.2f}, and crops are not found"
        remarks.append(f"{title}: {raised}")
    return pairs


def _same_picture(first: Sequence[ImageStats], second: Sequence[ImageStats], pair: Pair) -> tuple[str, str]:
    return first[pair.first].name, f"{second[pair.second].name} is the same picture, {pair.similarity:.2f}"


def _scenes(
    dataset: Dataset, a: Sequence[ImageStats], b: Sequence[ImageStats], recoloured: Sequence[tuple[int, int]]
) -> tuple[list[Issue], str]:
    """Return issues for scenes that both training sets show, `recoloured` among them, and a remark where not all images
    were compared. `recoloured` are the index pairs of near-duplicates in other colours."""
    if not a or not b:
        return [], ""
    edges_a, edges_b = (np.stack([image.edges for image in images]) for images in (a, b))
    shared = same_scenes(edges_a, edges_b, name_pairs(*([image.item for image in images] for images in (a, b))))
    remark = (
        f"same scenes: {MAX_IMAGES} images of each domain were compared" if max(len(a), len(b)) > MAX_IMAGES else ""
    )
    others = [pair for pair in recoloured if pair not in set(shared.pairs)]
    if not shared.pairs and not others:
        return [], remark
    if dataset.shares_scenes:
        count = len(shared.pairs) + len(others)
        text = f"train A and train B have {plural(count, 'scene')} in common, as the published recipe has it"
        return [Issue("same-scenes", "note", text, "call it unpaired by order, not by scene")], remark
    issues, entries = [], [(a[i].name, f"{b[j].name} is the same picture in other colours") for i, j in others]
    if shared.matched_by == "edges":
        entries = [*((a[i].name, f"{b[j].name} has the same edges") for i, j in shared.pairs), *entries]
    else:
        criterion = {"name": "the same name", "order": "the same place in order"}[shared.matched_by]
        text = f"{len(shared.pairs)} pairs with {criterion} agree in their edges ({shared.excess:.0f} standard errors)"
        files = tuple(f"{a[i].name} and {b[j].name}" for i, j in shared.pairs)
        issues.append(Issue("same-scenes", "warning", text, SCENES_FIX, files))
    return [*issues, *issues_for("same-scenes", "warning", SCENES_FIX, entries)], remark
