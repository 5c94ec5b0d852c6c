"""The failure gallery: test images that scores chose, the worst ones, beside images that nothing but a seed chose.

All images are of one seed. An example is one test image: input, truth, and of each method the output with its scores
and the failures it shows; where a method's worst images are looked at, its reconstruction and the scorer's classes too.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cgbench.api.method import DIRECTIONS
from cgbench.api.metric import Value
from cgbench.files import file_name, read_json, read_jsonl
from cgbench.reports.formats.images import data_uri
from cgbench.reports.formats.numbers import in_order
from cgbench.reports.sections.image_grid import INPUT, TRUTH
from cgbench.results.run import Run, TrialResult
from cgbench.seeds import generator

BUDGET = 3_500_000  # bytes of all pictures of the gallery, before they become text
SMALL_QUALITY = 78
OOD_IMAGES = 6  # images of the split `ood`


@dataclass(frozen=True)
class Size:
    """How much is shown: for how many metrics the worst are chosen, how many worst and sampled ones, and the side in
    pixels to which pictures are reduced; 0 leaves the files as they are."""

    metrics: int
    worst: int
    sampled: int
    side: int


SIZES = (Size(4, 6, 6, 0), Size(3, 5, 5, 0), Size(2, 4, 4, 96), Size(1, 4, 4, 96), Size(1, 3, 3, 64), Size(1, 2, 2, 48))


@dataclass(frozen=True)
class MethodOutput:
    """What one method made of one test image. `scores` by metric; `failures` are the labels of those it shows; `status`
    says why there is no picture."""

    method: str
    uri: str
    alt: str
    status: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    reconstruction: str = ""
    segmentation: str = ""


@dataclass(frozen=True)
class Example:
    """One test image. `sampled` says that the random draw chose it; `truth` is empty where nobody knows it."""

    key: str
    sampled: bool
    source: str
    truth: str
    outputs: tuple[MethodOutput, ...]


@dataclass(frozen=True)
class DirectionGallery:
    """The gallery of one direction. `metrics` are those whose worst images are all there."""

    direction: str
    name: str
    seed: int
    methods: tuple[str, ...]
    metrics: tuple[Value, ...]
    worst: int
    examples: tuple[Example, ...]
    ood: tuple[Example, ...]
    reduced: bool


def worst_images(run: Run, values: Mapping[str, Value]) -> list[DirectionGallery]:
    """Return the galleries of all directions with per-image scores, as large as `BUDGET` allows."""
    seed = shown_seed(run)
    if seed is None:
        return []
    stories = [story for way in DIRECTIONS if (story := _DirectionScores.read(run, way, seed, values)).metrics]
    for size in SIZES:
        made = [story.gallery(size) for story in stories]
        if sum(map(_weight, made)) <= BUDGET:
            break
    return made if stories else []


def shown_seed(run: Run) -> int | None:
    """Return the first seed of which every trained method is done, else of which most are; None where none is."""
    done = {seed: sum(trial.seed == seed for trial in _done(run, run.trained)) for seed in run.seeds}
    best = max(done.values(), default=0)
    return next(seed for seed in run.seeds if done[seed] == best) if best else None


def worst(scores: Mapping[str, float], value: Value, count: int) -> list[str]:
    """Return the keys of the `count` worst scores, the worst first; equal ones by their key."""
    sign = 1 if value.better == "higher" else -1
    return sorted(scores, key=lambda key: (sign * scores[key], key))[:count]


def disagreement(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return by key the standard deviation over methods of an image's scores, for images that two or more have."""
    keys = {key for one in scores for key in one}
    found = {key: [one[key] for one in scores if key in one] for key in keys}
    return {key: float(np.std(numbers)) for key, numbers in found.items() if len(numbers) > 1}


def sampled(keys: Sequence[str], count: int, *purpose: str) -> list[str]:
    """Return `count` of the keys, drawn by a fixed seed: the same for all methods, runs of these images and days."""
    order = generator(0, "gallery", *purpose).permutation(len(keys))
    return sorted(keys[place] for place in order[:count])


