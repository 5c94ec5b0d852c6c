"""`volumes`: slices of sets and series, formats, identity, and outputs as volumes."""

import numpy as np
import pytest

from cgbench.api.names import Split
from cgbench.benchmarks.testing import dataset_checks
from cgbench.config_layers import preset_values, resolve
from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.body_mask import largest_part
from cgbench.datasets.volumes import Volumes
from cgbench.errors import DataMissing
from helpers.volumes import affine_of, body, cases, libraries, save_series, set_folders

nibabel, _, _ = libraries()


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


def test_what_is_not_there_is_said(tmp_path, monkeypatch):
    assert "no directory" in Volumes().missing()
    (tmp_path / "trainA").mkdir()
    assert "no volume for trainA" in Volumes(tmp_path).missing()
    with pytest.raises(DataMissing):
        Volumes(tmp_path).items(Split.TRAIN, "A")
    monkeypatch.setattr(readers, "LIBRARIES", ("nibabel", "no_such_library"))
    line = Volumes(set_folders(tmp_path)).missing()
    assert line == "volumes: medical volumes need no_such_library, not installed here: pip install 'cgbench[medical]'"


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
