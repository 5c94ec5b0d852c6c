"""PSNR and SSIM against independent implementations and laws."""

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torchmetrics.functional.image import peak_signal_noise_ratio

from cgbench import METRICS, Translations
from cgbench.benchmarks.metrics.functional.image_distances import psnr_by_image, ssim_by_image


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    noise = rng.integers(-30, 31, first.shape)
    return first, (first + noise).clip(0, 255).astype(np.uint8)


def plain_ssim(a, b):
    """Return SSIM by Wang et al. 2004, equation 13, per channel: every whole window of 11 pixels, Gaussian, σ 1.5."""
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2

    def mean(x):
        return (sliding_window_view(x, (11, 11)) * window).sum(axis=(2, 3))

    by_channel = []
    for channel in range(3):
        x, y = a[..., channel] / 255, b[..., channel] / 255
        mx, my = mean(x), mean(y)
        vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        c1, c2 = 0.01**2, 0.03**2
        by_channel.append(((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())
    return np.mean(by_channel)


def test_psnr_is_torchmetrics(pair):
    first, second = (torch.from_numpy(images).double() for images in pair)
    expected = [peak_signal_noise_ratio(a, b, data_range=255.0).item() for a, b in zip(first, second, strict=True)]
    assert psnr_by_image(*pair) == pytest.approx(expected)


def test_ssim_is_the_formula(pair):
    assert ssim_by_image(*pair) == pytest.approx([plain_ssim(a, b) for a, b in zip(*pair, strict=True)], abs=1e-6)


def test_what_lies_beyond_the_last_whole_window_counts_little(pair):
    """A border averaged with mirrored pixels would count as much as the middle."""
    first, _ = pair
    corner = first.copy()
    corner[:, 0, 0] = 255 - corner[:, 0, 0]
    middle = first.copy()
    middle[:, 12, 12] = 255 - middle[:, 12, 12]
    assert (1 - ssim_by_image(first, corner) < 0.01 * (1 - ssim_by_image(first, middle))).all()


@pytest.mark.parametrize("side", [8, 10, 11])
def test_images_smaller_than_the_window_have_no_ssim_and_say_so(side):
    first, second = np.random.default_rng(1).integers(0, 256, (2, 3, side, side, 3), dtype=np.uint8)
    translations = Translations("AtoB", ("a", "b", "c"), first, first, "photo", targets=second, paired=True)
    scores = METRICS.get("similarity").compute(translations)
    assert np.isfinite(scores.values["psnr"]) and "psnr" not in scores.reasons
    if side < 11:
        assert np.isnan(scores.values["ssim"]) and np.isnan(scores.per_image["ssim"]).all()
        assert scores.reasons["ssim"] == f"images of {side} pixels are smaller than its window of 11"
    else:
        assert scores.per_image["ssim"] == pytest.approx(list(map(plain_ssim, first, second)), abs=1e-6)
        assert not scores.reasons


def test_ssim_is_the_formula_where_an_image_is_flat():
    """The variance there is a small difference of large squares."""
    flat, nearly_flat = (np.full((1, 24, 24, 3), level, np.uint8) for level in (100, 101))
    nearly_flat[:, ::2, 12:] = 99
    assert ssim_by_image(flat, nearly_flat)[0] == pytest.approx(plain_ssim(flat[0], nearly_flat[0]), abs=3e-4)


def test_equal_images_are_as_like_as_can_be(pair):
    first, _ = pair
    assert (psnr_by_image(first, first) == 100).all()
    assert ssim_by_image(first, first) == pytest.approx(np.ones(3))


def test_order_does_not_matter(pair):
    assert psnr_by_image(*pair) == pytest.approx(psnr_by_image(*pair[::-1]))
    assert ssim_by_image(*pair) == pytest.approx(ssim_by_image(*pair[::-1]))


def test_it_is_for_paired_photos(pair):
    fields = {"direction": "AtoB", "keys": ("a", "b", "c"), "sources": pair[0], "outputs": pair[1], "targets": pair[0]}
    metric = METRICS.get("similarity")
    assert metric.not_applicable(Translations(**fields, target_kind="photo", paired=True)) is None
    assert "paired" in metric.not_applicable(Translations(**fields, target_kind="photo"))
    assert "photos" in metric.not_applicable(Translations(**fields, target_kind="labels", paired=True))
