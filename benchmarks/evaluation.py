"""Translate every test image exactly once, keep the images, and measure them."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from cgbench.benchmarks.console import console, progress
from cgbench.benchmarks.data import ImageSet, load_images, to_bytes, to_signed
from cgbench.benchmarks.extractors import Features, Instruments, open_instruments, scorer_features
from cgbench.benchmarks.scorer import Scorer, cache_folder, cached_scorer
from cgbench.benchmarks.trial import Trial
from cgbench.config import TrialConfig
from cgbench.dataset import Dataset
from cgbench.errors import DataBroken
from cgbench.methods.blocks.model import Model
from cgbench.metric import Metric, Scores, Translations
from cgbench.records import digest
from cgbench.registry import METRICS
from cgbench.seeds import generator
from cgbench.storage import TrialFolder, write_json, write_jsonl

Step = Callable[[int, int], None]
Images = np.ndarray | None
BATCH_PIXELS = 64 * 128 * 128  # pixels translated at once; bounds the memory of evaluation


@dataclass(frozen=True)
class TestBench:
    """What all methods of a run are measured with: the test images of both domains, and a scorer for each domain of
    labelled photos."""

    __test__ = False  # not a test class, whatever its name looks like to pytest

    dataset: Dataset
    fit: str
    split: str
    domains: Mapping[str, ImageSet]  # "A", "B"
    scorers: Mapping[str, Scorer] = field(default_factory=dict)  # by domain
    scorer_features: Mapping[str, Features] = field(default_factory=dict)  # by domain
    instruments: Instruments = field(default_factory=Instruments)

    @property
    def feature_network(self) -> nn.Module | None:
        """The network of the scorer whose features a method may ask for: that of B where there is one, else of A."""
        scorer = self.scorers.get("B") or self.scorers.get("A")
        return scorer and scorer.network

    def source(self, direction: str) -> ImageSet:
        """Return the images that `direction` starts from."""
        return self.domains[direction[0]]

    def target(self, direction: str) -> ImageSet:
        """Return the real images that `direction` should arrive at."""
        return self.domains[direction[-1]]

    def protocol(self, metric: Metric, direction: str) -> dict:
        """Return what a number of this metric is measured with; its digest is the number's protocol."""
        source, target, scorer = self.source(direction), self.target(direction), self.scorers.get(direction[-1])
        return {
            "metric": metric.name,
            "version": metric.version,
            "dataset": self.dataset.label,
            "split": self.split,
            "direction": direction,
            "images": len(source),
            "sources": source.digest,
            "targets": target.digest,
            "side": int(source.images.shape[1]),
            "fit": self.fit,
            "format": "8-bit RGB, rounded, no compression loss",
            "scorer": scorer.digest if metric.uses_scorer and scorer else "",
            **({"weights": self.instruments.digests.get(metric.needs, "")} if metric.needs else {}),
        }

    def digest(self) -> str:
        """Identify all protocols together: a trial measured under another digest is measured again."""
        return digest(
            [self.protocol(METRICS.get(name), direction) for name in METRICS.names() for direction in ("AtoB", "BtoA")]
        )


def open_bench(dataset: Dataset, config: TrialConfig) -> TestBench:
    """Decode the test images of both domains; no scorer yet."""
    with progress(f"reading the test images of {dataset.label}") as update:
        tests = {
            domain: load_images(
                dataset, "test", domain, config.crop_size, config, config.test_limit, True, update, True
            )
            for domain in "AB"
        }
    if dataset.paired_test:
        same_keys(dataset, "test", tests["A"], tests["B"])
    return TestBench(dataset, config.fit, "test", tests)


def same_keys(dataset: Dataset, split: str, a: ImageSet, b: ImageSet) -> None:
    """Raise `DataBroken` where a split that should be paired is not."""
    if a.keys != b.keys:
        raise DataBroken(
            f"dataset '{dataset.label}' says that its split '{split}' is paired, but the keys differ: "
            f"'cgbench datasets check {dataset.name}' names them"
        )


def with_scorers(bench: TestBench, config: TrialConfig, device: str) -> TestBench:
    """Return the bench with what metrics look through: the instruments whose weights are here, and a scorer for each
    domain of photos, trained or from the cache; none without labels."""
    dataset, bench = bench.dataset, replace(bench, instruments=open_instruments(device))
    if not dataset.palette or "pairs" not in dataset.splits:
        return bench
    photos = [domain for domain, kind in zip("AB", dataset.domains, strict=True) if kind.kind == "photo"]
    real = {domain: _scorer_images(dataset, domain, config) for domain in photos}  # all, before the first one trains
    scorers = {domain: _scorer(dataset, domain, real[domain], config, device) for domain in photos}
    return replace(bench, scorers=scorers, scorer_features={key: scorer_features(s) for key, s in scorers.items()})


def _scorer_images(dataset: Dataset, domain: str, config: TrialConfig) -> ImageSet:
    """Return the photos of a domain in `pairs` with their class ids."""
    which = dataset.domains[domain == "B"].name
    with progress(f"reading {which} images for the scorer") as update:
        limit = config.scorer_limit
        real = load_images(dataset, "pairs", domain, config.crop_size, config, limit, True, update, labels=True)
    if real.labels is None:
        raise DataBroken(
            f"dataset '{dataset.label}' has a palette, but the {which} of its split 'pairs' have no labels"
        )
    return real


def _scorer(dataset: Dataset, domain: str, real: ImageSet, config: TrialConfig, device: str) -> Scorer:
    """Return the scorer of a domain, trained on `real` photos and their class ids."""
    with progress(f"training the scorer of {dataset.domains[domain == 'B'].name}") as update:
        count, folder = len(dataset.palette), cache_folder()
        return cached_scorer(folder, real.images, real.labels, count, config, device, update)


