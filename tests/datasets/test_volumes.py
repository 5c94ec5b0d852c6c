"""`volumes`: layouts, splits by patient, formats, kept slices and masks, and the settings file."""

import json
from pathlib import Path

import numpy as np
import pytest

from cgbench.api.names import Split
from cgbench.benchmarks.testing import dataset_checks
from cgbench.config_layers import preset_values, resolve
from cgbench.datasets.validation_split import hold_out
from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.body_mask import largest_part, otsu_threshold
from cgbench.datasets.volume_files.settings_file import NAME
from cgbench.datasets.volumes import Volumes
from cgbench.errors import CgbenchError, DataBroken, DataMissing
from helpers.cli import cgbench
from helpers.volumes import SHAPE, affine_of, body, libraries, save_meta, save_nifti, save_series

nibabel, pydicom, sitk = libraries()


def mr_of(voxels: np.ndarray) -> np.ndarray:
    """MR-like numbers of a CT-like volume, uint16: air is 0."""
    return np.where(voxels < -500, 0, 40000 + voxels.astype(np.int32)).astype(np.uint16)


def set_folders(root: Path, train: int = 2, test: int = 2) -> Path:
    """Sets of NIfTI (A, MR) and MetaImage (B, CT): other patients train A and B; test patients have both."""
    for index in range(train):
        save_nifti(root / "trainA" / f"a{index}.nii.gz", mr_of(body(index)))
        save_meta(root / "trainB" / f"b{index}.mha", body(100 + index))
    for index in range(test):
        save_nifti(root / "testA" / f"t{index}.nii.gz", mr_of(body(200 + index)), affine_of("RAS"))
        save_meta(root / "testB" / f"t{index}.mha", body(200 + index), affine_of("RAS"))
    return root


def cases(root: Path, count: int = 10, ending: str = ".mha", first: str = "mr") -> Path:
    """Folders of patients as SynthRAD has them, with masks."""
    save = save_meta if ending == ".mha" else save_nifti
    for index in range(count):
        folder = root / "Task1" / "pelvis" / f"1PA{index:03d}"
        save(folder / f"{first}{ending}", mr_of(body(index)))
        save(folder / f"ct{ending}", body(index))
        save(folder / f"mask{ending}", (body(index) > -500).astype(np.uint8))
    return root


def patients(data: Volumes, split: str, domain: str) -> list[str]:
    return sorted({data.group(item.key) for item in data.items(split, domain)})


def test_sets_of_files(tmp_path):
    data = Volumes(set_folders(tmp_path / "hospital"))
    assert (data.label, data.missing(), data.splits) == ("hospital", None, (Split.TRAIN, Split.TEST))
    a, b = data.domains
    assert (a.name, a.pixels.described()) == ("A", "1 band of uint16, window measured on the training images")
    assert (b.name, b.pixels.described()) == ("CT", "1 band of int16, window -1000 to 2000 HU")
    assert data.paired_test and data.pair_rule == "by patient and slice: both volumes have the same shape"
    items = data.items(Split.TRAIN, "B")
    assert [item.key for item in items] == [f"b{p}/{k:04d}" for p in range(2) for k in range(1, 6)]
    for item in items:
        truth = body(100 + int(item.key[1]))[:, :, int(item.key[-4:])].T
        image = item.image(64)
        assert (image.dtype, image.shape) == (np.int16, (8, 9, 1))
        np.testing.assert_array_equal(image[..., 0], truth)
        np.testing.assert_array_equal(item.mask(64), largest_part(truth[None], -500.0)[0])


def test_conformance(tmp_path):
    for root in (set_folders(tmp_path / "sets"), cases(tmp_path / "cases")):
        first, second = Volumes(root), Volumes(root)
        dataset_checks.check_declaration(first)
        dataset_checks.check_items(first, second)
        dataset_checks.check_pairs(first)
        dataset_checks.check_splits_apart(first)
        dataset_checks.check_identity(first, second)


def test_slices_are_of_their_own_size_and_never_mirrored():
    for preset in ("smoke", "demo", "paper"):
        config = resolve([("preset", preset_values(preset)), ("dataset", Volumes.settings[preset])]).config
        assert (config.resize_mode, config.test_size, config.horizontal_flip) == ("none", "own", False)


