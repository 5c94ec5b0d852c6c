"""Image files: decoding by fixed rules, and resizing to square images."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from cgbench.api.dataset import SemanticClass
from cgbench.api.palette import nearest_class
from cgbench.datasets.images import decoding
from cgbench.datasets.images.decoding import coloured, header, image_files, read_image, read_labels, same_shape
from cgbench.errors import DataBroken

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def saved(tmp_path, image, name, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.bmp"])
def test_lossless_formats_keep_every_pixel(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    read = read_image(saved(tmp_path, Image.fromarray(PHOTO), name, **options))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, PHOTO)


def test_jpeg_is_close(tmp_path):
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    read = read_image(saved(tmp_path, Image.fromarray(flat), "a.jpg", quality=95))
    assert np.abs(read.astype(int) - flat).max() <= 3


def test_grey_becomes_three_equal_channels(tmp_path):
    read = read_image(saved(tmp_path, Image.fromarray(PHOTO[:, :, 0]), "a.png"))
    np.testing.assert_array_equal(read, np.repeat(PHOTO[:, :, :1], 3, axis=2))


def test_bilevel_becomes_black_and_white(tmp_path):
    read = read_image(saved(tmp_path, Image.fromarray(np.array([[True, False]])), "a.png"))
    assert read[0].tolist() == [[255] * 3, [0] * 3]


def test_palette_gives_its_colours(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    read = read_image(saved(tmp_path, image, "a.png"))
    assert read.tolist() == [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [10, 20, 30]]]


def test_transparency_is_laid_over_white(tmp_path):
    pixels = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 51]]], np.uint8)
    read = read_image(saved(tmp_path, Image.fromarray(pixels), "a.png"))
    assert read[0].tolist() == [[255, 255, 255], [10, 20, 30], [204, 204, 204]]


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    read = read_image(saved(tmp_path, image, "a.png", transparency=0))
    assert read[0].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_16_bit_grey_is_scaled_by_a_fixed_range(tmp_path):
    dim = np.array([[0, 257, 2570, 65535]], np.uint16)
    read = read_image(saved(tmp_path, Image.fromarray(dim), "a.png"))
    assert read[0, :, 0].tolist() == [0, 1, 10, 255]
    dark = read_image(saved(tmp_path, Image.fromarray(dim[:, :2]), "b.png"))
    assert dark[0, :, 0].tolist() == [0, 1], "an image that is dark as a whole must stay dark"


def test_cmyk_becomes_rgb(tmp_path):
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    r, g, b = read_image(saved(tmp_path, image, "a.jpg", quality=95))[4, 4].tolist()
    assert r > 240 and g < 15 and b < 15


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: rotate by 90 degrees clockwise
    read = read_image(saved(tmp_path, Image.fromarray(PHOTO), "a.png", exif=exif))
    np.testing.assert_array_equal(read, np.rot90(PHOTO, -1))


def test_first_frame_of_several(tmp_path):
    second = Image.fromarray(255 - PHOTO)
    path = saved(tmp_path, Image.fromarray(PHOTO), "a.tif", save_all=True, append_images=[second])
    np.testing.assert_array_equal(read_image(path), PHOTO)


@pytest.mark.parametrize("reader", [read_image, read_labels])
@pytest.mark.parametrize("content", [b"", b"not an image at all", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images_are_named(tmp_path, reader, content):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(DataBroken, match=r"bad\.png"):
        reader(path)


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "cut.webp", "cut.tif"])
def test_truncated_files_are_named(tmp_path, name):
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataBroken, match=r"cut\."):
        read_image(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataBroken, match=r"gone\.png"):
        read_image(tmp_path / "gone.png")


def test_too_many_pixels_are_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(PHOTO), "bomb.png")
    monkeypatch.setattr(decoding, "PIXEL_LIMIT", PHOTO.shape[0] * PHOTO.shape[1] - 1)
    with pytest.raises(DataBroken, match=r"bomb\.png.*pixels"):
        read_image(path)
    monkeypatch.setattr(decoding, "PIXEL_LIMIT", PHOTO.shape[0] * PHOTO.shape[1])
    read_image(path)


def test_pillows_own_bomb_limit_is_translated(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(PHOTO), "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(DataBroken, match=r"bomb\.png"):
        read_image(path)


def test_labels_are_stored_numbers_not_colours(tmp_path):
    ids = np.array([[0, 11], [3, 255]], np.uint8)
    np.testing.assert_array_equal(read_labels(saved(tmp_path, Image.fromarray(ids), "l.png")), ids)
    image = Image.fromarray(ids)
    image.putpalette(list(range(255, -1, -1)) * 3)
    assert image.mode == "P"
    np.testing.assert_array_equal(read_labels(saved(tmp_path, image, "p.png")), ids)


def test_labels_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(DataBroken, match=r"c\.png.*RGB"):
        read_labels(saved(tmp_path, Image.fromarray(PHOTO), "c.png"))


def test_image_files(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.JPeG", ".hidden.png", "notes.txt", "d.webp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in image_files(tmp_path)] == ["a.jpg", "b.PNG", "c.JPeG", "d.webp"]
    assert image_files(tmp_path / "absent") == []


def test_colours_and_back():
    palette = (SemanticClass("x", (10, 20, 30)), SemanticClass("y", (200, 0, 0)))
    ids = np.array([[0, 1], [255, 1]], np.uint8)
    image = coloured(ids, palette)
    assert image.tolist() == [[[10, 20, 30], [200, 0, 0]], [[0, 0, 0], [200, 0, 0]]]
    np.testing.assert_array_equal(nearest_class(image, palette, [(0, 0, 0)]), ids)
    noise = RNG.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    by_hand = ((noise[:, :, None].astype(int) - [(10, 20, 30), (200, 0, 0)]) ** 2).sum(axis=3).argmin(axis=2)
    np.testing.assert_array_equal(nearest_class(noise, palette), by_hand)


def test_truncation_is_seen_even_where_another_package_forgives_it(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), "cut.jpg")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataBroken, match="truncated"):
        read_image(path)


@pytest.mark.parametrize("form", ["GIF", "EPS", "PPM", "PCX", "JPEG2000"])
def test_other_formats_are_refused_whatever_they_are_called(tmp_path, form):
    """Above all EPS, for which Pillow would start an interpreter."""
    path = tmp_path / "named.png"
    Image.fromarray(PHOTO).save(path, form)
    with pytest.raises(DataBroken, match=r"named\.png: is no JPEG, PNG"):
        read_image(path)


def test_a_jpeg_called_png_is_read_as_what_it_is(tmp_path):
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    path = tmp_path / "named.png"
    Image.fromarray(flat).save(path, "JPEG", quality=95)
    assert np.abs(read_image(path).astype(int) - flat).max() <= 3
    assert header(path).format == "JPEG"


@pytest.mark.parametrize(("width", "height"), [(100_000, 100_000), (12_000, 9_000), (8_000, 10_001)])
def test_a_bomb_is_refused_by_its_header_without_a_warning(tmp_path, monkeypatch, width, height, recwarn):
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("a pixel was decoded"))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 9) + b"IDAT" + bytes(13))
    with pytest.raises(DataBroken, match=r"bomb\.png.*80,000,000 pixels: shrink it"):
        read_image(path)
    assert not recwarn.list


def test_labels_are_turned_by_their_own_tag(tmp_path):
    ids = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    path = saved(tmp_path, Image.fromarray(ids), "l.png", exif=exif)
    np.testing.assert_array_equal(read_labels(path), np.rot90(ids, -1))
    assert header(path).orientation == 6


def test_links_that_lead_nowhere_are_listed_and_refused_by_name(tmp_path):
    (tmp_path / "a.png").symlink_to("gone.png")
    (tmp_path / "b.png").symlink_to("b.png")
    assert [path.name for path in image_files(tmp_path)] == ["a.png", "b.png"]
    with pytest.raises(DataBroken, match=r"a\.png.*leads to gone\.png, which is not there"):
        read_image(tmp_path / "a.png")
    with pytest.raises(DataBroken, match=r"b\.png.*leads back to itself"):
        read_image(tmp_path / "b.png")


def test_a_file_name_cannot_steer_the_terminal(tmp_path):
    path = tmp_path / "x\x1b[2J.png"
    path.write_bytes(b"")
    with pytest.raises(DataBroken) as caught:
        read_image(path)
    assert "\x1b" not in str(caught.value) and "x\\x1b[2J.png: is empty" in str(caught.value)


def test_same_shape():
    assert same_shape(360, 480, 360, 480) and same_shape(1024, 2048, 256, 512) and same_shape(100, 67, 50, 34)
    assert not same_shape(360, 480, 480, 360) and not same_shape(60, 80, 60, 60)
