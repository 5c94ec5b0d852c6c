"""Files of numbers are read as they are stored: compared with what other writers put into them."""

import os
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from cgbench.datasets.images import stored, tiff_files
from cgbench.datasets.images.decoding import read_image
from cgbench.datasets.images.number_types import upright
from cgbench.datasets.images.stored import is_picture, look_at, read_stored, stored_format, stored_header
from cgbench.errors import DataBroken
from helpers.image_files import GREY, PNG_GREY, PNG_GREY_ALPHA, PNG_RGBA, RGB, write_png, write_tiff

RNG = np.random.default_rng(3)


def numbers(bands, dtype):
    """Numbers over most of the range of a type, (30, 41, bands)."""
    if dtype == "float32":
        return RNG.normal(scale=1e4, size=(30, 41, bands)).astype(np.float32)
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max + 1, (30, 41, bands)).astype(dtype)


def save_tiff(path, array, **options):
    """Write an array (H, W, C) by tifffile, planar where `planarconfig` says so."""
    separate = options.get("planarconfig") == "separate"
    data = np.moveaxis(array, 2, 0) if separate else array[..., 0] if array.shape[2] == 1 else array
    tifffile.imwrite(path, data, photometric="minisblack", **options)


def assert_stored(path, expected):
    found = read_stored(path)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype and found.flags.c_contiguous and found.dtype.isnative
    assert stored_format(path) == (expected.shape[2], expected.dtype.name)
    header = stored_header(path)
    assert (header.height, header.width) == expected.shape[:2]


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 7}, {"tile": (16, 32)}], ids=["strip", "strips", "tiles"])
@pytest.mark.parametrize(("bands", "dtype"), [(13, "uint16"), (4, "float32"), (2, "int16"), (5, "uint8")])
@pytest.mark.parametrize(("compression", "predictor"), [(None, False), ("deflate", True), ("lzw", True)])
def test_tiff_of_bands(tmp_path, byteorder, planar, layout, bands, dtype, compression, predictor):
    expected = numbers(bands, dtype)
    options = {"compression": compression, "predictor": predictor or None, **layout}
    save_tiff(tmp_path / "a.tif", expected, byteorder=byteorder, planarconfig=planar, **options)
    assert_stored(tmp_path / "a.tif", expected)


@pytest.mark.parametrize("compression", ["deflate", "packbits", "zstd"])
@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_tiff_of_one_band(tmp_path, compression, dtype):
    expected = numbers(1, dtype)
    save_tiff(tmp_path / "a.tif", expected, compression=compression)
    assert_stored(tmp_path / "a.tif", expected)
    save_tiff(tmp_path / "big.tif", expected, bigtiff=True)
    assert_stored(tmp_path / "big.tif", expected)


def test_64_bands_and_not_one_more(tmp_path):
    save_tiff(tmp_path / "a.tif", numbers(64, "uint16"), planarconfig="contig")
    assert stored_format(tmp_path / "a.tif") == (64, "uint16")
    save_tiff(tmp_path / "b.tif", numbers(65, "uint16"), planarconfig="contig")
    with pytest.raises(DataBroken, match=r"b\.tif: it has 65 bands, more than 64: store those that matter"):
        stored_format(tmp_path / "b.tif")


def test_12_bit_numbers_in_16_bits_stay_what_they_are(tmp_path):
    expected = RNG.integers(0, 4096, (9, 11, 1)).astype(np.uint16)
    Image.fromarray(expected[..., 0]).save(tmp_path / "a.png")
    Image.fromarray(expected[..., 0]).save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        assert_stored(tmp_path / name, expected)


def test_16_bit_png(tmp_path):
    colours = numbers(3, "uint16")
    (tmp_path / "rgb.png").write_bytes(imagecodecs.png_encode(colours))
    assert_stored(tmp_path / "rgb.png", colours)
    grey = numbers(1, "uint16")
    write_png(tmp_path / "grey.png", grey, PNG_GREY, 16)
    assert_stored(tmp_path / "grey.png", grey)


