"""The OOD split: test scenes of a kind absent from training, read once and translated by every method."""

from collections.abc import Callable, Mapping

import numpy as np

from cgbench.api.dataset import Dataset
from cgbench.api.metric import Translations
from cgbench.api.names import Split
from cgbench.benchmarks.data.geometry import evaluation_geometry
from cgbench.benchmarks.data.image_set import ImageSet, on_common_canvas
from cgbench.benchmarks.data.loading import load_images
from cgbench.benchmarks.runtime.progress import progress
from cgbench.config import TrialConfig


def load_ood_images(dataset: Dataset, config: TrialConfig) -> dict[str, ImageSet]:
    """Return the images of the split in both domains, with labels; {} where the dataset has no such split."""
    if Split.OOD not in dataset.splits:
        return {}
    with progress(f"reading out-of-distribution scenes of {dataset.label}") as update:
        a, b = (
            load_images(
                dataset, Split.OOD, domain, evaluation_geometry(config), config.max_test_images, True, update, True
            )
            for domain in "AB"
        )
    return dict(zip("AB", on_common_canvas(a, b), strict=True))


def ood_translations(
    ood_images: Mapping[str, ImageSet],
    translations: Translations,
    translate: Callable[[ImageSet, ImageSet], np.ndarray],
) -> Translations | None:
    """Return the translations of the OOD split, made by `translate(source, target)` as 8-bit pictures, with the
    direction, palette and scorer of the test `translations`; None where there are no such scenes."""
    if not ood_images:
        return None
    source, target = ood_images[translations.direction[0]], ood_images[translations.direction[-1]]
    paired = translations.paired and source.keys == target.keys
    return Translations(
        direction=translations.direction,
        keys=source.keys,
        sources=source.shown,
        outputs=translate(source, target),
        target_kind=translations.target_kind,
        targets=target.shown,
        target_keys=target.keys,
        paired=paired,
        labels=source.labels if source.labels is not None else target.labels if paired else None,
        target_labels=target.labels,
        palette=translations.palette,
        scorer=translations.scorer,
        sizes=source.sizes,
    )
