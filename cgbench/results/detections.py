"""Recorded detections of failures: whether two were made in one way, so that they may stand in one table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cgbench.errors import CgbenchError

Entry = Mapping[str, Any]  # the record of one failure mode in one direction


def setting_of(entry: Entry) -> dict[str, Any]:
    """Return how a failure was looked for: version, declared threshold, share, and the digest of the images that the
    threshold was set with, "" where it is fixed."""
    calibration = entry.get("calibration") or {}
    declared = calibration.get("declared")
    return {
        "version": entry.get("version"),
        "threshold": entry["threshold"] if declared is None else declared,
        "share": entry["share"],
        "calibration": calibration.get("digest", ""),
    }


def ensure_one_setting(folder: Path, what: str, setting: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Raise `CgbenchError` where a failure, `what`, was looked for in a trial by another `setting` than elsewhere; both
    as `setting_of` returns them."""
    changed = [
        f"{name} {setting[name] or 'none'} → {other[name] or 'none'}" for name in other if setting[name] != other[name]
    ]
    if changed:
        raise CgbenchError(
            f"{folder}: failure {what} was looked for otherwise than in other trials ({', '.join(changed)}), and no "
            f"table may mix them: 'cgbench evaluate {folder.parents[2]}' examines the whole run anew"
        )