def test_16_bit_rgb_tiff_written_byte_by_byte(tmp_path):
    colours = numbers(3, "uint16")
    write_tiff(tmp_path / "rgb.tif", colours, RGB)
    assert_stored(tmp_path / "rgb.tif", colours)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_npy(tmp_path, dtype):
    expected = numbers(6, dtype)
    np.save(tmp_path / "a.npy", expected)
    assert_stored(tmp_path / "a.npy", expected)
    np.save(tmp_path / "b.npy", np.asfortranarray(expected[..., 0].astype(expected.dtype.newbyteorder(">"))))
    assert_stored(tmp_path / "b.npy", expected[..., :1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_numbers_are_turned_as_pillow_turns_pictures(tmp_path, orientation):
    expected = numbers(1, "uint8")
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(expected[..., 0]).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(upright(expected, orientation)[..., 0], read_image(tmp_path / "a.png")[..., 0])
    deep = numbers(1, "uint16")
    Image.fromarray(deep[..., 0]).save(tmp_path / "deep.png", exif=exif)
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "deep.tif", deep[..., 0], photometric="minisblack", extratags=tag)
    for name in ("deep.png", "deep.tif"):
        np.testing.assert_array_equal(read_stored(tmp_path / name), upright(deep, orientation))


def test_pictures_are_read_as_before(tmp_path):
    picture = numbers(3, "uint8")
    Image.fromarray(picture).save(tmp_path / "rgb.png")
    Image.fromarray(picture).save(tmp_path / "rgb.jpg")
    Image.fromarray(picture).convert("P").save(tmp_path / "palette.tif")
    Image.fromarray(picture).convert("CMYK").save(tmp_path / "cmyk.tif")
    Image.fromarray(picture[..., 0]).save(tmp_path / "grey.bmp")
    for path in tmp_path.iterdir():
        assert is_picture(path) and stored_format(path) == (3, "uint8")
        np.testing.assert_array_equal(read_stored(path), read_image(path))
        np.testing.assert_array_equal(look_at(path), read_image(path))


def test_a_look_at_numbers_spreads_their_own_range(tmp_path):
    np.save(tmp_path / "a.npy", np.linspace(-5, 5, 10_000, dtype=np.float32).reshape(100, 100))
    shown = look_at(tmp_path / "a.npy")
    assert shown.dtype == np.uint8 and shown.shape == (100, 100, 3)
    assert (shown.min(), shown.max()) == (0, 255) and abs(int(shown[50, 0, 0]) - 128) <= 1


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((4, 4)), "float64, refused even where all of them would fit another type: store float32"),
        (np.zeros((4, 4), np.uint32), "uint32, .*: store uint16, or float32"),
        (np.zeros((4, 4), np.int32), "int32, .*: store int16, or float32"),
        (np.zeros((4, 4), np.complex64), "complex64: store two bands"),
        (np.zeros((4, 4), "U3"), "it holds str96, not numbers"),
        (np.zeros((4, 4, 4, 4), np.uint8), r"its shape is \(4, 4, 4, 4\): save \(H, W\)"),
        (np.zeros((3, 40, 50), np.uint16), r"its shape is \(3, 40, 50\), the bands first as it seems"),
        (np.zeros((1, 1), np.uint16), "a single pixel"),
        (np.zeros((0, 5), np.uint16), "it holds nothing"),
    ],
)
def test_npy_that_is_no_image_is_refused_by_its_header(tmp_path, array, said):
    np.save(tmp_path / "a.npy", array)
    for reader in (read_stored, stored_format, stored_header):
        with pytest.raises(DataBroken, match=rf"a\.npy: .*{said}"):
            reader(tmp_path / "a.npy")


def test_pickles_are_refused_and_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    trap = np.empty((2, 2), object)
    trap[:] = Trap()
    np.save(tmp_path / "a.npy", trap, allow_pickle=True)
    with pytest.raises(DataBroken, match=r"a\.npy: it holds Python objects, which could run code"):
        read_stored(tmp_path / "a.npy")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("array", "options", "said"),
    [
        (np.zeros((8, 8)), {}, "float64"),
        (np.zeros((8, 8), np.uint32), {}, "uint32"),
        (np.zeros((8, 8), np.int8), {}, "int8"),
        (np.zeros((8, 8), np.complex64), {}, "complex64"),
        (np.zeros((8, 8, 4), np.uint16), {"photometric": "rgb", "extrasamples": [2]}, "marked as transparency"),
        (np.zeros((8, 8, 4), np.uint16), {"photometric": "separated"}, "CMYK of 16 bits"),
        (np.zeros((8, 8), np.uint16), {"photometric": "miniswhite"}, "its 0 is white"),
        (np.zeros((3, 8, 8), np.uint16), {"photometric": "minisblack"}, "3 pages, of which one would be read"),
    ],
)
def test_tiff_that_would_lose_something_is_refused_by_its_header(tmp_path, array, options, said):
    tifffile.imwrite(tmp_path / "a.tif", array, **options)
    for reader in (read_stored, stored_format, stored_header):
        with pytest.raises(DataBroken, match=rf"a\.tif: .*{said}"):
            reader(tmp_path / "a.tif")


def test_16_bit_palette_and_12_bits_are_refused(tmp_path):
    write_tiff(tmp_path / "palette.tif", np.zeros((5, 7, 1), np.uint16), 3)
    write_tiff(tmp_path / "twelve.tif", np.zeros((5, 7, 1), np.uint16), GREY, bits=12)
    with pytest.raises(DataBroken, match=r"a palette of 16 bits"):
        read_stored(tmp_path / "palette.tif")
    with pytest.raises(DataBroken, match=r"12 bits each: store them in 8 or 16 bits"):
        read_stored(tmp_path / "twelve.tif")


