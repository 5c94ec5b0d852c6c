"""Failure detection: every detector on one direction's translations, and the record of each result."""

from typing import Any

import numpy as np

from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import SOURCE, TARGET, Translations
from cgbench.api.names import FailureState, Split
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.data.conversion import as_numbers
from cgbench.benchmarks.runtime.progress import console

BROKEN = "broken"  # the failure mode whose images no other detector judges: they are not valid images


def declared_failures() -> list[Failure]:
    """Return all failure modes in the order of tables."""
    return sorted(map(FAILURES.get, FAILURES.names()), key=lambda failure: failure.rank)


def detector_versions() -> list[list[Any]]:
    """Return the identity of the detectors: a trial examined with other ones is examined again."""
    return [[failure.name, failure.version, failure.threshold, failure.share] for failure in declared_failures()]


def detect_failures(translations: Translations) -> dict[str, dict[str, Any]]:
    """Return the result of every detector on one direction, by the failure's name, as plain data for `failures.json`.

    A detector that breaks is reported and does not affect the others. A broken image (no valid image at all) is judged
    by no other detector, and a failure that another one explains is "explained": it is not counted on its own.
    """
    failures = declared_failures()
    broken = np.zeros(len(translations.keys), bool)
    records: dict[str, dict[str, Any]] = {}
    for failure in sorted(failures, key=lambda failure: failure.name != BROKEN):
        record, detection = _detect(failure, translations, broken)
        if failure.name == BROKEN and detection is not None:
            broken = failure.shows(detection.evidence)
        records[failure.name] = record
    for failure in failures:
        causes = [name for name in failure.explained_by if records.get(name, {}).get("state") == FailureState.FOUND]
        if records[failure.name]["state"] == FailureState.FOUND and causes:
            records[failure.name] |= {"state": FailureState.EXPLAINED, "explained_by": causes}
    return {failure.name: records[failure.name] for failure in failures}


def _detect(failure: Failure, translations: Translations, broken: np.ndarray) -> tuple[dict, Detection | None]:
    """Return the record of one failure mode and the detection, None where the detector does not apply or broke."""
    fields = ("label", "summary", "evidence_definition", "threshold", "above", "share")
    metadata = {name: getattr(failure, name) for name in fields}
    metadata |= {"version": failure.version}
    try:
        if reason := failure.not_applicable(translations):
            return {"state": FailureState.NOT_APPLICABLE, "reason": str(reason), **metadata}, None
        detection = _validated(failure.detect(translations), len(translations.keys))
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
    flagged = failure.shows(evidence) & judged
    rate = float(flagged.sum() / judged.sum())
    keys = detection.keys or translations.keys
    result: dict[str, Any] = {
        "state": FailureState.FOUND if rate >= failure.share else FailureState.NOT_FOUND,
        "rate": round(rate, 4),
        "images": int(judged.sum()),
        "evidence": round(float(np.median(evidence[judged])), 4),
        "detail": detection.detail,
        "of": _set_of(keys, translations),
        "flagged": [key for key, flag in zip(keys, flagged, strict=True) if flag],
    }
    return {**result, **metadata}, detection


def _set_of(keys: tuple[str, ...], translations: Translations) -> str:
    """Return which images these keys are of: the translated ones, the targets of unpaired test sets, or the split
    `ood`. Keys of two sets may be equal texts."""
    if keys == translations.keys:
        return SOURCE
    if translations.ood is not None and keys == translations.ood.keys:
        return str(Split.OOD)
    return TARGET if set(keys) <= set(translations.target_keys) else SOURCE


def _validated(detection: Detection, images: int) -> Detection:
    """Return the detection with its evidence as float64, one number for each of its keys, or of the `images`
    translated where it has none; anything else raises."""
    if not isinstance(detection, Detection):
        raise TypeError(f"detect returned {type(detection).__name__}, not a Detection")
    keys = tuple(detection.keys)
    evidence = as_numbers("evidence", detection.evidence, (len(keys) or images,))
    if not all(isinstance(text, str) for text in (*keys, detection.detail)):
        raise TypeError("its keys and its detail are no text")
    return Detection(evidence.astype(float), detection.detail, keys)
