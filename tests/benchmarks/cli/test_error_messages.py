"""What the command line says when something is wrong: one line that helps, the right exit code, no traceback."""

import pytest

from helpers.cli import SMALL, cgbench


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
        "run", "--methods", "gan_only", "--dataset", "streets", *SMALL, "--runs-dir", tmp_path / "a_file", code=1
    )
    assert "a_file" in output and "Not a directory" in output
