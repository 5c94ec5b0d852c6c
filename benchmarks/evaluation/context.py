"""Evaluation context: the images, scorers and feature extractors that all methods of a run are evaluated with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from cgbench.api.dataset import Dataset
from cgbench.api.metric import Metric, Translations
from cgbench.api.names import DIRECTIONS, Split
from cgbench.api.registry import METRICS
from cgbench.benchmarks.calibration.calibration import Calibration
from cgbench.benchmarks.calibration.calibration_images import CalibrationImages, load_calibration_images
from cgbench.benchmarks.data.geometry import Geometry, evaluation_geometry
from cgbench.benchmarks.data.image_set import ImageSet, on_common_canvas
from cgbench.benchmarks.data.loading import check_command, load_images
from cgbench.benchmarks.evaluation import failure_detection
from cgbench.benchmarks.evaluation.feature_extractors import (
    FeatureExtractors,
    Features,
    open_feature_extractors,
    scorer_features,
)
from cgbench.benchmarks.evaluation.ood_split import load_ood_images
from cgbench.benchmarks.evaluation.scorer import PublishedScorer, ScorerEnsemble, published_scorer
from cgbench.benchmarks.evaluation.scorer_cache import cached_scorers
from cgbench.benchmarks.evaluation.scorer_training import ScorerData
from cgbench.benchmarks.runtime.cache_dir import cache_folder
from cgbench.benchmarks.runtime.progress import progress
from cgbench.config import TRAINED, TrialConfig
from cgbench.digests import digest
from cgbench.errors import DataBroken
from cgbench.formatting import plural
from cgbench.results.records import TEST, VALIDATION


@dataclass(frozen=True)
class EvaluationContext:
    """The images of both domains of one split, scorers for each domain of labelled photos, and the feature extractors,
    shared by all methods of a run."""

    dataset: Dataset
    geometry: Geometry
    split: str
    paired: bool  # whether row k of both domains shows one scene
    domains: Mapping[str, ImageSet]  # "A", "B"
    ood_images: Mapping[str, ImageSet] = field(default_factory=dict)  # the split `ood`, where the dataset has one
    calibration_images: CalibrationImages | None = None  # of test images
    scorers: Mapping[str, ScorerEnsemble] = field(default_factory=dict)  # by domain
    scorer_features: Mapping[str, Features] = field(default_factory=dict)  # by domain
    feature_extractors: FeatureExtractors = field(default_factory=FeatureExtractors)
    training_photos: Mapping[str, ImageSet] = field(default_factory=dict)  # by domain, where distances need them

    @property
    def feature_network(self) -> nn.Module | None:
        """The network of the scorer whose features a method may use: the first of B where there is one, else of A; none
        where the scorer is a published network."""
        scorers = self.scorers.get("B") or self.scorers.get("A")
        return scorers.first.network if scorers and not isinstance(scorers.first, PublishedScorer) else None

    def source(self, direction: str) -> ImageSet:
        """Return the images that `direction` translates."""
        return self.domains[direction[0]]

    def target(self, direction: str) -> ImageSet:
        """Return the real images of the domain that `direction` translates to."""
        return self.domains[direction[-1]]

    def image_facts(self) -> dict[str, dict[str, Any]]:
        """Return by direction the part of a protocol that says which images are measured on."""
        height, width = self.geometry.shape
        shape = {"side": height} if height == width else {"height": height, "width": width}
        return {
            direction: {
                "dataset": self.dataset.label,
                "split": self.split,
                "direction": direction,
                "images": len(self.source(direction)),
                "sources": self.source(direction).digest,
                "targets": self.target(direction).digest,
                **({} if self.geometry.resize_mode == "none" else shape),
                "resize_mode": self.geometry.resize_mode,
                **self._canvas(direction),
            }
            for direction in DIRECTIONS
        }

    def protocol(self, metric: Metric, direction: str) -> dict[str, Any]:
        """Return the conditions that a number of this metric depends on; its digest is the number's protocol."""
        scorer = self.scorers.get(direction[-1])
        return {
            "metric": metric.name,
            "version": metric.version,
            **self.image_facts()[direction],
            "format": self._format(direction),
            "scorer": scorer.digest if metric.uses_scorer and scorer else "",
            **({"weights": self.feature_extractors.digests.get(metric.needs, "")} if metric.needs else {}),
        }

    def _canvas(self, direction: str) -> dict[str, Any]:
        """Return the height and width of the arrays in whose corners images of sizes of their own lie."""
        images = self.source(direction)
        height, width = images.images.shape[1:3]
        return {} if images.sizes is None else {"arrays": f"{height}x{width}"}

    def _format(self, direction: str) -> str:
        """Return the formats of source and target in words."""
        formats = [images.pixels for images in (self.source(direction), self.target(direction))]
        if all(pixels.is_rgb8 for pixels in formats):
            return "8-bit RGB, rounded, no compression loss"
        return " to ".join("8-bit RGB" if pixels.is_rgb8 else pixels.described() for pixels in formats)

    def protocols(self) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
        """Return digest and details of every protocol, by metric and direction."""
        found = {(name, direction): self.protocol(METRICS.get(name), direction)
                 for name in METRICS.names() for direction in DIRECTIONS}  # fmt: skip
        return {place: (digest(details), details) for place, details in found.items()}

    def recipe(self, metric: Metric, direction: str) -> dict:
        """Return the record beside a protocol: the recipes of the scorers, whose weights differ in the last digits from
        machine to machine, and what they reach on photos that they were not trained on."""
        scorers = self.scorers.get(direction[-1])
        return scorers.record() if metric.uses_scorer and scorers else {}

    def calibrations(self, translations: Translations) -> Mapping[str, Calibration]:
        """Return the calibrations of failure detectors for the direction of the `translations`, by the failure's name:
        the same for all trials, and made when the first of them is evaluated."""
        if self.calibration_images is None:
            return {}
        return self.calibration_images.calibrations(failure_detection.declared_failures(), translations)

    def detector_settings(self) -> dict[str, dict[str, Any]]:
        """Return how each failure is looked for, by its name."""
        return failure_detection.detector_settings(self.calibration_images.digest() if self.calibration_images else "")

    def digest(self) -> str:
        """Return the digest of all protocols together."""
        return digest(
            [
                [details for _, details in self.protocols().values()],
                self.detector_settings(),
                {name: images.digest for name, images in self.ood_images.items()},
            ]
        )


