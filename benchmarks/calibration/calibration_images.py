"""Calibration images: real images that failure detectors are calibrated with, none of them a test image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cgbench.api.dataset import Dataset, Item
from cgbench.api.failure import CONTROL_RATE, HEALTHY_RATE, Failure
from cgbench.api.metric import Translations
from cgbench.api.names import Split
from cgbench.benchmarks.calibration.calibration import DIGITS, Calibration, calibrate
from cgbench.benchmarks.data.conversion import read_only
from cgbench.benchmarks.data.decode import ImageSetSpec
from cgbench.benchmarks.data.decoded_cache import load_or_decode
from cgbench.benchmarks.data.geometry import evaluation_geometry
from cgbench.benchmarks.data.image_set import ImageSet, on_common_canvas
from cgbench.benchmarks.data.loading import suggest_dataset_check
from cgbench.benchmarks.metrics.functional.disturbances import DESCRIPTION
from cgbench.benchmarks.runtime.progress import progress
from cgbench.config import TRAINED, TrialConfig
from cgbench.digests import digest
from cgbench.selection import evenly_spaced, scorer_split

VERSION = 1  # rises whenever the way to calibrate changes
IMAGES = 48  # at most, evenly spaced
MIN_IMAGES = 20  # of fewer, 5 % are less than one


@dataclass(frozen=True)
class CalibrationImages:
    """Real images of both domains, and the calibrations made with them, by direction.

    `origin` says in words which images they are; `same_scenes` whether row k of both domains shows one scene, and
    `paired` whether the test images are judged as pairs. Without images, `origin` says why there are none.
    """

    origin: str
    domains: Mapping[str, ImageSet] = field(default_factory=dict)  # "A", "B"
    same_scenes: bool = False
    paired: bool = False
    made: dict[str, dict[str, Calibration]] = field(default_factory=dict)

    def digest(self) -> str:
        """Return the digest of what the thresholds depend on, apart from detectors and scorer."""
        images = {domain: images.digest for domain, images in self.domains.items()}
        rates = HEALTHY_RATE, CONTROL_RATE, DIGITS
        return digest([VERSION, images, self.same_scenes, self.paired, rates, DESCRIPTION])

    def calibrations(self, failures: Sequence[Failure], test: Translations) -> Mapping[str, Calibration]:
        """Return the calibrations of the failures that have a control, for the direction of the `test` translations and
        with their scorer; they are made when a direction is first asked for."""
        if test.direction not in self.made:
            if self.domains:
                healthy, real = self.healthy(test), real_test_images(test)
                facts = {"digest": self.digest(), "origin": self.origin, "disturbances": DESCRIPTION}
                facts["control_origin"] = self.origin if real is None else f"{len(real.keys)} test scenes"
                self.made[test.direction] = calibrate(failures, healthy, real or healthy, facts)
            else:
                record = {"digest": self.digest(), "reason": self.origin}
                self.made[test.direction] = {f.name: Calibration(record) for f in failures if f.control is not None}
        return self.made[test.direction]

    def healthy(self, test: Translations) -> Translations:
        """Return translations in the direction of `test` whose outputs are real images: those of the source scenes; of
        other scenes, without labels, where the domains do not show the same ones."""
        source, target = self.domains[test.direction[0]], self.domains[test.direction[-1]]
        labels = source.labels if source.labels is not None else target.labels
        outputs, targets, target_labels = target.shown, target.shown, target.labels
        if not self.same_scenes:
            outputs, labels = np.resize(np.roll(outputs, 1, axis=0), source.shown.shape), None
        elif not self.paired:
            middle = len(target) // 2
            targets = np.roll(targets, middle, axis=0)
            target_labels = None if target_labels is None else np.roll(target_labels, middle, axis=0)
        return Translations(
            direction=test.direction,
            keys=source.keys,
            sources=read_only(source.shown),
            outputs=read_only(outputs),
            target_kind=test.target_kind,
            targets=read_only(targets),
            target_keys=source.keys if self.paired else target.keys,
            paired=self.paired,
            labels=None if labels is None else read_only(labels),
            target_labels=None if target_labels is None else read_only(target_labels),
            palette=test.palette,
            scorer=test.scorer,
            scorer_features=test.scorer_features,
            inception=test.inception,
            lpips=test.lpips,
        )


def real_test_images(test: Translations) -> Translations | None:
    """Return the `test` translations, at most 48 evenly spaced ones, with the real images as their outputs; None where
    these are not paired, or less than 20.

    Only controls are made of them: they set no threshold, and show whether a failure can be seen on the scenes that
    methods are measured on.
    """
    if not test.paired or len(test.keys) < MIN_IMAGES:
        return None
    rows = evenly_spaced(len(test.keys), IMAGES)
    names = ("sources", "targets", "labels", "target_labels", "sizes", "target_sizes")
    arrays: dict[str, Any] = {
        name: read_only(getattr(test, name)[rows]) for name in names if getattr(test, name) is not None
    }
    keys = tuple(test.keys[row] for row in rows)
    groups = tuple(test.groups[row] for row in rows) if test.groups else ()
    return replace(
        test, keys=keys, target_keys=keys, groups=groups, stored=None, outputs=arrays["targets"], finite=None,
        reconstructions=None, other_outputs=None, identities=None, way_back=None, ood=None, **arrays,
    )  # fmt: skip


def load_calibration_images(dataset: Dataset, config: TrialConfig, paired: bool) -> CalibrationImages:
    """Load the images to calibrate with for test images that are judged as pairs, or not.

    The first of these that has at least 20: scenes of the split `val`; scenes of `pairs` that no scorer learns from
    (those held out to measure it are such); all scenes of `pairs`; where test images are not judged as pairs, training
    images of different scenes.
    """
    paired_splits = [Split.VAL, Split.PAIRS] if dataset.paired_test else [Split.PAIRS]  # equal names may be chance
    for split in paired_splits:
        if split in dataset.splits:
            a, b = (list(dataset.items(split, domain)) for domain in "AB")
            if len(a) >= MIN_IMAGES and [item.key for item in a] == [item.key for item in b]:
                rows, origin = _scenes(dataset, split, [item.key for item in a], config)
                domains = {name: [items[row] for row in rows] for name, items in (("A", a), ("B", b))}
                return _load(dataset, split, domains, config, CalibrationImages(origin, {}, True, paired))
    if paired:
        return CalibrationImages(f"neither 'val' nor 'pairs' holds {MIN_IMAGES} scenes in both domains")
    domains = {domain: list(dataset.items(Split.TRAIN, domain)) for domain in "AB"}
    if min(map(len, domains.values())) < MIN_IMAGES:
        return CalibrationImages(f"there are less than {MIN_IMAGES} training images")
    domains = {name: [items[row] for row in evenly_spaced(len(items), IMAGES)] for name, items in domains.items()}
    return _load(dataset, Split.TRAIN, domains, config, CalibrationImages("training images"))


def _scenes(dataset: Dataset, split: str, keys: Sequence[str], config: TrialConfig) -> tuple[list[int], str]:
    """Return which of the scenes of a split are used, and which these are in words."""
    count = len(keys)
    if split == Split.VAL:
        rows, origin = list(range(count)), "validation scenes"
    elif config.scorer != TRAINED:
        rows, origin = list(range(count)), "training scenes"
    else:
        photos = evenly_spaced(count, config.scorer_limit)
        groups = [dataset.group(keys[row]) for row in photos] if dataset.image_groups else ()
        learned = {photos[index] for index in scorer_split(len(photos), groups)[0]}
        rows = [row for row in range(count) if row not in learned]
        origin = "training scenes that the scorer did not learn from"
        if len(rows) < MIN_IMAGES:
            rows, origin = list(range(count)), "training scenes, from which the scorer learned too"
    chosen = [rows[index] for index in evenly_spaced(len(rows), IMAGES)]
    return chosen, f"{len(chosen)} {origin}"


def _load(
    dataset: Dataset, split: str, items: Mapping[str, Sequence[Item]], config: TrialConfig, images: CalibrationImages
) -> CalibrationImages:
    """Return `images` with the decoded items of both domains."""
    geometry = evaluation_geometry(config)
    with progress(f"reading images of {dataset.label} to calibrate with") as update, suggest_dataset_check(dataset):
        specs = [ImageSetSpec(dataset, split, name, list(items[name]), geometry, True) for name in "AB"]
        a, b = (load_or_decode(spec, update) for spec in specs)
        domains = dict(zip("AB", on_common_canvas(a, b), strict=True))
    return CalibrationImages(images.origin, domains, images.same_scenes, images.paired)
