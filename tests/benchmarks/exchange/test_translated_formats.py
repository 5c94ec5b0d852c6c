"""Translations at their own size and in the numbers of their format: an identity network gives every number back."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from torch import nn

from cgbench.api.graph_nodes import Apply, Network
from cgbench.api.method import Method
from cgbench.api.registry import METHODS
from cgbench.benchmarks.exchange import translate_files
from cgbench.benchmarks.exchange.translate_files import Size, Translator, input_images, output_paths
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config_layers import Resolved
from cgbench.datasets.images.decoding import read_image
from cgbench.datasets.images.resizing import resized
from cgbench.datasets.images.stored import read_stored
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.pixel_format import RGB8, PixelFormat
from helpers.tiny_models import tiny_config

IDENTITY = Method(
    "identity", "the image itself", networks={"G": Network(lambda config: nn.Identity())},
    graph={"fake_b": Apply("G", "real_a")}, translates={"AtoB": "fake_b"},
)  # fmt: skip
FORMATS = {
    "12 bit": PixelFormat(1, "uint16", (0, 4095)),
    "16 bit": PixelFormat(1, "uint16", (0, 65535)),
    "HU": PixelFormat(1, "int16", (-1024, 3071), "HU"),
    "float": PixelFormat(1, "float32", (-0.25, 1.5)),
    "RGB16": PixelFormat(3, "uint16", (0, 65535)),
    "bands": PixelFormat(6, "int16", (0, 10000)),
    "RGBA": PixelFormat(4, "uint8", (0, 255)),
}


def identity(pixels, target=None):
    config = tiny_config()
    model = Model(IDENTITY, config, 0)
    return Translator(model, "AtoB", config, True, 0, "identity", pixels, target or pixels)


def translated(folder, translator, size=None):
    """The files of a folder through a translator, at their own size; what came out."""
    files = input_images([folder], translator)
    out = folder.parent / "out"
    paths = output_paths(files, out, folder.parent / "run", translator)
    translate_files.translate(files, paths, translator, size or Size())
    assert sorted(out.iterdir()) == paths
    return paths


def numbers(pixels, *shape):
    low, high = pixels.ends
    drawn = np.random.default_rng(0).uniform(low, high, (*shape, pixels.channels))
    return (drawn if pixels.dtype == "float32" else drawn.round()).astype(pixels.dtype)


@pytest.fixture
def given(tmp_path):
    (tmp_path / "given").mkdir()
    return tmp_path / "given"


@pytest.mark.parametrize("name", FORMATS)
def test_an_identity_network_gives_every_number_back(given, name):
    pixels = FORMATS[name]
    images = {"a": numbers(pixels, 7, 5), "b": numbers(pixels, 33, 50), "c": numbers(pixels, 33, 50)}
    for stem, image in images.items():
        np.save(given / f"{stem}.npy", image)
    for path in translated(given, identity(pixels)):
        result, expected = read_stored(path), images[path.stem]
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        tolerance = 1e-6 * (pixels.ends[1] - pixels.ends[0]) if pixels.dtype == "float32" else 0
        np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)
        assert path.suffix == (".png" if name in ("12 bit", "16 bit") else ".tif")


def test_so_it_does_in_tiles(given):
    pixels = FORMATS["HU"]
    image = numbers(pixels, 530, 1030)
    np.save(given / "a.npy", image)
    seen = []
    translator = identity(pixels)
    translator.model.networks["G"].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape))
    (path,) = translated(given, translator, Size(max_pixels=2**18))
    assert np.array_equal(read_stored(path), image)
    assert len(seen) > 2 and set(seen) == {(1, 1, 512, 512)}


def test_images_below_the_bound_are_not_tiled_because_they_are_many(given):
    pixels = FORMATS["HU"]
    for stem in "abc":
        np.save(given / f"{stem}.npy", numbers(pixels, 20, 500))
    seen = []
    translator = identity(pixels)
    translator.model.networks["G"].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape))
    assert len(translated(given, translator, Size(max_pixels=33_000))) == 3
    assert seen == [(2, 1, 32, 512), (1, 1, 32, 512)]  # multiples of 16, the crop size


def test_pictures_of_several_sizes_come_back_as_they_are(given):
    rng = np.random.default_rng(1)
    sizes = {"a": (640, 360), "b": (5, 7), "c": (250, 33), "d": (1, 2)}
    for stem, (width, height) in sizes.items():
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(given / f"{stem}.png")
    turned = Image.new("RGB", (20, 12), "red")
    exif = turned.getexif()
    exif[0x0112] = 6  # a quarter turn
    turned.save(given / "e.jpg", exif=exif)
    for path in translated(given, identity(RGB8)):
        source = given / f"{path.stem}.{'jpg' if path.stem == 'e' else 'png'}"
        assert np.array_equal(read_image(path), read_image(source)) and path.suffix == ".png"
        assert Image.open(path).size == sizes.get(path.stem, (12, 20))


def test_other_numbers_come_out_in_the_window_of_the_other_domain(given):
    np.save(given / "a.npy", np.array([[[0], [2048], [4096]]], np.uint16))
    translator = identity(PixelFormat(1, "uint16", (0, 4096)), PixelFormat(1, "int16", (-1000, 1000), "HU"))
    (path,) = translated(given, translator)
    assert read_stored(path).ravel().tolist() == [-1000, 0, 1000]


def test_numbers_outside_of_the_window_become_its_ends_and_are_counted(given, capsys):
    for stem, values in {"a": [-5, 0, 7, 99], "b": [1, 2, 3, 4], "c": [8, 8, 8, 8]}.items():
        np.save(given / f"{stem}.npy", np.array(values, np.int16)[:, None, None])
    paths = translated(given, identity(PixelFormat(1, "int16", (0, 7))))
    assert [read_stored(path).ravel().tolist() for path in paths] == [[0, 0, 7, 7], [1, 2, 3, 4], [7, 7, 7, 7]]
    assert (
        "6 numbers of 2 images lie outside of the window 0 to 7: the network sees its ends" in capsys.readouterr().out
    )


@pytest.mark.parametrize(("shape", "dtype", "found"), [((4, 4, 2), "int16", "2 bands of int16"),
                                                       ((4, 4), "uint16", "1 band of uint16")])  # fmt: skip
def test_other_bands_and_types_are_refused_before_anything_is_written(given, shape, dtype, found):
    np.save(given / "a.npy", np.zeros((9, 9), np.int16))
    np.save(given / "b.npy", np.zeros(shape, dtype))
    with pytest.raises(CgbenchError, match=f"b.npy: holds {found}, but the network was trained on 1 band of int16"):
        translated(given, identity(FORMATS["HU"]))
    assert not (given.parent / "out").exists()


def test_images_of_any_format_are_resized_as_test_images_are_if_asked(given):
    pixels = FORMATS["HU"]
    image = numbers(pixels, 20, 24)
    np.save(given / "a.npy", image)
    (path,) = translated(given, identity(pixels), Size(own=False))
    assert np.array_equal(read_stored(path), resized(image, (16, 16), "squash", blend=True))


def test_a_method_of_one_size_says_so_and_what_to_do(given):
    Image.new("RGB", (20, 12)).save(given / "a.png")
    trial = Trial(METHODS.get("cogan"), 0, "smoke", Resolved(tiny_config(search_steps=1), {}, {}))
    model = translate_files.translating_model(trial, "AtoB", "cpu")
    translator = replace(identity(RGB8), model=model)
    with pytest.raises(CgbenchError, match="cogan renders images of 16×16 pixels only, its crop size: use --size crop"):
        translated(given, translator)
    (path,) = translated(given, translator, Size(own=False))
    assert Image.open(path).size == (16, 16)