def open_evaluation_context(dataset: Dataset, config: TrialConfig, split: str = TEST) -> EvaluationContext:
    """Load the images of both domains of the test or the validation split; scorers are not included yet."""
    geometry = evaluation_geometry(config)
    with progress(f"reading the {split} images of {dataset.label}") as update:
        a, b = (
            load_images(dataset, split, domain, geometry, config.max_test_images, True, update, True) for domain in "AB"
        )
    images = dict(zip("AB", on_common_canvas(a, b), strict=True))
    paired = dataset.paired_test and images["A"].keys == images["B"].keys
    if dataset.paired_test and split == TEST:
        ensure_same_keys(dataset, split, images["A"], images["B"])
    if split != TEST:
        return EvaluationContext(dataset, geometry, split, paired, images)
    calibration_images = load_calibration_images(dataset, config, paired)
    ood_images = load_ood_images(dataset, config)
    return EvaluationContext(dataset, geometry, split, paired, images, ood_images, calibration_images)


def open_validation_context(evaluation: EvaluationContext, config: TrialConfig) -> EvaluationContext | None:
    """Return a context of the validation images with the feature extractors and scorers of the test context; None where
    there are no such images, or no intermediate evaluations are configured."""
    if not config.evaluate_every or VALIDATION not in evaluation.dataset.splits:
        return None
    images = open_evaluation_context(evaluation.dataset, config, VALIDATION)
    return replace(
        images,
        scorers=evaluation.scorers,
        scorer_features=evaluation.scorer_features,
        feature_extractors=evaluation.feature_extractors,
    )


def combined_digest(evaluation: EvaluationContext, validation: EvaluationContext | None) -> str:
    """Return the digest of all protocols that a trial is evaluated by."""
    return evaluation.digest() if validation is None else digest([evaluation.digest(), validation.digest()])


