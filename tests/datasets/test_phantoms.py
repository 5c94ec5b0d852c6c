"""`phantoms`: deterministic slices in HU and MR units, exact labels, one anatomy per patient, other people in each
domain."""

from dataclasses import replace

import numpy as np
import pytest

from cgbench.datasets import phantoms
from cgbench.datasets.phantoms import CT, MR, SLICES, SPACING, Phantoms, height, image, labels, mask, patient
from cgbench.datasets.trunk_phantoms import rendering
from cgbench.datasets.trunk_phantoms.anatomy import Anatomy, Ellipsoid
from cgbench.datasets.trunk_phantoms.materials import MATERIALS, NUMBERS, PALETTE
from cgbench.errors import CgbenchError
from cgbench.pixel_format import display_rgb, outside_counts
from cgbench.seeds import generator

TISSUES = [tissue.name for tissue in PALETTE]
AIR, LESION = TISSUES.index("air"), TISSUES.index("lesion")


def streams(name):
    return generator(5, name), generator(5, name, "sensor")


def anatomy(*parts):
    return Anatomy(parts, (0.0, 0.3))


def slices(modality, split, people, side):
    return np.stack([image(modality, split, k, n, side) for k in people for n in range(SLICES)])[..., 0].astype(float)


@pytest.mark.parametrize(("modality", "pixels"), [("mr", MR), ("ct", CT)])
def test_slices_are_the_same_every_time_in_the_format_of_their_domain(modality, pixels):
    first = image(modality, "train-mr", 3, 2, 32)
    patient.cache_clear()
    assert np.array_equal(first, image(modality, "train-mr", 3, 2, 32))
    assert first.shape == (32, 32, pixels.channels) and first.dtype == pixels.dtype
    assert not np.array_equal(first, image(modality, "train-mr", 4, 2, 32))
    assert not np.array_equal(first, image(modality, "train-mr", 3, 3, 32))
    stack = np.stack([image(modality, "train-ct", k, n, 64) for k in range(4) for n in range(SLICES)])
    below, above = outside_counts(stack, pixels)
    assert below == 0 and above < 0.005 * stack.size
    shown = display_rgb(stack, pixels)
    assert shown.std() > 20 and (shown == shown[..., :1]).all()


def test_domains_say_their_units():
    mr, ct = Phantoms.domains
    assert mr.pixels.described() == "1 band of uint16, window 0 to 1600"
    assert ct.pixels.described() == "1 band of int16, window -1024 to 1024 HU"


@pytest.mark.parametrize(("split", "patients"), [("train", 50), ("val", 12), ("test", 20), ("pairs", 100)])
def test_slices_belong_to_patients(split, patients):
    dataset = Phantoms()
    assert dataset.image_groups == "patient"
    for domain in "AB":
        groups = [dataset.group(item.key) for item in dataset.items(split, domain)]
        assert len(set(groups)) == patients and groups == sorted(groups, key=groups.index)
        assert {groups.count(group) for group in set(groups)} == {SLICES}
        assert dataset.items(split, domain)[9].key == f"{groups[9]}/01"


def test_no_patient_is_in_two_sets():
    dataset = Phantoms()

    def people(split, domain):
        return {dataset.group(item.key) for item in dataset.items(split, domain)}

    a, b, pairs = people("train", "A"), people("train", "B"), people("pairs", "A")
    assert not a & b and a | b == pairs
    test, val = people("test", "A"), people("val", "B")
    assert not test & pairs and not val & pairs and not test & val


def test_training_domains_show_different_people():
    assert patient("train-mr", 0) != patient("train-ct", 0) != patient("test-ct", 0)
    maps = {
        name: np.array([[labels(name, k, n, 48) for n in range(SLICES)] for k in range(25)])
        for name in ("train-mr", "train-ct")
    }
    areas = [(ids != AIR).mean() for ids in maps.values()]
    fat = [(ids == TISSUES.index("fat")).mean() for ids in maps.values()]
    organs = [(ids == TISSUES.index("organ")).mean() for ids in maps.values()]
    lesions = [np.mean([(ids == LESION).any() for ids in people]) for people in maps.values()]
    assert areas[1] > 1.3 * areas[0] and fat[1] > 1.3 * fat[0] and organs[1] > 1.3 * organs[0]
    assert lesions[0] < 0.5 and lesions[1] > 0.6


