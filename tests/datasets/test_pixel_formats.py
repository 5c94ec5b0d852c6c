"""Pixel formats: what decoding would change silently is refused by the header, and all else is read as it is stored."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

from cgbench.datasets.images.decoding import header, read_image, read_labels
from cgbench.errors import DataBroken
from helpers.image_files import (
    CMYK,
    GREY,
    LAB,
    PNG_GREY,
    PNG_GREY_ALPHA,
    PNG_RGB,
    PNG_RGBA,
    RGB,
    chunk,
    write_png,
    write_tiff,
)

RNG = np.random.default_rng(0)
ALPHA, UNKNOWN, WHITE_IS_ZERO = (2,), (0,), 0
SIGNED, FLOAT = 2, 3


def pixels(bands, kind=np.uint8):
    """Random pixels of a type, (5, 7, bands)."""
    return RNG.integers(0, 100, (5, 7, bands)).astype(kind)


@pytest.fixture
def undecoded(monkeypatch):
    """No pixel may be decoded."""
    for kind in ("ImageFile.ImageFile", "TiffImagePlugin.TiffImageFile"):
        monkeypatch.setattr(f"PIL.{kind}.load", lambda *_: pytest.fail("a pixel was decoded"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((pixels(4), RGB), "4 bands, of which 3 are colours.*store the bands that matter as grey or RGB"),
        ((pixels(4), RGB, UNKNOWN), "4 bands"),
        ((pixels(5), RGB, (2, 0)), "5 bands"),
        ((pixels(13, np.uint16), GREY, (0,) * 12), "13 bands, of which one is grey"),
        ((pixels(3), GREY, (0, 0)), "3 bands, of which one is grey"),
        ((pixels(2), GREY, UNKNOWN), "2 bands"),
        ((pixels(3, np.uint16), RGB), "16 bits per band, of which 8 would be kept: store 8 bits per band"),
        ((pixels(4, np.uint16), RGB, ALPHA), "16 bits per band"),
        ((pixels(2, np.uint16), GREY, ALPHA), "16 bits per band"),
        ((pixels(4, np.uint16), CMYK), "16 bits per band"),
        ((pixels(1, np.int16), GREY, (), SIGNED), r"signed 16-bit.*Hounsfield.*0 to 65535.*unsigned 16-bit grey"),
        ((pixels(1, np.int8), GREY, (), SIGNED), "signed 8-bit"),
        ((pixels(1, np.int32), GREY, (), SIGNED), "signed 32-bit"),
        ((pixels(1, np.uint32), GREY), "32-bit integers.*store 8 or 16 bits"),
        ((pixels(1, np.float32), GREY, (), FLOAT), "floating-point numbers, whose range is not stated"),
        ((pixels(1, np.float64), GREY, (), FLOAT), "floating-point"),
        ((pixels(1, np.float16), GREY, (), FLOAT), "floating-point"),
        ((pixels(1, np.uint16), GREY, (), 1, 12), "12 bits.*spread it over 0 to 65535"),
        ((pixels(1, np.uint16), WHITE_IS_ZERO), "inverted: store it with 0 as black"),
        ((pixels(3), LAB), r"L\*a\*b\*: convert it to RGB"),
    ],
)
def test_tiff_that_decoding_would_change_is_refused_by_its_header(tmp_path, undecoded, arguments, said):
    write_tiff(tmp_path / "odd.tif", *arguments)
    for reader in (read_image, read_labels, header):
        with pytest.raises(DataBroken, match=rf"odd\.tif: .*{said}"):
            reader(tmp_path / "odd.tif")


@pytest.mark.parametrize(("colour", "bands"), [(PNG_RGB, 3), (PNG_GREY_ALPHA, 2), (PNG_RGBA, 4)])
def test_png_of_16_bit_colours_is_refused_by_its_header(tmp_path, undecoded, colour, bands):
    write_png(tmp_path / "deep.png", pixels(bands, np.uint16), colour, 16)
    for reader in (read_image, read_labels, header):
        with pytest.raises(DataBroken, match=r"deep\.png: its colours have 16 bits per band, of which 8 would be kept"):
            reader(tmp_path / "deep.png")


def test_16_bit_grey_with_a_transparent_level_is_refused_by_its_header(tmp_path, undecoded):
    Image.fromarray(np.array([[0, 65535]], np.uint16)).save(tmp_path / "t.png", transparency=0)
    with pytest.raises(DataBroken, match=r"t\.png: .*transparent level: save it without"):
        header(tmp_path / "t.png")


def test_jpeg_of_12_bits_is_refused_as_what_it_is(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(pixels(3)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    content[content.index(b"\xff\xc0") + 4] = 12
    (tmp_path / "deep.jpg").write_bytes(content)
    with pytest.raises(DataBroken, match=r"deep\.jpg: JPEG of 12 bits per band is not read: store 8 bits"):
        read_image(tmp_path / "deep.jpg")


@pytest.mark.parametrize("content", [b"II*\0", b"II*\0\x08\0\0\0\xff\xff" + bytes(40), b"\xff\xd8\xff\xc0", b"MM\0+"])
def test_a_damaged_header_is_called_damaged_and_nothing_else_is_printed(tmp_path, content, recwarn):
    (tmp_path / "cut.tif").write_bytes(content)
    with pytest.raises(DataBroken, match=r"cut\.tif: is no JPEG, PNG, WebP, TIFF or BMP image, or its beginning"):
        read_image(tmp_path / "cut.tif")


def test_pillow_logs_nothing_to_the_terminal(tmp_path, capsys):
    write_tiff(tmp_path / "many.tif", pixels(13), GREY, (0,) * 12)
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("PIL").handlers)
    with pytest.raises(DataBroken):
        read_image(tmp_path / "many.tif")
    assert capsys.readouterr().err == ""


def test_grey_colours_and_declared_transparency_are_read_as_before(tmp_path):
    grey, wide, colours, alpha = pixels(1), pixels(1, np.uint16) * 300, pixels(3), pixels(4)
    write_tiff(tmp_path / "grey.tif", grey, GREY)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.tif"), np.repeat(grey, 3, axis=2))
    write_tiff(tmp_path / "wide.tif", wide, GREY)
    write_png(tmp_path / "wide.png", wide, PNG_GREY, 16)
    expected = np.repeat(np.round(wide / 257).astype(np.uint8), 3, axis=2)
    np.testing.assert_array_equal(read_image(tmp_path / "wide.tif"), expected)
    np.testing.assert_array_equal(read_image(tmp_path / "wide.png"), expected)
    write_tiff(tmp_path / "colours.tif", colours, RGB)
    np.testing.assert_array_equal(read_image(tmp_path / "colours.tif"), colours)
    write_tiff(tmp_path / "alpha.tif", alpha, RGB, ALPHA)
    write_png(tmp_path / "alpha.png", alpha, PNG_RGBA, 8)
    over_white = alpha[..., :3] * (alpha[..., 3:] / 255) + 255 - alpha[..., 3:].astype(float)
    for name in ("alpha.tif", "alpha.png"):
        assert np.abs(read_image(tmp_path / name) - over_white).max() <= 1
        assert header(tmp_path / name).transparent and not header(tmp_path / "colours.tif").transparent


def test_label_maps_whose_ids_decoding_would_change_are_refused(tmp_path):
    write_png(tmp_path / "four.png", np.array([[[0x01], [0x23]]], np.uint8), PNG_GREY, 4, width=4)
    assert read_image(tmp_path / "four.png")[0, :, 0].tolist() == [0, 17, 34, 51]
    with pytest.raises(DataBroken, match=r"four\.png: .*8-bit grey or palette, not 4-bit grey: store class ids"):
        read_labels(tmp_path / "four.png")
    write_tiff(tmp_path / "inverted.tif", pixels(1), WHITE_IS_ZERO)
    with pytest.raises(DataBroken, match=r"inverted\.tif: .*not grey whose 0 is white"):
        read_labels(tmp_path / "inverted.tif")
    palette = Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8))
    palette.putpalette([9, 9, 9, 8, 8, 8, 7, 7, 7, 6, 6, 6])
    palette.save(tmp_path / "palette.png", bits=2)
    assert read_labels(tmp_path / "palette.png").tolist() == [[0, 1, 2, 3]]


def test_a_header_is_read_without_decoding_and_knows_an_orientation_after_the_pixels(tmp_path, undecoded):
    exif = Image.Exif()
    exif[274] = 6
    write_png(tmp_path / "plain.png", pixels(3), PNG_RGB, 8)
    assert header(tmp_path / "plain.png").orientation == 1
    Image.fromarray(pixels(3)).save(tmp_path / "before.jpg", exif=exif)
    assert header(tmp_path / "before.jpg").orientation == 6


def test_an_orientation_after_the_pixels_is_found(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    late = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    write_png(tmp_path / "late.png", pixels(3), PNG_RGB, 8, after=late)
    assert header(tmp_path / "late.png").orientation == 6 and read_image(tmp_path / "late.png").shape == (7, 5, 3)


def test_the_header_of_a_jpeg_tells_quality_and_subsampling(tmp_path):
    photo = Image.fromarray(np.repeat(np.repeat(pixels(3), 8, 0), 8, 1))
    for quality in (20, 50, 75, 90):
        photo.save(tmp_path / "a.jpg", quality=quality)
        assert (header(tmp_path / "a.jpg").quality, header(tmp_path / "a.jpg").subsampling) == (quality, "4:2:0")
    photo.save(tmp_path / "a.jpg", quality=75, subsampling=0)
    assert header(tmp_path / "a.jpg").subsampling == "4:4:4"
    photo.convert("L").save(tmp_path / "a.jpg")
    assert (header(tmp_path / "a.jpg").quality, header(tmp_path / "a.jpg").subsampling) == (75, "")
    photo.save(tmp_path / "a.png")
    assert header(tmp_path / "a.png").quality == 0
