"""The images that failure detectors are calibrated with: which ones, by the splits of a dataset, never test images."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cgbench import DATASETS, Dataset, Domain, Item
from cgbench.benchmarks.calibration.calibration_images import load_calibration_images, real_test_images
from cgbench.benchmarks.trials.trial import resolve_trials
from cgbench.selection import evenly_spaced, scorer_split
from helpers.toy_scenes import PALETTE, render, scenes, toy_translations

COUNTS = {"train": 30, "val": 30, "pairs": 30, "test": 30}


class Toy(Dataset):
    """Toy scenes in the splits that it is made with; the two training sets show different scenes."""

    name, summary = "toy", "toy scenes"
    domains, palette = (Domain("labels", "labels"), Domain("photo")), PALETTE

    def __init__(self, splits, paired=True, **counts):
        super().__init__(None)
        self.splits, self.paired_test, self.counts = ("train", "test", *splits), paired, COUNTS | counts

    def items(self, split, domain):
        kind, shown = ("labels", "photo")[domain == "B"], f"{split}-{domain}" if split == "train" else split
        maps = scenes(self.counts[split], sum(map(ord, shown)))
        return [
            Item(f"{shown}-{row}", partial(lambda row, side: render(maps[row : row + 1], kind)[0], row),
                 partial(lambda row, side: maps[row], row))
            for row in range(len(maps))
        ]  # fmt: skip


def config(**settings):
    values = ["crop_size=32", "load_size=36", *(f"{name}={value}" for name, value in settings.items())]
    return resolve_trials(["cyclegan"], DATASETS.factory("streets")(None), [0], "smoke", values)[0].config


@pytest.mark.parametrize(
    ("dataset", "limit", "origin", "split"),
    [
        (Toy(("val", "pairs")), 0, "30 validation scenes", "val"),
        (Toy(("pairs",)), 8, "22 training scenes that the scorer did not learn from", "pairs"),
        (Toy(("pairs",)), 24, "30 training scenes, from which the scorer learned too", "pairs"),
        (Toy(("pairs",)), 0, "30 training scenes, from which the scorer learned too", "pairs"),
        (Toy(("val", "pairs"), val=19), 0, "30 training scenes, from which the scorer learned too", "pairs"),
        (Toy(("val", "pairs"), paired=False), 0, "30 training scenes, from which the scorer learned too", "pairs"),
        (Toy((), paired=False), 0, "training images", "train"),
        (Toy((), paired=True), 0, "neither 'val' nor 'pairs' holds 20 scenes in both domains", None),
        (Toy((), paired=False, train=19), 0, "there are less than 20 training images", None),
    ],
)
def test_the_images_are_those_that_least_was_learned_from(dataset, limit, origin, split):
    images = load_calibration_images(dataset, config(scorer_limit=limit), dataset.paired_test)
    assert images.origin == origin and bool(images.domains) == (split is not None)
    assert {key.split("-")[0] for found in images.domains.values() for key in found.keys} == (
        {split} if split else set()
    )
    assert images.same_scenes == (split in ("val", "pairs"))


def test_scenes_that_the_scorer_learned_from_are_avoided():
    images = load_calibration_images(Toy(("pairs",)), config(scorer_limit=8), True)
    learned = {f"pairs-{row}" for row in evenly_spaced(30, 8)}
    assert not learned & set(images.domains["B"].keys)


def test_scenes_held_out_to_measure_the_scorer_are_preferred_to_those_that_it_learned_from():
    images = load_calibration_images(Toy(("pairs",), pairs=240), config(scorer_limit=0), True)
    assert images.origin == "24 training scenes that the scorer did not learn from"
    assert images.domains["B"].keys == tuple(f"pairs-{row}" for row in scorer_split(240)[1])


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize("paired", [True, False])
def test_healthy_translations_are_real_images_of_the_source_scenes(direction, paired):
    images = load_calibration_images(Toy(("pairs",), paired), config(scorer_limit=0), paired)
    healthy = images.healthy(toy_translations(direction, paired, ood=False))
    kind = "photo" if direction == "AtoB" else "labels"
    assert healthy.direction == direction and healthy.target_kind == kind and healthy.paired == paired
    assert (healthy.outputs == images.domains[direction[-1]].images).all()
    assert (healthy.labels == images.domains["A"].labels).all() and not healthy.outputs.flags.writeable
    assert (healthy.targets == healthy.outputs).all() == paired
    shown = render(healthy.target_labels, "labels")
    assert kind == "photo" or (healthy.targets == shown).all()


def test_without_common_scenes_the_outputs_are_real_images_of_others_and_nothing_is_known_of_their_classes():
    images = load_calibration_images(Toy((), paired=False), config(), False)
    healthy = images.healthy(toy_translations(paired=False, ood=False))
    assert healthy.labels is None and len(healthy.outputs) == len(healthy.sources) == 30
    assert sorted(map(bytes, healthy.outputs)) == sorted(map(bytes, images.domains["B"].images))


def test_controls_are_made_of_real_test_images_where_these_are_pairs_and_enough():
    translations = toy_translations(ood=False)
    failed = replace(translations, outputs=np.zeros_like(translations.outputs))
    real = real_test_images(failed)
    assert (real.outputs == translations.targets).all() and real.keys == translations.keys
    few = {name: getattr(failed, name)[:19] for name in ("keys", "sources", "outputs", "targets", "labels")}
    assert real_test_images(replace(failed, **few)) is None
    assert real_test_images(toy_translations(paired=False, ood=False)) is None


def test_other_images_have_another_digest():
    first, other = (load_calibration_images(Toy(("pairs",)), config(scorer_limit=n), True) for n in (0, 8))
    again = load_calibration_images(Toy(("pairs",)), config(scorer_limit=24), True)
    assert first.digest() == again.digest() != other.digest()
