"""A run folder of images that are not 8-bit RGB: stored numbers and their pictures, as the evaluator saves them."""

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from cgbench.api.metric import SOURCE
from cgbench.benchmarks.data.lossless_files import encoded, suffix
from cgbench.files import file_name, read_json, write_json, write_jsonl
from cgbench.pixel_format import PixelFormat, display_rgb
from cgbench.results.run_folder import TrialFolder, trial_folders
from helpers.run_folder import ROLES, build_run

MR = PixelFormat(1, "uint16", (0.0, 1600.0))
CT = PixelFormat(1, "int16", (-1000.0, 2000.0), "HU")
FLOAT_CT = PixelFormat(1, "float32", (-1000.0, 2000.0), "HU")
BANDS = PixelFormat(4, "uint16", (0.0, 10000.0), "reflectance")
METHODS = ("cyclegan", "gan_only", "copy", "real")
SHAPE = (12, 16)
KEYS = tuple(f"P{patient:02d}/{number:02d}" for patient in range(2) for number in range(5))
METRICS = {"AtoB": "fcn_pixel", "BtoA": "label_pixel"}
ERROR = {"cyclegan": 40, "gan_only": 300}  # half the width of the differences from the truth


def stored(letter: str, index: int, pixels: PixelFormat) -> np.ndarray:
    """The image of a domain, (H, W, C), some numbers outside the window."""
    rng = np.random.default_rng([17, "AB".index(letter), index])
    low, high = pixels.ends
    numbers = rng.uniform(low - 300 * (low < 0), high * 1.1, (*SHAPE, pixels.channels))
    return numbers.astype(pixels.dtype)


def translation(method: str, seed: int, index: int, direction: str, formats: tuple[PixelFormat, PixelFormat]):
    """What a trial saves of a test image: the truth with an error, or what the untrained rows save."""
    source, target = ("A", "B") if direction == "AtoB" else ("B", "A")
    given, wanted = formats["AB".index(source)], formats["AB".index(target)]
    if method == "copy":
        share = (stored(source, index, given).astype(float).clip(*given.ends) - given.ends[0]) / np.ptp(given.ends)
        share = share[..., :1] if wanted.channels == 1 else np.repeat(share[..., :1], wanted.channels, axis=2)
        numbers = wanted.ends[0] + share * np.ptp(wanted.ends)
        return (numbers if wanted.dtype == "float32" else numbers.round()).astype(wanted.dtype)
    truth = stored(target, index, wanted)
    if method == "real":
        return truth
    rng = np.random.default_rng([seed, index, len(method)])
    error = rng.uniform(-ERROR[method], ERROR[method], truth.shape)
    return (truth + error).clip(*wanted.ends).astype(wanted.dtype)


def build_stored_run(path: Path, formats=(MR, CT), methods=METHODS, seeds=(0, 1), keys=KEYS) -> Path:
    """Write a run whose domains have the given formats and return it."""
    build_run(path, methods, seeds, images=1, side=8)
    for folder in trial_folders(path):
        spec = read_json(folder.trial)
        method, seed = spec["method"]["name"], spec["seed"]
        spec["dataset"]["domains"] = [
            {"name": name, "kind": "photo", **({} if pixels.is_rgb8 else {"pixels": pixels.record()})}
            for name, pixels in zip(("MR", "CT"), formats, strict=True)
        ]
        spec["dataset"] |= {"directions": {"AtoB": "MR→CT", "BtoA": "CT→MR"}, "image_groups": "patient"}
        write_json(folder.trial, spec)
        shutil.rmtree(folder.path / "outputs")
        rows = [
            {"direction": direction, "key": key, "metric": metric, "value": (index + seed) / 20, "of": SOURCE}
            for direction, metric in METRICS.items() for index, key in enumerate(keys)
        ]  # fmt: skip
        write_jsonl(folder.image_scores, [] if method in ROLES else rows)
        for direction in METRICS:
            for index, key in enumerate(keys):
                pixels = formats[direction == "AtoB"]
                save(folder, direction, key, translation(method, seed, index, direction, formats), pixels)
    return path


def save(folder: TrialFolder, direction: str, key: str, numbers: np.ndarray, pixels: PixelFormat) -> None:
    """Write the picture of an output, and its numbers where it is more than a picture."""
    buffer = io.BytesIO()
    Image.fromarray(display_rgb(numbers[None], pixels)[0]).save(buffer, "PNG")
    files = {folder.output(direction, key): buffer.getvalue()}
    if not pixels.is_rgb8:
        files[folder.numbers(direction) / f"{file_name(key)}{suffix(pixels)}"] = encoded(numbers, pixels)
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
