"""The failure gallery: the test images with the worst scores, beside images sampled at random.

All images are of one seed. An example is one test image: input, ground truth, and for each method the output with its
scores and failures; for the worst images of a method also its reconstruction and the classes that the scorer predicts.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cgbench.api.metric import SOURCE, Value
from cgbench.api.names import DIRECTIONS, TrialState
from cgbench.files import file_name
from cgbench.reports.formats.images import UnreadableImage, data_uri
from cgbench.reports.formats.numbers import in_order, in_units
from cgbench.reports.galleries.image_grid import INPUT, TRUTH
from cgbench.results.record_files import read_failures_file, read_score_rows
from cgbench.results.run import RunRecords, TrialResult
from cgbench.seeds import generator

BUDGET = 3_500_000  # bytes of all images of the gallery, before base64
SMALL_QUALITY = 78
OOD_IMAGES = 6  # out-of-distribution scenes per direction


@dataclass(frozen=True)
class Size:
    """The size of a gallery: the number of metrics, of worst images per metric and of sampled images, and the side in
    pixels to which images are reduced; 0 leaves the files unchanged."""

    metrics: int
    worst: int
    sampled: int
    side: int


SIZES = (Size(4, 6, 6, 0), Size(3, 5, 5, 0), Size(2, 4, 4, 96), Size(1, 4, 4, 96), Size(1, 3, 3, 64), Size(1, 2, 2, 48))


@dataclass(frozen=True)
class MethodOutput:
    """The output of one method for one test image. `scores` are by metric, `failures` the labels of the failures that
    the image shows; `status` is the reason why there is no image."""

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
    """One test image. `sampled` is whether the random sample holds it; `truth` is "" where there is no ground truth."""

    key: str
    sampled: bool
    source: str
    truth: str
    outputs: tuple[MethodOutput, ...]


@dataclass(frozen=True)
class DirectionGallery:
    """The gallery of one direction. `metrics` are those whose worst images are all in it."""

    direction: str
    name: str
    seed: int
    methods: tuple[str, ...]
    metrics: tuple[Value, ...]
    worst: int
    examples: tuple[Example, ...]
    ood: tuple[Example, ...]
    reduced: bool


def worst_images(run: RunRecords, values: Mapping[str, Value]) -> list[DirectionGallery]:
    """Return the galleries of all directions with per-image scores, as large as `BUDGET` allows."""
    seed = shown_seed(run)
    if seed is None:
        return []
    labelled = {direction: in_units(values, direction, run.units) for direction in DIRECTIONS}
    directions = [_DirectionScores.read(run, name, seed, declared) for name, declared in labelled.items()]
    directions = [scores for scores in directions if scores.metrics]
    for size in SIZES:
        galleries = [scores.gallery(size) for scores in directions]
        if sum(map(_bytes, galleries)) <= BUDGET:
            break
    return galleries if directions else []


def shown_seed(run: RunRecords) -> int | None:
    """Return the first seed that most trained methods, ideally all, have finished; None where none has finished any."""
    done = {seed: sum(trial.seed == seed for trial in _done(run, run.trained)) for seed in run.seeds}
    best = max(done.values(), default=0)
    return next(seed for seed in run.seeds if done[seed] == best) if best else None


def worst(scores: Mapping[str, float], value: Value, count: int) -> list[str]:
    """Return the keys of the `count` worst scores, the worst first; equal scores are ordered by key."""
    sign = 1 if value.better == "higher" else -1
    return sorted(scores, key=lambda key: (sign * scores[key], key))[:count]


def disagreement(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return by key the standard deviation over methods of an image's scores, for images that two or more have."""
    keys = {key for by_key in scores for key in by_key}
    by_image = {key: [by_key[key] for by_key in scores if key in by_key] for key in keys}
    return {key: float(np.std(numbers)) for key, numbers in by_image.items() if len(numbers) > 1}


def sampled(keys: Sequence[str], count: int, *purpose: str) -> list[str]:
    """Return `count` of the keys, sampled with a fixed seed: the same for all methods and all runs on these images."""
    order = generator(0, "gallery", *purpose).permutation(len(keys))
    return sorted(keys[index] for index in order[:count])


