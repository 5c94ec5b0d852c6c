"""L1 metrics: reconstruction against source, identity translation against target, output against true target."""

import numpy as np

from cgbench.api.metric import TARGET, Metric, Scores, Value
from cgbench.api.registry import METRICS
from cgbench.benchmarks.metrics.functional.image_distances import at_own_sizes, l1_by_image

PICTURES = "scale 0 to 1; of images that are not 8-bit RGB, of their 8-bit pictures by the window"


@METRICS.register
def reconstruction() -> Metric:
    """Return the distance between a source and its reconstruction."""
    return Metric(
        name="reconstruction",
        summary=f"mean absolute difference between sources and their reconstructions, {PICTURES}",
        values=(Value("reconstruction_l1", "rec. L1", better="lower", minimum=0, maximum=1),),
        compute=lambda t: _l1("reconstruction_l1", t.sources, t.reconstructions, t.sizes),
        not_applicable=lambda t: "needs a method that reconstructs its source" if t.reconstructions is None else None,
        source="the cycle-consistency loss of Zhu et al. 2017, equation 2, measured on test images",
    )


@METRICS.register
def identity() -> Metric:
    """Return the distance between a real target image and its own translation."""
    return Metric(
        name="identity",
        summary=f"mean absolute difference between real target images and their own translations, {PICTURES}",
        values=(Value("identity_l1", "idt. L1", better="", minimum=0, maximum=1, of=TARGET),),
        compute=lambda t: _l1("identity_l1", t.targets, t.identities, t.target_sizes),
        not_applicable=lambda t: "needs a trained method that translates in one pass" if t.identities is None else None,
        rank=55,
        source="the identity loss of Zhu et al. 2017, section 5.2, measured on test images",
    )


@METRICS.register
def paired_l1() -> Metric:
    """Return the distance between a translation and the true image of the same scene."""
    return Metric(
        name="paired_l1",
        summary=f"mean absolute difference between translations and the true images of their scenes, {PICTURES}",
        values=(Value("paired_l1", "L1 to truth", better="lower", minimum=0, maximum=1),),
        compute=lambda t: _l1("paired_l1", t.targets, t.outputs, t.sizes),
        not_applicable=lambda t: None if t.paired and t.targets is not None else "needs paired test images",
        source="the L1 term of Isola et al. 2017, equation 3, measured on test images",
    )


def _l1(name: str, first: np.ndarray, second: np.ndarray, sizes: np.ndarray | None) -> Scores:
    by_image = at_own_sizes(l1_by_image, first, second, sizes)
    return Scores({name: float(by_image.mean())}, {name: by_image})
