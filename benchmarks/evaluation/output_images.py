"""What is kept of a trial's translations to look at: outputs as they were measured, and aids beside them, smaller."""

import io
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from cgbench.api.dataset import SemanticClass
from cgbench.api.metric import Translations
from cgbench.benchmarks.evaluation.ood_split import OOD
from cgbench.benchmarks.metrics.functional.class_maps import predicted_classes, why_no_classes
from cgbench.files import attach_path
from cgbench.results.run_folder import TrialFolder

KINDS = ("outputs", "reconstructions", "segmentations")
AID_SIDE = 128  # reconstructions are kept to look at only, at this side at most


def replace_images(folder: TrialFolder, fresh: TrialFolder) -> None:
    """Put the pictures of `fresh`, which is used up, in the place of all that a trial has: none of another test setting
    may stay."""
    for kind in KINDS:
        old, new = folder.path / kind, fresh.path / kind
        with attach_path(old):
            if old.exists():
                shutil.rmtree(old)
            if new.exists():
                new.rename(old)
    shutil.rmtree(fresh.path, ignore_errors=True)


def save_images(folder: TrialFolder, translations: Translations) -> None:
    """Write the outputs losslessly, also those of strange scenes: what was measured is what can be looked at.

    Beside them the reconstructions, reduced to 128 pixels, and the classes that an output shows, in palette colours.
    """
    direction, keys = translations.direction, translations.keys
    write_images((folder.output(direction, key) for key in keys), map(Image.fromarray, translations.outputs))
    if translations.reconstructions is not None:
        paths = (folder.reconstruction(direction, key) for key in keys)
        write_images(paths, map(_reduced, translations.reconstructions))
    if why_no_classes(translations) is None:
        paths = (folder.segmentation(direction, key) for key in keys)
        write_images(paths, (_coloured(ids, translations.palette) for ids in predicted_classes(translations)))
    if (odd := translations.ood) is not None:
        write_images((folder.output(f"{direction}-{OOD}", key) for key in odd.keys), map(Image.fromarray, odd.outputs))


def max_bytes(side: int) -> int:
    """Return an upper bound of the bytes that one test image's pictures take: PNG saves little on photos."""
    return 3 * side**2 + 3 * min(side, AID_SIDE) ** 2 + side**2


def write_images(paths: Iterable[Path], images: Iterable[Image.Image]) -> None:
    """Write each image as PNG, into folders that are made where they are not there."""
    for path, image in zip(paths, images, strict=True):
        encoded = io.BytesIO()
        image.save(encoded, format="PNG", compress_level=1)
        with attach_path(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded.getvalue())


def _reduced(image: np.ndarray) -> Image.Image:
    picture = Image.fromarray(image)
    picture.thumbnail((AID_SIDE, AID_SIDE), Image.Resampling.BICUBIC)
    return picture


def _coloured(ids: np.ndarray, palette: tuple[SemanticClass, ...]) -> Image.Image:
    """Return class ids as a picture whose pixels are the ids, shown in the palette's colours."""
    picture = Image.fromarray(ids, "L").convert("P")
    picture.putpalette([level for entry in palette for level in entry.colour])
    return picture
