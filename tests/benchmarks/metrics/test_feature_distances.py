"""Fréchet and kernel distance of features against independent implementations and laws, and their errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.benchmarks.metrics.functional.feature_distances import (
    SUBSET_SIZE,
    frechet_distance,
    kernel_contributions,
    kernel_distance,
    kernel_error,
)
from helpers.plain_distances import plain_frechet


def features(count, seed, shift=0.0, width=12):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, width)) @ np.diag(np.linspace(0.3, 2, width)) + shift


@pytest.mark.parametrize(("n", "m"), [(60, 60), (50, 80), (13, 14)])
def test_the_frechet_distance_is_that_of_a_matrix_root(n, m):
    a, b = features(n, 0), features(m, 1, 0.4)
    assert frechet_distance(a, b) == pytest.approx(plain_frechet(a, b), rel=1e-8)


def test_the_frechet_distance_is_that_of_torchmetrics():
    fid = pytest.importorskip("torchmetrics.image.fid")
    a, b = features(60, 0), features(80, 1, 0.4)
    tensors = [torch.from_numpy(x) for x in (a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))]
    assert frechet_distance(a, b) == pytest.approx(float(fid._compute_fid(*tensors)), rel=1e-6)


@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_laws_of_the_frechet_distance(n, m, seed):
    a, b = features(n, seed), features(m, seed + 100)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)
    moved = frechet_distance(a, a + 0.5)
    assert moved == pytest.approx(0.25 * a.shape[1], rel=1e-9)  # only the means differ
    assert frechet_distance(a, b) >= 0


def test_one_image_has_no_distance():
    with pytest.raises(ValueError, match="two images or more"):
        frechet_distance(features(1, 0), features(5, 1))
    with pytest.raises(ValueError, match="two images or more"):
        kernel_distance(features(5, 0), features(1, 1), np.random.default_rng(0))


def test_the_kernel_distance_is_that_of_clean_fid_and_of_torchmetrics():
    a, b = features(30, 0), features(30, 1, 0.4)
    ours = kernel_distance(a, b, np.random.default_rng(0))
    kid = pytest.importorskip("torchmetrics.image.kid")
    theirs = kid.poly_mmd(torch.from_numpy(a), torch.from_numpy(b), degree=3, gamma=None, coef=1.0)
    assert ours == pytest.approx(float(theirs), rel=1e-9)
    fid = pytest.importorskip("cleanfid.fid", exc_type=ImportError)
    assert ours == pytest.approx(fid.kernel_distance(a, b), rel=1e-9)


def test_subsets_come_from_the_given_generator():
    a, b = features(30, 0), features(90, 1, 0.4)
    first, again, different = (kernel_distance(a, b, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first == again != different
    fid = pytest.importorskip("cleanfid.fid", exc_type=ImportError)
    np.random.seed(0)  # clean-fid draws from the global generator
    assert first == pytest.approx(fid.kernel_distance(a, b), rel=0.05)
    assert SUBSET_SIZE == 1000


def test_the_jackknife_is_the_one_by_hand():
    a, b = features(9, 0), features(7, 1, 0.4)
    rng = np.random.default_rng(0)

    def exact(x, y):
        kernel = lambda p, q: (p @ q.T / p.shape[1] + 1) ** 3  # noqa: E731
        within = [(kernel(z, z).sum() - np.trace(kernel(z, z))) / (len(z) * (len(z) - 1)) for z in (x, y)]
        return sum(within) - 2 * kernel(x, y).mean()

    without_a = np.array([exact(np.delete(a, i, 0), b) for i in range(len(a))])
    without_b = np.array([exact(a, np.delete(b, i, 0)) for i in range(len(b))])
    variance = sum((len(x) - 1) / len(x) * ((x - x.mean()) ** 2).sum() for x in (without_a, without_b))
    assert kernel_error(a, b, rng) == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert np.isnan(kernel_error(a[:2], b, rng))


@pytest.mark.parametrize(("n", "m"), [(40, 40), (30, 90)])
@pytest.mark.parametrize(("shift", "factor"), [(1.5, 1), (0, 2**0.5)])
def test_the_jackknife_tells_the_spread_over_fresh_images(n, m, shift, factor):
    """Resampled from many more images: right for sets that differ, too large for equal ones."""
    fakes, reals = features(20_000, 0), features(20_000, 1, shift)
    rng, distances, errors = np.random.default_rng(2), [], []
    for _ in range(300):
        sets = fakes[rng.choice(20_000, n, replace=False)], reals[rng.choice(20_000, m, replace=False)]
        distances.append(kernel_distance(*sets, np.random.default_rng(0)))
        errors.append(kernel_error(*sets, np.random.default_rng(0)))
    assert np.mean(errors) == pytest.approx(factor * np.std(distances), rel=0.15)


def test_contributions_are_the_pseudo_values_of_leaving_out_scenes():
    a, b = features(9, 0), features(9, 1, 0.4)
    distance = lambda x, y: kernel_distance(x, y, np.random.default_rng(0))  # noqa: E731
    without = np.array([distance(np.delete(a, i, 0), np.delete(b, i, 0)) for i in range(9)])
    found = kernel_contributions(a, b)
    assert found.mean() == pytest.approx(distance(a, b), rel=1e-9)
    np.testing.assert_allclose(found - found.mean(), 8 * (without.mean() - without), rtol=1e-9)
    for wrong in ((a[:2], b[:2]), (a, b[:8])):
        with pytest.raises(ValueError, match="as many of each kind"):
            kernel_contributions(*wrong)


def test_contributions_tell_the_error_of_a_difference_over_fresh_scenes():
    """Two methods that translate the same scenes: the errors of both distances, taken as independent, are too large."""
    scenes = features(20_000, 0)
    noise = [features(20_000, seed) for seed in (1, 2)]
    outputs = [scenes + 0.8 + 0.3 * noise[0], scenes + 1.0 + 0.3 * noise[1]]
    rng, differences, errors, independent = np.random.default_rng(3), [], [], []
    for _ in range(300):
        rows = rng.choice(20_000, 40, replace=False)
        first, second = (kernel_contributions(images[rows], scenes[rows]) for images in outputs)
        differences.append(first.mean() - second.mean())
        errors.append(np.std(first - second, ddof=1) / 40**0.5)
        each = [kernel_error(images[rows], scenes[rows], np.random.default_rng(0)) for images in outputs]
        independent.append(np.hypot(*each))
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.15)
    assert np.mean(independent) > 1.5 * np.std(differences)
