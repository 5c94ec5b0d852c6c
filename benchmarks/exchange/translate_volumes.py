"""Translation of the user's own medical volumes, slice by slice, by a finished trial that was trained on slices.

Volumes are read and sliced as the dataset `volumes` does it, and come back with the affine of their source.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cgbench.benchmarks.data.output_paths import all_or_none
from cgbench.benchmarks.exchange.translate_files import (
    Size,
    Translator,
    check,
    each_once,
    extensions,
    free_paths,
    translations,
)
from cgbench.benchmarks.runtime.progress import console, progress
from cgbench.datasets.images import stored
from cgbench.datasets.images.decoding import EXTENSIONS, image_files
from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.body_mask import forget_masks
from cgbench.datasets.volume_files.dicom_series import slice_files
from cgbench.datasets.volume_files.header import as_type
from cgbench.datasets.volume_files.patients import Source, source_of, volume_name
from cgbench.datasets.volume_files.settings_file import Slicing
from cgbench.datasets.volume_files.survey import kept_slices, volume_shape
from cgbench.datasets.volume_files.writing import assembled, suffix_for, write_volume
from cgbench.errors import CgbenchError
from cgbench.formatting import plural
from cgbench.methods.blocks.whole_images import size_multiple
from cgbench.progress import ProgressCallback

DICOM = (128, b"DICM")  # what a DICOM file holds, and where
IMAGES = {*EXTENSIONS, *stored.EXTENSIONS}


def input_volumes(paths: Sequence[Path], translator: Translator) -> list[Source]:
    """Return the volumes that `paths` are or hold, each once with its mask, sorted by name; none where all are images.

    A path is a volume file, a folder of DICOM slices, or a folder of either. The mask of another volume is left out.
    Volumes for a network that was trained on images, volumes beside images, one DICOM slice, volumes whose translations
    would have one name, and libraries that are not installed raise `CgbenchError`.
    """
    if translator.slicing is None:
        _ensure_images(paths, translator)
        return []
    found = {path: _volumes_of(path) for path in paths}
    images = [path for path in paths if _holds_images(path, translator) or not (found[path] or path.is_dir())]
    volumes = [volume for path in paths for volume in found[path]]
    for path in paths:
        if path not in images and not found[path]:
            raise CgbenchError(f"{path} holds no volume ({', '.join(readers.FORMATS)}, DICOM) and no image file")
    if not volumes:
        return []
    if images:
        raise CgbenchError(
            f"{volumes[0]} is a volume, and {images[0]} is or holds images: translate one kind at a time"
        )
    if absent := readers.missing_libraries():
        raise CgbenchError(absent)
    for volume in volumes:
        if not volume.is_dir() and not readers.extension(volume):
            raise CgbenchError(f"{volume}: is one slice of a DICOM series: give the folder of its slices")
    sources = {volume: source_of(volume) for volume in volumes}
    masks = {os.path.abspath(source.mask) for source in sources.values() if source.mask}
    bodies = [volume for volume in volumes if os.path.abspath(volume) not in masks]
    return [sources[volume] for volume in each_once(bodies, output_name)]


def output_name(volume: Path) -> str:
    """Return the file name of a volume's translation: NAME.mha for MetaImage, else NAME.nii.gz."""
    return f"{volume_name(volume)}{suffix_for(volume)}"


def output_paths(volumes: Sequence[Source], output: Path, run: Path) -> list[Path]:
    """Return the path of each volume's translation in the folder `output`. A path that exists raises `CgbenchError`,
    and so does a folder inside the `run`."""
    return free_paths([output_name(volume.path) for volume in volumes], output, run)


def translate(volumes: Sequence[Source], paths: Sequence[Path], translator: Translator, size: Size) -> None:
    """Translate volume k to path k; slice k of those that are translated has the random numbers of test image k.

    Slices that show too little of the body, by the rule of the run, are not translated: they hold the low end of the
    target's window. All volumes are read before the first is translated, and again for their translation: memory holds
    one. One that cannot be used raises `DataBroken` before anything is written; either all are written or none.
    """
    _ensure_whole_slices(translator, size)
    with progress("checking volumes") as update:
        check(_all_slices(volumes, translator, update), translator, size, "slice")
    kept = [translated_slices(source, _slicing(translator)) for source in volumes]
    _say_what_is_left_out(volumes, kept, translator)
    with progress(translator.title) as update, all_or_none(paths) as parts:
        first, total = 0, sum(map(len, kept))
        for source, indices, part in zip(volumes, kept, parts, strict=True):
            outputs: list[np.ndarray] = []
            for batch in translations(_slices(source, indices, translator), translator, size, first):
                outputs += list(batch)
                update(first + len(outputs), total)
            _write(part, source, indices, outputs, translator)
            first += len(outputs)
            _forget()


