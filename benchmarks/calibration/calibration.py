"""Calibration of a failure detector: the threshold that disturbed real images do not reach, checked on its control."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cgbench.api.failure import CONTROL_RATE, HEALTHY_RATE, Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.data.conversion import as_numbers, read_only
from cgbench.benchmarks.metrics.functional.disturbances import DISTURBANCES, tinted
from cgbench.benchmarks.runtime.progress import console

DIGITS = 4  # of a threshold: the recorded one is the one that is used


@dataclass(frozen=True)
class Calibration:
    """The outcome of a calibration. `threshold` is the one to use, None for the declared one; `unjudged` says why the
    failure cannot be judged, `error` which exception the detector or its control raised; `record` is plain data for
    `failures.json`."""

    record: dict[str, Any]
    threshold: float | None = None
    unjudged: str = ""
    error: str = ""


def calibrate(
    failures: Sequence[Failure], healthy: Translations, checked: Translations, facts: dict[str, Any]
) -> dict[str, Calibration]:
    """Return the calibration of each failure that has a control, by its name.

    Args:
        failures: The failures.
        healthy: Translations whose outputs are real images of the target domain, to set thresholds with.
        checked: The same of the images that the controls are made of.
        facts: What each record says of these images, beside the rates.

    Returns:
        The calibrations. A detector that does not apply to these images keeps its declared threshold.
    """
    disturbed = [read_only(disturb(healthy.outputs)) for disturb in DISTURBANCES.values()]
    calibrations = {}
    for failure in failures:
        if failure.control is None:
            continue
        try:
            if reason := failure.not_applicable(healthy):
                calibrations[failure.name] = Calibration({**facts, "reason": f"on images to calibrate with: {reason}"})
            else:
                calibrations[failure.name] = _calibrate(failure, healthy, disturbed, checked, facts)
        except (Exception, SystemExit) as error:
            what = f"calibration of detector '{failure.name}'"
            console.component_failure(what, error, FAILURES.package_of(failure.name))
            calibrations[failure.name] = Calibration(facts, error=type(error).__name__)
    return calibrations


def _calibrate(
    failure: Failure,
    healthy: Translations,
    disturbed: Sequence[np.ndarray],
    checked: Translations,
    facts: dict[str, Any],
) -> Calibration:
    """Return the calibration of one failure from its evidence on `disturbed` outputs of `healthy`, one array per
    disturbance, and on its control, with a tint: no failed output of a method is exact."""
    assert failure.control is not None
    evidence = np.stack([detection_of(failure, replace(healthy, outputs=images)).evidence for images in disturbed])
    failed = as_numbers("outputs of the control", failure.control.outputs(checked), checked.outputs.shape)
    control = detection_of(failure, replace(checked, outputs=read_only(tinted(failed)))).evidence
    sound, control = evidence[np.isfinite(evidence)], control[np.isfinite(control)]
    record = {**facts, "declared": failure.threshold, "control": failure.control.description}
    if not (len(sound) and len(control)):
        return Calibration(record, unjudged="no real image or none of the control can be judged")
    threshold = strict_threshold(failure, sound)
    set_failure = replace(failure, threshold=threshold)
    healthy_rate, control_rate = (float(set_failure.shows(values).mean()) for values in (sound, control))
    worst = max(zip(DISTURBANCES, evidence, strict=True), key=lambda pair: set_failure.shows(pair[1]).sum())
    record |= {
        "healthy_rate": round(healthy_rate, DIGITS),
        "healthy_images": len(sound),
        "worst_disturbance": worst[0],
        "worst_rate": round(float(set_failure.shows(worst[1]).mean()), DIGITS),
        "control_rate": round(control_rate, DIGITS),
        "control_images": len(control),
    }
    unjudged = ""
    if control_rate < CONTROL_RATE:
        unjudged = (
            f"the threshold {threshold:g} calls {healthy_rate:.0%} of slightly disturbed real images and "
            f"{control_rate:.0%} of the control ({failure.control.description}), of which {CONTROL_RATE:.0%} are needed"
        )
    return Calibration(record, threshold, unjudged)


def strict_threshold(failure: Failure, evidence: np.ndarray) -> float:
    """Return the declared threshold, or the least strict one beyond it that at most `HEALTHY_RATE` of the `evidence`
    (N,), of healthy images, reach."""
    sign = 1 if failure.above else -1
    ordered = np.sort(sign * evidence)[::-1]
    first_spared = ordered[int(HEALTHY_RATE * len(ordered))]  # so many before it are called
    if first_spared < sign * failure.threshold:
        return failure.threshold
    unit = 10**DIGITS
    beyond = int(np.floor(first_spared * unit)) + 1
    return sign * (beyond if beyond / unit > first_spared else beyond + 1) / unit


def detection_of(failure: Failure, translations: Translations) -> Detection:
    """Return what the detector sees, with its evidence as float64, one number for each of its keys, or of the images
    translated where it has none; anything else raises."""
    detection = failure.detect(translations)
    if not isinstance(detection, Detection):
        raise TypeError(f"detect returned {type(detection).__name__}, not a Detection")
    keys = tuple(detection.keys)
    evidence = as_numbers("evidence", detection.evidence, (len(keys) or len(translations.keys),))
    if not all(isinstance(text, str) for text in (*keys, detection.detail)):
        raise TypeError("its keys and its detail are no text")
    return Detection(evidence.astype(float), detection.detail, keys)
