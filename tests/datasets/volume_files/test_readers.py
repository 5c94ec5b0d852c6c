"""Reading volumes: the numbers are those of the file, and what is no single volume is refused with its name."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.orientation import obliqueness, oriented_shape, oriented_spacing
from cgbench.errors import DataBroken
from helpers.volumes import SHAPE, affine_of, body, libraries, save_meta, save_nifti, save_scaled, save_series

nibabel, pydicom, sitk = libraries()


def refusal(path: Path) -> str:
    with pytest.raises(DataBroken) as error:
        readers.read_header(path)
        readers.read_voxels(path)
    text = str(error.value)
    assert "\n" not in text and str(path) in text
    return text


@pytest.mark.parametrize("name", ["p.nii", "p.nii.gz", "p.mha", "p.mhd"])
@pytest.mark.parametrize("codes", ["LPS", "RAS", "PIL", "LAS", "SRA"])
@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_slices_of_every_orientation_are_the_same_way_up(tmp_path, name, codes, axis):
    truth = body(1)  # left, posterior, superior
    canonical = nibabel.Nifti1Image(truth, affine_of("LPS"))
    start = nibabel.io_orientation(canonical.affine)
    turned = canonical.as_reoriented(
        nibabel.orientations.ornt_transform(start, nibabel.orientations.axcodes2ornt(codes))
    )
    save = save_nifti if ".nii" in name else save_meta
    path = save(tmp_path / name, np.asarray(turned.dataobj), turned.affine)
    expected = {  # slices, rows from the top, columns from the left
        "axial": truth.transpose(2, 1, 0),
        "coronal": truth.transpose(1, 2, 0)[:, ::-1],
        "sagittal": truth.transpose(0, 2, 1)[:, ::-1],
    }[axis]
    found = readers.oriented_voxels(path, axis)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, expected)
    header = readers.read_header(path)
    assert oriented_shape(header.shape, header.affine, axis) == expected.shape


def test_spacing_follows_the_axes(tmp_path):
    path = save_nifti(tmp_path / "p.nii", body(2), affine_of("PIL", spacing=(1.5, 3.0, 0.5)))
    header = readers.read_header(path)
    assert oriented_spacing(header.affine, "axial") == (3.0, 1.5, 0.5)
    assert oriented_spacing(header.affine, "coronal") == (1.5, 3.0, 0.5)
    assert obliqueness(header.affine) == 0


def test_an_oblique_volume_takes_the_closest_axes(tmp_path):
    turn = np.eye(4)
    angle = np.radians(20)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    path = save_nifti(tmp_path / "p.nii", body(3), turn @ affine_of("LPS"))
    assert obliqueness(readers.read_header(path).affine) == pytest.approx(20, abs=1e-3)
    np.testing.assert_array_equal(readers.oriented_voxels(path, "axial"), body(3).transpose(2, 1, 0))


@pytest.mark.parametrize(("dtype", "slope", "inter", "expected"), [
    ("uint16", 1.0, -1024.0, "int16"), ("int16", 2.0, 100.0, "int16"), ("int16", 0.5, 0.25, "float32"),
    ("uint8", 1.0, 0.0, "int16"),
])  # fmt: skip
def test_slope_and_intercept_are_applied_exactly(tmp_path, dtype, slope, inter, expected):
    stored = np.random.default_rng(5).integers(0, 200, SHAPE).astype(dtype)
    save_scaled(tmp_path / "p.nii", stored, affine_of("LPS"), slope, inter)
    found = readers.read_voxels(tmp_path / "p.nii")
    assert found.dtype == expected
    np.testing.assert_array_equal(found, stored * slope + inter)


@pytest.mark.parametrize(("numbers", "expected"), [
    (np.array([-40000.0, 1.0]), "float32"), (np.array([0, 60000], np.int32), "uint16"),
    (np.array([-3.0, 7.0]), "int16"), (np.array([0.5, 1.0], np.float32), "float32"),
])  # fmt: skip
@pytest.mark.parametrize("save", [save_nifti, save_meta])
def test_the_smallest_type_that_is_exact(tmp_path, numbers, expected, save):
    path = save(tmp_path / ("p.nii.gz" if save is save_nifti else "p.mha"), np.resize(numbers, SHAPE))
    found = readers.read_voxels(path)
    assert found.dtype == expected
    np.testing.assert_array_equal(np.sort(np.unique(found)), np.sort(numbers))


def test_a_series_is_ordered_by_position_and_in_hounsfield_units(tmp_path):
    voxels = body(4).transpose(2, 1, 0)
    folder = save_series(tmp_path / "p", voxels)
    found, header = readers.oriented_voxels(folder, "axial"), readers.read_header(folder)
    assert (found.dtype, header.modality, header.shape) == (np.int16, "ct", voxels.shape)
    np.testing.assert_array_equal(found, voxels)
    assert oriented_spacing(header.affine, "axial") == pytest.approx((3.0, 0.8, 0.7))
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    expected = image.TransformIndexToPhysicalPoint((2, 3, 4))  # an index of another library gives the same place
    assert (np.diag([-1, -1, 1, 1]) @ header.affine @ [4, 3, 2, 1])[:3] == pytest.approx(expected)


def test_compressed_slices_are_read(tmp_path):
    voxels = body(5, (32, 32, 4)).transpose(2, 1, 0)
    folder = save_series(tmp_path / "p", voxels)
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.compress(pydicom.uid.RLELossless)
        data.save_as(file)
    np.testing.assert_array_equal(readers.oriented_voxels(folder, "axial"), voxels)


def test_a_compression_that_nothing_reads_is_refused(tmp_path):
    folder = save_series(tmp_path / "p", body(5).transpose(2, 1, 0))
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
        data.PixelData = pydicom.encaps.encapsulate([b"\0\1\2\3"])
        data["PixelData"].is_undefined_length = True
        data.save_as(file)
    assert "compression" in refusal(folder)


def test_what_is_no_grey_volume_is_refused(tmp_path):
    assert "4 dimensions" in refusal(save_nifti(tmp_path / "4d.nii", np.zeros((4, 4, 4, 2), np.int16)))
    colours = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "grey" in refusal(save_nifti(tmp_path / "rgb.nii", colours))
    holes = np.zeros(SHAPE, np.float32)
    holes[1, 2, 3] = np.nan
    assert "NaN" in refusal(save_nifti(tmp_path / "nan.nii", holes))
    assert "NaN" in refusal(save_meta(tmp_path / "nan.mha", holes))
    flat = affine_of("LPS")
    flat[:3, 1] = flat[:3, 0]
    assert "singular" in refusal(save_nifti(tmp_path / "flat.nii", body(1), flat))
    sitk.WriteImage(sitk.Image([4, 4, 4, 2], sitk.sitkInt16), str(tmp_path / "4d.mha"))
    assert "4 dimensions" in refusal(tmp_path / "4d.mha")
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3), str(tmp_path / "rgb.mha"))
    assert "grey" in refusal(tmp_path / "rgb.mha")
    for name in ("no.nii", "no.nii.gz", "no.mha"):
        (tmp_path / name).write_bytes(b"these are no numbers")
        refusal(tmp_path / name)


@pytest.mark.parametrize("cut", [20, 200, 500])
def test_truncated_files_are_refused_and_nothing_else_is_printed(tmp_path, cut, capfd):
    noise = np.random.default_rng(6).integers(-999, 999, SHAPE, np.int16)
    for save, name in ((save_nifti, "p.nii"), (save_nifti, "p.nii.gz"), (save_meta, "p.mha")):
        path = save(tmp_path / name, noise)
        os.truncate(path, path.stat().st_size - cut)
        assert "copy it again" in refusal(path)
    path = save_meta(tmp_path / "z.mha", noise, compressed=True)
    os.truncate(path, path.stat().st_size - cut)
    assert "truncated" in refusal(path)
    path = save_meta(tmp_path / "h.mhd", body(6))
    os.truncate(tmp_path / "h.raw", 100)
    with pytest.raises(DataBroken, match=r"h\.raw: is truncated"):
        readers.read_voxels(path)
    path = save_nifti(tmp_path / "c.nii", body(6))
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(path.read_bytes())[:-3])
    refusal(tmp_path / "c.nii.gz")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_folder_that_is_no_single_series_is_refused(tmp_path):
    voxels = body(7).transpose(2, 1, 0)
    missing = save_series(tmp_path / "missing", voxels)
    (missing / "0004.dcm").unlink()
    with pytest.raises(DataBroken, match=r"0003\.dcm: lies 6 mm from 0005\.dcm, other slices 3 mm"):
        readers.read_header(missing)
    mixed = save_series(tmp_path / "mixed", voxels)
    for file in save_series(tmp_path / "other", voxels).iterdir():
        file.rename(mixed / f"b{file.name}")
    text = refusal(mixed)
    assert "holds 2 series" in text and text.count("(7 files)") == 2
    twice = save_series(tmp_path / "twice", voxels)
    (twice / "again.dcm").write_bytes((twice / "0003.dcm").read_bytes())
    assert "has the position of" in refusal(twice)
    assert "frames" in refusal(save_series(tmp_path / "frames", voxels[:1], NumberOfFrames=3))
    colours = save_series(tmp_path / "rgb", voxels, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    assert "RGB" in refusal(colours)
    assert "1 slice" in refusal(save_series(tmp_path / "one", voxels[:1]))
    odd = save_series(tmp_path / "odd", voxels)
    (odd / "0002.dcm").write_bytes(b"no dicom")
    assert "no DICOM file" in refusal(odd)
    short = save_series(tmp_path / "short", voxels)
    os.truncate(short / "0002.dcm", (short / "0002.dcm").stat().st_size - 20)
    assert "0002.dcm" in refusal(short)


def test_a_changed_file_is_read_again(tmp_path):
    path = save_nifti(tmp_path / "p.nii", body(8))
    first = readers.oriented_voxels(path, "axial")
    assert readers.oriented_voxels(path, "axial") is first
    save_nifti(path, body(9))
    os.utime(path, ns=(1, 1))
    np.testing.assert_array_equal(readers.oriented_voxels(path, "axial"), body(9).transpose(2, 1, 0))
