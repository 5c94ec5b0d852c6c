"""Three orthogonal views: which way they are up, their aspect, and slices put together."""

import numpy as np
import pytest

from cgbench.pixel_format import RGB8
from cgbench.reports.galleries.orthogonal_views import Volume, patients, view_tables
from cgbench.reports.galleries.stored_numbers import StoredNumbers
from cgbench.results.run import read_run
from helpers.stored_run import BANDS, CT, MR, build_stored_run, stored, translation
from helpers.volumes import affine_of, libraries, save_nifti


def test_views_are_through_the_middle_of_the_body():
    voxels = np.zeros((9, 20, 30))
    voxels[2:5, 4:11, 21:26] = 1
    assert Volume(voxels, None).center() == (3, 7, 23)
    assert Volume(np.zeros((4, 6, 8)), None).center() == (1, 2, 3)


def test_views_have_superior_at_the_top_and_pixels_as_the_spacing_says():
    voxels = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    volume = Volume(voxels, (3.0, 1.5, 1.0))
    shown = {name: volume.view(name, (1, 2, 3)) for name in ("axial", "coronal", "sagittal")}
    np.testing.assert_array_equal(shown["axial"][0], voxels[1])
    np.testing.assert_array_equal(shown["coronal"][0], voxels[::-1, 2])
    np.testing.assert_array_equal(shown["sagittal"][0], voxels[::-1, :, 3])
    assert [aspect for _, aspect in shown.values()] == [1.5, 3.0, 2.0]


def test_slices_of_a_patient_are_in_the_order_of_their_numbers():
    keys = ["b/2", "a/10", "a/9", "plain", "a/x"]
    assert patients(keys) == {"b": ["b/2"], "a": ["a/9", "a/10"]}


def test_slices_are_stacked_the_first_at_the_top(tmp_path):
    numbers = StoredNumbers(read_run(build_stored_run(tmp_path / "run", (MR, CT), seeds=(0,))))
    table, _ = view_tables(numbers, "AtoB")
    assert table.columns == (
        "axial", "coronal", "sagittal", "axial − truth", "coronal − truth", "sagittal − truth",
    )  # fmt: skip
    assert table.rows == ("input", "ground truth", "cyclegan", "gan_only")
    truth = np.stack([stored("B", index, CT)[..., 0] for index in range(5)])
    center = Volume(truth[::-1], None).center()
    np.testing.assert_array_equal(table.cells[1][1].numbers, truth[:, center[1]])
    made = np.stack([translation("cyclegan", 0, index, "AtoB", (MR, CT))[..., 0] for index in range(5)])
    np.testing.assert_array_equal(table.cells[2][4].numbers, made[:, center[1]].astype(float) - truth[:, center[1]])
    assert "voxels are drawn as cubes" in table.note
    error = np.abs(made.astype(float) - truth).mean()
    assert f"MAE over the whole volume: cyclegan {error:.3g} HU" in table.note
    assert table.scales["source"].label == "MR" and table.scales["target"].label == "CT, HU"


@pytest.mark.parametrize("formats", [(CT, RGB8), (CT, BANDS)])
def test_only_targets_of_one_band_have_views(tmp_path, formats):
    numbers = StoredNumbers(read_run(build_stored_run(tmp_path / "run", formats, seeds=(0,))))
    assert view_tables(numbers, "AtoB") == []


def test_few_slices_are_no_volume(tmp_path):
    run = build_stored_run(tmp_path / "run", (MR, CT), seeds=(0,), keys=("P00/00", "P00/01", "P00/02", "other"))
    assert view_tables(StoredNumbers(read_run(run)), "AtoB") == []


def test_volumes_are_shown_with_their_spacing(tmp_path):
    libraries()
    from cgbench.datasets.volume_files.orientation import undone

    run = build_stored_run(tmp_path / "run", (MR, CT), ("cyclegan", "real"), (0,))
    affine, slices = affine_of("RAS", (0.7, 0.8, 3.0)), {}
    for trial in read_run(run).trials:
        slices[trial.method] = np.stack(
            [translation(trial.method, 0, index, "AtoB", (MR, CT))[..., 0] for index in range(5)]
        )
        for path in trial.folder.numbers("AtoB").iterdir():
            path.unlink()
        save_nifti(trial.folder.numbers("AtoB") / "P00.nii.gz", undone(slices[trial.method], affine, "axial"), affine)
    (table,) = view_tables(StoredNumbers(read_run(run)), "AtoB")
    assert table.rows == ("input", "ground truth", "cyclegan") and len(table.columns) == 6
    depth, row, _ = Volume(slices["real"], None).center()
    np.testing.assert_array_equal(table.cells[2][0].numbers, slices["cyclegan"][depth])
    coronal = table.cells[1][1]
    np.testing.assert_array_equal(coronal.numbers, slices["real"][::-1, row])
    assert coronal.aspect == pytest.approx(3.0 / 0.7)
    assert "Spacing 3 × 0.8 × 0.7 mm" in table.note
