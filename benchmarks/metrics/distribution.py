"""Distribution metrics: FID and KID between translated and real photos, over features of Inception or the scorer.

The untrained rows `real` and `shuffled` show the test images themselves. A distance of those to the test images would
compare a set with itself (FID 0, KID below 0), so the rows compare as many training photos of the same domain with the
test images instead: two disjoint sets of real photos, of the sizes that every method has, against the same reference
set. Halves of the test images would need no training photos, but a Fréchet distance of half as many images is larger:
with 100 photos of `streets` and 128 features of the scorer, 0.16 between halves (mean of 20 splits; standard deviation
0.07), 0.06 for training photos, 0.05 for 100 fresh photos, the true floor. That the scorer was trained on those photos
adds little.
"""

from collections.abc import Callable

import numpy as np

from cgbench.api.metric import REAL, TRAINING, WIDTH, Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.feature_distances import (
    JACKKNIFE_ROWS,
    frechet_distance,
    kernel_contributions,
    kernel_distance,
    kernel_error,
)
from cgbench.benchmarks.metrics.functional.group_scores import unmeasured
from cgbench.seeds import generator

SOURCE = (
    "Heusel et al. 2017 (FID); Bińkowski et al. 2018 (KID): 100 subsets of 1,000 images at most, not scaled; rows of "
    "real images: training photos against the test images"
)
NO_FLOOR = "needs two training photos or more to compare real photos with others than themselves"


@METRICS.register
def inception_distance() -> Metric:
    """Return FID and KID as in clean-fid."""
    return Metric(
        name="inception_distance",
        summary="FID and KID of clean-fid: Inception's features of translated and real photos, mode `clean`",
        values=(
            Value("fid", "FID", better="lower", digits=1, minimum=0),
            Value("kid", "KID", better="lower", digits=4, contributions=True),
        ),
        compute=lambda t: _distances("fid", "kid", t.inception, t),
        not_applicable=_why_not_applicable,
        needs="inception",
        rank=30,
        version=2,
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
            Value("scorer_kid", "scorer KID", better="lower", digits=3, contributions=True),
        ),
        compute=lambda t: _distances("scorer_fid", "scorer_kid", t.scorer_features, t),
        not_applicable=lambda t: (
            _why_not_applicable(t) or (None if t.scorer_features else "needs a scorer, and so labelled photos")
        ),
        uses_scorer=True,
        rank=31,
        version=2,
        source=f"{SOURCE}; deepest features of the scorer, averaged over the image",
    )


def _distances(
    frechet_name: str, kernel_name: str, features: Callable[[np.ndarray], np.ndarray] | None, translations: Translations
) -> Scores:
    """Return both distances, with the standard error of the kernel distance over images; as details the numbers of real
    images, of features, and of the training photos that were compared in place of the outputs.

    Where outputs and targets show the same scenes, each scene has its contribution to the kernel distance. Unpaired
    test sets, and the rows of real images, have none: the two sets that vary there are of different images.
    """
    assert features is not None and translations.targets is not None
    photos = translations.training_photos if translations.real_outputs else translations.outputs
    if photos is None or len(photos) < 2:
        return unmeasured((frechet_name, kernel_name), NO_FLOOR)
    compared, real = features(photos), features(translations.targets)
    scenes = translations.paired and not translations.real_outputs and 3 <= len(real) <= JACKKNIFE_ROWS
    counts = {REAL: len(real), WIDTH: real.shape[1]} | ({TRAINING: len(photos)} if translations.real_outputs else {})
    return Scores(
        {
            frechet_name: frechet_distance(compared, real),
            kernel_name: kernel_distance(compared, real, generator(0, "kid", "subsets")),
        },
        {kernel_name: kernel_contributions(compared, real)} if scenes else {},
        details={f"{name}/{key}": count for name in (frechet_name, kernel_name) for key, count in counts.items()},
        errors={kernel_name: kernel_error(compared, real, generator(0, "kid", "error"))},
    )


def _why_not_applicable(translations: Translations) -> str | None:
    if translations.target_kind != "photo":
        return "is for translations to photos"
    if translations.targets is None or min(len(translations.targets), len(translations.outputs)) < 2:
        return "needs two real test photos or more"
    return None
