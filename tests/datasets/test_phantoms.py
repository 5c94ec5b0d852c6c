"""`phantoms`: deterministic slices, exact labels, opposite contrasts, other people in each domain."""

import numpy as np
import pytest

from cgbench.datasets.phantoms import (
    AIR,
    BONE,
    FAT,
    FLUID,
    LESION,
    MUSCLE,
    ORGAN,
    PALETTE,
    Phantoms,
    anatomy,
    labels,
    slice_image,
)
from cgbench.errors import CgbenchError
from helpers.cli import cgbench


def test_slices_are_the_same_every_time_and_grey():
    first, again = slice_image("mr", "train-mr", 3, 32), slice_image("mr", "train-mr", 3, 32)
    assert np.array_equal(first, again) and first.shape == (32, 32, 3) and first.dtype == np.uint8
    assert (first[..., 0] == first[..., 1]).all() and (first[..., 0] == first[..., 2]).all()
    assert not np.array_equal(first, slice_image("mr", "train-mr", 4, 32))


def test_training_domains_show_different_people():
    dataset = Phantoms()
    a, b = dataset.items("train", "A"), dataset.items("train", "B")
    assert len(a) == len(b) == 400 and not {item.key for item in a} & {item.key for item in b}
    assert anatomy("train-mr", 0) != anatomy("train-ct", 0)
    areas = [np.mean([(labels(split, k, 32) != AIR).mean() for k in range(40)]) for split in ("train-mr", "train-ct")]
    assert areas[1] > 1.3 * areas[0]
    lesions = [np.mean([LESION in labels(split, k, 64) for k in range(80)]) for split in ("train-mr", "train-ct")]
    assert lesions[0] < 0.45 and lesions[1] > 0.55


@pytest.mark.parametrize(("split", "count"), [("test", 100), ("pairs", 800)])
def test_both_modalities_show_the_same_anatomies(split, count):
    a, b = Phantoms().items(split, "A"), Phantoms().items(split, "B")
    assert [item.key for item in a] == [item.key for item in b]
    assert len({item.key for item in a}) == count
    for place in (0, count - 1):  # one of each population
        assert np.array_equal(a[place].labels(32), b[place].labels(32))
        assert not np.array_equal(a[place].image(32), b[place].image(32))


def test_test_people_are_in_no_training_set():
    dataset = Phantoms()
    trained = {item.key for item in dataset.items("pairs", "A")}
    assert not trained & {item.key for item in dataset.items("test", "A")}
    assert {item.key for item in dataset.items("train", "A")} < trained


def test_contrasts_are_opposite():
    """Fat and fluid are bright in MR, bone in CT, and no monotonic curve maps one modality's tissues to the other's."""
    means = {}
    for modality in ("mr", "ct"):
        slices = np.stack([slice_image(modality, "test-ct", k, 64)[..., 0] for k in range(12)]).astype(float)
        ids = np.stack([labels("test-ct", k, 64) for k in range(12)])
        means[modality] = {tissue: slices[ids == tissue].mean() for tissue in range(len(PALETTE))}
    mr, ct = means["mr"], means["ct"]
    assert mr[FLUID] > mr[ORGAN] > mr[BONE] and ct[BONE] > ct[ORGAN] > ct[FLUID]
    assert mr[FAT] > mr[MUSCLE] and ct[FAT] < ct[MUSCLE]
    for modality in (mr, ct):
        levels = sorted(modality.values())
        assert min(np.diff(levels)) > 8  # grey levels of 255: every tissue can be told from the next


def test_an_anatomy_is_the_same_at_any_resolution():
    for k in range(5):
        fine = labels("test-mr", k, 96)[1::3, 1::3]  # the centre of every third pixel is a centre of the coarse grid
        assert (fine == labels("test-mr", k, 32)).all()
        coarse, image = slice_image("ct", "test-mr", k, 32), slice_image("ct", "test-mr", k, 96)
        blocks = image[..., 0].reshape(32, 3, 32, 3).mean(axis=(1, 3))
        assert np.abs(blocks - coarse[..., 0]).mean() < 12  # the noise of pixels, and the edges


def test_every_class_occurs_and_no_other():
    present = np.unique(np.concatenate([labels("test-ct", k, 64).ravel() for k in range(20)]))
    assert present.tolist() == list(range(len(PALETTE)))


def test_an_unknown_split_is_refused():
    with pytest.raises(CgbenchError, match="unknown split 'ood'"):
        Phantoms().items("ood", "A")


def test_each_modality_has_its_own_scorer_and_both_directions_a_score(tmp_path):
    arguments = ["--methods", "gan_only", "--dataset", "phantoms", "--preset", "smoke", "--set", "steps=2"]
    text = cgbench("run", *arguments, "--runs-dir", tmp_path, "--device", "cpu")
    assert "MR→CT" in text and "CT→MR" in text and text.count("FCN pixel") >= 2
    protocols = (tmp_path / "phantoms-smoke" / "phantoms" / "real" / "seed-0" / "protocols.json").read_text()
    scorers = {line.split('"')[3] for line in protocols.splitlines() if '"scorer"' in line} - {""}
    assert len(scorers) == 2
