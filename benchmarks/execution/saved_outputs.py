"""Saved outputs of an external row: how they are kept, and read again when the row is measured anew."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.evaluation.context import EvaluationContext
from cgbench.benchmarks.trials.external_method import external_method
from cgbench.benchmarks.trials.trial import Trial
from cgbench.datasets.images.decoding import read_image
from cgbench.errors import CgbenchError
from cgbench.files import ensure_regular_file, write_bytes, write_json
from cgbench.pixel_format import RGB8, PixelFormat
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder


def on_canvas(images: list[np.ndarray], sources: ImageSet, pixels: PixelFormat) -> np.ndarray:
    """Return outputs (H, W, D), each of the size of its source, as one array (N, H, W, D) in the target's format
    `pixels`; beside smaller images it is filled with the lower end of the window, as outputs of a network are."""
    outputs = np.full((*sources.images.shape[:3], pixels.channels), pixels.ends[0], pixels.dtype)
    for output, image in zip(outputs, images, strict=True):
        output[: image.shape[0], : image.shape[1]] = image
    return outputs


def save_imported(folder: TrialFolder, outputs: np.ndarray, pixels: PixelFormat) -> None:
    """Keep outputs (N, H, W, D) that are not 8-bit RGB; pictures are kept losslessly by the evaluation."""
    if not pixels.is_rgb8:
        content = io.BytesIO()
        np.save(content, outputs, allow_pickle=False)
        write_bytes(folder.imported, content.getvalue())


def with_saved_outputs(trial: Trial, folder: TrialFolder, evaluation: EvaluationContext) -> Trial:
    """Return an external trial with the outputs that were kept of it. What is missing, damaged or does not fit the test
    images raises `CgbenchError`."""
    (direction,) = trial.method.directions
    sources, pixels = evaluation.source(direction), evaluation.target(direction).pixels
    outputs = _pictures(folder, direction, sources) if pixels.is_rgb8 else _numbers(folder.imported)
    expected = (*sources.images.shape[:3], pixels.channels)
    if outputs.shape != expected or outputs.dtype.name != pixels.dtype:
        raise CgbenchError(
            f"{folder.path}: its saved outputs are {outputs.dtype} {outputs.shape}, not {pixels.dtype} {expected}: "
            "import them again"
        )
    return replace(trial, method=external_method(trial.method.name, direction, outputs))


def record_not_measured(folder: TrialFolder, reasons: Mapping[str, Mapping[str, str]]) -> None:
    """Record in an external trial's `trial.json` why values are not measured, from reasons by direction and value."""
    record = read_trial(folder)
    record["external"]["not_measured"] = dict(reasons.get(record["external"]["direction"], {}))
    write_json(folder.trial, record)


def _pictures(folder: TrialFolder, direction: str, sources: ImageSet) -> np.ndarray:
    """Return the saved pictures of all test images."""
    paths = [folder.output(direction, key) for key in sources.keys]
    images = []
    for index, path in enumerate(paths):
        _ensure_there(path)
        images.append(read_image(path))
        if images[-1].shape[:2] != sources.size(index):
            raise CgbenchError(f"{path} has another size than its test image: import the outputs again")
    return on_canvas(images, sources, RGB8)


def _numbers(path: Path) -> np.ndarray:
    _ensure_there(path)
    ensure_regular_file(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: no header makes it take more than the file
    except (ValueError, EOFError, OSError) as error:
        raise CgbenchError(f"{path} cannot be read ({error}): import the outputs again") from None


def _ensure_there(path: Path) -> None:
    if not path.is_file():
        raise CgbenchError(f"{path} is not there: delete the row's folder and import its outputs again")
