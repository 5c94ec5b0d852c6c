"""Written volumes: other programs read the source's affine, and every number at its place in the world."""

import numpy as np
import pytest

from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.writing import assembled, suffix_for, write_volume
from cgbench.errors import CgbenchError
from cgbench.pixel_format import PixelFormat
from helpers.volumes import affine_of, body, libraries, save_meta, save_nifti, save_scaled, save_series

nibabel, _, sitk = libraries()
CT = PixelFormat(1, "int16", (-1000.0, 2000.0), "HU")


def by_nibabel(path):
    """Numbers at the voxels' places in the world (RAS)."""
    image = nibabel.load(path)
    return image.get_fdata(), image.affine


def by_simple_itk(path):
    """The same as SimpleITK reads it."""
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).transpose(), np.diag([-1, -1, 1, 1]) @ affine


def oblique(codes):
    angle, turn = np.radians(12), np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine_of(codes, (1.25, 0.5, 3.0))


@pytest.mark.parametrize("affine", [
    affine_of("LPS"), affine_of("PIL", (0.7, 3.0, 0.8)), affine_of("LAS", (1, 2, 3)), affine_of("SRA", (5.0, 0.9, 0.9)),
    oblique("AIR"),
], ids=["LPS", "PIL", "LAS", "SRA", "oblique"])  # fmt: skip
@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("name", ["p.nii.gz", "p.mha"])
def test_a_written_volume_is_the_source_for_other_programs(tmp_path, affine, axis, name):
    voxels = body(11)
    source = (save_nifti if name != "p.mha" else save_meta)(tmp_path / name, voxels, affine)
    slices = readers.oriented_voxels(source, axis)
    target = tmp_path / f"out{suffix_for(source)}"
    write_volume(target, slices, source, axis, "cyclegan, seed 0")
    assert suffix_for(source) == name[1:]
    for read in (by_simple_itk, *([by_nibabel] if name != "p.mha" else [])):
        numbers, found = read(target)
        np.testing.assert_array_equal(numbers, voxels)
        np.testing.assert_allclose(found, affine, atol=1e-5)
    assert readers.read_voxels(target).dtype == np.int16
    assert list(tmp_path.glob(".part*")) == []


def test_the_header_names_cgbench(tmp_path):
    source = save_nifti(tmp_path / "p.nii", body(11))
    slices = readers.oriented_voxels(source, "axial")
    write_volume(tmp_path / "o.nii.gz", slices, source, "axial", "unit test")
    write_volume(tmp_path / "o.mha", slices, source, "axial", "unit test")
    assert bytes(nibabel.load(tmp_path / "o.nii.gz").header["descrip"]).rstrip(b"\0") == b"cgbench: unit test"
    assert b"Comment = cgbench: unit test\n" in (tmp_path / "o.mha").read_bytes()[:600]


def test_numbers_with_slope_and_intercept_lie_at_their_places(tmp_path):
    stored = (body(12).astype(np.int32) + 1024).astype(np.uint16)
    affine = affine_of("PIR", (2.0, 1.0, 4.0), origin=(7, -3, 11))
    save_scaled(tmp_path / "p.nii", stored, affine, 1, -1024)
    slices = readers.oriented_voxels(tmp_path / "p.nii", "axial")
    write_volume(tmp_path / "out.nii", slices, tmp_path / "p.nii", "axial")
    written = sitk.ReadImage(str(tmp_path / "out.nii"))
    for index in ((1, 2, 3), (4, 5, 6), (0, 7, 2)):
        right, anterior, superior = (affine @ [*index, 1])[:3]
        place = written.TransformPhysicalPointToIndex((-right, -anterior, superior))
        assert written.GetPixel(place) == body(12)[index]


def test_a_series_gives_nifti_at_the_same_place(tmp_path):
    voxels = body(13).transpose(2, 1, 0)
    folder = save_series(tmp_path / "p", voxels)
    slices = readers.oriented_voxels(folder, "axial")
    write_volume(tmp_path / f"o{suffix_for(folder)}", slices, folder, "axial")
    series = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    written = sitk.ReadImage(str(tmp_path / "o.nii.gz"))
    for index in ((1, 2, 3), (4, 5, 6)):
        point = series.TransformIndexToPhysicalPoint(index)
        assert written.GetPixel(written.TransformPhysicalPointToIndex(point)) == series.GetPixel(index)


def test_slices_that_are_not_given_are_the_low_end_of_the_window(tmp_path):
    sources = {name: save_nifti(tmp_path / f"{name}.nii", body(14)) for name in ("p", "q")}
    outputs = [np.full((8, 9, 1), number) for number in (10.4, 20.6, 40000.0, -3.0)]
    keys = ["p/0001", "p/0003", "q/0000", "q/0006"]
    p, q = assembled(keys, outputs, sources, "axial", CT)
    assert (p.patient, q.patient, p.translated, p.slices.dtype) == ("p", "q", 2, np.int16)
    assert p.slices[:, 0, 0].tolist() == [-1000, 10, -1000, 21, -1000, -1000, -1000]
    assert q.slices[:, 0, 0].tolist() == [32767, -1000, -1000, -1000, -1000, -1000, -3]
    (exact,) = assembled(keys[:1], outputs, sources, "axial", PixelFormat(1, "float32", (0.0, 1.0)))
    assert exact.slices[1, 0, 0] == np.float32(10.4)


def test_parts_of_slices_make_no_volume(tmp_path):
    source = save_nifti(tmp_path / "p.nii", body(14))
    with pytest.raises(CgbenchError, match=r"p/0001: .*test_size=own"):
        list(assembled(["p/0001"], [np.zeros((4, 4))], {"p": source}, "axial", CT))
    with pytest.raises(CgbenchError, match="give all slices"):
        write_volume(tmp_path / "o.nii", np.zeros((2, 8, 9), np.int16), source, "axial")
