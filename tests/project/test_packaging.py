"""The wheel: one top-level package, with the templates and suites that it needs."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("cgbench", "methods", "datasets", "benchmarks", "reports")


def test_the_wheel_holds_one_package_and_its_files(tmp_path):
    source = tmp_path / "source"
    for part in PARTS:
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    built = subprocess.run([*command, "-w", tmp_path, source], capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("cgbench-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"cgbench"}
    for name in ("reports/templates/page.html.j2", "reports/templates/page.css", "reports/templates/study.js",
                 "benchmarks/suites/family.toml",
                 "datasets/street_scenes/render.py", "methods/blocks/resnet.py", "config.py", "py.typed"):  # fmt: skip
        assert f"cgbench/{name}" in names, name
    assert not any("reference" in name for name in names if name.startswith("cgbench/reports"))