@pytest.mark.parametrize(("colour", "bands"), [(PNG_GREY_ALPHA, 2), (PNG_RGBA, 4)])
def test_16_bit_png_with_transparency_is_refused(tmp_path, colour, bands):
    write_png(tmp_path / "a.png", numbers(bands, "uint16"), colour, 16)
    with pytest.raises(DataBroken, match=r"a\.png: transparency beside 16-bit numbers"):
        stored_format(tmp_path / "a.png")


def test_numbers_that_are_none_are_refused_with_their_count(tmp_path):
    array = numbers(2, "float32")
    array[0, :3, 0], array[5, 5, 1] = np.nan, np.inf
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataBroken, match=r"a\.npy: 4 of 2,460 numbers are NaN or infinite"):
        read_stored(tmp_path / "a.npy")


@pytest.mark.parametrize("compression", [None, "deflate", "lzw"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_truncated_tiff(tmp_path, compression, share):
    save_tiff(tmp_path / "a.tif", numbers(4, "uint16"), compression=compression, rowsperstrip=5, planarconfig="contig")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataBroken, match=r"a\.tif: .*: replace it"):
        read_stored(tmp_path / "a.tif")


def test_truncated_npy_and_png(tmp_path):
    np.save(tmp_path / "a.npy", numbers(3, "uint16"))
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(numbers(3, "uint16")))
    for name in ("a.npy", "b.png"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(DataBroken, match=rf"{name}: "):
            read_stored(tmp_path / name)


def test_left_out_strips_are_not_made_up(tmp_path):
    save_tiff(tmp_path / "a.tif", numbers(1, "uint16"), compression="deflate", rowsperstrip=10)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tiff:
        tag = tiff.pages[0].tags["StripByteCounts"]
        tag.overwrite((0, *tag.value[1:]))
    with pytest.raises(DataBroken, match=r"strips or tiles are left out"):
        read_stored(tmp_path / "a.tif")


def test_a_bomb_is_refused_before_it_unfolds(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_files, "HARMLESS", 1000)
    save_tiff(tmp_path / "a.tif", np.zeros((500, 500, 1), np.uint16), compression="deflate", rowsperstrip=500)
    assert read_stored(tmp_path / "a.tif").shape == (500, 500, 1)
    content = (tmp_path / "a.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        place = tiff.pages[0].tags["ImageLength"].valueoffset
        rows = tiff.pages[0].tags["RowsPerStrip"].valueoffset
    for offset in (place, rows):
        content = content[:offset] + struct.pack("<H", 2) + content[offset + 2 :]
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DataBroken, match=r"becomes more than the 2,000 bytes of the image"):
        read_stored(tmp_path / "a.tif")


def test_too_many_numbers_are_refused_by_the_header(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", numbers(3, "uint16"))
    monkeypatch.setattr("cgbench.datasets.images.number_types.NUMBER_LIMIT", 30 * 41 * 3 - 1)
    with pytest.raises(DataBroken, match=r"41 × 30 × 3 bands are more than 3,689 numbers: shrink it"):
        stored_format(tmp_path / "a.npy")


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    save_tiff(tmp_path / "a.tif", numbers(1, "uint16"), compression="lzw")
    monkeypatch.setattr(tiff_files, "find_spec", lambda name: None)
    with pytest.raises(DataBroken, match=r"compressed by LZW, which needs one more package: pip install 'cgbench\[b"):
        stored_format(tmp_path / "a.tif")


def test_what_is_no_file_is_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "link.npy").symlink_to(tmp_path / "gone")
    for name, said in {"pipe": "a pipe", "folder": "a folder", "empty": "is empty", "link": "is not there"}.items():
        for reader in (read_stored, stored_format, is_picture):
            with pytest.raises(DataBroken, match=rf"{name}\.npy: .*{said}"):
                reader(tmp_path / f"{name}.npy")


@pytest.mark.parametrize("seed", range(60))
def test_damaged_headers_give_one_line_or_an_image(tmp_path, seed, capfd):
    draw = np.random.default_rng(seed)
    save_tiff(tmp_path / "a.tif", numbers(3, "uint16"), compression="deflate", planarconfig="contig")
    np.save(tmp_path / "a.npy", numbers(3, "uint16"))
    for name in ("a.tif", "a.npy"):
        content = bytearray((tmp_path / name).read_bytes())
        for place in draw.integers(0, 300 if name == "a.tif" else 128, 3):
            content[place] = draw.integers(0, 256)
        (tmp_path / name).write_bytes(content)
        try:
            assert read_stored(tmp_path / name).ndim == 3
        except DataBroken as error:
            assert "\n" not in str(error) and name in str(error)
    assert capfd.readouterr().err == ""


def test_files_of_numbers_are_listed_beside_pictures(tmp_path):
    for name in ("b.npy", "a.tif", "c.nii", ".hidden.npy"):
        (tmp_path / name).touch()
    assert [path.name for path in stored.stored_files(tmp_path)] == ["a.tif", "b.npy"]
