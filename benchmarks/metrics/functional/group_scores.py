"""Scores by group of images, such as the slices of a patient, and where the numbers of images are measured."""

from collections.abc import Iterable, Mapping

import numpy as np

from cgbench.api.metric import GROUP, Scores, StoredImages, Translations


def rows_by_group(translations: Translations) -> list[np.ndarray]:
    """Return the numbers of the source images of each group, in the order of `keys_of(GROUP)`."""
    names = np.array(translations.groups or translations.keys)
    return [np.flatnonzero(names == name) for name in translations.keys_of(GROUP)]


def measured_pixels(stored: StoredImages) -> np.ndarray:
    """Return bool (N, H, W): the pixels where numbers are measured."""
    if stored.masks is None:
        return np.ones(stored.outputs.shape[:3], bool)
    return np.asarray(stored.masks) != 0


def why_not_stored(translations: Translations, paired: bool = True) -> str | None:
    """Return why numbers of stored images do not apply, or None: to label images, to 8-bit RGB, or not to pairs."""
    if translations.target_kind != "photo":
        return "is for translations to photos"
    if translations.stored is None:
        return "is for images that are not 8-bit RGB"
    return None if translations.paired or not paired else "needs paired test images"


def not_finite(masks: np.ndarray, **sets: np.ndarray) -> str:
    """Return which of the sets of images (N, H, W, C) have numbers inside the masks (N, H, W) that are infinite or not
    a number, "" for none; the name of a set is that of its argument."""
    for name, images in sets.items():
        for image, mask in zip(images, masks, strict=True):
            if image.dtype.kind == "f" and not np.isfinite(image[mask]).all():
                return f"the {name} have numbers that are not finite where they are measured"
    return ""


def unmeasured(names: Iterable[str], reason: str) -> Scores:
    """Return scores that are not a number, all for one reason."""
    names = tuple(names)
    return Scores(dict.fromkeys(names, float("nan")), reasons=dict.fromkeys(names, reason))


def mean_over_groups(by_group: Mapping[str, np.ndarray], nothing: str, **more: Mapping) -> Scores:
    """Return scores from numbers of each group (G,): their mean over the groups that have one.

    NaN is a group with `nothing` to measure, such as "no pixel inside its mask"; the reasons tell how many are left
    out. `more` are further fields of the scores.
    """
    values, reasons = {}, {}
    for name, numbers in by_group.items():
        has_number = np.isfinite(numbers)
        values[name] = float(numbers[has_number].mean()) if has_number.any() else float("nan")
        if not has_number.all():
            reasons[name] = f"{np.count_nonzero(~has_number)} of {len(numbers)} left out: {nothing}"
    return Scores(values, by_group, reasons=reasons, **more)
