"""Patients of `volumes`: how they are divided, and which of their slices are pairs."""

import numpy as np
import pytest

from cgbench.api.names import Split
from cgbench.datasets.validation_split import hold_out
from cgbench.datasets.volumes import Volumes
from cgbench.errors import CgbenchError, DataBroken
from helpers.volumes import body, cases, libraries, mr_of, save_meta, save_nifti, set_folders

libraries()


def patients(data: Volumes, split: str, domain: str) -> list[str]:
    return sorted({data.group(item.key) for item in data.items(split, domain)})


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
