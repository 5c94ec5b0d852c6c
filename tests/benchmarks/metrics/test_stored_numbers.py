"""Metrics of images in numbers of their own against independent code: by hand, torchmetrics and published formulas."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    spectral_angle_mapper,
)

from cgbench import METRICS, Translations
from cgbench.api.metric import StoredImages
from cgbench.benchmarks.metrics.functional.structural_similarity import multiscale_ssim, scale_sums
from cgbench.pixel_format import PixelFormat

CT = PixelFormat(1, "int16", (-1000.0, 2000.0), "HU")
MR = PixelFormat(1, "float32", (0.0, 800.0))
BANDS = PixelFormat(4, "float32", (0.0, 1.0), "reflectance")
GROUPS = ("p1", "p1", "p1", "p2", "p3", "p3")
ROWS = ([0, 1, 2], [3], [4, 5])
SIDES = (40, 33)
PAIRED = ("intensity", "stored_similarity", "bone_agreement")


def translations(seed=0, shape=SIDES, groups=GROUPS, noise=80.0, masks=None, pixels=CT, **changes):
    """Return translations of MR to CT, or to another format, with groups of unequal sizes and ragged masks."""
    rng, count = np.random.default_rng(seed), len(groups or "123456")
    low, high = pixels.ends
    level = rng.uniform(low, high, (count, *shape, pixels.channels))
    width = (high - low) / 3000
    targets, outputs = level.astype(pixels.dtype), (level + rng.normal(0, noise * width, level.shape))
    outputs = np.clip(outputs, low, high).astype(pixels.dtype)
    sources = (rng.uniform(0, 300, (count, *shape, 1)) + 0.1 * (level[..., :1] - low) / width).astype(np.float32)
    if masks is None:
        masks = (rng.random((count, *shape)) < 0.7).astype(np.uint8)
    pictures = np.zeros((count, *shape, 3), np.uint8)
    stored = StoredImages(MR, pixels, sources, outputs, targets, masks)
    keys = tuple(f"slice-{number}" for number in range(count))
    given = Translations("AtoB", keys, pictures, pictures, "photo", targets=pictures, paired=True, groups=groups)
    return replace(given, stored=replace(stored, **changes))


def scores_of(name, given):
    metric = METRICS.get(name)
    assert metric.not_applicable(given) is None
    return metric.compute(given)


def measured(given, images, rows):
    """Return the numbers inside the masks of the rows, float64 (K, C)."""
    return np.concatenate([images[row][given.stored.masks[row] == 1].astype(float) for row in rows])


@pytest.mark.parametrize("pixels", [CT, BANDS, PixelFormat(2, "uint16", (0.0, 65535.0))])
def test_errors_are_those_of_all_pixels_of_a_patient_and_then_means_over_patients(pixels):
    given = translations(pixels=pixels)
    found, stored = scores_of("intensity", given), given.stored
    low, high = pixels.ends
    by_patient = {"mae": [], "rmse": [], "stored_psnr": []}
    for rows in ROWS:
        output, target = (measured(given, images, rows) for images in (stored.outputs, stored.targets))
        by_patient["mae"].append(np.mean(np.abs(output - target)))
        by_patient["rmse"].append(np.sqrt(np.mean((output - target) ** 2)))
        psnr = peak_signal_noise_ratio(*map(torch.from_numpy, (output, target)), data_range=high - low)
        by_patient["stored_psnr"].append(float(psnr))
    for name, numbers in by_patient.items():
        digits = 1e-5 if name == "stored_psnr" else 1e-9  # torchmetrics' data range is in single precision
        assert found.per_image[name] == pytest.approx(numbers, rel=digits)
        assert found.values[name] == pytest.approx(np.mean(numbers), rel=digits)
    assert found.reasons == {}
    pooled = np.abs(stored.outputs[stored.masks == 1].astype(float) - stored.targets[stored.masks == 1]).mean()
    assert abs(found.values["mae"] - pooled) > 1e-6 * (high - low)  # a patient of one slice counts as much as others


def plain_map(x, y):
    """Return SSIM and its factor of contrast and structure for every whole window (Wang et al. 2004, equation 13)."""
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2

    def mean(z):
        return (sliding_window_view(z, (11, 11)) * window).sum(axis=(2, 3))

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    structure = (2 * vxy + 0.03**2) / (vx + vy + 0.03**2)
    return (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2) * structure, structure


@pytest.mark.parametrize("pixels", [CT, BANDS])
def test_ssim_is_the_mean_of_its_map_over_the_mask(pixels):
    given = translations(pixels=pixels, noise=300.0)
    found, stored, (low, high) = scores_of("stored_similarity", given), given.stored, pixels.ends
    expected = []
    for rows in ROWS:
        by_band = []
        for band in range(pixels.channels):
            inside = []
            for row in rows:
                mask = stored.masks[row] == 1
                x, y = (
                    np.where(mask, (images[row, ..., band].astype(float) - low) / (high - low), 0)
                    for images in (stored.outputs, stored.targets)
                )
                inside.append(plain_map(x, y)[0][mask[5:-5, 5:-5]])
            by_band.append(np.concatenate(inside).mean())
        expected.append(np.mean(by_band))
    assert found.per_image["stored_ssim"] == pytest.approx(expected, abs=1e-9)
    assert found.values["stored_ssim"] == pytest.approx(np.mean(expected), abs=1e-9)
    assert np.isnan(found.values["stored_ms_ssim"]) and "smaller than 176" in found.reasons["stored_ms_ssim"]


def smooth(rng, side=(180, 192)):
    coarse = rng.random((side[0] // 12, side[1] // 12))
    return np.kron(coarse, np.ones((12, 12))) * 0.8 + 0.1


@pytest.mark.parametrize("noise", [0.02, 0.08, 0.3])
def test_ms_ssim_is_that_of_torchmetrics_but_for_borders(noise):
    """torchmetrics leaves out borders at all scales but the coarsest, where it mirrors the images."""
    rng = np.random.default_rng(0)
    x = smooth(rng)
    y = (x + rng.normal(0, noise, x.shape)).clip(0, 1)
    ours = multiscale_ssim(scale_sums(y, x, np.ones(x.shape, bool), 5)[None])
    first, second = (torch.from_numpy(image)[None, None] for image in (y, x))
    theirs = float(multiscale_structural_similarity_index_measure(first, second, data_range=1.0, kernel_size=11))
    assert ours == pytest.approx(theirs, abs=1e-3)
    plain, (a, b) = 1.0, (y, x)
    for scale, exponent in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        whole, structure = plain_map(a, b)
        plain *= max((whole if scale == 4 else structure).mean(), 0) ** exponent
        a, b = (
            torch.nn.functional.avg_pool2d(torch.from_numpy(image)[None, None], 2)[0, 0].numpy() for image in (a, b)
        )
    assert ours == pytest.approx(plain, abs=1e-9)


def test_ms_ssim_of_a_patient_has_the_means_of_all_its_masked_pixels_at_every_scale():
    rng = np.random.default_rng(1)
    masks = np.zeros((3, 180, 192), np.uint8)
    masks[0], masks[1, 20:160, 30:150], masks[2, 40:175, 8:180] = 1, 1, 1
    given = translations(shape=(180, 192), groups=("p1", "p1", "p2"), masks=masks, noise=0.0)
    noisy = np.clip(given.stored.targets + rng.normal(0, 500, given.stored.targets.shape), -1000, 2000)
    given = replace(given, stored=replace(given.stored, outputs=noisy.astype(np.int16)))
    found = scores_of("stored_similarity", given)
    expected = []
    for rows in ([0, 1], [2]):
        means = np.ones(5)
        images = [
            [np.where(masks[row] == 1, (part[row, ..., 0] + 1000.0) / 3000, 0) for row in rows]
            for part in (given.stored.outputs, given.stored.targets)
        ]
        inside = [masks[row] == 1 for row in rows]
        for scale in range(5):
            chosen = [
                plain_map(a, b)[0 if scale == 4 else 1][mask[5:-5, 5:-5]]
                for a, b, mask in zip(*images, inside, strict=True)
            ]
            means[scale] = np.concatenate(chosen).mean()
            images = [[half(image) for image in part] for part in images]
            inside = [half(mask.astype(float)) == 1 for mask in inside]
        expected.append(np.prod(means.clip(0) ** [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]))
    assert found.per_image["stored_ms_ssim"] == pytest.approx(expected, abs=1e-9)
    assert found.values["stored_ms_ssim"] == pytest.approx(np.mean(expected), abs=1e-9) and not found.reasons


def half(image):
    rows, columns = (size // 2 * 2 for size in image.shape)
    image = image[:rows, :columns]
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


def test_mutual_information_is_that_of_numpys_histogram():
    given = translations(noise=400.0)
    expected = []
    for rows in ROWS:
        x, y = (measured(given, images, rows)[:, 0] for images in (given.stored.sources, given.stored.outputs))
        edges = [np.linspace(*pixels.ends, 65) for pixels in (MR, CT)]
        joint = np.histogram2d(x.clip(0, 800), y.clip(-1000, 2000), edges)[0] / len(x)

        def entropy(p):
            return -(p[p > 0] * np.log2(p[p > 0])).sum()

        expected.append((entropy(joint.sum(0)) + entropy(joint.sum(1))) / entropy(joint))
    found = scores_of("shared_information", given)
    assert found.per_image["nmi"] == pytest.approx(expected, rel=1e-9)
    unpaired = replace(given, paired=False)
    assert scores_of("shared_information", unpaired).values == found.values


def test_mutual_information_is_2_of_equal_numbers_and_1_of_a_flat_output():
    given = translations()
    same = replace(given.stored, source_pixels=CT, sources=given.stored.outputs)
    assert scores_of("shared_information", replace(given, stored=same)).values["nmi"] == pytest.approx(2)
    flat = replace(given.stored, outputs=np.full_like(given.stored.outputs, 40))
    assert scores_of("shared_information", replace(given, stored=flat)).values["nmi"] == pytest.approx(1)
    none = scores_of("shared_information", replace(given, stored=replace(flat, sources=0 * flat.sources)))
    assert np.isnan(none.values["nmi"]) and "3 of 3 left out" in none.reasons["nmi"]


def test_the_spectral_angle_is_torchmetrics():
    given = translations(pixels=BANDS, noise=500.0, masks=np.ones((6, *SIDES), np.uint8))
    output, target = (
        torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).double()
        for images in (given.stored.outputs, given.stored.targets)
    )
    by_pixel = np.degrees(spectral_angle_mapper(output, target, reduction="none").numpy())
    expected = [by_pixel[rows].mean() for rows in ROWS]
    assert scores_of("spectral_angle", given).per_image["spectral_angle"] == pytest.approx(expected, abs=1e-6)


def test_spectra_of_zeros():
    given = translations(pixels=BANDS, masks=np.ones((6, *SIDES), np.uint8))
    outputs, targets = np.ones_like(given.stored.outputs), np.ones_like(given.stored.outputs)
    targets[0, :20], outputs[3] = 0, 0
    given = replace(given, stored=replace(given.stored, outputs=outputs, targets=targets))
    assert scores_of("spectral_angle", given).per_image["spectral_angle"] == pytest.approx([0, 90, 0], abs=1e-5)
    assert METRICS.get("spectral_angle").not_applicable(translations()) == "is for images of several bands"


def test_equal_images_are_as_like_as_can_be():
    given = translations(shape=(176, 176), masks=np.ones((6, 176, 176), np.uint8))
    given = replace(given, stored=replace(given.stored, outputs=given.stored.targets.copy()))
    assert scores_of("intensity", given).values == {"mae": 0, "rmse": 0, "stored_psnr": 100}
    assert list(scores_of("stored_similarity", given).values.values()) == pytest.approx([1, 1])
    assert scores_of("bone_agreement", given).values == {"bone_dice": 1, "bone_hd95": 0}


@pytest.mark.parametrize("name", [*PAIRED, "shared_information"])
def test_what_lies_outside_of_the_masks_counts_nowhere(name):
    given = translations()
    outside = given.stored.masks == 0
    changed = {}
    for part, level in (("sources", 700), ("outputs", 1900), ("targets", -900)):
        changed[part] = getattr(given.stored, part).copy()
        changed[part][outside] = level
    other = replace(given, stored=replace(given.stored, **changed))
    before, after = scores_of(name, given), scores_of(name, other)
    for value, number in before.values.items():
        assert after.values[value] == pytest.approx(number, nan_ok=True)
    everywhere = scores_of(name, replace(given, stored=replace(other.stored, masks=None)))
    assert any(abs(everywhere.values[value] - number) > 1e-3 for value, number in before.values.items())


@pytest.mark.parametrize("name", [*PAIRED, "shared_information"])
def test_a_patient_without_a_measured_pixel_is_left_out_and_named(name):
    given = translations()
    masks = given.stored.masks.copy()
    masks[3] = 0
    found = scores_of(name, replace(given, stored=replace(given.stored, masks=masks)))
    full = scores_of(name, given)
    for value, by_group in found.per_image.items():
        assert np.isnan(by_group[1]) and by_group[[0, 2]] == pytest.approx(full.per_image[value][[0, 2]])
        assert found.values[value] == pytest.approx(by_group[[0, 2]].mean())
        assert found.reasons[value].startswith("1 of 3 left out: ")
    none = scores_of(name, replace(given, stored=replace(given.stored, masks=0 * masks)))
    assert all(np.isnan(number) and none.reasons[value] for value, number in none.values.items())


@pytest.mark.parametrize("name", ["intensity", "stored_similarity", "spectral_angle", "shared_information"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_never_silent(name, wrong):
    given = translations(pixels=BANDS)
    outputs = given.stored.outputs.copy()
    outputs[0][given.stored.masks[0] == 0] = wrong
    ignored = scores_of(name, replace(given, stored=replace(given.stored, outputs=outputs)))
    assert not any(reason.startswith("the outputs") for reason in ignored.reasons.values())
    outputs[0, 20, 20], masks = wrong, np.ones((6, *SIDES), np.uint8)
    found = scores_of(name, replace(given, stored=replace(given.stored, outputs=outputs, masks=masks)))
    assert found.reasons and all(np.isnan(number) for number in found.values.values())
    for value in found.values:
        assert found.reasons[value] == "the outputs have numbers that are not finite where they are measured"


def test_each_image_is_its_own_group_without_groups():
    given = translations(groups=())
    found = scores_of("intensity", given)
    pairs = zip(given.stored.outputs, given.stored.targets, given.stored.masks, strict=True)
    expected = [np.abs(a[m == 1].astype(float) - b[m == 1]).mean() for a, b, m in pairs]
    assert found.per_image["mae"] == pytest.approx(expected)


def test_groups_need_not_lie_side_by_side():
    order = [3, 0, 4, 1, 5, 2]
    given = translations()
    parts = {name: getattr(given.stored, name)[order] for name in ("sources", "outputs", "targets", "masks")}
    shuffled = replace(given, stored=replace(given.stored, **parts), groups=tuple(GROUPS[row] for row in order))
    assert shuffled.keys_of("group") == ("p2", "p1", "p3")
    found, before = scores_of("intensity", shuffled), scores_of("intensity", given)
    assert found.per_image["mae"][[1, 0, 2]] == pytest.approx(before.per_image["mae"])


def test_when_they_apply():
    given = translations()
    for name in PAIRED:
        metric = METRICS.get(name)
        assert metric.not_applicable(replace(given, paired=False)) == "needs paired test images"
        assert metric.not_applicable(replace(given, stored=None)) == "is for images that are not 8-bit RGB"
        assert metric.not_applicable(replace(given, target_kind="labels")) == "is for translations to photos"
    similarity = METRICS.get("similarity")
    assert similarity.not_applicable(replace(given, stored=None)) is None
    assert "8-bit RGB" in similarity.not_applicable(given)
    small = translations(shape=(10, 40))
    found = scores_of("stored_similarity", small)
    assert found.reasons["stored_ssim"] == "images of 10 pixels are smaller than its window of 11"