@pytest.mark.parametrize("split", ["val", "test", "pairs"])
def test_both_modalities_show_the_same_anatomies(split):
    a, b = Phantoms().items(split, "A"), Phantoms().items(split, "B")
    assert [item.key for item in a] == [item.key for item in b]
    for place in (3, len(a) - 5):  # one of each population
        assert np.array_equal(a[place].labels(32), b[place].labels(32))
        assert np.array_equal(a[place].mask(32), b[place].mask(32))
        assert not np.array_equal(a[place].image(32), b[place].image(32))


def pure(split, people, side):
    """The material of each pixel, (people × SLICES, side, side); -1 where its samples are not all of one."""
    found = []
    for k in people:
        for n in range(SLICES):
            drawn = patient(split, k)
            fine = rendering._drawn(drawn.parts, side * 3, height(n) + rendering.HEIGHTS)
            blocks = fine.reshape(side, 3, side, 3).swapaxes(1, 2).reshape(side, side, 9)
            same = (blocks == blocks[..., :1]).all(-1)
            found.append(np.where(same, blocks[..., 0].astype(int), -1))
    return np.stack(found)


def test_ct_numbers_are_those_of_the_tissues_where_a_pixel_holds_one():
    people = range(5)
    numbers, found = slices("ct", "test-ct", people, 96), pure("test-ct", people, 96)
    seen = {name: numbers[found == number] for name, number in NUMBERS.items()}
    for name, material in MATERIALS.items():
        if len(values := seen[name]) > 60:
            slack = 1 if name == "air" else 6  # of texture and streaks; air of a scan is cut at -1024 HU
            assert abs(values.mean() - material.hu) < slack, (name, values.mean())
    assert sum(len(values) > 60 for values in seen.values()) >= 10, "thin cortical bone is seldom alone in a pixel"
    spread = np.hypot(rendering.CT_NOISE, rendering.CT_TEXTURE)
    assert 0.9 * spread < seen["muscle"].std() < 1.3 * spread, "and streaks"


def test_labels_are_the_tissues_of_pure_pixels():
    ids = np.stack([labels("test-mr", k, n, 64) for k in range(4) for n in range(SLICES)])
    found = pure("test-mr", range(4), 64)
    assert (rendering.TISSUES[found[found >= 0]] == ids[found >= 0]).all()
    assert 0.02 < (found < 0).mean() < 0.3, "the other pixels are at borders"


def test_no_monotonic_curve_maps_one_modality_to_the_other():
    by_hu = [material.signal for material in sorted(MATERIALS.values(), key=lambda material: material.hu)]
    changes = np.sign(np.diff(by_hu))
    assert (changes[1:] != changes[:-1]).sum() >= 5
    for values in ([m.hu for m in MATERIALS.values()], [m.signal for m in MATERIALS.values()]):
        assert min(np.diff(sorted(values))) >= 10


def test_a_pixel_at_a_border_holds_the_mean_of_its_materials(monkeypatch):
    """A ball of liver in air: the total of a slice is the volume of the ball between its faces, at any resolution."""
    for name in ("CT_NOISE", "CT_TEXTURE", "STREAKS"):
        monkeypatch.setattr(rendering, name, 0)
    monkeypatch.setattr(rendering, "THICKNESS", 0.3)
    monkeypatch.setattr(rendering, "HEIGHTS", rendering.HEIGHTS * 6)
    liver = MATERIALS["liver"].hu
    sphere = anatomy(Ellipsoid("liver", 0.1, -0.05, 0, 0.5, 0.5, 0.5))
    for side, z in ((32, 0.0), (64, 0.0), (64, 0.2)):
        numbers = rendering.ct_slice(sphere, z, side, *streams("ct"))[..., 0].astype(float)
        shares = (numbers + 1000) / (liver + 1000)
        edge = (shares > 0.01) & (shares < 0.99)
        assert edge.any() and shares.min() >= 0 and shares.max() <= 1.001
        assert len(np.unique(shares[edge].round(3))) >= 5, "more than in or out"
        bottom, top = z - 0.15, z + 0.15
        volume = np.pi * (0.25 * 0.3 - (top**3 - bottom**3) / 3) / 0.3  # of the ball between the planes, per thickness
        assert shares.sum() * (2 / side) ** 2 == pytest.approx(volume, rel=0.015)


