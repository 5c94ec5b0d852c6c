"""The checks before every training: of file names and headers, and of a few files that are decoded to be sure."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from cgbench.api.dataset import Dataset, Item, Listing
from cgbench.api.names import Split
from cgbench.datasets.checks.file_checks import Headers, check_files, check_folders, read_headers
from cgbench.datasets.checks.id_maps import check_id_maps
from cgbench.datasets.checks.image_stats import PROCEDURAL_SIDE
from cgbench.datasets.checks.report import CHECKS, PROBLEM_FIXES, SEVERITIES, Issue, display_name, issues_for, ranked
from cgbench.datasets.images.decoding import BLACK_SET, DARK_LEVEL, SIXTEEN_BIT_MODES, SPREAD_LEVELS, arrive_black
from cgbench.errors import CgbenchError, DataBroken
from cgbench.formatting import plural, printable
from cgbench.progress import ProgressCallback

NAMED = 2  # checks that the summary names
READ = 8  # suspicious files of a split that are decoded

ItemsBySplit = dict[tuple[str, str], Sequence[Item]]


def check_quickly(dataset: Dataset, update: ProgressCallback | None = None) -> list[Issue]:
    """Return the issues of a dataset's folders, file names and headers, and errors of loading for which a few files are
    decoded, the worst first; none of a procedural one, and of one whose files are no pictures.

    Files that cannot be opened and pixel formats that are refused are errors. Decoded are files that their headers make
    suspicious (pairs side by side of an odd width, 16-bit grey), and of each set eight at most, or one where it is a
    picture, to tell pictures from maps of class ids (`id_maps`). Splits and domains that cannot be listed are left out:
    training says why. `update(done, total)` is called after each file whose header is read.
    """
    if not dataset.picture_files:  # its lists refuse what cannot be used
        return []
    listed, headers, issues = _checked_headers(dataset, update)
    issues += [*_odd_widths(dataset, listed, headers), *_black_sets(dataset, listed, headers)]
    issues += check_id_maps(dataset, listed)
    return ranked(issues)


def summary(issues: Sequence[Issue]) -> str:
    """Return issues in one line, "" without any: "2 warnings, 1 note (files that are not read; ...)"."""
    counts = [plural(count, word) for word in SEVERITIES if (count := sum(issue.severity == word for issue in issues))]
    names = list(dict.fromkeys(CHECKS[issue.check] for issue in issues))
    more = [f"{len(names) - NAMED} more kinds"] if len(names) > NAMED else []
    return f"{', '.join(counts)} ({'; '.join([*names[:NAMED], *more])})" if issues else ""


def _checked_headers(dataset: Dataset, update: ProgressCallback | None) -> tuple[ItemsBySplit, Headers, list[Issue]]:
    """Return the items of all splits and domains, the headers of their files, and the issues of these."""
    listings = {(split, letter): _listing(dataset, split, letter) for split in dataset.splits for letter in "AB"}
    listed = {place: listing.items for place, listing in listings.items()}
    if not any(item.file for items in listed.values() for item in items):
        return listed, Headers({}, {}), []
    headers = read_headers(dataset, listed, update)
    issues = [*_format_problems(dataset, listings.values()), *_unreadable(dataset, headers)]
    issues += check_files(dataset, listed, headers)
    with suppress(CgbenchError):  # folders that a plug-in cannot name are not needed to train
        issues += check_folders(dataset)
    return listed, headers, issues


def _unreadable(dataset: Dataset, headers: Headers) -> list[Issue]:
    entries = [(display_name(path, dataset.root), reason) for path, reason in headers.broken.items()]
    return issues_for("unreadable", "error", "mend, replace or remove them", entries)


def _format_problems(dataset: Dataset, listings: Iterable[Listing]) -> list[Issue]:
    """Return an error for each file whose format is refused, or is not that of its domain."""
    problems = dict.fromkeys(problem for listing in listings for problem in listing.problems)
    return [
        Issue(problem.check, "error", problem.text, PROBLEM_FIXES[problem.check], (name,))
        for problem in problems
        if problem.check in PROBLEM_FIXES and (name := display_name(problem.file, dataset.root))
    ]


def _listing(dataset: Dataset, split: str, letter: str) -> Listing:
    try:
        return dataset.listing(split, letter)
    except CgbenchError:
        return Listing(())


def _odd_widths(dataset: Dataset, listed: ItemsBySplit, headers: Headers) -> list[Issue]:
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


def _black_sets(dataset: Dataset, listed: ItemsBySplit, headers: Headers) -> list[Issue]:
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
