"""A stranger's package brings a method, a dataset and a metric through entry points; a broken one harms nobody."""

import os
import subprocess
import sys
from pathlib import Path

METHOD = """
from cgbench.methods.cyclegan import cyclegan

def soft_cycle():
    return cyclegan().but("soft_cycle", "half the cycle weight", weights={"cycle_a": 5, "cycle_b": 5})

def faulty():
    return cyclegan().but("faulty", drop=["no_such_term"])
"""
DATASET = '''
import numpy as np
from cgbench import Dataset, Domain, Item

class Stripes(Dataset):
    """Horizontal against vertical stripes."""

    name, summary = "stripes", "horizontal against vertical stripes"
    domains = (Domain("horizontal"), Domain("vertical"))

    def items(self, split, domain):
        def draw(side, index):
            bands = (np.arange(side) // (index + 1) % 2 * 255).astype(np.uint8)
            image = np.repeat(bands[:, None], side, axis=1)
            return np.stack([image if domain == "A" else image.T] * 3, axis=-1)

        return [Item(f"{index}", lambda side, index=index: draw(side, index)) for index in range(4)]
'''
METRIC = """
import numpy as np
from cgbench import Metric, Scores, Value

def brightness():
    return Metric("brightness", "mean level of the output", (Value("brightness", "brightness", ""),),
                  compute=lambda t: Scores({"brightness": float(t.outputs.mean() / 255)}), unfit=lambda t: None)

def exploding():
    return Metric("exploding", "breaks", (Value("exploding", "exploding", ""),),
                  compute=lambda t: 1 / 0, not_applicable=lambda t: None)
"""
ENTRY_POINTS = """
[cgbench.methods]
soft_cycle = stranger_method:soft_cycle
broken = stranger_missing:nothing
faulty = stranger_method:faulty
[cgbench.datasets]
stripes = stranger_dataset:Stripes
[cgbench.metrics]
brightness = stranger_metric:brightness
exploding = stranger_metric:exploding
"""


def install(folder: Path) -> dict[str, str]:
    """Lay out a package as an installer would, and return the environment in which it is found."""
    for name, text in (("method", METHOD), ("dataset", DATASET), ("metric", METRIC)):
        (folder / f"stranger_{name}.py").write_text(text)
    info = folder / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}


def test_a_plugin_package_is_found_and_runs(tmp_path):
    environment = install(tmp_path)
    program = [sys.executable, "-m", "cgbench.benchmarks"]

    def cgbench(*arguments):
        return subprocess.run(
            [*program, *map(str, arguments)], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=200
        )

    listing = cgbench("methods")
    assert listing.returncode == 0, listing.stderr
    assert "soft_cycle" in listing.stdout and "faulty" not in listing.stdout
    for name in ("broken", "faulty"):
        assert f"plugin '{name}' could not be loaded" in listing.stderr
    assert "stripes" in cgbench("datasets").stdout and "brightness" in cgbench("metrics").stdout
    small = [f"--set={key}" for key in ("steps=2", "crop_size=16", "load_size=20", "ngf=4", "ndf=4")]
    done = cgbench("run", "--methods", "soft_cycle", "--dataset", "stripes", "--preset", "smoke", *small)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "brightness" in done.stdout and "soft_cycle" in done.stdout
    assert (
        "metric 'exploding' failed: ZeroDivisionError" in done.stdout
        and "Not measured: exploding: failed" in done.stdout
    )
    assert (tmp_path / "runs" / "stripes-smoke" / "report" / "index.html").exists()