def test_slices_hold_what_lies_between_their_faces():
    """A lens thinner than the slice fills a third of its samples in z."""
    thin = Ellipsoid("cortical bone", 0, 0, 0, 0.9, 0.9, rendering.THICKNESS / 6)
    fine = rendering._drawn((thin,), 96, rendering.HEIGHTS)
    assert fine[48:51, 48:51].astype(bool).sum() == 3
    assert rendering._drawn((thin,), 96, rendering.HEIGHTS + rendering.THICKNESS).max() == 0


def test_neighbouring_slices_are_more_alike_than_distant_ones():
    agreement = {1: [], 5: []}
    for k in range(6):
        maps = [labels("test-ct", k, n, 64) for n in range(SLICES)]
        for apart, values in agreement.items():
            values += [(a == b)[(a | b) > 0].mean() for a, b in zip(maps, maps[apart:], strict=False)]
    assert np.mean(agreement[1]) > np.mean(agreement[5]) + 0.05
    assert height(1) - height(0) == pytest.approx(SPACING) and height(0) == -height(SLICES - 1)


def test_organs_change_smoothly_along_the_body():
    for k in range(3):
        drawn = patient("train-ct", k)
        liver = [(rendering.materials(drawn, z, 64) == NUMBERS["liver"]).mean() for z in np.arange(-0.9, 0.9, 0.02)]
        assert max(liver) > 0.03 and min(liver) == 0
        assert np.abs(np.diff(liver)).max() < 0.2 * max(liver)


def test_the_mask_is_the_body_with_the_gas_in_it():
    for n in range(SLICES):
        ids, inside = labels("test-ct", 1, n, 96), mask("test-ct", 1, n, 96)
        assert inside.dtype == np.uint8 and set(np.unique(inside)) == {0, 1}
        assert (inside[ids != AIR] == 1).all()
        assert (ids[inside == 0] == AIR).all()
    gas = [((labels("test-ct", 1, n, 96) == AIR) & (mask("test-ct", 1, n, 96) == 1)).sum() for n in range(SLICES)]
    assert sum(gas) > 20


def test_the_background_of_mr_is_rayleigh_and_bright_tissue_rician():
    """Magnitudes of complex Gaussian noise: Rayleigh in air, and for a signal A a mean square of A² + 2 σ²
    (Gudbjartsson and Patz 1995)."""
    sigma = rendering.MR_NOISE
    values = slices("mr", "test-mr", range(4), 64)
    outside, air = values[:, :8], values[pure("test-mr", range(4), 64) == NUMBERS["air"]]
    assert outside.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.01)
    assert outside.std() == pytest.approx(sigma * np.sqrt(2 - np.pi / 2), rel=0.02)
    assert air.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.01)


def test_rician_noise_raises_the_mean_square_of_a_signal(monkeypatch):
    for name in ("MR_TEXTURE", "BIAS"):
        monkeypatch.setattr(rendering, name, 0)
    monkeypatch.setattr(rendering, "GAIN", (1, 1))
    block = anatomy(Ellipsoid("cortical bone", 0, 0, 0, 9, 9, 9))
    values = rendering.mr_slice(block, 0, 200, *streams("mr")).astype(float)
    amplitude, sigma = MATERIALS["cortical bone"].signal, rendering.MR_NOISE
    assert (values**2).mean() == pytest.approx(amplitude**2 + 2 * sigma**2, rel=0.02)
    assert values.mean() > amplitude + 5, "not the mean of Gaussian noise"


def test_the_coil_makes_one_material_uneven_and_smoothly_so():
    block = anatomy(Ellipsoid("fat", 0, 0, 0, 9, 9, 9))
    spreads, gains = [], []
    for k in range(40):
        values = rendering.mr_slice(block, 0, 48, generator(6, k), generator(7, k))[..., 0].astype(float)
        coarse = values.reshape(6, 8, 6, 8).mean(axis=(1, 3))
        spreads.append(coarse.std() / coarse.mean())
        gains.append(coarse.mean() / MATERIALS["fat"].signal)
    assert 0.04 < np.median(spreads) < rendering.BIAS, "the field varies more slowly than the body is wide"
    assert min(gains) < 0.9 and max(gains) > 1.1, "and the gain from scan to scan"
    ct = rendering.ct_slice(block, 0, 48, *streams("ct"))[..., 0].astype(float)
    assert np.abs(ct.reshape(6, 8, 6, 8).mean(axis=(1, 3)) - MATERIALS["fat"].hu).max() < 60, "CT has no field"


