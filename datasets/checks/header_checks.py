"""The checks before every training: of file names and headers, and of a few decoded files."""

from collections.abc import Sequence
from contextlib import suppress

from cgbench.api.dataset import Dataset, Item
from cgbench.datasets.checks.file_checks import Headers, check_files, check_folders, read_headers
from cgbench.datasets.checks.id_maps import check_id_maps
from cgbench.datasets.checks.report import CHECKS, SEVERITIES, Issue, display_name, issues_for
from cgbench.datasets.checks.suspects import check_suspects
from cgbench.errors import CgbenchError
from cgbench.formatting import plural
from cgbench.progress import ProgressCallback

NAMED = 2  # checks that the summary names

ItemsBySplit = dict[tuple[str, str], Sequence[Item]]


def check_quickly(dataset: Dataset, update: ProgressCallback | None = None) -> list[Issue]:
    """Return the issues of `check_headers`, and errors of loading for which a few files are decoded, the worst first.

    Decoded are files that their headers make suspicious (`suspects`), and of each set eight at most, or one where it is
    a picture, to tell pictures from maps of class ids (`id_maps`).
    """
    listed, headers, issues = _checked_headers(dataset, update)
    return _ranked([*issues, *check_suspects(dataset, listed, headers), *check_id_maps(dataset, listed)])


def check_headers(dataset: Dataset, update: ProgressCallback | None = None) -> list[Issue]:
    """Return the issues of a dataset's folders, file names and headers, the worst first; none of a procedural one.

    Files that cannot be opened and pixel formats that are refused are errors. Splits and domains that cannot be listed
    are left out: training says why. `update(done, total)` is called after each file.
    """
    return _ranked(_checked_headers(dataset, update)[2])


def summary(issues: Sequence[Issue]) -> str:
    """Return issues in one line, "" without any: "2 warnings, 1 note (files that are not read; ...)"."""
    counts = [plural(count, word) for word in SEVERITIES if (count := sum(issue.severity == word for issue in issues))]
    names = list(dict.fromkeys(CHECKS[issue.check] for issue in issues))
    more = [f"{len(names) - NAMED} more kinds"] if len(names) > NAMED else []
    return f"{', '.join(counts)} ({'; '.join([*names[:NAMED], *more])})" if issues else ""


def _checked_headers(dataset: Dataset, update: ProgressCallback | None) -> tuple[ItemsBySplit, Headers, list[Issue]]:
    """Return the items of all splits and domains, the headers of their files, and the issues of these."""
    listed = {(split, letter): _items(dataset, split, letter) for split in dataset.splits for letter in "AB"}
    if not any(item.file for items in listed.values() for item in items):
        return listed, Headers({}, {}), []
    headers = read_headers(listed, update)
    issues = [*_unreadable(dataset, headers), *check_files(dataset, listed, headers)]
    with suppress(CgbenchError):  # folders that a plug-in cannot name are not needed to train
        issues += check_folders(dataset)
    return listed, headers, issues


def _ranked(issues: Sequence[Issue]) -> list[Issue]:
    order = list(CHECKS)
    return sorted(issues, key=lambda issue: (SEVERITIES.index(issue.severity), order.index(issue.check)))


def _unreadable(dataset: Dataset, headers: Headers) -> list[Issue]:
    entries = [(display_name(path, dataset.root), reason) for path, reason in headers.broken.items()]
    return issues_for("unreadable", "error", "mend, replace or remove them", entries)


def _items(dataset: Dataset, split: str, letter: str) -> Sequence[Item]:
    try:
        return dataset.listing(split, letter).items
    except CgbenchError:
        return ()
