"""A run on medical volumes: scores by patient in HU, and volumes written with the affine of their source."""

import json

import numpy as np
import pytest

from helpers.cli import cgbench

nibabel = pytest.importorskip("nibabel", reason="needs pip install 'cgbench[medical]'")

AFFINE = np.array([[-1.5, 0, 0, 30], [0, 1.2, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1.0]])
PATIENTS = [f"P{index:02d}" for index in range(10)]
LOW, HIGH = -1000, 2000  # the window of CT


def body(seed, shape):
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    return x**2 + y**2 < np.random.default_rng(seed).uniform(0.4, 0.8)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Ten patients with MR in float32, CT in int16 and a mask; patients have slices of two sizes."""
    root = tmp_path_factory.mktemp("volumes") / "study"
    for seed, patient in enumerate(PATIENTS):
        shape, random = (32 + 4 * (seed % 2), 36, 6), np.random.default_rng(seed)
        inside = body(seed, shape)
        volumes = {
            "ct": (np.where(inside, 60, -1000) + random.normal(0, 20, shape)).round().astype(np.int16),
            "mr": (np.where(inside, 500, 10) + random.normal(0, 5, shape)).astype(np.float32),
            "mask": inside.astype(np.uint8),
        }
        (root / patient).mkdir(parents=True)
        for name, voxels in volumes.items():
            nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), root / patient / f"{name}.nii.gz")
    return root


@pytest.fixture(scope="module")
def trial(study):
    where = ("--runs-dir", study.parent, "--name", "run")
    small = ("--preset", "smoke", "--device", "cpu", "--seeds", "0", "--set", "steps=2", "--set", "max_test_images=0")
    cgbench("run", "--methods", "gan_only", "--dataset", "volumes", "--data-root", study, *small, *where)
    return study.parent / "run" / "study" / "gan_only" / "seed-0"


def voxels(path):
    return np.asarray(nibabel.load(path).dataobj)


def test_translated_volumes_have_the_geometry_of_their_source(study, trial):
    written = sorted((trial / "numbers" / "AtoB").iterdir())
    assert len(written) == 2  # 20 % of the patients
    for path in written:
        source = nibabel.load(study / path.name.removesuffix(".nii.gz") / "mr.nii.gz")
        volume = nibabel.load(path)
        assert volume.shape == source.shape and np.allclose(volume.affine, source.affine)
        assert volume.get_data_dtype() == np.int16 and voxels(path).min() >= LOW and voxels(path).max() <= HIGH


def test_the_command_translates_test_volumes_as_evaluation_did(study, trial, tmp_path):
    run = trial.parents[2]
    for path in (trial / "numbers" / "AtoB").iterdir():
        source, out = study / path.name.removesuffix(".nii.gz") / "mr.nii.gz", tmp_path / path.name
        said = cgbench("translate", run, source, "--output", out, "--device", "cpu")
        assert said.splitlines()[-1] == f"1 volume by gan_only, seed 0, MR→CT, from step 2, in {out}"
        written = nibabel.load(out / "mr.nii.gz")
        assert np.array_equal(written.affine, nibabel.load(source).affine) and written.get_data_dtype() == np.int16
        assert np.abs(voxels(out / "mr.nii.gz").astype(int) - voxels(path)).max() <= 1  # batches may round otherwise
    record = json.loads((trial / "trial.json").read_text())["dataset"]["slicing"]
    assert record == {"axis": "axial", "min_body": 0.01, "body": ["otsu", -500.0]}


def test_a_volume_that_cannot_be_used_ends_the_command_with_exit_code_2(study, trial, tmp_path):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes((study / PATIENTS[0] / "mr.nii.gz").read_bytes()[:-9])
    arguments = ("translate", trial.parents[2], study / PATIENTS[1] / "mr.nii.gz", broken, "--output", tmp_path / "out")
    said = cgbench(*arguments, "--device", "cpu", code=2)
    assert f"{broken}: is truncated or damaged" in said and not (tmp_path / "out").exists()


def test_scores_are_those_of_numpy_inside_the_masks_by_patient(study, trial):
    errors = {}
    for path in (trial / "numbers" / "AtoB").iterdir():
        patient = study / path.name.removesuffix(".nii.gz")
        difference = voxels(path).astype(float) - voxels(patient / "ct.nii.gz")
        errors[patient.name] = np.abs(difference[voxels(patient / "mask.nii.gz") > 0]).mean()
    rows = [json.loads(line) for line in (trial / "image_scores.jsonl").read_text().splitlines()]
    scores = {row["key"]: row for row in rows if row["metric"] == "mae" and row["direction"] == "AtoB"}
    assert {key: row["value"] for key, row in scores.items()} == pytest.approx(errors, abs=1e-6)
    assert all(row["of"] == "group" and row["group"] == key for key, row in scores.items())
    metrics = [json.loads(line) for line in (trial / "metrics.jsonl").read_text().splitlines()]
    total = next(row for row in metrics if row["metric"] == "mae" and row["direction"] == "AtoB")
    assert total["value"] == pytest.approx(np.mean(list(errors.values())), abs=1e-6)


def test_the_true_volumes_are_saved_as_they_are(study, trial):
    for path in (trial.parents[1] / "real" / "seed-0" / "numbers" / "AtoB").iterdir():
        truth = study / path.name.removesuffix(".nii.gz") / "ct.nii.gz"
        assert np.array_equal(voxels(path), voxels(truth))


def test_the_table_has_the_unit(trial):
    table = (trial.parents[2] / "report" / "table.md").read_text()
    assert "MAE (HU)" in table and "by patient" in table.lower()