@dataclass(frozen=True)
class _DirectionScores:
    """What is known of one direction: the trials shown, their scores by method and metric, and their failures."""

    run: Run
    direction: str
    seed: int
    trials: Mapping[str, TrialResult]
    metrics: tuple[Value, ...]
    scores: Mapping[str, Mapping[str, Mapping[str, float]]]
    failures: Mapping[str, Mapping[str, tuple[str, ...]]]

    @classmethod
    def read(cls, run: Run, direction: str, seed: int, values: Mapping[str, Value]) -> "_DirectionScores":
        trials = {trial.method: trial for trial in _done(run, run.trained) if trial.seed == seed}
        scores: dict[str, dict[str, dict[str, float]]] = {}
        for method, trial in trials.items():
            for row in read_jsonl(trial.folder.image_scores):
                if row["direction"] == direction:
                    scores.setdefault(method, {}).setdefault(row["metric"], {})[row["key"]] = row["value"]
        found = {metric for by_metric in scores.values() for metric in by_metric}
        ordered = [values[name] for name in in_order(found, values) if name in values and values[name].better]
        failures = {method: _flags(trial, direction) for method, trial in trials.items()}
        return cls(run, direction, seed, trials, tuple(ordered), scores, failures)

    def gallery(self, size: Size) -> DirectionGallery:
        """Return the gallery in one size."""
        metrics = self.metrics[: size.metrics]
        keys = sorted({key for one in self.scores.values() for by_key in one.values() for key in by_key})
        draw = set(sampled(keys, size.sampled, "test"))
        closer = {method: set(draw) for method in self.scores}  # images of which reconstruction and classes are shown
        chosen = set(draw)
        for value in metrics:
            by_method = {method: one[value.name] for method, one in self.scores.items() if value.name in one}
            for method, scores in by_method.items():
                closer[method] |= set(worst(scores, value, size.worst))
            apart = disagreement(list(by_method.values()))
            chosen |= set(sorted(apart, key=lambda key: (-apart[key], key))[: size.worst])
            means = {key: float(np.mean([one[key] for one in by_method.values() if key in one])) for key in keys}
            chosen |= set(worst({key: mean for key, mean in means.items() if math.isfinite(mean)}, value, size.worst))
        chosen = sorted(chosen.union(*closer.values()))
        side, name = size.side, self.run.dataset["directions"].get(self.direction, self.direction)
        made = tuple(self._example(key, self.direction, name, side, key in draw, closer) for key in chosen)
        return DirectionGallery(
            self.direction, name, self.seed, tuple(self.scores), metrics, size.worst, made,
            self._ood(name, side), side > 0,
        )  # fmt: skip

    def _ood(self, name: str, side: int) -> tuple[Example, ...]:
        """Return out-of-distribution scenes: those on which most methods fail, then sampled ones."""
        way = f"{self.direction}-ood"
        folders = [trial.folder.path / "outputs" / way for trial in self.trials.values()]
        keys = sorted({path.stem for folder in folders for path in folder.glob("*.png")})
        count = {key: sum(bool(flags.get(key)) for flags in self.failures.values()) for key in keys}
        first = sorted((key for key in keys if count[key]), key=lambda key: (-count[key], key))[: OOD_IMAGES // 2]
        rest = [key for key in sampled(keys, OOD_IMAGES, "ood") if key not in first]
        return tuple(self._example(key, way, name, side, key in rest, {}) for key in [*first, *rest][:OOD_IMAGES])

    def _example(
        self, key: str, way: str, name: str, side: int, is_sampled: bool, closer: Mapping[str, set[str]]
    ) -> Example:  # fmt: skip
        outputs = tuple(
            self._output(method, key, way, name, side, key in closer.get(method, ())) for method in self.scores
        )
        return Example(
            key, is_sampled, self._reference(INPUT, way, key, side), self._reference(TRUTH, way, key, side), outputs
        )

    def _output(self, method: str, key: str, way: str, name: str, side: int, close: bool) -> MethodOutput:
        folder = self.trials[method].folder
        alt = f"{name}, {method}, seed {self.seed}, image {key}"
        uri, status = _uri(folder.output(way, key), side)
        scores = {
            value.name: self.scores[method][value.name][key]
            for value in self.metrics
            if key in self.scores[method].get(value.name, {})
        }
        return MethodOutput(
            method, uri, alt, status, scores, self.failures[method].get(key, ()),
            _uri(folder.reconstruction(way, key), side)[0] if close else "",
            _uri(folder.segmentation(way, key), 0)[0] if close else "",
        )  # fmt: skip

    def _reference(self, method: str, way: str, key: str, side: int) -> str:
        """Return the picture of an untrained row, which is the same for all seeds; "" where there is none."""
        trials = _done(self.run, [method]) if method in self.run.order else []
        return _uri(trials[0].folder.output(way, key), side)[0] if trials else ""


def _done(run: Run, methods: Iterable[str]) -> list[TrialResult]:
    return [trial for method in methods for trial in run.of(method) if trial.state == "done"]


def _flags(trial: TrialResult, direction: str) -> dict[str, tuple[str, ...]]:
    """Return by image, as files are named, the labels of the failures that it shows."""
    path = trial.folder.failures
    found: dict[str, tuple[str, ...]] = {}
    for entry in read_json(path).get(direction, {}).values() if path.exists() else ():
        for key in entry.get("flagged", ()):
            found[key] = (*found.get(key, ()), entry["label"])
            if file_name(key) != key:
                found[file_name(key)] = found[key]
    return found


def _uri(path: Path, side: int) -> tuple[str, str]:
    """Return a picture as a data URI and "", or "" and why there is none; a `side` above 0 reduces it."""
    try:
        return data_uri(path, side, SMALL_QUALITY), ""
    except FileNotFoundError:
        return "", "no image"
    except (OSError, SyntaxError):
        return "", "unreadable image"


def _weight(gallery: DirectionGallery) -> int:
    """Return the bytes of a gallery's pictures, before they become text."""
    pictures = [uri for example in (*gallery.examples, *gallery.ood) for uri in (example.source, example.truth)]
    for example in (*gallery.examples, *gallery.ood):
        pictures += [
            uri for output in example.outputs for uri in (output.uri, output.reconstruction, output.segmentation)
        ]
    return sum(map(len, pictures)) * 3 // 4
