"""The settings file of `volumes`, and what the dataset check says of volumes."""

import json

import numpy as np
import pytest

from cgbench.api.names import Split
from cgbench.datasets.volume_files.settings_file import NAME
from cgbench.datasets.volumes import Volumes
from cgbench.errors import CgbenchError, DataBroken
from helpers.cli import cgbench
from helpers.volumes import SHAPE, affine_of, body, libraries, save_meta, save_nifti, set_folders

libraries()


def test_settings_file(tmp_path):
    set_folders(tmp_path)
    (tmp_path / NAME).write_text("""
        axis = "coronal"
        min_body = 0
        [A]
        name = "T1"
        window = [0, 41000]
        dtype = "float32"
        [B]
        name = "T2"
        modality = "other"
        body = "none"
    """)
    data = Volumes(tmp_path)
    assert [(d.name, d.pixels.described()) for d in data.domains] == [
        ("T1", "1 band of float32, window 0 to 41000"),
        ("T2", "1 band of int16, window measured on the training images"),
    ]
    items = data.items(Split.TRAIN, "B")
    assert len(items) == 2 * SHAPE[1]
    np.testing.assert_array_equal(items[2].image(0)[..., 0], body(100)[:, 2, ::-1].T)
    assert items[0].mask(0).all()
    assert data.slicing == {"axis": "coronal", "min_body": 0, "body": ["otsu", "none"]}


@pytest.mark.parametrize(("text", "message"), [
    ("axis = 'axail'", "axail"), ("axs = 'axial'", "unknown setting 'axs': did you mean 'axis'?"),
    ("[A]\nwindow = [3, 2]", "low before high"), ("[A]\nwindow = 'wide'", "A.window"), ("test = 1.5", "test=1.5"),
    ("min_body = -1", "min_body=-1"), ("[B]\nunits = 'HU'", "did you mean 'unit'?"), ("axis", "not readable TOML"),
    ("A = 3", "A"), ("min_body = 'x'", "min_body"),
])  # fmt: skip
def test_faults_of_the_settings_file_are_one_line(tmp_path, text, message):
    set_folders(tmp_path, 1, 1)
    (tmp_path / NAME).write_text(text)
    with pytest.raises(CgbenchError) as error:
        Volumes(tmp_path).missing()
    assert message in str(error.value) and NAME in str(error.value) and "\n" not in str(error.value)


def test_numbers_that_a_declared_type_cannot_hold_are_refused(tmp_path):
    set_folders(tmp_path)
    (tmp_path / NAME).write_text("[A]\ndtype = 'int16'")
    with pytest.raises(DataBroken, match=r'a0\.nii\.gz: its numbers are no int16: set dtype = "uint16"'):
        Volumes(tmp_path).items(Split.TRAIN, "A")[0].image(0)


def test_a_mask_of_another_shape_and_a_broken_file_are_problems(tmp_path):
    set_folders(tmp_path)
    save_nifti(tmp_path / "trainA" / "a0_mask.nii.gz", np.ones((9, 8, 6), np.uint8))
    (tmp_path / "trainA" / "a1.nii.gz").write_bytes(b"nothing")
    problems = Volumes(tmp_path).listing(Split.TRAIN, "A").problems
    assert [problem.file.name for problem in problems] == ["a0_mask.nii.gz", "a1.nii.gz"]
    assert "6 × 8 × 9 voxels for a volume of 7 × 8 × 9" in problems[0].text


def test_the_check_of_sound_volumes(tmp_path):
    shown = cgbench("datasets", "check", "volumes", "--data-root", set_folders(tmp_path / "hospital"))
    for line in ("hospital in", "test B CT 10 images 9 × 8", "10 pairs by patient and slice",
                 "nothing to report", "train A: 10 of 14 slices in 2 volumes",
                 "A is A: 4 patients (4 NIfTI), 1 band of uint16, window measured on the training images",
                 "spacing 1 × 1 × 1 mm (slices × rows × columns)",
                 "B is CT: 4 patients (4 MetaImage), 1 band of int16, window -1000 to 2000 HU",
                 "axial slices, the patient's right at the left, anterior on top",
                 "slices with less than 0.01 of it are left out"):  # fmt: skip
        assert line in " ".join(shown.split()), shown
    limited = cgbench("datasets", "check", "volumes", "--data-root", tmp_path / "hospital", "--limit", "1")
    assert "train A: 5 of 7 slices in 1 volume" in limited


def test_the_check_says_what_is_wrong(tmp_path):
    set_folders(tmp_path)
    save_meta(tmp_path / "trainB" / "t1.mha", body(201))  # a test patient
    save_meta(tmp_path / "trainB" / "a1.mha", body(9))  # a patient of trainA
    save_meta(tmp_path / "trainB" / "copy.mha", body(200), affine_of("RAS"))  # a test volume under another name
    save_meta(tmp_path / "trainB" / "flat.mha", np.zeros(SHAPE, np.int16))
    save_meta(tmp_path / "trainB" / "thick.mha", body(8) + np.int16(1500), affine_of("LPS", (1, 1, 5)))
    save_nifti(tmp_path / "trainA" / "nan.nii", np.full(SHAPE, np.nan, np.float32))
    shown = cgbench("datasets", "check", "volumes", "--data-root", tmp_path, "--format", "json", code=1)
    found = {(entry["check"], entry["severity"], *entry["files"]) for entry in json.loads(shown)["findings"]}
    assert found == {
        ("leak", "error", "trainB/t1.mha"), ("between-domains", "warning", "trainA/a1.nii.gz"),
        ("leak", "error", "testB/t0.mha"), ("constant", "error", "trainB/flat.mha"),
        ("unreadable", "error", "trainA/nan.nii"), ("geometry", "note"), ("window", "warning", "trainB/thick.mha"),
    }  # fmt: skip


def test_the_check_without_data_ends_with_exit_code_2(tmp_path):
    assert "no volume for trainA" in cgbench("datasets", "check", "volumes", "--data-root", tmp_path, code=2)
