"""LPIPS: the perceptual distance of translated photos to the true photos of their scenes."""

from cgbench.api.metric import Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS

LEAST_SIDE = 32  # pixels; AlexNet's maps vanish below


@METRICS.register
def lpips() -> Metric:
    """How different a translation looks from the truth, by a network that was fitted to human judgements."""
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
    by_image = translations.lpips(translations.outputs, translations.targets)
    return Scores({"lpips": float(by_image.mean())}, {"lpips": by_image})


def _why_not_applicable(translations: Translations) -> str | None:
    if translations.target_kind != "photo":
        return "is for translations to photos"
    if translations.outputs.shape[1] < LEAST_SIDE:
        return f"needs images of {LEAST_SIDE} pixels or more"
    return None if translations.paired and translations.targets is not None else "needs paired test images"