@pytest.mark.parametrize("ending", [".mha", ".nii.gz"])
def test_folders_of_patients_are_divided_by_patient(tmp_path, ending):
    data = Volumes(cases(tmp_path, ending=ending))
    assert [domain.name for domain in data.domains] == ["MR", "CT"]
    assert data.splits == (Split.TRAIN, Split.VAL, Split.TEST, Split.PAIRS)
    assert data.paired_test
    train_a, train_b, val, test = (
        set(patients(data, *place))
        for place in ((Split.TRAIN, "A"), (Split.TRAIN, "B"), (Split.VAL, "A"), (Split.TEST, "A"))
    )
    assert [len(found) for found in (train_a, train_b, val, test)] == [4, 3, 1, 2]
    assert len(train_a | train_b | val | test) == 10
    assert patients(data, Split.PAIRS, "A") == sorted(train_a | train_b) == patients(data, Split.PAIRS, "B")
    assert test == {"1PA001", "1PA002"}  # a fixed rule: the split is part of every number that is reported
    for a, b in zip(data.items(Split.TEST, "A"), data.items(Split.TEST, "B"), strict=True):
        assert a.key == b.key
        np.testing.assert_array_equal(a.image(0), mr_of(b.image(0)))
        np.testing.assert_array_equal(a.mask(0), b.image(0)[..., 0] > -500)


def test_cases_that_lack_a_volume_only_train(tmp_path):
    cases(tmp_path)
    for index in (3, 4):
        (tmp_path / "Task1" / "pelvis" / f"1PA{index:03d}" / ("ct.mha" if index == 3 else "mr.mha")).unlink()
    data = Volumes(tmp_path)
    assert "1PA003" in patients(data, Split.TRAIN, "A") and "1PA004" in patients(data, Split.TRAIN, "B")
    others = [patients(data, split, "A") for split in (Split.TEST, Split.VAL, Split.PAIRS)]
    assert not {"1PA003", "1PA004"} & {name for names in others for name in names}


def test_which_modality_is_a_has_to_be_said_where_there_are_two(tmp_path):
    cases(tmp_path, 4)
    cases(tmp_path / "more", 4, first="cbct")
    with pytest.raises(CgbenchError, match=r'mr and cbct: say in cgbench-volumes.toml which is A, with file = "mr"'):
        Volumes(tmp_path).missing()


def test_a_patient_is_in_one_split(tmp_path):
    set_folders(tmp_path)
    save_meta(tmp_path / "trainB" / "t1.mha", body(201))
    data = Volumes(tmp_path)
    with pytest.raises(DataBroken, match=r"trainB/t1\.mha: this patient is in test too"):
        data.items(Split.TRAIN, "B")
    assert len(data.listing(Split.TRAIN, "B").problems) == 1
    save_meta(tmp_path / "testB" / "t1.nii.gz.mha", body(201))
    save_nifti(tmp_path / "testB" / "t1.nii", body(201))
    assert "of the same patient" in Volumes(tmp_path).listing(Split.TEST, "B").problems[0].text


def test_no_slices_of_training_patients_are_held_out(tmp_path):
    with pytest.raises(CgbenchError, match="validation_images=4: images of one patient would train and validate"):
        hold_out(Volumes(set_folders(tmp_path)), 4)
    data = Volumes(cases(tmp_path / "cases"))
    assert hold_out(data, 4) is data  # it has validation patients


def test_training_patients_with_both_volumes_are_pairs(tmp_path):
    set_folders(tmp_path)
    for index in range(2):
        save_meta(tmp_path / "trainB" / f"a{index}.mha", body(index))
    data = Volumes(tmp_path)
    assert data.splits == (Split.TRAIN, Split.TEST, Split.PAIRS)
    assert patients(data, Split.PAIRS, "B") == ["a0", "a1"]


def test_volumes_of_other_shapes_are_no_pairs(tmp_path):
    set_folders(tmp_path)
    save_meta(tmp_path / "testB" / "t1.mha", body(201, (9, 8, 6)))
    data = Volumes(tmp_path)
    assert not data.paired_test and "same shape" in data.pair_rule
    with pytest.raises(CgbenchError, match="paired=yes"):
        data.configure(paired="yes")
    whole = Volumes(set_folders(tmp_path / "pairs"))
    whole.configure(paired="no")
    assert (whole.paired_test, whole.pair_rule) == (False, "paired=no")


