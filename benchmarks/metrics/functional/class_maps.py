"""Class maps of translations: photos through the scorer, label images by the nearest palette colour."""

import numpy as np

from cgbench.api.metric import Translations
from cgbench.api.palette import nearest_class


def predicted_classes(translations: Translations) -> np.ndarray:
    """Return the predicted class ids of the outputs, uint8 (N, S, S)."""
    return _classes(translations, translations.outputs)


def predicted_target_classes(translations: Translations) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return true and predicted class ids of the real target images, uint8 (N, S, S); (None, None) without labels."""
    if translations.target_labels is None or translations.targets is None:
        return None, None
    return translations.target_labels, _classes(translations, translations.targets)


def why_no_classes(translations: Translations) -> str | None:
    """Return the reason why classes cannot be compared with those of the source, or None."""
    if translations.labels is None:
        return "needs test labels"
    if not translations.palette:
        return "needs a palette: the dataset's classes and their colours"
    if translations.target_kind == "photo" and translations.scorer is None:
        return "needs a scorer, and so labelled photos to train it"
    return None


def _classes(translations: Translations, images: np.ndarray) -> np.ndarray:
    if translations.target_kind == "labels":
        return nearest_class(images, translations.palette)
    return translations.scorer(images)
