"""What the command line says when something is wrong: one line that helps, the right exit code, no traceback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cgbench.benchmarks.cli.options import resolve_device
from cgbench.benchmarks.execution import run_plan
from cgbench.errors import CgbenchError
from helpers.cli import SMALL, cgbench
from helpers.run_folder import build_run


@pytest.mark.parametrize("arguments", [[], ["--preset", "paper"]])
def test_missing_cityscapes_says_what_to_get_and_where_to_put_it(arguments, tmp_path):
    output = cgbench("run", "--methods", "cyclegan,gan_only", "--dataset", "cityscapes", *arguments, code=2)
    for word in (
        "registration",
        "gtFine_trainvaltest.zip",
        "leftImg8bit_trainvaltest.zip",
        "--data-root",
        "CGBENCH_DATA",
    ):
        assert word in output, word
    assert "Ready now: phantoms, streets" in output
    assert len(output.splitlines()) <= 24 and max(map(len, output.splitlines())) <= 120


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "cyclgan", "--dataset", "streets"], "did you mean 'cyclegan'"),
        (["--methods", "cyclegan", "--dataset", "street"], "did you mean 'streets'"),
        (["--methods", "cyclegan"], "--dataset is missing"),
        (["--dataset", "streets"], "--methods is missing"),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "step=5"], "did you mean 'steps'"),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "steps=many"], "must be a whole number"),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "steps"], "write key=value"),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "crop_size=30"], "multiple of 4"),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "crop_size=60"], "multiple of 8"),
        (
            ["--methods", "cyclegan", "--dataset", "streets", "--set", "cyclegan.batch_size=2"],
            "the same for all methods",
        ),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "gan_only.lr=2"], "no such method here"),
        (["--methods", "cyclegan", "--dataset", "streets", "--seeds", "x"], "--seeds x"),
        (["--methods", "cyclegan", "--dataset", "streets", "--seeds", "0-1000000000"], "at most 10,000 seeds"),
        (["--methods", "cyclegan", "--dataset", "streets", "--seeds", "2147483648"], "must be below 2147483648"),
        (["--methods", "cyclegan", "--dataset", "streets", "--seeds", "9" * 5000], "(5,000 characters)"),
        (["--methods", "cyclegan", "--dataset", "streets", "--seeds", "0-" + "9" * 5000], "(5,002 characters)"),
        (["--methods", "cyclegan", "--dataset", "streets", "--seeds", "\N{SUPERSCRIPT TWO}"], "write whole numbers"),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "steps=" + "9" * 5000], "(5,000 characters)"),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "steps=1" + "0" * 400], "must be below 2147483648"),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "blocks=1000000000"], "must be below 1001"),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "cyclegan.cycle_a=-10"], "must be at least 0"),
        (["--methods", "cyclegan", "--dataset", "streets", "--jobs", "9" * 5000], "a whole number from 1 to 9999"),
        (["--methods", "cyclegan", "--dataset", "streets", "--device", "cuda:\N{SUPERSCRIPT TWO}"], "use auto, cpu"),
        (["--methods", "cyclegan", "--dataset", "streets", "--name", "../x"], "--runs-dir runs/.. --name x"),
        (["--methods", "cyclegan", "--dataset", "streets", "--name", "/tmp/x"], "--runs-dir /tmp --name x"),
        (["--methods", "cyclegan", "--dataset", "streets", "--name", ".."], "--runs-dir chooses the directory"),
        (["--methods", "cyclegan", "--dataset", "streets", "--set", "beta1=1"], "must be below 1"),
        (["--methods", "gan_only", "--dataset", "streets", "--set", "adversarial_a=0"], "no term trains G_ba"),
        (
            ["--methods", "cyclegan", "--dataset", "streets", "--set", "ngf=400000", *SMALL[4:6]],
            "a training step fails",
        ),
        (
            ["--methods", "cyclegan", "--dataset", "streets", "--set", "cyclegan.features=scorer"],
            "no use for 'features'",
        ),
        (["--methods", "munit", "--dataset", "streets", "--set", "munit.norm=batch"], "munit has no use for 'norm'"),
        (["--methods", "cyclegan", "--dataset", "streets", "--suite", "familz"], "did you mean 'family'"),
        (["--methods", "cyclegan", "--dataset", "streets", "--device", "tpu"], "--device tpu"),
        (["--methods", "cyclegan", "--dataset", "streets", "--device", "mps:0"], "use auto, cpu, cuda, cuda:N or mps"),
        (["--methods", "cyclegan", "--dataset", "folder"], "--data-root"),
        (["--methods", "cyclegan", "--dataset", "camvid"], "Ready now"),
    ],
)
def test_a_mistake_gets_one_line_that_helps(arguments, said):
    output = cgbench("run", *arguments, code=2)
    assert said in output


def test_a_run_folder_that_is_none_is_named(tmp_path):
    assert "is not there" in cgbench("report", tmp_path / "nothing", code=2)
    assert "holds no trial" in cgbench("report", tmp_path, code=2)
    (tmp_path / "d" / "m" / "seed-0").mkdir(parents=True)
    (tmp_path / "d" / "m" / "seed-0" / "trial.json").write_text("{")
    (tmp_path / "run.json").write_text("{")
    assert "run.json is not readable JSON" in cgbench("report", tmp_path, code=2)


def test_files_in_the_way_are_named(tmp_path):
    (tmp_path / "a_file").write_text("")
    output = cgbench(
        "run", "--methods", "gan_only", "--dataset", "streets", *SMALL, "--runs-dir", tmp_path / "a_file", code=2
    )
    assert "a_file" in output and "Not a directory" in output and "Safe" not in output
    assert "it is a file" in cgbench("translate", tmp_path / "a_file", "x.png", "--output", tmp_path / "z", code=2)


@pytest.mark.parametrize(
    ("settings", "causes"),
    [
        (["batch_size=1000000000"], "batch_size=1000000000"),
        (["ngf=1000000000"], "ngf=1000000000"),
        (["load_size=40000", "crop_size=40000"], "crop_size=40000"),
        (["scorer_width=10000000"], "scorer_width=10000000"),
        (["ndf=400000"], "ndf=400000"),
    ],
)
def test_a_step_beyond_the_memory_says_what_it_needs_and_what_is_free(settings, causes):
    common = ["--dataset", "streets", "--preset", "smoke", "--device", "cpu", "--dry-run"]
    output = cgbench("run", "--methods", "gan_only", *common, *(f"--set={text}" for text in settings), code=2)
    assert "gan_only: a training step fails: it needs at least" in output and "GB are free" in output
    assert f"of memory at {causes}, and " in output and output.endswith("; make it smaller\n")
    assert output.count("\n") == 1


@pytest.mark.parametrize("setting", ["ngf=400000", "ndf=40000", "scorer_width=400000", "ngf=2000000000"])
def test_networks_beyond_the_memory_say_what_they_need_and_what_is_free(setting):
    output = cgbench("show", "cyclegan", "--set", setting, code=2)
    assert re.search(
        rf"its networks cannot be built: they need at least [\d.]+ GB of memory at {setting}, and ", output
    )
    assert output.endswith("GB are free; make it smaller\n") and output.count("\n") == 1


def test_a_verdict_in_the_place_of_a_folder_is_one_line(tmp_path, monkeypatch):
    run = build_run(tmp_path / "run", ("cyclegan",), (0, 1), images=2, side=8)
    cgbench("baseline", "update", run, "--baseline", tmp_path / "baseline.json")
    monkeypatch.chdir(tmp_path)
    for option in ("--json", "--junit"):
        for place in (".", "..", tmp_path, "/"):
            said = cgbench("check", run, "--baseline", tmp_path / "baseline.json", option, place, code=2)
            assert said.count("\n") == 1 and "name a file" in said, said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_verdict_that_cannot_be_printed_is_no_failed_test(tmp_path):
    run = build_run(tmp_path / "run", ("cyclegan",), (0, 1), images=2, side=8)
    cgbench("baseline", "update", run, "--baseline", tmp_path / "baseline.json")
    for words in (["check", run, "--baseline", tmp_path / "baseline.json"], ["diff", run, run]):
        with open("/dev/full", "w") as full:
            command = [sys.executable, "-m", "cgbench.benchmarks", *map(str, words)]
            ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=100)
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_directory_of_runs_that_is_a_file_is_refused_by_the_plan_too(tmp_path, dry):
    (tmp_path / "file").touch()
    (tmp_path / "run").touch()
    common = ["run", "--methods", "copy", "--dataset", "streets", *SMALL, "--name", "run", *dry]
    for place, problem in ((tmp_path / "file", "Not a directory"), (tmp_path, "File exists")):
        assert problem in cgbench(*common, "--runs-dir", place, code=2)


@pytest.mark.parametrize(("arguments", "safe"), [((), True), (("--dry-run",), False)])
def test_what_is_safe_is_said_of_a_run_only(arguments, safe, tmp_path, monkeypatch):
    def no_memory(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(run_plan, "plan_run", no_memory)
    chosen = ("run", "--methods", "gan_only", "--dataset", "streets", "--preset", "smoke", "--runs-dir", tmp_path)
    said = cgbench(*chosen, *arguments, code=1)
    assert "there is not enough memory (no room)." in said and ("Safe: finished trials" in said) is safe


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x = " + "[" * 100_000, "nested too deeply"),
        ("seeds = [" + "9" * 5000 + "]", "not readable TOML"),
        ("seeds = [-1]", "each from 0 to 2147483647"),
        ("seeds = [2147483648]", "each from 0 to 2147483647"),
    ],
)
def test_an_odd_suite_is_named(tmp_path, content, said):
    (tmp_path / "odd.toml").write_text(content)
    output = cgbench("run", "--suite", tmp_path / "odd.toml", "--dry-run", code=2)
    assert "odd.toml" in output and said in output


def test_a_suite_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "windows.toml").write_bytes(
        b'\xef\xbb\xbfmethods = ["gan_only"]\r\ndataset = "streets"\r\npreset = "smoke"\r\n'
    )
    assert "gan_only" in cgbench("run", "--suite", tmp_path / "windows.toml", "--device", "cpu", "--dry-run")


def test_a_name_that_is_changed_is_said(tmp_path):
    run = ["run", "--methods", "copy", "--dataset", "streets", *SMALL, "--runs-dir", tmp_path, "--dry-run"]
    said = {
        name: cgbench(*run, "--name", name) for name in ("exp/1", "exp:1", "exp 1", "\N{CJK UNIFIED IDEOGRAPH-732B}x")
    }
    assert [name for name, output in said.items() if "instead" in output] == ["exp/1", "exp:1"]
    folders = {name: output.split(" on disk in ")[1].split(",")[0].replace("\n", "") for name, output in said.items()}
    assert len(set(folders.values())) == 4


def test_untrained_rows_can_stand_alone(tmp_path):
    output = cgbench("run", "--methods", "copy", "--dataset", "streets", *SMALL, "--runs-dir", tmp_path)
    assert "copy (floor)" in output and "Report:" in output


def test_the_device_of_apple_is_used_where_it_is_there(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(CgbenchError, match=r"--device mps: there is no Metal device here .* use --device cpu"):
        resolve_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("mps") == "mps"