def evaluate(trial: Trial, model: Model | None, bench: TestBench, folder: TrialFolder, step: int, update: Step) -> None:
    """Translate, write the images and the records of a trial. `model` is None for an untrained reference row."""
    metrics, images, protocols = [], [], {}
    directions = trial.method.directions
    shutil.rmtree(folder.path / "outputs", ignore_errors=True)  # images of another test setting must not stay
    for number, direction in enumerate(directions):
        translations = translate_all(trial, model, bench, direction)
        _write_images(folder, direction, translations)
        for name in METRICS.names():
            metric = METRICS.get(name)
            if metric.unfit(translations) is not None:
                continue
            scores, reason = _computed(metric, translations, bench.instruments)
            details = bench.protocol(metric, direction)
            protocols[digest(details)] = details
            common = {"direction": direction, "step": step}
            for key, value in {**scores.values, **scores.details}.items():
                if key in scores.details and not np.isfinite(value):
                    continue  # a class that the test images never show
                n = len(translations.keys)
                row = {"metric": key, "value": float(value), "n": n, "protocol": digest(details)}
                metrics.append({**common, **row, **({"reason": reason} if reason else {})})
            images.extend(_image_rows(direction, translations.keys, scores.per_image))
        update(number + 1, len(directions))
    write_json(folder.protocols, protocols)
    write_jsonl(folder.images, images)
    write_jsonl(folder.metrics, metrics)


def _computed(metric: Metric, translations: Translations, instruments: Instruments) -> tuple[Scores, str]:
    """Return a metric's scores and "", or NaN and the reason: what it looks through is absent, or it broke, which is
    said and costs no other metric its numbers."""
    nothing = Scores({value.name: float("nan") for value in metric.values})
    if reason := instruments.absent.get(metric.needs):
        return nothing, f"weights absent: {reason}"
    try:
        return metric.compute(translations), ""
    except Exception as error:
        console.print(f"metric '{metric.name}' failed: {type(error).__name__}: {error}", style="red")
        return nothing, f"failed: {type(error).__name__}"


def translate_all(trial: Trial, model: Model | None, bench: TestBench, direction: str) -> Translations:
    """Return every test image of a direction, translated once, with all that metrics may need."""
    source, target, scorer = bench.source(direction), bench.target(direction), bench.scorers.get(direction[-1])
    if model is None:
        rng = generator(trial.seed, "reference", trial.method.name, direction)
        outputs = trial.method.reference.function(source.images, target.images, rng)
        reconstructions = others = identities = None
    else:
        outputs, reconstructions, others = _through(model, source.images, direction)
        identities = None if model.searches(direction) else _plainly(model, target.images, direction)
    if outputs.shape != source.images.shape:
        raise RuntimeError(f"{trial.method.name}: {source.images.shape} went in, {outputs.shape} came out")
    return Translations(
        direction=direction,
        keys=source.keys,
        sources=source.images,
        outputs=outputs,
        target_kind=bench.dataset.target(direction).kind,
        targets=target.images,
        paired=bench.dataset.paired_test,
        reconstructions=reconstructions,
        other_outputs=others,
        identities=identities,
        labels=source.labels if source.labels is not None else target.labels if bench.dataset.paired_test else None,
        palette=bench.dataset.palette,
        scorer=scorer.predict if scorer else None,
        scorer_features=bench.scorer_features.get(direction[-1]),
        inception=bench.instruments.inception,
        lpips=bench.instruments.lpips,
    )


def _through(model: Model, images: np.ndarray, direction: str) -> tuple[np.ndarray, Images, Images]:
    """Return outputs, reconstructions and outputs of a second draw, of all `images`, uint8 (N, S, S, 3)."""
    outputs, reconstructions, others = [], [], []
    for first, part in _batches(images):
        tensor = _tensor(part, model)
        output, reconstruction = model.translate_and_reconstruct(tensor, direction, first)
        outputs.append(to_bytes(output))
        if reconstruction is not None:
            reconstructions.append(to_bytes(reconstruction))
        if model.draws(direction):
            others.append(to_bytes(model.translate(tensor, direction, first, style=1)))
    return np.concatenate(outputs), _whole(reconstructions), _whole(others)


def _plainly(model: Model, images: np.ndarray, direction: str) -> np.ndarray:
    """Return the outputs alone."""
    parts = [to_bytes(model.translate(_tensor(part, model), direction, first)) for first, part in _batches(images)]
    return np.concatenate(parts)


def _tensor(images: np.ndarray, model: Model) -> torch.Tensor:
    """Return uint8 (N, S, S, 3) as the model takes it: (N, 3, S, S) in [-1, 1] on its device."""
    return to_signed(torch.from_numpy(images).to(model.device).permute(0, 3, 1, 2).contiguous())


def _whole(parts: list[np.ndarray]) -> Images:
    return np.concatenate(parts) if parts else None


def _batches(images: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of a batch's first image, and the batch."""
    size = max(1, BATCH_PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), size):
        yield start, images[start : start + size]


def _write_images(folder: TrialFolder, direction: str, translations: Translations) -> None:
    """Write the outputs as PNG, losslessly: what was measured is what can be looked at."""
    for key, image in zip(translations.keys, translations.outputs, strict=True):
        path: Path = folder.output(direction, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, compress_level=1)


def _image_rows(direction: str, keys: tuple[str, ...], per_image: Mapping[str, np.ndarray]) -> Iterator[dict]:
    """One row per image and score; an image without a score has none, not a NaN."""
    for metric, scores in per_image.items():
        for key, score in zip(keys, scores, strict=True):
            if np.isfinite(score):
                yield {"direction": direction, "key": key, "metric": metric, "value": round(float(score), 6)}
