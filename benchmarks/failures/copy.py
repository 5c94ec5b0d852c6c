"""Failure mode `copy`: the output is the input, or nearly so."""

import numpy as np

from cgbench.api.failure import Control, Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.image_distances import distances, downsampled, l1_by_image
from cgbench.selection import evenly_spaced

THRESHOLD = 0.25
MIN_DISTANCE = 2 / 255  # below this distance source and target are equal but for rounding
TARGETS = 128  # real images that an unpaired source is compared with


@FAILURES.register
def copy() -> Failure:
    """Return the failure of a translation that leaves its input almost unchanged."""
    return Failure(
        name="copy",
        label="copy of the input",
        summary="the output is the input, or nearly so",
        evidence_definition=(
            "change of the input, as a share of its distance to the true target (unpaired: to the nearest real "
            "target): mean absolute differences"
        ),
        detect=_detect,
        not_applicable=_why_not_applicable,
        threshold=THRESHOLD,
        above=False,
        share=0.5,
        justified="a blend of input and truth with the share a of the truth has a: up to a quarter of the way counts "
        "as a copy",
        rank=20,
        control=Control("inputs", lambda t: t.sources),
    )


def _detect(translations: Translations) -> Detection:
    sources, targets = translations.sources, translations.targets
    change = l1_by_image(sources, translations.outputs)
    if translations.paired:
        distance = l1_by_image(sources, targets)
    else:
        selected = evenly_spaced(len(targets), TARGETS)
        distance = distances(downsampled(sources), downsampled(targets[selected])).min(axis=1)
    evidence = np.divide(change, distance, out=np.full(len(distance), np.nan), where=distance >= MIN_DISTANCE)
    return Detection(evidence, f"{_percent(evidence)} of the way to the target in the median image")


def _percent(evidence: np.ndarray) -> str:
    return f"{100 * np.nanmedian(evidence):.0f} %" if np.isfinite(evidence).any() else "no part"


def _why_not_applicable(translations: Translations) -> str | None:
    return "needs real target images" if translations.targets is None else None
