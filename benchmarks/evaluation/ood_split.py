"""Test scenes of a kind that training never shows, the split `ood`: read once, translated by every method."""

from collections.abc import Callable

import numpy as np

from cgbench.api.dataset import Dataset
from cgbench.api.metric import Translations
from cgbench.benchmarks.data.batches import ImageSet
from cgbench.benchmarks.data.loading import load_images
from cgbench.benchmarks.runtime.progress import progress
from cgbench.config import TrialConfig

OOD = "ood"


def load_ood_images(dataset: Dataset, config: TrialConfig) -> dict[str, ImageSet]:
    """Return the images of the split in both domains, with labels; none where the dataset has no such split."""
    if OOD not in dataset.splits:
        return {}
    with progress(f"reading strange scenes of {dataset.label}") as update:
        return {
            domain: load_images(
                dataset, OOD, domain, config.crop_size, config, config.max_test_images, True, update, True
            )
            for domain in "AB"
        }


def ood_translations(
    ood_images: dict[str, ImageSet], like: Translations, translate: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Translations | None:
    """Return the translations of the strange scenes in the direction of `like`, made by `translate(sources, targets)`,
    with the means to recognise classes that those have; None where there are no such scenes."""
    if not ood_images:
        return None
    source, target = ood_images[like.direction[0]], ood_images[like.direction[-1]]
    paired = like.paired and source.keys == target.keys
    return Translations(
        direction=like.direction,
        keys=source.keys,
        sources=source.images,
        outputs=translate(source.images, target.images),
        target_kind=like.target_kind,
        targets=target.images,
        paired=paired,
        labels=source.labels if source.labels is not None else target.labels if paired else None,
        target_labels=target.labels,
        palette=like.palette,
        scorer=like.scorer,
    )
