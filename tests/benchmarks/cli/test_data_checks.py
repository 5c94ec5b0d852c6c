"""`cgbench run` looks at headers before it trains: one line of warnings, errors with exit code 2, else nothing."""

import numpy as np
import pytest
from PIL import Image

from helpers.cli import SMALL, cgbench
from helpers.image_files import RGB, write_tiff
from helpers.image_folders import healthy, scene


@pytest.fixture
def run_folder(tmp_path):
    """The command of a run of `folder`, and the data root."""
    root = healthy(tmp_path / "set")
    command = ["run", "--methods", "gan_only", "--dataset", "folder", "--data-root", root, *SMALL, "--dry-run"]
    return [*command, "--runs-dir", tmp_path / "runs"], root


def test_a_healthy_set_adds_no_line(run_folder):
    command, _ = run_folder
    assert "datasets check" not in cgbench(*command)


def test_warnings_are_summed_up_in_one_line_even_if_quiet(run_folder):
    command, root = run_folder
    (root / "trainA" / "moving.gif").write_bytes(b"GIF89a")
    scene(900).save(root / "trainA" / "named.png", "JPEG")
    expected = (
        "set: 2 warnings (files of another format than their name says; files that are not read): "
        f"cgbench datasets check folder --data-root {root}"
    )
    for more in ([], ["-q"]):
        lines = [line for line in cgbench(*command, *more).splitlines() if "datasets check" in line]
        assert lines == [expected]


def test_formats_that_tell_the_domains_apart_are_said_before_training(run_folder):
    command, root = run_folder
    for path in sorted((root / "trainA").iterdir()):
        scene(int(path.stem[1:])).save(path.with_suffix(".jpg"))
        path.unlink()
    said = "set: 2 warnings (sets that differ in format, compression or size): cgbench datasets check folder"
    assert said in cgbench(*command)  # train A against train B and against test A


def test_an_error_in_a_header_stops_the_run_before_it_plans(run_folder, tmp_path):
    command, root = run_folder
    write_tiff(root / "trainB" / "bands.tif", np.zeros((8, 8, 4), np.uint8), RGB)
    (root / "testA" / "zero.png").write_bytes(b"")
    for arguments in (command, [word for word in command if word != "--dry-run"]):
        (line,) = cgbench(*arguments, code=2).splitlines()
        assert line.startswith("cgbench: testA/zero.png: is empty (0 bytes): replace it")
        assert line.endswith(
            f"; 1 more error (cgbench datasets check folder --data-root {root} lists all that is wrong)"
        )
    assert not (tmp_path / "runs").exists()


def test_a_domain_of_two_formats_ends_the_run_before_training_in_one_line(run_folder):
    command, root = run_folder
    for path in (root / "trainA").iterdir():
        grey = np.asarray(scene(int(path.stem[1:])).convert("L"), np.uint16) * 16
        Image.fromarray(grey).save(path)
    for arguments in (command, [word for word in command if word != "--dry-run"]):
        (line,) = cgbench(*arguments, code=2).splitlines()
        said = (
            "cgbench: testA/a024.png: holds an 8-bit picture, but 12 of 18 files of domain A hold 1 band of uint16, "
            "such as trainA/a000.png: store all images of a domain alike; 5 more errors"
        )
        assert line.startswith(said)


@pytest.mark.parametrize("folder", ["trainA", "testB"])
def test_a_single_pixel_is_refused_with_and_without_training(folder, run_folder):
    command, root = run_folder
    Image.new("RGB", (1, 1)).save(root / folder / "zz.png")
    for arguments in (command, [word for word in command if word != "--dry-run"]):
        (line,) = cgbench(*arguments, code=2).splitlines()
        assert line.startswith(f"cgbench: {folder}/zz.png: a single pixel is no picture: replace it (cgbench datasets")


@pytest.mark.parametrize("size", [(2, 1), (1, 9), (3, 3), (300, 1)])
def test_other_small_pictures_train(size, run_folder):
    command, root = run_folder
    for folder in ("trainA", "trainB", "testA", "testB"):
        scene(3).resize(size).save(root / folder / "zz.png")
    cgbench(*(word for word in command if word != "--dry-run"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_pairs_side_by_side_of_an_odd_width_are_refused_with_and_without_training(split, tmp_path):
    for name, count in (("train", 6), ("test", 4)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for k in range(count):
            pair = np.hstack([np.asarray(scene(k)), 255 - np.asarray(scene(k + 50))])
            image = Image.fromarray(pair[:, :191] if (name, k) == (split, 2) else pair)
            image.save(tmp_path / "set" / name / f"{k}.png")
    command = ["run", "--methods", "gan_only", "--dataset", "folder", "--data-root", tmp_path / "set", *SMALL]
    for more in (["--dry-run"], []):
        line = cgbench(*command, "--runs-dir", tmp_path / "runs", *more, code=2).splitlines()[-1]
        assert f"{split}/2.png: 191 pixels wide, but two images side by side need an even width" in line
