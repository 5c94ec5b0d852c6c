"""Paired similarity of photos to the truth: PSNR and SSIM."""

from cgbench.api.metric import Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.image_distances import psnr_by_image, ssim_by_image


@METRICS.register
def similarity() -> Metric:
    """Return the similarity between a translated photo and the true photo of its scene."""
    return Metric(
        name="similarity",
        summary="signal-to-noise ratio (dB, 100 at most) and structural similarity of translated and true photos",
        values=(
            Value("psnr", "PSNR", better="higher", digits=2, minimum=0, maximum=100),
            Value("ssim", "SSIM", better="higher", minimum=-1, maximum=1),
        ),
        compute=_similarity,
        not_applicable=_why_not_applicable,
        rank=40,
        source="PSNR of 8-bit RGB; SSIM of Wang et al. 2004: 11×11 Gaussian window, mirrored borders, mean of channels",
    )


def _similarity(translations: Translations) -> Scores:
    outputs, targets = translations.outputs, translations.targets
    by_image = {"psnr": psnr_by_image(outputs, targets), "ssim": ssim_by_image(outputs, targets)}
    return Scores({name: float(scores.mean()) for name, scores in by_image.items()}, by_image)


def _why_not_applicable(translations: Translations) -> str | None:
    if translations.target_kind != "photo":
        return "is for translations to photos"
    return None if translations.paired and translations.targets is not None else "needs paired test images"