def test_slices_of_a_scan_share_the_field_and_not_the_noise(monkeypatch):
    monkeypatch.setattr(rendering, "MR_TEXTURE", 0)
    block = anatomy(Ellipsoid("fat", 0, 0, 0, 9, 9, 9))
    a, b = (
        rendering.mr_slice(block, z, 64, generator(8, "scan"), generator(8, z))[..., 0].astype(float)
        for z in (0.0, 0.05)
    )
    coarse = [x.reshape(8, 8, 8, 8).mean(axis=(1, 3)) for x in (a, b)]
    assert np.corrcoef(coarse[0].ravel(), coarse[1].ravel())[0, 1] > 0.9
    high = [x - np.roll(x, 1, axis=0) for x in (a, b)]
    assert abs(np.corrcoef(high[0].ravel(), high[1].ravel())[0, 1]) < 0.3


def test_waves_are_the_sum_of_cosines():
    fields = rendering._waves(generator(9, "w"), 16, 0.3, waves=4, fastest=2.0)
    turn, rise, speed, phase = generator(9, "w").random((4, 4))
    centres = (np.arange(16) + 0.5) / 8 - 1
    x, y = np.meshgrid(centres, centres)
    expected = np.zeros((16, 16))
    for t, r, s, p in zip(turn, rise, speed, phase, strict=True):
        up = 2 * r - 1
        flat = np.sqrt(1 - up**2)
        along = flat * np.cos(2 * np.pi * t) * x + flat * np.sin(2 * np.pi * t) * y + up * 0.3
        expected += np.cos(2 * np.pi * (2.0 * (0.3 + 0.7 * s) * along + p))
    assert np.allclose(fields, expected * np.sqrt(2 / 4))


def test_drawn_ellipsoids_are_those_of_the_formula():
    part = Ellipsoid("liver", 0.13, -0.21, 0.05, 0.52, 0.23, 0.4, 0.7)
    centres = (np.arange(40) + 0.5) / 20 - 1
    x, y = np.meshgrid(centres, centres)
    turn = np.array([[np.cos(0.7), np.sin(0.7)], [-np.sin(0.7), np.cos(0.7)]])
    u, v = np.tensordot(turn, np.stack([x - 0.13, y + 0.21]), 1)
    for z in (0.05, 0.3, 0.44, 0.46):
        inside = (u / 0.52) ** 2 + (v / 0.23) ** 2 + ((z - 0.05) / 0.4) ** 2 <= 1
        assert np.array_equal(rendering.materials(anatomy(part), z, 40) == NUMBERS["liver"], inside)
    assert rendering.materials(anatomy(part, replace(part, material="lesion")), 0.05, 40).max() == NUMBERS["lesion"]


def test_an_anatomy_is_the_same_at_any_resolution():
    for k in range(3):
        for n in (0, 3, 6):
            fine = labels("test-mr", k, n, 96)[1::3, 1::3]  # the centre of every third pixel is one of the coarse grid
            assert (fine == labels("test-mr", k, n, 32)).all()
            coarse, close = image("ct", "test-mr", k, n, 32), image("ct", "test-mr", k, n, 96)
            means = close[..., 0].reshape(32, 3, 32, 3).mean(axis=(1, 3))
            assert np.abs(means - coarse[..., 0]).mean() < 20  # HU: the noise of pixels, and the edges


def test_every_class_occurs_and_no_other():
    present = np.unique([labels("test-ct", k, n, 64) for k in range(8) for n in range(SLICES)])
    assert present.tolist() == list(range(len(PALETTE)))


def test_an_unknown_split_is_refused():
    with pytest.raises(CgbenchError, match="unknown split 'ood'"):
        Phantoms().items("ood", "A")


def test_methods_are_judged_in_hounsfield_units_and_mr_by_its_structure():
    assert phantoms.Phantoms.primary == {"AtoB": "mae", "BtoA": "stored_ssim"}
