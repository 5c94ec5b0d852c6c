"""Looking for failures: every detector on one direction's translations, and what is recorded of it."""

from typing import Any

import numpy as np

from cgbench.api.failure import Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.runtime.progress import console

FOUND, NOT_FOUND, EXPLAINED, NOT_APPLICABLE, FAILED = "found", "not found", "explained", "not applicable", "failed"
BROKEN = "broken"  # the failure whose images no other detector judges: they are no pictures


def declared_failures() -> list[Failure]:
    """Return all failures in the order of tables."""
    return sorted(map(FAILURES.get, FAILURES.names()), key=lambda failure: failure.rank)


def detector_versions() -> list[list[Any]]:
    """Return what identifies the detectors: a trial examined by others is examined again."""
    return [[failure.name, failure.version, failure.threshold, failure.share] for failure in declared_failures()]


def detect_failures(translations: Translations) -> dict[str, dict[str, Any]]:
    """Return what every detector found in one direction, by the failure's name, as plain data for `failures.json`.

    A detector that breaks is said and costs nothing else. An image that is no picture at all is judged by no other
    detector, and a failure that another one explains is "explained": it is not counted on its own.
    """
    failures = declared_failures()
    broken = np.zeros(len(translations.keys), bool)
    found: dict[str, dict[str, Any]] = {}
    for failure in sorted(failures, key=lambda failure: failure.name != BROKEN):
        entry, finding = _detect(failure, translations, broken)
        if failure.name == BROKEN and finding is not None:
            broken = failure.shows(finding.evidence)
        found[failure.name] = entry
    for failure in failures:
        causes = [name for name in failure.explained_by if found.get(name, {}).get("state") == FOUND]
        if found[failure.name]["state"] == FOUND and causes:
            found[failure.name] |= {"state": EXPLAINED, "explained_by": causes}
    return {failure.name: found[failure.name] for failure in failures}


def _detect(failure: Failure, translations: Translations, broken: np.ndarray) -> tuple[dict, Detection | None]:
    """Return the record of one failure and what its detector saw."""
    fields = ("label", "summary", "evidence_definition", "threshold", "above", "share")
    about = {name: getattr(failure, name) for name in fields}
    about |= {"version": failure.version}
    try:
        if reason := failure.not_applicable(translations):
            return {"state": NOT_APPLICABLE, "reason": reason, **about}, None
        finding = failure.detect(translations)
        keys = finding.keys or translations.keys
        if finding.evidence.shape != (len(keys),):
            raise ValueError(f"{finding.evidence.shape} numbers for {len(keys)} images")
    except Exception as error:
        console.print(f"detector '{failure.name}' failed: {type(error).__name__}: {error}", style="red")
        return {"state": FAILED, "reason": type(error).__name__, **about}, None
    evidence = np.asarray(finding.evidence, float)
    if not finding.keys:
        evidence = np.where(broken, np.nan, evidence)
    judged = evidence[np.isfinite(evidence)]
    if not len(judged):
        return {"state": NOT_APPLICABLE, "reason": finding.detail or "no image can be judged", **about}, finding
    shown = failure.shows(evidence)
    rate = float(shown.sum() / len(judged))
    result = {
        "state": FOUND if rate >= failure.share else NOT_FOUND,
        "rate": round(rate, 4),
        "images": len(judged),
        "evidence": round(float(np.median(judged)), 4),
        "detail": finding.detail,
        "flagged": [key for key, flag in zip(keys, shown, strict=True) if flag],
    }
    return {**result, **about}, finding
