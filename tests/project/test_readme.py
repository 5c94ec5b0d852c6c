"""What the README shows works as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from cgbench.benchmarks.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_examples_of_new_things_run_as_they_stand(tmp_path):
    """All Python blocks of the README in one plugin module, then a run of what they add."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(blocks) == 4
    (tmp_path / "readme_plugin.py").write_text("\n".join(blocks))
    info = tmp_path / "readme_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: readme-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("".join(
        f"[cgbench.{kind}]\nreadme = readme_plugin\n" for kind in ("methods", "datasets", "metrics")
    ))  # fmt: skip
    small = [f"--set={value}" for value in ("steps=2", "crop_size=16", "load_size=20", "ngf=4", "ndf=4")]
    arguments = ["run", "--methods", "half_cycle,cyclegan_smooth", "--dataset", "greys", "--preset", "smoke", *small]
    result = subprocess.run(
        [sys.executable, "-m", "cgbench.benchmarks", *arguments], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, timeout=200,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    for word in ("half_cycle", "cyclegan_smooth", "brightness"):
        assert word in result.stdout


def test_every_command_and_file_it_names_exists():
    named = set(re.findall(r"cgbench ([a-z]+)\b(?! [a-z]+ and)", "\n".join(re.findall(r"```\n(.*?)```", README, re.S))))
    assert named >= {"run", "methods", "datasets", "metrics", "show", "evaluate", "report"}
    for command in named:
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0, command
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_demo_command_is_the_one_that_make_runs():
    command = "cgbench run --methods cyclegan,gan_only --dataset streets --preset demo --name demo"
    assert command in README and command in (ROOT / "Makefile").read_text()
