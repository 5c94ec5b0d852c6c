"""Errors in the numbers of the images: MAE, RMSE, PSNR and the spectral angle, inside masks and by group."""

import numpy as np

from cgbench.api.metric import GROUP, Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.group_scores import (
    mean_over_groups,
    measured_pixels,
    not_finite,
    rows_by_group,
    unmeasured,
    why_not_stored,
)
from cgbench.benchmarks.metrics.functional.intensity_scores import angle_sums, error_sums, mean_errors, psnr

NOTHING = "no pixel inside the mask"


@METRICS.register
def intensity() -> Metric:
    """Return the errors of outputs against the true images of their scenes, in the unit of these."""
    return Metric(
        name="intensity",
        summary="errors in the numbers of the true images (HU in CT), inside the masks, by patient and then over "
        "patients; PSNR in dB, at most 100, of the window of the target domain",
        values=(
            Value("mae", "MAE", better="lower", minimum=0, of=GROUP, unit_of_target=True),
            Value("rmse", "RMSE", better="lower", minimum=0, of=GROUP, unit_of_target=True),
            Value("stored_psnr", "PSNR", better="higher", digits=2, maximum=100, of=GROUP),
        ),
        compute=_errors,
        not_applicable=why_not_stored,
        rank=38,
        source="all pixels inside the masks of a patient's slices together, and all bands; nothing is clipped; data "
        "range of PSNR: width of the target's window. As in SynthRAD2023 (Huijben et al. 2024), which clips to a "
        "fixed range of -1024 to 3000 HU",
    )


@METRICS.register
def spectral_angle() -> Metric:
    """Return the angle between the spectra of outputs and true images."""
    return Metric(
        name="spectral_angle",
        summary="mean angle in degrees between output and true spectra, inside the masks, by group of images",
        values=(Value("spectral_angle", "spectral angle (°)", better="lower", digits=2, minimum=0, of=GROUP),),
        compute=_spectral_angle,
        not_applicable=_why_no_spectrum,
        rank=39,
        source="Kruse et al. 1993 (spectral angle mapper)",
    )


def _errors(translations: Translations) -> Scores:
    stored = translations.stored
    assert stored is not None
    masks, (low, high) = measured_pixels(stored), stored.target_pixels.ends
    if reason := not_finite(masks, outputs=stored.outputs, targets=stored.targets):
        return unmeasured(("mae", "rmse", "stored_psnr"), reason)
    sums = error_sums(stored.outputs, stored.targets, masks)
    absolute, squared = np.array([mean_errors(sums[rows]) for rows in rows_by_group(translations)]).T
    decibels = np.array([psnr(error, high - low) for error in squared])
    return mean_over_groups({"mae": absolute, "rmse": np.sqrt(squared), "stored_psnr": decibels}, NOTHING)


def _spectral_angle(translations: Translations) -> Scores:
    stored = translations.stored
    assert stored is not None
    masks = measured_pixels(stored)
    if reason := not_finite(masks, outputs=stored.outputs, targets=stored.targets):
        return unmeasured(("spectral_angle",), reason)
    sums = angle_sums(stored.outputs, stored.targets, masks)
    counts, angles = np.array([sums[rows].sum(axis=0) for rows in rows_by_group(translations)]).T
    by_group = np.divide(angles, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return mean_over_groups({"spectral_angle": by_group}, "no spectrum but zeros inside the mask")


def _why_no_spectrum(translations: Translations) -> str | None:
    if reason := why_not_stored(translations):
        return reason
    assert translations.stored is not None
    pixels = translations.stored.target_pixels
    return "is for images of several bands" if pixels.channels == 1 or pixels.is_rgb8 else None