@dataclass(frozen=True)
class _DirectionScores:
    """The data of one direction: the trials shown, their scores by method, metric and key, and their failures.

    The scores are those of source images, whose translations are shown; scores of unpaired target images and of
    groups of images are left out.
    """

    run: RunRecords
    direction: str
    seed: int
    trials: Mapping[str, TrialResult]
    metrics: tuple[Value, ...]
    scores: Mapping[str, Mapping[str, Mapping[str, float]]]
    failures: Mapping[str, Mapping[str, Mapping[str, tuple[str, ...]]]]  # by direction, "AtoB-ood" too, and method

    @classmethod
    def read(cls, run: RunRecords, direction: str, seed: int, values: Mapping[str, Value]) -> "_DirectionScores":
        trials = {trial.method: trial for trial in _done(run, run.trained) if trial.seed == seed}
        scores: dict[str, dict[str, dict[str, float]]] = {}
        for method, trial in trials.items():
            for row in read_score_rows(trial.folder.image_scores):
                if row["direction"] == direction and row.get("of", SOURCE) == SOURCE:
                    scores.setdefault(method, {}).setdefault(row["metric"], {})[row["key"]] = row["value"]
        scored = {metric for by_metric in scores.values() for metric in by_metric}
        metrics = [values[name] for name in in_order(scored, values) if name in values and values[name].better]
        metrics = [value for value in metrics if not value.contributions]
        failures = {
            images: {method: _flags(trial, images) for method, trial in trials.items()}
            for images in (direction, f"{direction}-ood")
        }
        return cls(run, direction, seed, trials, tuple(metrics), scores, failures)

    def gallery(self, size: Size) -> DirectionGallery:
        """Return the gallery in one size."""
        metrics = self.metrics[: size.metrics]
        keys = sorted({key for by_metric in self.scores.values() for by_key in by_metric.values() for key in by_key})
        sample = set(sampled(keys, size.sampled, "test"))
        detailed = {method: set(sample) for method in self.scores}  # images with reconstruction and predicted classes
        chosen = set(sample)
        for value in metrics:
            by_method = {name: scores[value.name] for name, scores in self.scores.items() if value.name in scores}
            for method, scores in by_method.items():
                detailed[method] |= set(worst(scores, value, size.worst))
            spread = disagreement(list(by_method.values()))
            chosen |= set(sorted(spread, key=lambda key: (-spread[key], key))[: size.worst])
            means = {
                key: float(np.mean([scores[key] for scores in by_method.values() if key in scores])) for key in keys
            }
            chosen |= set(worst({key: mean for key, mean in means.items() if math.isfinite(mean)}, value, size.worst))
        keys_shown = sorted(chosen.union(*detailed.values()))
        side, name = size.side, self.run.dataset["directions"].get(self.direction, self.direction)
        examples = tuple(self._example(key, self.direction, name, side, key in sample, detailed) for key in keys_shown)
        return DirectionGallery(
            self.direction, name, self.seed, tuple(self.scores), metrics, size.worst, examples,
            self._ood(name, side), side > 0,
        )  # fmt: skip

    def _ood(self, name: str, side: int) -> tuple[Example, ...]:
        """Return out-of-distribution scenes: those on which most methods fail, then sampled ones."""
        direction = f"{self.direction}-ood"
        folders = [trial.folder.path / "outputs" / direction for trial in self.trials.values()]
        keys = sorted({path.stem for folder in folders for path in folder.glob("*.png")})
        count = {key: sum(bool(flags.get(key)) for flags in self.failures[direction].values()) for key in keys}
        first = sorted((key for key in keys if count[key]), key=lambda key: (-count[key], key))[: OOD_IMAGES // 2]
        rest = [key for key in sampled(keys, OOD_IMAGES, "ood") if key not in first]
        shown = [*first, *rest][:OOD_IMAGES]
        return tuple(self._example(key, direction, name, side, key in rest, {}) for key in shown)

    def _example(
        self, key: str, direction: str, name: str, side: int, is_sampled: bool, detailed: Mapping[str, set[str]]
    ) -> Example:
        return Example(
            key, is_sampled, self._untrained(INPUT, direction, key, side), self._untrained(TRUTH, direction, key, side),
            tuple(
                self._output(method, key, direction, name, side, key in detailed.get(method, ()))
                for method in self.scores
            ),
        )  # fmt: skip

    def _output(self, method: str, key: str, direction: str, name: str, side: int, details: bool) -> MethodOutput:
        folder = self.trials[method].folder
        alt = f"{name}, {method}, seed {self.seed}, image {key}"
        uri, status = _uri(folder.output(direction, key), side)
        scores = {
            value.name: self.scores[method][value.name][key]
            for value in self.metrics
            if key in self.scores[method].get(value.name, {})
        }
        return MethodOutput(
            method, uri, alt, status, scores, self.failures[direction][method].get(key, ()),
            _uri(folder.reconstruction(direction, key), side)[0] if details else "",
            _uri(folder.segmentation(direction, key), 0)[0] if details else "",
        )  # fmt: skip

    def _untrained(self, method: str, direction: str, key: str, side: int) -> str:
        """Return the image of an untrained row, which is the same for all seeds; "" where there is none."""
        trials = _done(self.run, [method]) if method in self.run.order else []
        return _uri(trials[0].folder.output(direction, key), side)[0] if trials else ""


def _done(run: RunRecords, methods: Iterable[str]) -> list[TrialResult]:
    return [trial for method in methods for trial in run.trials_of(method) if trial.state == TrialState.DONE]


def _flags(trial: TrialResult, direction: str) -> dict[str, tuple[str, ...]]:
    """Return the labels of the failures that each image shows, by key and by the key's file name: of source images, or
    for a direction "AtoB-ood" of those of the split `ood`. Earlier records do not say which images they are of."""
    labels: dict[str, tuple[str, ...]] = {}
    name, _, split = direction.partition("-")
    for entry in read_failures_file(trial.folder.failures).get(name, {}).values():
        for key in entry.get("flagged", ()) if entry.get("of") in (None, split or SOURCE) else ():
            labels[key] = (*labels.get(key, ()), entry["label"])
            if file_name(key) != key:
                labels[file_name(key)] = labels[key]
    return labels


def _uri(path: Path, side: int) -> tuple[str, str]:
    """Return an image as a data URI and "", or "" and the reason; a `side` above 0 reduces it to that many pixels."""
    try:
        return data_uri(path, side, SMALL_QUALITY), ""
    except FileNotFoundError:
        return "", "no image"
    except UnreadableImage:
        return "", "unreadable image"


def _bytes(gallery: DirectionGallery) -> int:
    """Return the number of bytes of a gallery's images, before base64."""
    examples = (*gallery.examples, *gallery.ood)
    uris = [uri for example in examples for uri in (example.source, example.truth)]
    for example in examples:
        uris += [uri for output in example.outputs for uri in (output.uri, output.reconstruction, output.segmentation)]
    return sum(map(len, uris)) * 3 // 4