def translated_slices(source: Source, slicing: Slicing) -> tuple[int, ...]:
    """Return the slices of a volume that are translated: those that show the body, and all where none does."""
    kept = kept_slices(source, slicing.body, slicing.axis, slicing.min_body)
    return kept or tuple(range(volume_shape(source.path, slicing.axis)[0]))


def _slicing(translator: Translator) -> Slicing:
    assert translator.slicing is not None  # `input_volumes` gives no volumes without
    return translator.slicing


def _ensure_images(paths: Sequence[Path], translator: Translator) -> None:
    """Raise for volumes, which a network that was trained on images does not take."""
    for path in paths:
        if not _holds_images(path, translator) and (volumes := _volumes_of(path)):
            expected = f"{translator.model.method.name} was trained on images, {translator.source.described()}"
            text = "use a run on the dataset volumes, or give slices as image files"
            raise CgbenchError(f"{volumes[0]}: is a medical volume, but {expected}: {text}")


def _ensure_whole_slices(translator: Translator, size: Size) -> None:
    if not size.own:
        raise CgbenchError("--size crop resizes slices, and such make no volume: leave it out")
    if size_multiple(translator.model, translator.direction) is None:
        name, (height, width) = translator.model.method.name, translator.config.crop_shape
        raise CgbenchError(f"{name} renders images of {height}×{width} pixels only, no volumes: use another method")


def _holds_images(path: Path, translator: Translator) -> bool:
    return path.is_dir() and bool(image_files(path, extensions(translator.source)))


def _volumes_of(path: Path) -> list[Path]:
    """Return the path where it is a volume, or a slice of one; else the volumes in the folder."""
    if not path.is_dir():
        return [path] if readers.extension(path) or _is_dicom(path) else []
    try:
        if _holds_dicom(path):
            return [path]
        return [
            child for child in sorted(path.iterdir())
            if child.name[0] != "." and (_holds_dicom(child) if child.is_dir() else readers.extension(child))
        ]  # fmt: skip
    except OSError as error:
        raise CgbenchError(f"{error.filename or path}: cannot be listed ({error.strerror})") from error


def _holds_dicom(folder: Path) -> bool:
    """Return whether files of a folder are DICOM slices."""
    return any(_is_dicom(file) for file in slice_files(folder))


def _is_dicom(file: Path) -> bool:
    """Return whether a file is DICOM by its name or its content."""
    if file.suffix.lower() == ".dcm":
        return True
    if file.suffix.lower() in IMAGES or readers.extension(file) or not file.is_file():
        return False
    place, mark = DICOM
    try:
        with file.open("rb") as content:
            return content.read(place + len(mark))[place:] == mark
    except OSError:
        return False  # said where it is read


def _all_slices(volumes: Sequence[Source], translator: Translator, update: ProgressCallback) -> Iterator[np.ndarray]:
    """Yield the slices (H, W, 1) that are translated, of one volume after another."""
    for number, source in enumerate(volumes):
        yield from _slices(source, translated_slices(source, _slicing(translator)), translator)
        _forget()
        update(number + 1, len(volumes))


def _slices(source: Source, indices: Sequence[int], translator: Translator) -> Iterator[np.ndarray]:
    """Yield slices of a volume (H, W, 1) in the domain's type; numbers that it does not hold raise `DataBroken`."""
    voxels, dtype = readers.oriented_voxels(source.path, _slicing(translator).axis), translator.source.dtype
    for index in indices:
        advice = f"they are {voxels.dtype}; the network was trained on {dtype}: convert the volume"
        yield as_type(source.path, voxels[index], dtype, advice)[..., None]


def _forget() -> None:
    """Leave memory to the next volume."""
    readers.forget_voxels()
    forget_masks()


def _say_what_is_left_out(volumes: Sequence[Source], kept: Sequence[Sequence[int]], translator: Translator) -> None:
    slicing, low = _slicing(translator), translator.target.ends[0]
    total = sum(volume_shape(source.path, slicing.axis)[0] for source in volumes)
    if left := total - sum(map(len, kept)):
        text = f"{left} of {plural(total, 'slice')} show less than {slicing.min_body:.2g} of the body"
        console.print(f"{text}: they are not translated and hold {low:g}")


def _write(
    path: Path, source: Source, indices: Sequence[int], outputs: Sequence[np.ndarray], translator: Translator
) -> None:
    """Write the translated slices as a volume; its header names the trial."""
    axis = _slicing(translator).axis
    keys = [f"{source.patient}/{index}" for index in indices]
    (volume,) = assembled(keys, outputs, {source.patient: source.path}, axis, translator.target)
    title = " to ".join(translator.title.split("→"))  # NIfTI's description is ASCII
    write_volume(path, volume.slices, source.path, axis, f"{title}, {volume.translated} of {len(volume.slices)} slices")
