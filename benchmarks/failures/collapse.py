"""Failure mode `collapse`: different inputs give the same output, or one of a few."""

import numpy as np

from cgbench.api.failure import Control, Detection, Failure
from cgbench.api.metric import Translations
from cgbench.api.registry import FAILURES
from cgbench.benchmarks.metrics.functional.image_distances import nearest_neighbour_distance

THRESHOLD = 0.25


@FAILURES.register
def collapse() -> Failure:
    """Return mode collapse: outputs are far more alike than real images of their domain."""
    return Failure(
        name="collapse",
        label="mode collapse",
        summary="different inputs give the same output, or one of a few",
        evidence_definition=(
            "distance of an output to the nearest other output, over that between nearest real target images; "
            "inputs that are unusually alike may have outputs as alike"
        ),
        detect=_detect,
        not_applicable=_why_not_applicable,
        threshold=THRESHOLD,
        above=False,
        share=0.25,
        justified="one picture for all has 0, with noise of 10 levels of 255 0.13; outputs that keep a fifth of their "
        "differences 0.22, three tenths 0.33; real streets, phantoms and CamVid frames have 1.0 to 1.4",
        rank=30,
        control=Control("copies of one image", lambda t: np.repeat(t.outputs[:1], len(t.outputs), axis=0)),
        source="the failure that Goodfellow 2016 (NIPS tutorial), section 5.1, describes",
    )


def _detect(translations: Translations) -> Detection:
    target_distances = nearest_neighbour_distance(translations.targets)
    source_distances = nearest_neighbour_distance(translations.sources)
    typical = np.median(source_distances)
    # near-duplicate inputs, such as neighbouring frames of a film, may have outputs that are equally close
    closeness = np.minimum(1, source_distances / typical) if typical > 0 else np.zeros(len(source_distances))
    scale = np.median(target_distances) * closeness
    output_distances = nearest_neighbour_distance(translations.outputs)
    evidence = np.divide(output_distances, scale, out=np.full(len(output_distances), np.nan), where=scale > 0)
    return Detection(evidence)


def _why_not_applicable(translations: Translations) -> str | None:
    if translations.targets is None or min(len(translations.targets), len(translations.outputs)) < 3:
        return "needs three images of each domain or more"
    return None
