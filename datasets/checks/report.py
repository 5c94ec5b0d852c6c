"""What the doctor finds: one finding per problem, with the files it is about and what to do."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cgbench.formatting import printable

SEVERITIES = ("error", "warning", "note")  # training would fail or a number be wrong; suspicious; good to know
# check -> its heading
CHECKS = {
    "missing": "data is missing",
    "empty": "a domain is empty",
    "unreadable": "files that cannot be used",
    "partner": "files without a partner, or with a name that is taken",
    "label-shape": "label maps of another shape than their photo",
    "label-ids": "label ids beyond the palette",
    "swapped": "domains A and B look exchanged",
    "leak": "test images that are in a training set",
    "between-domains": "pictures that are in both domains",
    "same-scenes": "scenes that both training sets show",
    "repeated": "pictures that are there twice",
    "pairs": "test sets that are pairs but for a few files",
    "blank": "label maps with one class or none",
    "constant": "pictures of one colour",
    "dark": "16-bit pictures that become almost black",
    "rotated": "photos turned by an EXIF tag that their label map lacks",
    "format": "files of another format than their name says",
    "frames": "files of several frames",
    "ignored": "files that are not read",
    "names": "names that make trouble",
    "tiny": "pictures that are very small",
    "shape": "pictures of unlike shapes",
    "colours": "colours that are converted",
}


@dataclass(frozen=True)
class Issue:
    """One problem: the check that found it, how bad it is, what is wrong, what to do, and the files, printable and
    relative to the data root."""

    check: str
    severity: str
    text: str
    remedy: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitSummary:
    """What was looked at of a split and domain: images and their most frequent size."""

    split: str
    domain: str
    name: str
    images: int
    size: str


@dataclass(frozen=True)
class Report:
    """The outcome of a check: what was looked at, what was found, what could not be compared, and the seconds."""

    dataset: str
    root: str
    counted: tuple[SplitSummary, ...]
    findings: tuple[Issue, ...]
    remarks: tuple[str, ...]
    seconds: float

    def count(self, severity: str) -> int:
        """Return the number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def groups(self) -> list[tuple[str, str, str, list[Issue]]]:
        """Return (severity, check, remedy, findings), the worst first, checks in the order of `CHECKS`."""
        found: dict[tuple[str, str, str], list[Issue]] = {}
        for finding in self.findings:
            found.setdefault((finding.severity, finding.check, finding.remedy), []).append(finding)
        order = list(CHECKS)
        ranked = sorted(found, key=lambda group: (SEVERITIES.index(group[0]), order.index(group[1])))
        return [(*group, found[group]) for group in ranked]

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "schema": 1,
            "dataset": self.dataset,
            "root": self.root,
            "looked_at": [asdict(entry) for entry in self.counted],
            "findings": [asdict(finding) | {"files": list(finding.files)} for finding in self.findings],
            "remarks": list(self.remarks),
            "summary": {severity: self.count(severity) for severity in SEVERITIES},
            "seconds": round(self.seconds, 1),
        }


def shown(path: Path, root: Path | None) -> str:
    """Return a file's name as it is reported: relative to the root where it lies under it, and printable."""
    text = os.fspath(path)
    if root is not None and path.is_relative_to(root):
        text = os.fspath(path.relative_to(root))
    return printable(text)


def issues_for(check: str, severity: str, remedy: str, entries: Iterable[tuple[str, str]]) -> list[Issue]:
    """Return a finding for each (file, text)."""
    return [Issue(check, severity, text, remedy, (file,)) for file, text in entries]
