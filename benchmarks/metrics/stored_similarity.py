"""SSIM and MS-SSIM of the numbers of the images, inside masks and by group."""

import numpy as np

from cgbench.api.metric import GROUP, Metric, Scores, StoredImages, Translations, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.group_scores import (
    mean_over_groups,
    measured_pixels,
    not_finite,
    rows_by_group,
    unmeasured,
    why_not_stored,
)
from cgbench.benchmarks.metrics.functional.image_distances import SSIM_WINDOW
from cgbench.benchmarks.metrics.functional.structural_similarity import (
    MULTISCALE_SIDE,
    SCALES,
    multiscale_ssim,
    scale_sums,
    ssim,
)

SSIM, MULTISCALE = "stored_ssim", "stored_ms_ssim"
NOTHING = "no pixel inside the mask with its whole window inside the image"


@METRICS.register
def stored_similarity() -> Metric:
    """Return the structural similarity of outputs to the true images of their scenes.

    Slices are compared one by one: distances between them are not known, test slices may be a sample, and a single
    image has no third dimension. SynthRAD2023 compares volumes with a uniform window of 7 voxels, so its SSIM is
    another number.
    """
    return Metric(
        name="stored_similarity",
        summary="structural similarity to the true images slice by slice, inside the masks, by patient and then over "
        "patients; data range: the window of the target domain",
        values=(
            Value(SSIM, "SSIM", better="higher", minimum=-1, maximum=1, of=GROUP),
            Value(MULTISCALE, "MS-SSIM", better="higher", minimum=0, maximum=1, of=GROUP),
        ),
        compute=_similarity,
        not_applicable=why_not_stored,
        rank=40,
        source="Wang et al. 2004; Wang et al. 2003, five scales: 11×11 Gaussian window, σ 1.5, wholly inside the "
        "image; numbers minus the lower end of the window, outside of the mask 0 in both images; mean over all pixels "
        "inside the masks of a patient's slices, then over bands",
    )


def _similarity(translations: Translations) -> Scores:
    stored = translations.stored
    assert stored is not None
    masks, side = measured_pixels(stored), min(stored.outputs.shape[1:3])
    reason = not_finite(masks, outputs=stored.outputs, targets=stored.targets)
    if side < SSIM_WINDOW:
        reason = f"images of {side} pixels are smaller than its window of {SSIM_WINDOW}"
    if reason:
        return unmeasured((SSIM, MULTISCALE), reason)
    sums = _sums(stored, masks, SCALES if side >= MULTISCALE_SIDE else 1)
    groups = rows_by_group(translations)
    scores = mean_over_groups({SSIM: np.array([ssim(sums[rows]) for rows in groups])}, NOTHING)
    if side >= MULTISCALE_SIDE:
        multiscale = [np.mean([multiscale_ssim(band) for band in np.moveaxis(sums[rows], 1, 0)]) for rows in groups]
        more = mean_over_groups({MULTISCALE: np.array(multiscale)}, f"{NOTHING}, at the coarsest scale")
    else:
        more = unmeasured((MULTISCALE,), f"images of {side} pixels are smaller than {MULTISCALE_SIDE}")
    return Scores(
        {**scores.values, **more.values}, {**scores.per_image, **more.per_image},
        reasons={**scores.reasons, **more.reasons},
    )  # fmt: skip


def _sums(stored: StoredImages, masks: np.ndarray, scales: int) -> np.ndarray:
    """Return float64 (N, C, scales, 3): the sums of each image and band, with the window as 0 to 1."""
    low, high = stored.target_pixels.ends
    sums = np.zeros((len(stored.outputs), stored.outputs.shape[-1], scales, 3))
    for row, output, target, mask in zip(sums, stored.outputs, stored.targets, masks, strict=True):
        if mask.any():
            for band, place in enumerate(row):
                first, second = ((image[..., band].astype(np.float64) - low) / (high - low) for image in
                                 (output, target))  # fmt: skip
                place[:] = scale_sums(first, second, mask, scales)
    return sums
