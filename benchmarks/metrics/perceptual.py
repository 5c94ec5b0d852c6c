"""LPIPS: perceptual distance between translated photos and the true photos of their scenes."""

from cgbench.api.metric import Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.image_distances import at_own_sizes

MIN_SIDE = 32  # pixels; below it AlexNet's last maps are empty


@METRICS.register
def lpips() -> Metric:
    """Return the perceptual distance to the truth, by a network that was fitted to human judgements."""
    return Metric(
        name="lpips",
        summary="LPIPS 0.1 (AlexNet) between translated and true photos of the same scene",
        values=(Value("lpips", "LPIPS", better="lower", minimum=0),),
        compute=_lpips,
        not_applicable=_why_not_applicable,
        needs="lpips",
        rank=41,
        source="Zhang et al. 2018; package lpips 0.1.4",
    )


def _lpips(translations: Translations) -> Scores:
    outputs, targets = translations.outputs, translations.targets
    by_image = at_own_sizes(translations.lpips, outputs, targets, translations.sizes)
    return Scores({"lpips": float(by_image.mean())}, {"lpips": by_image})


def _why_not_applicable(translations: Translations) -> str | None:
    if translations.target_kind != "photo":
        return "is for translations to photos"
    if translations.outputs.shape[1] < MIN_SIDE:
        return f"needs images of {MIN_SIDE} pixels or more"
    return None if translations.paired and translations.targets is not None else "needs paired test images"
