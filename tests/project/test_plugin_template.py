"""The plug-in template: installed as a package, it is listed, passes its own tests, and runs."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TEMPLATE = Path(__file__).resolve().parents[2] / "examples" / "plugin"


def run(command, folder, path=""):
    environment = {**os.environ, "PYTHONPATH": str(path), "COLUMNS": "200"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the folder that a copy of the template is installed in, away from its source."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(TEMPLATE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    run([*pip, "--target", folder / "site", folder / "source"], folder)
    return folder / "site"


def test_every_entry_point_has_a_file_of_the_template():
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())
    groups = project["project"]["entry-points"]
    assert set(groups) == {"cgbench.methods", "cgbench.datasets", "cgbench.metrics"}
    modules = {target.partition(":")[0] for group in groups.values() for target in group.values()}
    assert modules == set(project["tool"]["setuptools"]["py-modules"])
    assert all((TEMPLATE / f"{module}.py").is_file() for module in modules)


def test_its_own_tests_pass(installed, tmp_path):
    shutil.copy(TEMPLATE / "test_my_plugin.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    assert "5 passed" in run([*command, "test_my_plugin.py"], tmp_path, installed)


def test_it_is_listed_and_runs(installed, tmp_path):
    program = [sys.executable, "-m", "cgbench.benchmarks"]
    for kind in ("method", "dataset", "metric"):
        assert f"my_{kind}" in run([*program, f"{kind}s"], tmp_path, installed)
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for domain, count in (("summer", 3), ("winter", 4)):
            (tmp_path / "data" / split / domain).mkdir(parents=True)
            for index in range(count):
                image = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
                image.save(tmp_path / "data" / split / domain / f"{index}.png")
    small = [f"--set={setting}" for setting in ("steps=2", "crop_size=16", "load_size=20", "ngf=4", "ndf=4")]
    chosen = ["--methods", "my_method", "--dataset", "my_dataset", "--data-root", "data", "--preset", "smoke"]
    output = run([*program, "run", *chosen, "--name", "mine", *small], tmp_path, installed)
    assert "my_method" in output and "colour dist." in output
    assert (tmp_path / "runs" / "mine" / "report" / "index.html").is_file()
