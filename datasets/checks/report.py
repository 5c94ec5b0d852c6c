"""The report of the dataset checks: one issue per problem, with its files and the fix."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cgbench.formatting import printable

SEVERITIES = ("error", "warning", "note")  # training fails or a number is wrong; suspicious; good to know
# check -> its heading
CHECKS = {
    "missing": "data is missing",
    "empty": "a domain is empty",
    "unreadable": "files that cannot be used",
    "partner": "files without a partner, or with a name that is taken",
    "mixed": "files of another number format than the rest of their domain",
    "id-maps": "class ids given as pictures",
    "label-shape": "label maps of another shape than their photo",
    "label-ids": "label ids beyond the palette",
    "swapped": "domains A and B look exchanged",
    "leak": "test images that are in a training set",
    "between-domains": "pictures that are in both domains",
    "same-scenes": "scenes that both training sets show",
    "repeated": "pictures that are there twice",
    "pairs": "test images whose pairing is doubtful",
    "blank": "label maps with one class or none",
    "window": "domains without a window, and numbers outside of it",
    "constant": "pictures of one colour",
    "compression": "sets that differ in format, compression or size",
    "dark": "16-bit pictures that become almost black",
    "rotated": "photos turned by an EXIF tag that their label map lacks",
    "format": "files of another format than their name says",
    "frames": "files of several frames",
    "geometry": "volumes of unlike geometry",
    "ignored": "files that are not read",
    "names": "names that make trouble",
    "tiny": "pictures that are very small",
    "shape": "pictures of unlike shapes",
    "colours": "colours that are converted",
}
# of the problems of files that are no matter of names: check -> what to do
PROBLEM_FIXES = {
    "mixed": "store all images of a domain alike, or take the others out",
    "unreadable": "mend, replace or remove them",
}


@dataclass(frozen=True)
class Issue:
    """One problem: the check that detected it, its severity, a description, the fix, and the files, printable and
    relative to the data root."""

    check: str
    severity: str
    text: str
    fix: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitSummary:
    """The number of images of a split and domain, and their most frequent size."""

    split: str
    domain: str
    name: str
    images: int
    size: str


@dataclass(frozen=True)
class Report:
    """The outcome of the checks: a summary per split and domain, the issues, remarks on comparisons, the time, whether
    test images are treated as pairs, and the number format of each domain where one has others than pictures."""

    dataset: str
    root: str
    summaries: tuple[SplitSummary, ...]
    issues: tuple[Issue, ...]
    remarks: tuple[str, ...]
    seconds: float
    test_images: str = ""
    formats: tuple[str, ...] = ()

    def count(self, severity: str) -> int:
        """Return the number of issues of a severity."""
        return sum(issue.severity == severity for issue in self.issues)

    @property
    def incomplete(self) -> bool:
        """Whether data is not there, without which nothing can be trained."""
        return any(issue.check == "missing" for issue in self.issues)

    def groups(self) -> list[tuple[str, str, str, list[Issue]]]:
        """Return (severity, check, fix, issues), the worst first, checks in the order of `CHECKS`."""
        groups: dict[tuple[str, str, str], list[Issue]] = {}
        for issue in self.issues:
            groups.setdefault((issue.severity, issue.check, issue.fix), []).append(issue)
        worst_first = sorted(groups, key=lambda group: _rank(group[0], group[1]))
        return [(*group, groups[group]) for group in worst_first]

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "schema": 1,
            "dataset": self.dataset,
            "root": self.root,
            "looked_at": [asdict(summary) for summary in self.summaries],
            "test_images": self.test_images,
            "formats": list(self.formats),
            "findings": [_issue_as_json(issue) for issue in self.issues],
            "remarks": list(self.remarks),
            "summary": {severity: self.count(severity) for severity in SEVERITIES},
            "seconds": round(self.seconds, 1),
        }


def _issue_as_json(issue: Issue) -> dict[str, Any]:
    entry = {"check": issue.check, "severity": issue.severity, "text": issue.text, "remedy": issue.fix}
    return entry | {"files": list(issue.files)}


def display_name(path: Path, root: Path | None) -> str:
    """Return a file's printable name for the report, relative to the root where the file lies under it."""
    text = os.fspath(path)
    if root is not None and path.is_relative_to(root):
        text = os.fspath(path.relative_to(root))
    return printable(text)


def issues_for(check: str, severity: str, fix: str, entries: Iterable[tuple[str, str]]) -> list[Issue]:
    """Return an issue for each (file, text)."""
    return [Issue(check, severity, text, fix, (file,)) for file, text in entries]


def ranked(issues: Iterable[Issue]) -> list[Issue]:
    """Return issues by their severity and then in the order of `CHECKS`, the worst first."""
    return sorted(issues, key=lambda issue: _rank(issue.severity, issue.check))


def _rank(severity: str, check: str) -> tuple[int, int]:
    return SEVERITIES.index(severity), list(CHECKS).index(check)
