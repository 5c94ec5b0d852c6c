"""Stored numbers of a run's pictures, found in its folder alone."""

import numpy as np
import pytest

from cgbench.files import read_json, write_json
from cgbench.pixel_format import RGB8, PixelFormat
from cgbench.reports.galleries.stored_numbers import StoredNumbers, block_means
from cgbench.results.run import read_run
from helpers.stored_run import CT, KEYS, METHODS, MR, SHAPE, build_stored_run, save, stored, translation
from helpers.volumes import affine_of, libraries, save_nifti

FORMATS = (MR, CT)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return StoredNumbers(read_run(build_stored_run(tmp_path_factory.mktemp("runs") / "demo", FORMATS)))


def test_outputs_truth_and_sources_are_the_numbers_themselves(numbers):
    trial = numbers.of_seed(1)["cyclegan"]
    for direction, source, target in (("AtoB", "A", "B"), ("BtoA", "B", "A")):
        expected = translation("cyclegan", 1, 3, direction, FORMATS)
        np.testing.assert_array_equal(numbers.output(trial, direction, KEYS[3]), expected)
        formats = dict(zip("AB", FORMATS, strict=True))
        np.testing.assert_array_equal(numbers.truth(direction, KEYS[3]), stored(target, 3, formats[target]))
        np.testing.assert_array_equal(numbers.source(direction, KEYS[3]), stored(source, 3, formats[source]))
    assert numbers.keys("AtoB") == sorted(KEYS)


def test_the_keys_of_pictures_find_the_same_files(numbers):
    stem = numbers.run.trials[0].folder.output("AtoB", KEYS[2]).stem
    assert stem != KEYS[2]
    np.testing.assert_array_equal(numbers.truth("AtoB", stem), numbers.truth("AtoB", KEYS[2]))


def test_without_pairs_a_source_is_taken_back_from_its_copy_unless_that_is_coarser(tmp_path):
    run = build_stored_run(tmp_path / "run", FORMATS, [name for name in METHODS if name != "real"], (0,))
    numbers = StoredNumbers(read_run(run))
    assert numbers.truth("AtoB", KEYS[0]) is None
    back = numbers.source("AtoB", KEYS[0])[..., 0]  # 1601 numbers of MR in 3001 of CT: to half a level of CT
    truth = stored("A", 0, MR)[..., 0].clip(*MR.ends)
    assert back.dtype == np.float32 and np.abs(back - truth).max() <= 0.5 * 1600 / 3000 + 1e-3
    assert numbers.source("BtoA", KEYS[0]) is None


def test_rgb_has_no_stored_numbers(tmp_path):
    numbers = StoredNumbers(read_run(build_stored_run(tmp_path / "run", (RGB8, CT), seeds=(0,))))
    assert numbers.source("AtoB", KEYS[0]) is None and numbers.truth("BtoA", KEYS[0]) is None
    np.testing.assert_array_equal(numbers.source("BtoA", KEYS[0]), stored("B", 0, CT))


def test_bands_are_read_from_tiff_and_a_damaged_file_is_none(tmp_path):
    bands = PixelFormat(4, "float32", (0.0, 1.0))
    run = build_stored_run(tmp_path / "run", (MR, bands), seeds=(0,))
    numbers = StoredNumbers(read_run(run))
    np.testing.assert_array_equal(numbers.truth("AtoB", KEYS[0]), stored("B", 0, bands))
    path = next(numbers.untrained("real").folder.numbers("AtoB").glob("*.tif"))
    path.write_bytes(path.read_bytes()[:50])
    assert sum(numbers.truth("AtoB", key) is None for key in KEYS) == 1


@pytest.mark.parametrize("codes", ["LPS", "RAS", "PIL"])
def test_slices_of_volumes_are_found_whatever_the_orientation_of_the_file(tmp_path, codes):
    libraries()
    from cgbench.datasets.volume_files.orientation import undone

    run = build_stored_run(tmp_path / "run", FORMATS, ("cyclegan", "real"), (0,))
    trial = read_run(run).trials[0]
    folder = trial.folder
    slices = np.stack([translation("cyclegan", 0, index, "AtoB", FORMATS)[..., 0] for index in range(5)])
    for path in folder.numbers("AtoB").iterdir():
        path.unlink()
    affine = affine_of(codes, (0.7, 0.8, 3.0))
    save_nifti(folder.numbers("AtoB") / "P00.nii.gz", undone(slices, affine, "sagittal"), affine)
    numbers = StoredNumbers(read_run(run))
    for index in range(5):
        np.testing.assert_array_equal(numbers.output(trial, "AtoB", KEYS[index])[..., 0], slices[index])
    assert numbers.output(trial, "AtoB", KEYS[7]) is None  # the volume of this patient is not there
    save(folder, "AtoB", KEYS[0], np.zeros((*SHAPE, 3), np.uint8), RGB8)
    assert StoredNumbers(read_run(run)).output(trial, "AtoB", KEYS[0]) is None  # no slice is the saved picture


def test_records_before_formats_are_rgb(tmp_path):
    run = build_stored_run(tmp_path / "run", FORMATS, ("cyclegan",), (0,))
    path = read_run(run).trials[0].folder.trial
    spec = read_json(path)
    for domain in spec["dataset"]["domains"]:
        del domain["pixels"]
    write_json(path, spec)
    assert StoredNumbers(read_run(run)).by_letter == {}


def test_block_means_are_means_of_blocks_at_the_edge_too():
    image = np.arange(15).reshape(3, 5)
    np.testing.assert_allclose(block_means(image, 2), [[3, 5, 6.5], [10.5, 12.5, 14]])
