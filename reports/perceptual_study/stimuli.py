"""Stimuli of a study: the translations of a run's test images, and the real images beside them."""

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cgbench.api.names import TrialState
from cgbench.errors import CgbenchError
from cgbench.reports.formats.images import read_png
from cgbench.results.run import SHOWN_ONCE, RunRecords, TrialResult

# Untrained rows that may hold the real images, and their descriptions; the first row that the run has is used.
REAL_ROWS = (("real", "the true target image of the same scene"), ("shuffled", "a real target image of another scene"))


@dataclass(frozen=True)
class Stimulus:
    """An image file without metadata, the digest of its pixels, and its (width, height)."""

    file: bytes
    digest: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Stimuli:
    """Image files by method ("" for the real images) and test image. `missing` is the reason why a method has none,
    `real` the description of the real images, `side` the largest side of an image in pixels."""

    files: Mapping[str, Mapping[str, Path]]
    missing: Mapping[str, str]
    real: str
    side: int

    def common_keys(self, methods: Iterable[str]) -> list[str]:
        """Return the sorted keys of the test images that all methods and the real row have, without repeated images."""
        digests: set[str] = set()
        keys = set(self.files[""]).intersection(*(self.files[name] for name in methods))
        kept = []
        for key in sorted(keys):
            digest = _digest(self._pixels(key, ""))
            if digest not in digests:
                kept.append(key)
            digests.add(digest)
        return kept

    def stimulus(self, key: str, method: str) -> Stimulus:
        """Return an image, reduced where a side exceeds `side`; real and translated images are processed alike."""
        pixels = self._pixels(key, method)
        buffer = io.BytesIO()
        # Lossless, and a quarter smaller than PNG (photos of CamVid, 256 pixels); `quality` is the effort here.
        Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=30, method=2)
        return Stimulus(buffer.getvalue(), _digest(pixels), (pixels.shape[1], pixels.shape[0]))

    def _pixels(self, key: str, method: str) -> np.ndarray:
        path = self.files[method][key]
        try:
            image = read_png(path)[1].convert("RGB")
        except FileNotFoundError:
            raise CgbenchError(f"{path} is not there; 'cgbench evaluate' writes it again") from None
        image.thumbnail((self.side, self.side), Image.Resampling.LANCZOS)
        return np.asarray(image)


def read_stimuli(run: RunRecords, direction: str, methods: Iterable[str], seed: int, side: int) -> Stimuli:
    """Return the images of the trials of one seed.

    Args:
        run: The run.
        direction: The direction of translation.
        methods: The methods to read.
        seed: The training seed.
        side: The largest side of an image in pixels.

    Returns:
        The stimuli; methods without images are in `missing`.

    Raises:
        CgbenchError: The run has no real images.
    """
    files, missing = {}, {}
    for name in methods:
        trial = _trial(run, name, seed)
        files[name] = _images(trial, direction) if trial and trial.state == TrialState.DONE else {}
        if trial is None or trial.state != TrialState.DONE:
            missing[name] = f"seed {seed} is {trial.state if trial else 'not there'}"
        elif not files[name]:
            missing[name] = f"has no {run.dataset['directions'].get(direction, direction)} images"
    for name, description in REAL_ROWS:
        trial = _trial(run, name, seed) if name in run.order else None
        if trial and trial.state == TrialState.DONE and (images := _images(trial, direction)):
            return Stimuli({**files, "": images}, missing, description, side)
    raise CgbenchError(f"{run.path} has no real test images ({direction}): its rows 'real' and 'shuffled' have none")


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:12]


def _trial(run: RunRecords, method: str, seed: int) -> TrialResult | None:
    """Return the trial of a method and seed; for a row not trained here without that seed, the first finished trial."""
    trials = run.trials_of(method)
    matching = [trial for trial in trials if trial.seed == seed]
    if not matching and run.roles[method] in SHOWN_ONCE:
        matching = [trial for trial in trials if trial.state == TrialState.DONE]
    return matching[0] if matching else None


def _images(trial: TrialResult, direction: str) -> dict[str, Path]:
    folder = trial.folder.path / "outputs" / direction
    return {path.stem: path for path in folder.glob("*.png")}
