"""Findings of a dataset in files of its own that are no pictures, for the dataset check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One finding: the check that it belongs to and its severity, as `datasets/checks/report.py` has them, the file if
    it is about one, what is wrong, and what to do."""

    check: str
    severity: str
    file: Path | None
    text: str
    fix: str


@dataclass(frozen=True)
class Inspection:
    """What was found: findings, remarks, and the usual size of the images of each (split, letter) as text."""

    findings: tuple[Finding, ...]
    remarks: tuple[str, ...] = ()
    sizes: Mapping[tuple[str, str], str] = field(default_factory=dict)
