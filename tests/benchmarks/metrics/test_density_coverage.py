"""Density and coverage against loops over plain distances, and as metrics of translations."""

from dataclasses import replace

import numpy as np
import pytest

from cgbench import METRICS, Translations
from cgbench.benchmarks.metrics.functional.manifold_overlap import coverage_contributions, density_contributions


def by_loops(features, real, k):
    """Density and coverage, pair by pair, as the paper writes them."""
    radii = []
    for i, row in enumerate(real):
        others = sorted(np.linalg.norm(row - other) for j, other in enumerate(real) if j != i)
        radii.append(others[k - 1])
    inside = [[np.linalg.norm(row - center) <= radius for center, radius in zip(real, radii, strict=True)]
              for row in features]  # fmt: skip
    density = sum(map(sum, inside)) / (k * len(features))
    return density, sum(any(column) for column in zip(*inside, strict=True)) / len(real)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_both_numbers_equal_loops_over_pairs(k):
    random = np.random.default_rng(k)
    real, features = random.normal(size=(12, 4)), random.normal(0.5, 1.3, size=(9, 4))
    density, coverage = by_loops(features, real, k)
    assert 0 < coverage < 1
    assert density_contributions(features, real, k).mean() == pytest.approx(density)
    assert coverage_contributions(features, real, k).mean() == pytest.approx(coverage)


def test_known_values():
    real = np.arange(10.0)[:, None]  # balls of the 5 nearest reach 3 to 5
    assert coverage_contributions(real + 0.1, real).mean() == 1
    assert density_contributions(np.full((4, 1), 1e6), real).sum() == 0
    one = np.full((7, 1), 4.5)  # a collapsed set: dense, and covers the balls that hold one point
    assert density_contributions(one, real).mean() > 1
    radii = [5, 4, 3, 3, 3, 3, 3, 3, 4, 5]
    expected = [abs(center - 4.5) <= radius for center, radius in enumerate(radii)]
    assert coverage_contributions(one, real).tolist() == expected
    with pytest.raises(ValueError, match="more real images"):
        density_contributions(real, real[:5])


def photos(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


def means(images):
    return images.reshape(len(images), -1, 3).mean(axis=1)


def translations(outputs=6, targets=8, **more):
    keys, theirs = (tuple(f"{name}{index}" for index in range(count)) for name, count in
                    (("a", outputs), ("b", targets)))  # fmt: skip
    return Translations(
        "AtoB", keys, photos(0, outputs), photos(1, outputs), "photo", targets=photos(2, targets), target_keys=theirs,
        scorer_features=means, **more,
    )  # fmt: skip


def test_scores_belong_to_outputs_and_to_real_images():
    t = translations()
    metric = METRICS.get("scorer_manifold")
    scores = metric.compute(t)
    assert metric.not_applicable(t) is None
    assert (scores.values["scorer_density"], scores.values["scorer_coverage"]) == pytest.approx(
        by_loops(means(t.outputs), means(t.targets), 5)
    )
    for value in metric.values:
        assert len(scores.per_image[value.name]) == len(t.keys_of(value.of))
        assert scores.per_image[value.name].mean() == pytest.approx(scores.values[value.name])
    assert scores.details["scorer_density/real_images"] == 8


def test_rows_of_real_images_compare_training_photos():
    metric = METRICS.get("scorer_manifold")
    real = replace(translations(), real_outputs=True, training_photos=photos(3, 7))
    scores = metric.compute(real)
    expected = by_loops(means(real.training_photos), means(real.targets), 5)
    assert (scores.values["scorer_density"], scores.values["scorer_coverage"]) == pytest.approx(expected)
    assert not scores.per_image and scores.details["scorer_coverage/training_photos"] == 7
    scores = metric.compute(replace(real, training_photos=None))
    assert np.isnan(scores.values["scorer_density"]) and "training photos" in scores.reasons["scorer_coverage"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"target_kind": "labels"}, "photos"),
        ({"targets": photos(2, 5)}, "more than 5"),
        ({"scorer_features": None}, "scorer"),
    ],
)
def test_where_it_does_not_apply(change, reason):
    assert reason in METRICS.get("scorer_manifold").not_applicable(replace(translations(), **change))
