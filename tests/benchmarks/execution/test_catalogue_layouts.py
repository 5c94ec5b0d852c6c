"""Small imitations of the public sets of the catalogue, in their layouts and with their inequalities: the main job runs
on each, in both directions."""

import math

import numpy as np
import pytest
from PIL import Image

from cgbench.benchmarks.cli import report
from cgbench.datasets.download.catalogue import CATALOGUE
from cgbench.files import read_jsonl
from cgbench.results.run_folder import TrialFolder
from helpers.cli import cgbench

MOST = 5  # images of the largest set of a split
TINY = ["--preset", "smoke", "--device", "cpu", *(
    f"--set={value}" for value in ("steps=1", "crop_size=16", "load_size=18", "ngf=2", "ndf=2", "batch_size=1")
)]  # fmt: skip
PAIRED = {"maps", "facades"}  # 1_A.jpg and 1_B.jpg are of one scene
WITH_REPORT = {"horse2zebra", "pix2pix-maps"}  # the others save its time
RUNNABLE = [entry for entry in CATALOGUE.values() if not entry.refused]
TWO_FOLDERS = [entry.name for entry in RUNNABLE if set(entry.folders) == {"trainA", "trainB", "testA", "testB"}]
SIDE_BY_SIDE = [entry.name for entry in RUNNABLE if "train" in entry.folders]


def scaled(counts):
    """Return numbers of images of at most `MOST` that are equal where the counts are, and unequal in the same order."""
    largest = max(counts)
    small = [max(1, round(MOST * count / largest)) for count in counts]
    return [number if count == largest else min(number, MOST - 1) for number, count in zip(small, counts, strict=True)]


def file_name(name, folder, index):
    if name in PAIRED:
        return f"{index + 1}_{folder[-1]}.jpg"
    return f"n0238146{folder[-1] == 'B':d}_{index}.jpg" if folder[-1] == "A" else f"2014-08-0{index + 1} 17_41_55.jpg"


def save_image(path, width=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(map(ord, str(path)[-40:])))
    coarse = rng.integers(0, 256, (4, width // 5, 3), dtype=np.uint8)
    Image.fromarray(np.kron(coarse, np.ones((5, 5, 1), np.uint8))).save(path)


def imitate(name, folder):
    """Write the set's folders with as many images as `scaled` says."""
    entry = CATALOGUE[name]
    if name in SIDE_BY_SIDE:
        for part, count in zip(entry.folders, (MOST, MOST - 2, MOST - 3), strict=False):
            for index in range(count):
                save_image(folder / part / f"{index + 1}.jpg", width=40)
        return
    for split in ("train", "test"):
        counts = scaled([entry.counts[f"{split}{domain}"] for domain in "AB"])
        for domain, count in zip("AB", counts, strict=True):
            for index in range(count):
                part = f"{split}{domain}"
                save_image(folder / part / file_name(name, part, index))


def test_the_imitations_have_the_inequalities_of_the_sets():
    assert len(TWO_FOLDERS) == 10 and len(SIDE_BY_SIDE) == 5
    unequal = [name for name in TWO_FOLDERS if CATALOGUE[name].counts["testA"] != CATALOGUE[name].counts["testB"]]
    assert len(unequal) == 8
    for name in TWO_FOLDERS:
        counts = [CATALOGUE[name].counts[f"test{domain}"] for domain in "AB"]
        small = scaled(counts)
        assert np.sign(np.diff(small)) == np.sign(np.diff(counts)) and max(small) == MOST


@pytest.mark.parametrize("name", [*TWO_FOLDERS, *SIDE_BY_SIDE])
def test_the_main_job_runs_on_each_public_set(name, tmp_path, monkeypatch):
    if name not in WITH_REPORT:
        monkeypatch.setattr(report, "write_and_print", lambda run_folder: None)
    root = tmp_path / name
    imitate(name, root)
    data = ["--dataset", "folder", "--data-root", root, "--runs-dir", tmp_path / "runs", "--name", "one"]
    output = cgbench("run", "--methods", "cyclegan", *data, *TINY)
    assert "failed" not in output
    trial = TrialFolder.of(tmp_path / "runs" / "one", name, "cyclegan", 0)
    numbers = {(row["direction"], row["metric"]): row["value"] for row in read_jsonl(trial.metrics)}
    paired = name in PAIRED or name in SIDE_BY_SIDE
    for direction in ("AtoB", "BtoA"):
        for metric in ("identity_l1", "reconstruction_l1", *(("psnr", "paired_l1") if paired else ())):
            assert math.isfinite(numbers[direction, metric])
        assert paired or (direction, "psnr") not in numbers
