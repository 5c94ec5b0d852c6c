"""Distribution metrics: FID and KID between translated and real photos, over features of Inception or the scorer."""

import numpy as np

from cgbench.api.metric import ERROR, REAL, Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.feature_distances import frechet_distance, kernel_distance, kernel_error
from cgbench.seeds import generator

SOURCE = "Heusel et al. 2017 (FID); Bińkowski et al. 2018 (KID): 100 subsets of 1,000 images at most, not scaled"


@METRICS.register
def inception_distance() -> Metric:
    """Return FID and KID as in clean-fid."""
    return Metric(
        name="inception_distance",
        summary="FID and KID of clean-fid: Inception's features of translated and real photos, mode `clean`",
        values=(
            Value("fid", "FID", better="lower", digits=1, minimum=0),
            Value("kid", "KID", better="lower", digits=4),
        ),
        compute=lambda t: _distances("fid", "kid", t.inception(t.outputs), t.inception(t.targets)),
        not_applicable=_why_not_applicable,
        needs="inception",
        rank=30,
        source=f"{SOURCE}; Parmar et al. 2022 (clean-fid)",
    )


@METRICS.register
def scorer_distance() -> Metric:
    """Return FID and KID over the features of the dataset's own scorer: offline, on a scale of their own."""
    return Metric(
        name="scorer_distance",
        summary="FID and KID over the scorer's features: not comparable with those of Inception",
        values=(
            Value("scorer_fid", "scorer FID", better="lower", digits=2, minimum=0),
            Value("scorer_kid", "scorer KID", better="lower", digits=3),
        ),
        compute=lambda t: _distances(
            "scorer_fid", "scorer_kid", t.scorer_features(t.outputs), t.scorer_features(t.targets)
        ),
        not_applicable=lambda t: (
            _why_not_applicable(t) or (None if t.scorer_features else "needs a scorer, and so labelled photos")
        ),
        uses_scorer=True,
        rank=31,
        source=f"{SOURCE}; deepest features of the scorer, averaged over the image",
    )


def _distances(frechet_name: str, kernel_name: str, fake: np.ndarray, real: np.ndarray) -> Scores:
    """Return both distances; as details the number of real images and the standard error of the kernel distance."""
    distance = kernel_distance(fake, real, generator(0, "kid", "subsets"))
    error = kernel_error(fake, real, generator(0, "kid", "error"))
    details = {f"{frechet_name}/{REAL}": len(real), f"{kernel_name}/{REAL}": len(real), f"{kernel_name}/{ERROR}": error}
    return Scores({frechet_name: frechet_distance(fake, real), kernel_name: distance}, details=details)


def _why_not_applicable(translations: Translations) -> str | None:
    if translations.target_kind != "photo":
        return "is for translations to photos"
    if translations.targets is None or min(len(translations.targets), len(translations.outputs)) < 2:
        return "needs two real test photos or more"
    return None
