"""Failure detection: every detector on one direction's translations, and the record of each result."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import SOURCE, TARGET, Translations
from cgbench.api.names import FailureState, Split
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.calibration.calibration import Calibration, detection_of
from cgbench.benchmarks.runtime.progress import console

BROKEN = "broken"  # the failure mode whose images no other detector judges: they are not valid images


def declared_failures() -> list[Failure]:
    """Return all failure modes in the order of tables."""
    return sorted(map(FAILURES.get, FAILURES.names()), key=lambda failure: failure.rank)


def detector_settings(calibration: str) -> dict[str, dict[str, Any]]:
    """Return how each failure is looked for, as in `setting_of`; `calibration` is the digest of the images that
    thresholds are set with."""
    return {
        failure.name: {
            "version": failure.version,
            "threshold": failure.threshold,
            "share": failure.share,
            "calibration": calibration if failure.control is not None else "",
        }
        for failure in declared_failures()
    }


def detect_failures(
    translations: Translations, calibrations: Mapping[str, Calibration] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the result of every detector on one direction, by the failure's name, as plain data for `failures.json`.

    A detector that breaks is reported and does not affect the others. A broken image (no valid image at all) is judged
    by no other detector, and a failure that another one explains is "explained": it is not counted on its own. The
    `calibrations` set thresholds by the failure's name; one without keeps its declared threshold.
    """
    calibrations = calibrations or {}
    failures = declared_failures()
    broken = np.zeros(len(translations.keys), bool)
    records: dict[str, dict[str, Any]] = {}
    for failure in sorted(failures, key=lambda failure: failure.name != BROKEN):
        record, detection = _detect(failure, translations, broken, calibrations.get(failure.name))
        if failure.name == BROKEN and detection is not None:
            broken = failure.shows(detection.evidence)
        records[failure.name] = record
    for failure in failures:
        causes = [name for name in failure.explained_by if records.get(name, {}).get("state") == FailureState.FOUND]
        if records[failure.name]["state"] == FailureState.FOUND and causes:
            records[failure.name] |= {"state": FailureState.EXPLAINED, "explained_by": causes}
    return {failure.name: records[failure.name] for failure in failures}


def _detect(
    failure: Failure, translations: Translations, broken: np.ndarray, calibration: Calibration | None
) -> tuple[dict[str, Any], Detection | None]:
    """Return the record of one failure mode and the detection, None where the detector does not apply or broke."""
    if calibration is not None and calibration.threshold is not None:
        failure = replace(failure, threshold=calibration.threshold)
    metadata = _metadata(failure, calibration)
    try:
        if reason := failure.not_applicable(translations):
            return {"state": FailureState.NOT_APPLICABLE, "reason": str(reason), **metadata}, None
        if calibration is not None and calibration.error:
            return {"state": FailureState.FAILED, "reason": calibration.error, **metadata}, None
        detection = detection_of(failure, translations)
    except (Exception, SystemExit) as error:
        console.component_failure(f"detector '{failure.name}'", error, FAILURES.package_of(failure.name))
        return {"state": FailureState.FAILED, "reason": type(error).__name__, **metadata}, None
    evidence = detection.evidence
    if not detection.keys:
        evidence = np.where(broken, np.nan, evidence)
    judged = np.isfinite(evidence)
    if not judged.any():
        reason = detection.detail or "no image can be judged"
        return {"state": FailureState.NOT_APPLICABLE, "reason": reason, **metadata}, detection
    result: dict[str, Any] = {
        "images": int(judged.sum()),
        "evidence": round(float(np.median(evidence[judged])), 4),
        "detail": detection.detail,
    }
    if calibration is not None and calibration.unjudged:
        return {"state": FailureState.UNJUDGED, "reason": calibration.unjudged, **result, **metadata}, detection
    flagged = failure.shows(evidence) & judged
    rate = float(flagged.sum() / judged.sum())
    keys = detection.keys or translations.keys
    result |= {
        "state": FailureState.FOUND if rate >= failure.share else FailureState.NOT_FOUND,
        "rate": round(rate, 4),
        "of": _set_of(keys, translations),
        "flagged": [key for key, flag in zip(keys, flagged, strict=True) if flag],
    }
    return {**result, **metadata}, detection


def _metadata(failure: Failure, calibration: Calibration | None) -> dict[str, Any]:
    """Return the definition of a failure as it is recorded, with the calibration of its threshold, if any."""
    fields = ("label", "summary", "evidence_definition", "threshold", "above", "share", "version")
    calibrated = {"calibration": calibration.record} if calibration is not None else {}
    return {name: getattr(failure, name) for name in fields} | calibrated


def _set_of(keys: tuple[str, ...], translations: Translations) -> str:
    """Return which images these keys are of: the translated ones, the targets of unpaired test sets, or the split
    `ood`. Keys of two sets may be equal texts."""
    if keys == translations.keys:
        return SOURCE
    if translations.ood is not None and keys == translations.ood.keys:
        return str(Split.OOD)
    return TARGET if set(keys) <= set(translations.target_keys) else SOURCE
