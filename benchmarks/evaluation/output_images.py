"""The images that are saved of a trial's translations: outputs as they were evaluated, and smaller aids beside them."""

import io
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from cgbench.api.dataset import Dataset, SemanticClass
from cgbench.api.metric import Translations
from cgbench.api.names import Split
from cgbench.benchmarks.data.lossless_files import encoded, suffix
from cgbench.benchmarks.metrics.functional.class_maps import predicted_classes, why_no_classes
from cgbench.files import attach_path, file_name, own_handle, write_bytes
from cgbench.pixel_format import RGB8, PixelFormat
from cgbench.results.run_folder import TrialFolder

KINDS = ("outputs", "numbers", "reconstructions", "segmentations")
AID_SIDE = 128  # pixels; reconstructions are saved for viewing only, at this side at most


def replace_images(folder: TrialFolder, new_folder: TrialFolder) -> None:
    """Replace all images of a trial with those of `new_folder`, which is removed: none of another test setting may
    stay."""
    for kind in KINDS:
        old, new = folder.path / kind, new_folder.path / kind
        with attach_path(old):
            if old.exists():
                shutil.rmtree(old)
            if new.exists():
                new.rename(old)
    shutil.rmtree(new_folder.path, ignore_errors=True)


def save_images(folder: TrialFolder, translations: Translations) -> None:
    """Write the outputs losslessly, those of out-of-distribution scenes too: the saved images are the evaluated ones.

    Beside them the reconstructions, reduced to 128 pixels, and the predicted classes of an output, in palette colours.
    """
    direction, keys, sizes = translations.direction, translations.keys, translations.sizes
    outputs = map(Image.fromarray, _cut(translations.outputs, sizes))
    write_images((folder.output(direction, key) for key in keys), outputs)
    if translations.reconstructions is not None:
        paths = (folder.reconstruction(direction, key) for key in keys)
        write_images(paths, map(_thumbnail, _cut(translations.reconstructions, sizes)))
    if why_no_classes(translations) is None:
        paths, maps = (folder.segmentation(direction, key) for key in keys), predicted_classes(translations)
        write_images(paths, (_palette_image(ids, translations.palette) for ids in _cut(maps, sizes)))
    if (ood := translations.ood) is not None:
        paths = (folder.output(f"{direction}-{Split.OOD}", key) for key in ood.keys)
        write_images(paths, map(Image.fromarray, _cut(ood.outputs, ood.sizes)))


def save_numbers(folder: TrialFolder, translations: Translations, dataset: Dataset) -> None:
    """Write the outputs in stored numbers, as files of the dataset's own kind or losslessly as images; nothing where
    they are 8-bit pictures, which are saved as they are."""
    stored, direction = translations.stored, translations.direction
    if stored is None or stored.target_pixels.is_rgb8:
        return
    pixels, place = stored.target_pixels, folder.numbers(direction)
    outputs = list(_cut(stored.outputs, translations.sizes))
    with attach_path(place):
        place.mkdir(parents=True, exist_ok=True)
        if dataset.write_outputs(place, direction, translations.keys, outputs, pixels):
            return
        for key, output in zip(translations.keys, outputs, strict=True):
            path = place / f"{file_name(key)}{suffix(pixels)}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, encoded(output, pixels))


def _cut(images: np.ndarray, sizes: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield images of an array (N, H, W, …) at the sizes of their own, int (N, 2)."""
    for index, image in enumerate(images):
        height, width = image.shape[:2] if sizes is None else sizes[index]
        yield image[:height, :width]


def max_bytes(height: int, width: int, pixels: PixelFormat = RGB8) -> int:
    """Return an upper bound of the bytes of one test image's saved images: PNG saves little on photos."""
    numbers = 0 if pixels.is_rgb8 else pixels.channels * np.dtype(pixels.dtype).itemsize
    return (4 + numbers) * height * width + 3 * min(height, AID_SIDE) * min(width, AID_SIDE)


def write_images(paths: Iterable[Path], images: Iterable[Image.Image]) -> None:
    """Write each image as PNG; missing folders are created, a symbolic link is replaced, and a pipe or the like raises
    `CgbenchError`."""
    for path, image in zip(paths, images, strict=True):
        encoded = io.BytesIO()
        image.save(encoded, format="PNG", compress_level=1)
        with attach_path(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                path.unlink()
            with open(path, "wb", opener=own_handle) as file:
                file.write(encoded.getvalue())


def _thumbnail(image: np.ndarray) -> Image.Image:
    thumbnail = Image.fromarray(image)
    thumbnail.thumbnail((AID_SIDE, AID_SIDE), Image.Resampling.BICUBIC)
    return thumbnail


def _palette_image(ids: np.ndarray, palette: tuple[SemanticClass, ...]) -> Image.Image:
    """Return class ids as an image whose pixels are the ids, shown in the palette's colours."""
    palette_image = Image.fromarray(ids, "L").convert("P")
    palette_image.putpalette([level for entry in palette for level in entry.colour])
    return palette_image
