"""Density and coverage of translated photos among real ones: what FID adds up, fidelity and diversity, apart.

The untrained rows of real images compare as many training photos with the test images, as FID and KID do
(`distribution.py`): otherwise each image would be its own nearest neighbour.
"""

from collections.abc import Callable

import numpy as np

from cgbench.api.metric import REAL, TARGET, TRAINING, Metric, Scores, Translations, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.group_scores import unmeasured
from cgbench.benchmarks.metrics.functional.manifold_overlap import (
    NEIGHBOURS,
    coverage_contributions,
    density_contributions,
)

SOURCE = "Naeem et al. 2020, k = 5; rows of real images: training photos against the test images"
MOST_IMAGES = 20_000  # distances of all pairs take 8 bytes each
NO_FLOOR = "needs training photos to compare real photos with others than themselves"


@METRICS.register
def scorer_manifold() -> Metric:
    """Return density and coverage over the features of the dataset's own scorer."""
    return Metric(
        name="scorer_manifold",
        summary="density and coverage over the scorer's features: fidelity and diversity apart",
        values=_values("scorer"),
        compute=lambda t: _overlap("scorer", t.scorer_features, t),
        not_applicable=lambda t: (
            _why_not_applicable(t) or (None if t.scorer_features else "needs a scorer, and so labelled photos")
        ),
        uses_scorer=True,
        rank=32,
        source=f"{SOURCE}; deepest features of the scorer, averaged over the image",
    )  # fmt: skip


@METRICS.register
def inception_manifold() -> Metric:
    """Return density and coverage over Inception's features."""
    return Metric(
        name="inception_manifold",
        summary="density and coverage over Inception's features, as clean-fid computes them",
        values=_values(),
        compute=lambda t: _overlap("", t.inception, t),
        not_applicable=_why_not_applicable,
        needs="inception",
        rank=33,
        source=SOURCE,
    )  # fmt: skip


def _values(prefix: str = "") -> tuple[Value, ...]:
    """Return both declarations; names and labels begin with the `prefix`, if any."""
    density, coverage = _names(prefix)
    return (
        Value(density, density.replace("_", " "), better="higher", digits=2, minimum=0, contributions=True),
        Value(
            coverage, coverage.replace("_", " "), better="higher", digits=2, minimum=0, maximum=1, of=TARGET,
            contributions=True,
        ),
    )  # fmt: skip


def _names(prefix: str) -> tuple[str, str]:
    density, coverage = (f"{prefix}_{name}".lstrip("_") for name in ("density", "coverage"))
    return density, coverage


def _overlap(prefix: str, features: Callable[[np.ndarray], np.ndarray] | None, translations: Translations) -> Scores:
    """Return both numbers, image by image too where the images compared are the outputs."""
    assert features is not None and translations.targets is not None
    names = _names(prefix)
    photos = translations.training_photos if translations.real_outputs else translations.outputs
    if photos is None or not len(photos):
        return unmeasured(names, NO_FLOOR)
    compared, real = features(photos), features(translations.targets)
    found = dict(
        zip(names, (density_contributions(compared, real), coverage_contributions(compared, real)), strict=True)
    )
    counts = {REAL: len(real)} | ({TRAINING: len(photos)} if translations.real_outputs else {})
    return Scores(
        {name: float(of_images.mean()) for name, of_images in found.items()},
        {} if translations.real_outputs else found,
        details={f"{name}/{key}": count for name in names for key, count in counts.items()},
    )


def _why_not_applicable(translations: Translations) -> str | None:
    if translations.target_kind != "photo":
        return "is for translations to photos"
    if translations.targets is None or len(translations.targets) <= NEIGHBOURS:
        return f"needs more than {NEIGHBOURS} real test photos"
    if max(len(translations.targets), len(translations.outputs)) > MOST_IMAGES:
        return f"is for at most {MOST_IMAGES:,} test images"
    return None