def ensure_same_keys(dataset: Dataset, split: str, a: ImageSet, b: ImageSet) -> None:
    """Raise `DataBroken` where a split that should be paired is not."""
    if a.keys != b.keys:
        raise DataBroken(
            f"dataset '{dataset.label}' says that its split '{split}' is paired, but the keys differ: "
            f"{check_command(dataset)} names them"
        )
    if a.sizes is not None and b.sizes is not None and (differ := (a.sizes != b.sizes).any(axis=1)).any():
        row = int(differ.argmax())
        sizes = " and ".join("{} × {}".format(*reversed(images.size(row))) for images in (a, b))
        raise DataBroken(
            f"dataset '{dataset.label}', split '{split}': the images of the pair '{a.keys[row]}' are of {sizes} "
            "pixels: make them alike, or use resize_mode=squash"
        )


def with_scorers(evaluation: EvaluationContext, config: TrialConfig, device: str) -> EvaluationContext:
    """Return the context with the feature extractors whose weights are on this machine, and scorers for each domain of
    photos: trained, from the cache, or the published network that `config` names; without labels there are none."""
    dataset, evaluation = evaluation.dataset, replace(evaluation, feature_extractors=open_feature_extractors(device))
    photo_domains = [domain for domain, kind in zip("AB", dataset.domains, strict=True) if kind.kind == "photo"]
    published = config.scorer != TRAINED
    scored = dataset.palette and (published or Split.PAIRS in dataset.splits)
    if scored or evaluation.feature_extractors.inception:
        photos = {domain: _training_photos(evaluation, domain, config) for domain in photo_domains}
        evaluation = replace(evaluation, training_photos={key: images for key, images in photos.items() if images})
    if not scored:
        return evaluation
    if published:
        scorers = dict.fromkeys(photo_domains, ScorerEnsemble((published_scorer(config.scorer, dataset, device),)))
    else:  # all images are loaded before the first scorer trains
        data = {domain: _scorer_data(dataset, domain, config) for domain in photo_domains}
        scorers = {domain: _scorers(dataset, domain, data[domain], config, device) for domain in photo_domains}
    features = {domain: scorer_features(ensemble.first) for domain, ensemble in scorers.items()}
    return replace(evaluation, scorers=scorers, scorer_features=features)


def _training_photos(evaluation: EvaluationContext, domain: str, config: TrialConfig) -> ImageSet | None:
    """Return training photos of a domain, spread evenly over the training set, as many as test images are translated to
    it; None where the training set is absent, as it may be when a run is evaluated again."""
    dataset = evaluation.dataset
    if not dataset.items(Split.TRAIN, domain):
        return None
    count = len(evaluation.domains[_other(domain)])
    with progress(f"reading training photos of {dataset.domains[domain == 'B'].name}") as update:
        return load_images(dataset, Split.TRAIN, domain, evaluation_geometry(config), count, True, update)


def _scorer_data(dataset: Dataset, domain: str, config: TrialConfig) -> ScorerData:
    """Return the photos of a domain in `pairs` with their class ids, and the pictures of the other domain there."""
    domain_name = dataset.domains[domain == "B"].name
    with progress(f"reading {domain_name} images for the scorer") as update:
        geometry, limit = evaluation_geometry(config), config.scorer_limit
        real = load_images(dataset, Split.PAIRS, domain, geometry, limit, True, update, labels=True)
        other = load_images(dataset, Split.PAIRS, _other(domain), geometry, limit, True, update, labels=False)
    if real.labels is None:
        raise DataBroken(
            f"dataset '{dataset.label}' has a palette, but the {domain_name} of its split 'pairs' have no labels"
        )
    groups = tuple(map(dataset.group, real.keys)) if dataset.image_groups else ()
    return ScorerData(real.shown, real.labels, other.shown, groups)


def _other(domain: str) -> str:
    """Return the letter of the other domain."""
    return "A" if domain == "B" else "B"


def _scorers(dataset: Dataset, domain: str, data: ScorerData, config: TrialConfig, device: str) -> ScorerEnsemble:
    """Return the scorers of a domain, trained on its photos."""
    name = dataset.domains[domain == "B"].name
    with progress(f"training {plural(config.scorers, 'scorer')} of {name}") as update:
        return cached_scorers(cache_folder(), data, len(dataset.palette), config, device, update)
