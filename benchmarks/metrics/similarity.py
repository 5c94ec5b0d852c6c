"""Paired similarity of photos to the truth: PSNR and SSIM."""

from cgbench.api.metric import Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.image_distances import (
    SSIM_WINDOW,
    at_own_sizes,
    psnr_by_image,
    ssim_by_image,
)


@METRICS.register
def similarity() -> Metric:
    """Return the similarity between a translated photo and the true photo of its scene."""
    return Metric(
        name="similarity",
        summary="signal-to-noise ratio (dB, at most 100) and structural similarity (no borders) to the true photos",
        values=(
            Value("psnr", "PSNR", better="higher", digits=2, minimum=0, maximum=100),
            Value("ssim", "SSIM", better="higher", minimum=-1, maximum=1),
        ),
        compute=_similarity,
        not_applicable=_why_not_applicable,
        rank=40,
        version=2,
        source="PSNR of 8-bit RGB; SSIM of Wang et al. 2004: 11×11 Gaussian window, σ 1.5, wholly inside the image; "
        "mean of channels",
    )


def _similarity(translations: Translations) -> Scores:
    outputs, targets = translations.outputs, translations.targets
    functions = {"psnr": psnr_by_image, "ssim": ssim_by_image}
    by_image = {name: at_own_sizes(it, outputs, targets, translations.sizes) for name, it in functions.items()}
    side = min(outputs.shape[1:3]) if translations.sizes is None else int(translations.sizes.min())
    reasons = {"ssim": f"images of {side} pixels are smaller than its window of {SSIM_WINDOW}"}
    values = {name: float(scores.mean()) for name, scores in by_image.items()}
    return Scores(values, by_image, reasons=reasons if side < SSIM_WINDOW else {})


def _why_not_applicable(translations: Translations) -> str | None:
    if translations.target_kind != "photo":
        return "is for translations to photos"
    if translations.stored is not None:
        return "is for 8-bit RGB: others have PSNR and SSIM of their numbers"
    return None if translations.paired and translations.targets is not None else "needs paired test images"
