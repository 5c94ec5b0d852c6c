"""Volumes through a network: an identity gives every number back at its place, and nothing is written by halves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from cgbench.api.graph_nodes import Apply, Network
from cgbench.api.method import Method
from cgbench.api.registry import METHODS
from cgbench.benchmarks.exchange import translate_volumes
from cgbench.benchmarks.exchange.translate_files import Size, Translator, input_images, translating_model
from cgbench.benchmarks.exchange.translate_volumes import input_volumes, output_paths
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config_layers import Resolved
from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.settings_file import Slicing, recorded_slicing
from cgbench.errors import CgbenchError, Diverged
from cgbench.methods.blocks.model import Model
from cgbench.pixel_format import RGB8, PixelFormat
from helpers.tiny_models import tiny_config
from helpers.volumes import affine_of, body, libraries, save_meta, save_nifti, save_scaled, save_series

nibabel, _, sitk = libraries()
IDENTITY = Method(
    "identity", "the image itself", networks={"G": Network(lambda config: nn.Identity())},
    graph={"fake_b": Apply("G", "real_a")}, translates={"AtoB": "fake_b"},
)  # fmt: skip
CT = PixelFormat(1, "int16", (-1000, 2000), "HU")
BODY = Slicing(body=-500.0)


def identity(pixels=CT, target=None, slicing=BODY):
    config, title = tiny_config(), "identity, seed 0, MR→CT"
    model = Model(IDENTITY, config, 0)
    return Translator(model, "AtoB", config, True, 0, title, pixels, target or pixels, slicing)


def translated(tmp_path, translator, *paths, size=None):
    """What came out of volumes, in the order of their names."""
    volumes = input_volumes(paths, translator)
    out = tmp_path / "out"
    targets = output_paths(volumes, out, tmp_path / "run")
    translate_volumes.translate(volumes, targets, translator, size or Size())
    assert sorted(out.iterdir()) == sorted(targets)
    return targets


def refused(tmp_path, translator, *paths, size=None):
    """The line that refuses volumes; nothing was written."""
    with pytest.raises(CgbenchError) as error:
        translated(tmp_path, translator, *paths, size=size)
    assert not (tmp_path / "out").exists() and "\n" not in str(error.value)
    return str(error.value)


def slices_of(path: Path) -> np.ndarray:
    return readers.oriented_voxels(path, "axial")


def oblique(codes):
    angle, turn = np.radians(12), np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine_of(codes, (1.25, 0.5, 3.0))


@pytest.mark.parametrize("name", ["p.nii", "p.nii.gz", "p.mha", "p.mhd"])
@pytest.mark.parametrize(("affine", "axis"), [
    (affine_of("LPS"), "axial"), (affine_of("PIL", (0.7, 3.0, 0.8)), "sagittal"),
    (affine_of("LAS", (1, 2, 3)), "axial"), (affine_of("SRA", (5.0, 0.9, 0.9)), "coronal"), (oblique("AIR"), "axial"),
], ids=["LPS", "PIL", "LAS", "SRA", "oblique"])  # fmt: skip
def test_an_identity_network_gives_a_volume_back(tmp_path, name, affine, axis):
    voxels = body(21)
    source = (save_nifti if ".nii" in name else save_meta)(tmp_path / name, voxels, affine)
    (path,) = translated(tmp_path, identity(slicing=replace(BODY, axis=axis)), source)
    assert path.name == ("p.nii.gz" if ".nii" in name else "p.mha")
    header, expected = readers.read_header(path), readers.read_header(source)
    np.testing.assert_allclose(header.affine, expected.affine, atol=1e-5)
    assert (header.shape, header.stored) == (expected.shape, "int16")
    np.testing.assert_array_equal(readers.read_voxels(path), readers.read_voxels(source))
    image = sitk.ReadImage(str(path))  # an independent reader
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).transpose(), voxels)
    np.testing.assert_allclose(image.GetSpacing(), np.linalg.norm(affine[:3, :3], axis=0), atol=1e-5)


@pytest.mark.parametrize(("slope", "intercept", "pixels"), [
    (1.0, -1024.0, CT), (2.0, -1024.0, CT), (0.5, 0.25, PixelFormat(1, "float32", (-100.0, 2000.0))),
])  # fmt: skip
def test_slope_and_intercept_are_in_the_numbers(tmp_path, slope, intercept, pixels):
    stored = np.random.default_rng(3).integers(24, 900, (9, 8, 7)).astype(np.uint16)
    affine = affine_of("PIR", (2.0, 1.0, 4.0), origin=(7, -3, 11))
    source = save_scaled(tmp_path / "p.nii", stored, affine, slope, intercept)
    (path,) = translated(tmp_path, identity(pixels), source)
    found = nibabel.load(path)
    np.testing.assert_allclose(found.get_fdata(), stored * slope + intercept, atol=0 if pixels is CT else 1e-3)
    np.testing.assert_allclose(found.affine, affine)
    assert found.get_data_dtype() == pixels.dtype


def test_a_series_becomes_nifti_at_the_same_places(tmp_path):
    voxels = body(22).transpose(2, 1, 0)
    folder = save_series(tmp_path / "p", voxels)
    (path,) = translated(tmp_path, identity(), folder)
    series = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    written = sitk.ReadImage(str(path))
    assert path.name == "p.nii.gz"
    for index in ((1, 2, 3), (4, 5, 6), (0, 7, 2)):
        place = written.TransformPhysicalPointToIndex(series.TransformIndexToPhysicalPoint(index))
        assert written.GetPixel(place) == series.GetPixel(index)


def test_numbers_come_out_in_unit_and_type_of_the_target(tmp_path, capsys):
    voxels = np.full((6, 6, 3), 100, np.int16)
    voxels[2:4, 2:4, :2] = 300, 500  # of 0 to 400 the last one is outside
    source = save_nifti(tmp_path / "p.nii", voxels)
    mr = PixelFormat(1, "int16", (0, 400))
    (path,) = translated(tmp_path, identity(mr, CT, Slicing(body="otsu")), source)
    expected = np.full((6, 6, 3), -250, np.int16)
    expected[2:4, 2:4, :2] = 1250, 2000
    expected[:, :, 2] = -1000  # no body
    np.testing.assert_array_equal(nibabel.load(path).get_fdata(), expected)
    note = bytes(nibabel.load(path).header["descrip"]).rstrip(b"\0")
    assert note == b"cgbench: identity, seed 0, MR to CT, 2 of 3 slices"
    said = " ".join(capsys.readouterr().out.split())
    assert "4 numbers of 1 slice lie outside of the window 0 to 400: the network sees its ends" in said
    assert "1 of 3 slices show less than 0.01 of the body: they are not translated and hold -1000" in said


def test_a_folder_of_volumes_one_after_another(tmp_path):
    given = tmp_path / "given"
    save_meta(given / "b.mha", body(1))
    save_nifti(given / "a.nii.gz", body(2), affine_of("RAS"))
    save_series(given / "c", body(3).transpose(2, 1, 0))
    save_nifti(given / "a_mask.nii.gz", np.ones(body(2).shape, np.uint8), affine_of("RAS"))
    (given / "notes.txt").write_text("none of them")
    seen, translator = [], identity()
    translator.model.networks["G"].register_forward_hook(lambda _, inputs, __: seen.append(
        (translator.model.first_image, len(inputs[0]), readers._oriented.cache_info().currsize)
    ))  # fmt: skip
    paths = translated(tmp_path, translator, given, given / "b.mha")
    assert [path.name for path in paths] == ["a.nii.gz", "b.mha", "c.nii.gz"]
    assert [entry[:2] for entry in seen] == [(0, 7), (7, 5), (12, 5)]  # the mask keeps all slices of a
    assert max(entry[2] for entry in seen) == 1  # one volume is in memory
    for path, seed in zip(paths, (2, 1, 3), strict=True):
        np.testing.assert_array_equal(np.sort(slices_of(path), axis=None), np.sort(body(seed), axis=None))


@pytest.mark.parametrize("name", ["p_mask.mha", "mask.nii"])
def test_the_mask_beside_a_volume_decides_which_slices_are_translated(tmp_path, name):
    voxels, mask = body(4), np.zeros((9, 8, 7), np.uint8)
    mask[2:5, 2:5, 3:5] = 1
    source = save_nifti(tmp_path / "given" / "p.nii", voxels)
    (save_meta if name.endswith(".mha") else save_nifti)(tmp_path / "given" / name, mask)
    (path,) = translated(tmp_path, identity(), source)
    expected = np.full_like(voxels, -1000)
    expected[:, :, 3:5] = voxels[:, :, 3:5]
    np.testing.assert_array_equal(nibabel.load(path).get_fdata(), expected)
    (source.parent / name).unlink()
    (save_meta if name.endswith(".mha") else save_nifti)(source.parent / name, mask[:4])
    (tmp_path / "out" / "p.nii.gz").unlink()
    (tmp_path / "out").rmdir()
    assert f"{name}: is 7 × 8 × 4 voxels for a volume of 7 × 8 × 9" in refused(tmp_path, identity(), source)


def test_without_a_body_in_any_slice_all_are_translated(tmp_path):
    voxels = np.random.default_rng(5).integers(-900, -600, (9, 8, 7)).astype(np.int16)
    (path,) = translated(tmp_path, identity(), save_nifti(tmp_path / "p.nii", voxels))
    np.testing.assert_array_equal(nibabel.load(path).get_fdata(), voxels)


def test_large_slices_are_translated_in_tiles(tmp_path, capsys):
    voxels = np.random.default_rng(6).integers(-400, 900, (1030, 530, 2)).astype(np.int16)
    source = save_nifti(tmp_path / "p.nii", voxels)
    (path,) = translated(tmp_path, identity(slicing=replace(BODY, min_body=0)), source, size=Size(max_pixels=2**18))
    np.testing.assert_array_equal(nibabel.load(path).get_fdata(), voxels)
    assert "2 of 2 slices in tiles, normalised by the whole image's statistics" in capsys.readouterr().out


def test_a_broken_volume_is_refused_before_anything_is_written(tmp_path):
    save_nifti(tmp_path / "given" / "a.nii.gz", body(7))
    broken = save_nifti(tmp_path / "given" / "b.nii.gz", body(8))
    broken.write_bytes(broken.read_bytes()[:-20])
    assert "b.nii.gz: is truncated or damaged" in refused(tmp_path, identity(), tmp_path / "given")


def test_a_translation_that_fails_halfway_leaves_nothing(tmp_path):
    for name in "ab":
        save_nifti(tmp_path / "given" / f"{name}.nii", body(ord(name)))
    translator = identity()
    translator.model.networks["G"].register_forward_hook(
        lambda _, inputs, output: output / 0 if translator.model.first_image else output
    )
    with pytest.raises(Diverged, match="5 of 5 translations AtoB are infinite"):
        translated(tmp_path, translator, tmp_path / "given")
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    source = save_nifti(tmp_path / "p.nii", body(9))
    (path,) = translated(tmp_path, identity(), source)
    before = path.read_bytes()
    with pytest.raises(CgbenchError, match="already there, and nothing is overwritten"):
        translated(tmp_path, identity(), source)
    assert path.read_bytes() == before


def test_what_the_readers_refuse(tmp_path):
    assert "4 dimensions" in refused(tmp_path, identity(), save_nifti(tmp_path / "t.nii", np.zeros((4, 4, 4, 2), "i2")))
    folder = save_series(tmp_path / "series", body(10).transpose(2, 1, 0))
    sorted(folder.iterdir())[3].unlink()
    assert "add the missing slices" in refused(tmp_path, identity(), folder)
    assert "No such file" in refused(tmp_path, identity(), tmp_path / "none.nii.gz")
    fractions = save_nifti(tmp_path / "f.nii", body(11) + np.float32(0.5))
    text = refused(tmp_path, identity(), fractions)
    assert "its numbers are no int16: they are float32; the network was trained on int16: convert the volume" in text


def test_what_no_volume_can_be_made_of(tmp_path, monkeypatch):
    volume = save_nifti(tmp_path / "v" / "p.nii", body(12))
    image = tmp_path / "i" / "a.png"
    image.parent.mkdir()
    Image.new("RGB", (8, 8)).save(image)
    slice_ = next(save_series(tmp_path / "s" / "p", body(13).transpose(2, 1, 0)).iterdir())
    assert "--size crop resizes slices" in refused(tmp_path, identity(), volume, size=Size(own=False))
    trial = Trial(METHODS.get("cogan"), 0, "smoke", Resolved(tiny_config(search_steps=1), {}, {}))
    fixed = replace(identity(), model=translating_model(trial, "AtoB", "cpu"))
    assert "cogan renders images of 16×16 pixels only, no volumes" in refused(tmp_path, fixed, volume)
    assert "is or holds images: translate one kind at a time" in refused(tmp_path, identity(), volume, image.parent)
    assert "one slice of a DICOM series: give the folder" in refused(tmp_path, identity(), slice_)
    assert f"{tmp_path}/e holds no volume" in refused(tmp_path, identity(), _empty(tmp_path / "e"))
    again = save_nifti(tmp_path / "w" / "P.nii.gz", body(14))
    assert "would both become" in refused(tmp_path, identity(), volume, again)
    monkeypatch.setattr(readers, "LIBRARIES", ("nibabel", "no_such_library"))
    assert refused(tmp_path, identity(), volume).endswith("not installed here: pip install 'cgbench[medical]'")


def _empty(folder):
    folder.mkdir()
    return folder


def test_a_network_of_images_takes_no_volumes_and_one_of_volumes_takes_images(tmp_path):
    volume = save_nifti(tmp_path / "v" / "p.nii", body(15))
    series = save_series(tmp_path / "s", body(15).transpose(2, 1, 0))
    pictures = replace(identity(RGB8), slicing=None)
    for given in (volume, volume.parent, series):
        text = refused(tmp_path, pictures, given)
        assert "is a medical volume, but identity was trained on images, 3 bands of uint8" in text
        assert "use a run on the dataset volumes" in text
    np.save(tmp_path / "v" / "a.npy", np.zeros((8, 8), np.int16))
    assert input_volumes([tmp_path / "v" / "a.npy"], identity()) == []
    hounsfield = replace(identity(), slicing=None)
    assert input_volumes([tmp_path / "v"], hounsfield) == []  # its images, as for every such folder
    assert input_images([tmp_path / "v"], hounsfield) == [tmp_path / "v" / "a.npy"]


def test_what_a_run_recorded_decides_how_volumes_are_sliced():
    domains = [{"name": "MR", "pixels": {"unit": ""}}, {"name": "CT", "pixels": {"unit": "HU"}}]
    earlier = {"name": "volumes", "domains": domains}
    assert recorded_slicing(earlier, "A") == Slicing("axial", 0.01, "otsu")
    assert recorded_slicing(earlier, "B") == Slicing("axial", 0.01, -500.0)
    record = {**earlier, "slicing": {"axis": "coronal", "min_body": 0.2, "body": ["none", 10.0]}}
    assert recorded_slicing(record, "A") == Slicing("coronal", 0.2, "none")
    assert recorded_slicing(record, "B") == Slicing("coronal", 0.2, 10.0)
    assert recorded_slicing({"name": "folder", "domains": domains}, "A") is None
