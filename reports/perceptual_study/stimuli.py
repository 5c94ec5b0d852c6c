"""The images of a study: what a run's methods made of its test images, and the real ones beside them."""

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cgbench.errors import CgbenchError
from cgbench.results.run import UNTRAINED, Run, TrialResult

# The untrained row that holds the real images, and what they are; the first one that the run has.
SOURCES = (("real", "the true target image of the same scene"), ("shuffled", "a real target image of another scene"))


@dataclass(frozen=True)
class Stimulus:
    """A file without any note of its origin, the digest of its pixels, and its (width, height)."""

    file: bytes
    digest: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Stimuli:
    """Files by method ("" for real images) and test image; `missing` says why a method has none."""

    files: Mapping[str, Mapping[str, Path]]
    missing: Mapping[str, str]
    real: str
    side: int

    def common(self, methods: Iterable[str]) -> list[str]:
        """Return the test images of which all methods and the real row have a file, each real image once."""
        seen: set[str] = set()
        keys = set(self.files[""]).intersection(*(self.files[name] for name in methods))
        kept = []
        for key in sorted(keys):
            found = _digest(self._pixels(key, ""))
            if found not in seen:
                kept.append(key)
            seen.add(found)
        return kept

    def picture(self, key: str, method: str) -> Stimulus:
        """Return an image, made smaller where a side exceeds `side`; real and made ones go the same way."""
        pixels = self._pixels(key, method)
        buffer = io.BytesIO()
        # Without loss, and a quarter smaller than PNG (photos of CamVid, 256 pixels); `quality` is only effort here.
        Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=30, method=2)
        return Stimulus(buffer.getvalue(), _digest(pixels), (pixels.shape[1], pixels.shape[0]))

    def _pixels(self, key: str, method: str) -> np.ndarray:
        path = self.files[method][key]
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except (OSError, SyntaxError):
            raise CgbenchError(f"{path} is not a readable image; 'cgbench evaluate' writes it again") from None
        image.thumbnail((self.side, self.side), Image.Resampling.LANCZOS)
        return np.asarray(image)


def read_stimuli(run: Run, direction: str, methods: Iterable[str], seed: int, side: int) -> Stimuli:
    """Return the images of the trials with `seed`; where no real images are there, raise `CgbenchError`."""
    files, missing = {}, {}
    for name in methods:
        trial = _trial(run, name, seed)
        files[name] = _images(trial, direction) if trial and trial.state == "done" else {}
        if trial is None or trial.state != "done":
            missing[name] = f"seed {seed} is {trial.state if trial else 'not there'}"
        elif not files[name]:
            missing[name] = f"has no {run.dataset['directions'].get(direction, direction)} images"
    for name, what in SOURCES:
        trial = _trial(run, name, seed) if name in run.order else None
        if trial and trial.state == "done" and (found := _images(trial, direction)):
            return Stimuli({**files, "": found}, missing, what, side)
    raise CgbenchError(f"{run.path} has no real test images ({direction}): its rows 'real' and 'shuffled' have none")


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:12]


def _trial(run: Run, method: str, seed: int) -> TrialResult | None:
    """Return a method's trial of a seed; an untrained row's is the first that is done where that seed has none."""
    trials = run.of(method)
    found = [trial for trial in trials if trial.seed == seed]
    if not found and run.roles[method] in UNTRAINED:
        found = [trial for trial in trials if trial.state == "done"]
    return found[0] if found else None


def _images(trial: TrialResult, direction: str) -> dict[str, Path]:
    folder = trial.folder.path / "outputs" / direction
    return {path.stem: path for path in folder.glob("*.png")}
