"""Unpaired test sets of unequal sizes: a trial is evaluated in both directions, and no score goes by a wrong key."""

import numpy as np
from PIL import Image

from cgbench.files import read_jsonl
from cgbench.results.run_folder import TrialFolder
from helpers.cli import cgbench


def test_test_sets_of_unequal_sizes_are_evaluated(tmp_path):
    rng = np.random.default_rng(0)
    for folder, count in (("trainA", 4), ("trainB", 5), ("testA", 4), ("testB", 3)):
        (tmp_path / "apples" / folder).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "apples" / folder / f"{folder[-1]}{index}.png")
    small = [f"--set={setting}" for setting in ("steps=2", "crop_size=16", "load_size=20", "ngf=4", "ndf=4")]
    data = ["--dataset", "folder", "--data-root", tmp_path / "apples", "--runs-dir", tmp_path / "runs"]
    cgbench("run", "--methods", "cyclegan", "--preset", "smoke", "--name", "one", *data, *small)
    trial = TrialFolder.of(tmp_path / "runs" / "one", "apples", "cyclegan", 0)
    rows = list(read_jsonl(trial.metrics))
    counts = {(row["direction"], row["metric"]): row["n"] for row in rows}
    assert counts["AtoB", "identity_l1"] == 4 and counts["BtoA", "identity_l1"] == 3
    assert all(np.isfinite(row["value"]) for row in rows if row["metric"] == "identity_l1")
    per_image = {(row["direction"], row["metric"]) for row in read_jsonl(trial.image_scores)}
    assert ("AtoB", "reconstruction_l1") in per_image and ("AtoB", "identity_l1") not in per_image
