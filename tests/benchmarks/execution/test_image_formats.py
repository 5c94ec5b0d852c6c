"""A run on images of other formats, shapes and sizes: what is recorded, saved and measured are the stored numbers."""

import json
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from cgbench.api.metric import StoredImages, Translations
from cgbench.benchmarks.cli import report
from cgbench.benchmarks.evaluation import inference
from cgbench.datasets.images.stored import read_stored
from cgbench.pixel_format import PixelFormat
from helpers.cli import cgbench
from helpers.file_trees import contents

SMALL = ("--preset", "smoke", "--device", "cpu", "--set", "steps=2", "--seeds", "0")
OWN = ("--set", "resize_mode=none", "--set", "test_size=own", "--set", "window_b=-1000:1000")


def mr(random, shape):
    return random.integers(0, 4096, shape, dtype=np.uint16)


def ct(random, shape):
    return random.integers(-1024, 1200, shape, dtype=np.int16)


def train(place, *arguments):
    where = ("--runs-dir", place.parent, "--name", place.name)
    return cgbench("run", "--methods", "cyclegan", *arguments, *SMALL, *where)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """MR as 12 bits in PNG and CT as signed TIFF, every image of another size; the test images are pairs by name."""
    root = tmp_path_factory.mktemp("scans") / "scans"
    random = np.random.default_rng(0)
    for split, count in (("train", 5), ("test", 3)):
        for domain in "AB":
            (root / f"{split}{domain}").mkdir(parents=True)
        for index in range(count):
            shape = (30 + 5 * index, 37 + 3 * index)
            Image.fromarray(mr(random, shape)).save(root / f"{split}A" / f"p{index}.png")
            tifffile.imwrite(root / f"{split}B" / f"p{index}.tif", ct(random, shape))
    return root


@pytest.fixture(scope="module")
def run(folder):
    place = folder.parent / "run"
    cgbench(
        "run",
        "--methods",
        "cyclegan",
        "--dataset",
        "folder",
        "--data-root",
        folder,
        *SMALL,
        *OWN,
        "--runs-dir",
        place.parent,
        "--name",
        place.name,
    )
    return place


def trial(run, method="cyclegan"):
    return run / "scans" / method / "seed-0"


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def metrics(run, method="cyclegan"):
    found = rows(trial(run, method) / "metrics.jsonl")
    return {(row["direction"], row["metric"]): row["value"] for row in found}


def test_formats_windows_and_sizes_are_recorded(folder, run):
    record = json.loads((trial(run) / "trial.json").read_text())
    a, b = (domain["pixels"] for domain in record["dataset"]["domains"])
    numbers = np.concatenate([read_stored(path).ravel() for path in sorted((folder / "trainA").iterdir())])
    assert (a["channels"], a["dtype"]) == (1, "uint16") and (b["dtype"], b["window"]) == ("int16", [-1000, 1000])
    low, high = np.percentile(numbers, (0.5, 99.5))
    assert a["window"] == pytest.approx([low, high], abs=4096 * 0.005)
    for protocol in json.loads((trial(run) / "protocols.json").read_text()).values():
        assert "uint16" in protocol["format"] and "-1000 to 1000" in protocol["format"]
        assert protocol["resize_mode"] == "none"


def test_outputs_are_saved_in_stored_numbers_at_the_size_of_their_inputs(folder, run):
    for index in range(3):
        source = read_stored(folder / "testA" / f"p{index}.png")
        output = read_stored(trial(run) / "numbers" / "AtoB" / f"p{index}.tif")
        assert output.dtype == np.int16 and output.shape == source.shape
        assert output.min() >= -1000 and output.max() <= 1000
        back = read_stored(trial(run) / "numbers" / "BtoA" / f"p{index}.png")
        assert back.dtype == np.uint16 and back.shape == source.shape
        with Image.open(trial(run) / "outputs" / "AtoB" / f"p{index}.png") as picture:
            shown = np.asarray(picture)[..., 0]
        assert np.abs((output[..., 0] + 1000) / 2000 * 255 - shown).max() <= 0.5 + 1e-6


