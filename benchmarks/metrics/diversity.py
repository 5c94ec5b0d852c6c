"""How different two outputs for one input are, for methods that draw random numbers when they translate."""

from cgbench.benchmarks.metrics.reconstruction import l1_by_image
from cgbench.metric import Metric, Scores, Translations, Value
from cgbench.registry import METRICS


@METRICS.register
def style_diversity() -> Metric:
    """The mean distance between two translations of each image, made with two independent draws."""
    return Metric(
        name="style_diversity",
        summary="mean absolute difference between two outputs for one input, drawn independently, scale 0 to 1",
        values=(Value("style_diversity", "style div.", better=""),),
        compute=_between_draws,
        unfit=lambda t: "needs a method that draws when it translates" if t.other_outputs is None else None,
        rank=60,
        source="as Huang et al. 2018 (MUNIT), section 5.2, measure diversity, in L1 instead of LPIPS",
    )


def _between_draws(translations: Translations) -> Scores:
    by_image = l1_by_image(translations.outputs, translations.other_outputs)
    return Scores({"style_diversity": float(by_image.mean())}, {"style_diversity": by_image})
