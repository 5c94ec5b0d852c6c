"""16-bit pictures that a dataset of 8-bit pictures makes almost black are refused by the rule on the whole set."""

import re
from functools import partial

import numpy as np
import pytest
from PIL import Image

from cgbench.api.dataset import Domain, Item, Listing
from cgbench.benchmarks.data import cache_key
from cgbench.benchmarks.data.geometry import square
from cgbench.benchmarks.data.loading import load_images
from cgbench.datasets.checks.checker import check
from cgbench.datasets.folder import Folder
from cgbench.datasets.images.decoding import arrive_black, image_files, whole_image
from cgbench.errors import DataBroken
from helpers.image_folders import healthy, scene

TWELVE_BITS, AN_EIGHTH, BRIGHT = 4095, 8000, 8300  # highest values of 16-bit pictures: 8224 becomes level 32 of 255


class PictureFolder(Folder):
    """A folder as a dataset that reads 8-bit pictures alone has it."""

    domains = (Domain("A"), Domain("B"))

    def listing(self, split, domain):
        files = image_files(self.root / f"{split}{domain}")
        return Listing([Item(path.stem, partial(whole_image, path), file=path) for path in files])

    def identity(self):
        return super().identity()


def write_grey(path, number, highest):
    """Write a scene as 16-bit grey from 0 to `highest`."""
    grey = np.asarray(scene(number).convert("L"), np.float64)
    spread = (grey - grey.min()) / (grey.max() - grey.min())
    Image.fromarray((spread * highest).astype(np.uint16)).save(path)


def dataset_with(root, highest, number=500):
    """A healthy folder whose trainA holds 16-bit pictures with these highest values instead; 0 stands for 8 bits."""
    healthy(root)
    for path in (root / "trainA").iterdir():
        path.unlink()
    for k, value in enumerate(highest):
        path = root / "trainA" / f"s{k:03d}.png"
        if value:
            write_grey(path, number + k, value)
        else:
            scene(number + k).save(path)
    return PictureFolder(root)


def severities(dataset):
    return {issue.severity for issue in check(dataset).issues if issue.check == "dark"}


@pytest.mark.parametrize(
    "highest", [[TWELVE_BITS] * 6, [AN_EIGHTH] * 6, [TWELVE_BITS] * 3 + [0] * 3], ids=["12 bits", "an eighth", "half"]
)
def test_a_set_of_dark_16_bit_pictures_is_refused_and_an_error_of_the_check(tmp_path, highest):
    dataset = dataset_with(tmp_path / "ct", highest)
    said = re.escape(
        "trainA/s000.png: arrives almost black, like every 16-bit picture of train A: no level reaches an eighth of "
        "65535; spread their levels over 0 to 65535 (12-bit data: times 16) (cgbench datasets check folder --data-root"
    )
    with pytest.raises(DataBroken, match=said):
        load_images(dataset, "train", "A", square(32))
    assert severities(dataset) == {"error"}


@pytest.mark.parametrize(
    ("highest", "severity"),
    [
        ([BRIGHT] * 6, set()),
        ([65535] * 6, set()),
        ([TWELVE_BITS] * 5 + [BRIGHT], {"warning"}),
        ([TWELVE_BITS] * 2 + [0] * 4, {"warning"}),
    ],
    ids=["just bright enough", "the whole range", "one bright", "few among 8-bit pictures"],
)
def test_dark_pictures_among_others_are_loaded(tmp_path, highest, severity):
    dataset = dataset_with(tmp_path / "ct", highest)
    assert len(load_images(dataset, "train", "A", square(32))) == 6
    assert severities(dataset) == severity


def test_a_limit_does_not_make_a_set_dark(tmp_path):
    dataset = dataset_with(tmp_path / "night", [TWELVE_BITS] * 4 + [BRIGHT] * 2)
    assert len(load_images(dataset, "train", "A", square(32), limit=3)) == 3


def test_dark_8_bit_pictures_are_loaded(tmp_path):
    dataset = dataset_with(tmp_path / "night", [0] * 4)
    for path in (tmp_path / "night" / "trainA").iterdir():
        Image.open(path).point(lambda level: level // 20).save(path)
    assert load_images(dataset, "train", "A", square(32)).images.max() < 16


def test_a_dark_set_never_gets_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_key, "SETTLE_SECONDS", -60.0)  # trust the files that were written just now
    dark = dataset_with(tmp_path / "ct", [TWELVE_BITS] * 36)
    for _ in range(2):
        with pytest.raises(DataBroken, match="arrives almost black"):
            load_images(dark, "train", "A", square(16))
    assert not list((tmp_path / "cache").rglob("entry.json"))
    load_images(dataset_with(tmp_path / "whole", [65535] * 36), "train", "A", square(16))
    assert len(list((tmp_path / "cache").rglob("entry.json"))) == 1


def test_the_rule():
    assert arrive_black([31, 3], 4) and not arrive_black([31, 3], 5) and not arrive_black([32, 3], 2)
    assert not arrive_black([], 0) and not arrive_black([], 3)