def test_the_mean_absolute_error_is_that_of_the_saved_numbers(folder, run):
    errors = []
    for index in range(3):
        output = read_stored(trial(run) / "numbers" / "AtoB" / f"p{index}.tif").astype(np.float64)
        errors.append(np.abs(output - read_stored(folder / "testB" / f"p{index}.tif")).mean())
    assert metrics(run)["AtoB", "mae"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert metrics(run, "real")["AtoB", "mae"] == 0 and metrics(run, "shuffled")["AtoB", "mae"] > 100


def test_translate_makes_the_numbers_that_were_evaluated(folder, run):
    out = run.parent / "translated"
    cgbench("translate", run, folder / "testA", "--output", out, "--device", "cpu")
    for index in range(3):
        evaluated = read_stored(trial(run) / "numbers" / "AtoB" / f"p{index}.tif")
        assert np.array_equal(read_stored(out / f"p{index}.tif"), evaluated)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_imported_numbers_are_measured_as_those_of_a_method(folder, run, tmp_path, monkeypatch, direction):
    monkeypatch.setattr(report, "write_and_print", lambda *_: None)
    copied, where = shutil.copytree(run, tmp_path / "run"), ("--data-root", folder, "--device", "cpu")
    named = ("--as", "theirs", "--direction", direction, *where)
    cgbench("import", "outputs", copied, trial(run) / "numbers" / direction, *named)
    found, own = metrics(copied, "theirs"), metrics(run)
    assert found[direction, "mae"] > 0
    assert {key: repr(value) for key, value in found.items()} == {key: repr(own[key]) for key in found}
    before = contents(copied)
    cgbench("evaluate", copied, *where)
    assert contents(copied) == before
    other = ("--as", "other", "--direction", direction, *where)
    said = cgbench("import", "outputs", copied, trial(run) / "outputs" / direction, *other, code=2)
    assert "p0.png: holds 3 bands of uint8, but the target domain has 1 band of " in said


def test_translate_at_the_size_of_test_images_keeps_sizes_where_these_keep_theirs(folder, run):
    out = run.parent / "as-tested"
    cgbench("translate", run, folder / "testA", "--output", out, "--size", "crop", "--device", "cpu")
    for index in range(3):
        evaluated = read_stored(trial(run) / "numbers" / "AtoB" / f"p{index}.tif")
        assert np.array_equal(read_stored(out / f"p{index}.tif"), evaluated)


def test_metrics_cannot_write_to_stored_numbers_and_masks():
    images, masks = np.zeros((1, 4, 4, 1), np.int16), np.ones((1, 4, 4), np.uint8)
    ct = PixelFormat(1, "int16", (-1000, 1000))
    given = Translations("AtoB", ("a",), images, images, "photo", stored=StoredImages(ct, ct, *[images] * 3, masks))
    stored = inference._protected(given).stored
    arrays = (stored.sources, stored.outputs, stored.targets, stored.masks)
    assert not any(array.flags.writeable for array in arrays) and masks.flags.writeable


def test_another_evaluation_uses_the_recorded_windows(folder, run):
    before = metrics(run)
    for path in (folder / "trainA").iterdir():  # a window that is measured again would be another one
        path.rename(path.with_suffix(".kept"))
    try:
        cgbench("evaluate", run, "--data-root", folder, "--device", "cpu")
    finally:
        for path in (folder / "trainA").iterdir():
            path.rename(path.with_suffix(".png"))
    assert metrics(run) == pytest.approx(before, nan_ok=True)


def test_a_rectangle_is_trained_and_measured_as_one(tmp_path):
    place = tmp_path / "run"
    sizes = ("--set", "load_size=40x72", "--set", "crop_size=32x64", "--set", "max_test_images=2")
    cgbench(
        "run",
        "--methods",
        "cyclegan",
        "--dataset",
        "streets",
        *SMALL,
        *sizes,
        "--runs-dir",
        place.parent,
        "--name",
        place.name,
    )
    trial_folder = place / "streets" / "cyclegan" / "seed-0"
    config = json.loads((trial_folder / "trial.json").read_text())["config"]
    assert (config["crop_size"], config["crop_width"], config["load_size"], config["load_width"]) == (32, 64, 40, 72)
    for path in (trial_folder / "outputs" / "AtoB").rglob("*.png"):
        with Image.open(path) as picture:
            assert picture.size == (64, 32)


@pytest.mark.parametrize(
    ("dataset", "setting", "message"),
    [
        ("phantoms", "window_a=5:1", "window_a=5:1: write LOW:HIGH in stored numbers"),
        ("phantoms", "window_b=low", "window_b=low: write LOW:HIGH"),
        ("streets", "window_a=0:100", "window_a=0:100: labels are label images, whose colours are no numbers"),
    ],
)
def test_windows_that_cannot_be_are_refused_before_anything_is_trained(dataset, setting, message, tmp_path):
    words = ("run", "--methods", "cyclegan", "--dataset", dataset, *SMALL, "--runs-dir", tmp_path / "runs")
    assert message in cgbench(*words, "--set", setting, "--dry-run", code=2)
    assert not (tmp_path / "runs").exists()