def test_series_of_dicom(tmp_path):
    set_folders(tmp_path)
    for name in ("trainB", "testB"):
        for path in (tmp_path / name).iterdir():
            path.unlink()
    voxels = body(3).transpose(2, 1, 0)
    save_series(tmp_path / "trainB" / "p1", voxels)
    save_series(tmp_path / "testB" / "t0", voxels)
    data = Volumes(tmp_path)
    assert data.domains[1].pixels.described() == "1 band of int16, window -1000 to 2000 HU"
    items = data.items(Split.TRAIN, "B")
    np.testing.assert_array_equal(np.stack([item.image(0)[..., 0] for item in items]), voxels[1:-1])
    assert all(item.file.is_file() for item in items)


def test_the_identity_changes_with_any_slice_of_a_series(tmp_path):
    import os

    set_folders(tmp_path)
    folder = save_series(tmp_path / "trainB" / "p1", body(3).transpose(2, 1, 0))
    assert Volumes(tmp_path).identity() is None  # the files are too new to be known by their times
    for path in tmp_path.rglob("*.*"):
        os.utime(path, (1e9, 1e9))
    before = Volumes(tmp_path).identity()
    assert before and before == Volumes(tmp_path).identity()
    os.utime(folder / "0004.dcm", (1e9 + 1, 1e9 + 1))
    assert Volumes(tmp_path).identity() not in (None, before)


def test_every_volume_is_decoded_once_for_all_its_slices(tmp_path, monkeypatch):
    data, reads = Volumes(set_folders(tmp_path)), []
    original = readers.read_voxels
    monkeypatch.setattr(readers, "read_voxels", lambda path: reads.append(path) or original(path))
    for item in data.items(Split.TEST, "B"):
        item.image(0)
        item.mask(0)
    assert sorted(path.name for path in reads if path.parent.name == "testB") == ["t0.mha", "t1.mha"]


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


def test_what_is_not_there_is_said(tmp_path, monkeypatch):
    assert "no directory" in Volumes().missing()
    (tmp_path / "trainA").mkdir()
    assert "no volume for trainA" in Volumes(tmp_path).missing()
    with pytest.raises(DataMissing):
        Volumes(tmp_path).items(Split.TRAIN, "A")
    monkeypatch.setattr(readers, "LIBRARIES", ("nibabel", "no_such_library"))
    line = Volumes(set_folders(tmp_path)).missing()
    assert line == "volumes: medical volumes need no_such_library, not installed here: pip install 'cgbench[medical]'"


def test_otsu_separates_two_classes():
    rng = np.random.default_rng(3)
    dark, bright = rng.normal(20, 3, 4000), rng.normal(120, 10, 2000)
    assert 32 < otsu_threshold(np.concatenate([dark, bright])) < 85
    assert otsu_threshold(np.full(4, 7.0)) == 7


def test_the_largest_part_is_the_body_and_its_holes_are_filled():
    voxels = np.full((3, 12, 12), -1000)
    voxels[:, 2:9, 2:9] = 40
    voxels[:, 4:6, 4:6] = -900  # lungs
    voxels[1, 11, :] = 200  # the couch
    expected = np.zeros((3, 12, 12), bool)
    expected[:, 2:9, 2:9] = True
    np.testing.assert_array_equal(largest_part(voxels, -500.0), expected)


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


def test_outputs_become_volumes_of_the_patients(tmp_path):
    data = Volumes(set_folders(tmp_path / "data"))
    items = data.items(Split.TEST, "A")
    partners = {item.key: item.image(0) for item in data.items(Split.TEST, "B")}
    keys = [item.key for item in items][:-1]
    outputs = [partners[key] for key in keys]  # a translator that makes no mistake
    pixels = data.domains[1].pixels
    written = data.write_outputs(tmp_path / "out", "AtoB", keys, outputs, pixels)
    assert [path.name for path in written] == ["t0.nii.gz", "t1.nii.gz"]  # the format of the source
    image = nibabel.load(written[0])
    np.testing.assert_array_equal(image.get_fdata(), body(200))
    np.testing.assert_array_equal(image.affine, affine_of("RAS"))
    assert bytes(image.header["descrip"]).rstrip(b"\0") == b"cgbench: A to CT, 5 of 7 slices"
    assert nibabel.load(written[1]).get_fdata()[:, :, 5].max() == -1000  # its slice was not translated
