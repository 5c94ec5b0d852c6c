"""A refused command changes nothing: what is refused, with which line, and that the run stays as it was."""

import shutil

import pytest

from cgbench.files import read_json, read_jsonl, write_json, write_jsonl
from helpers.cli import SMALL, cgbench, leave_out_what_is_slow
from helpers.image_folders import healthy, scene

METHOD = "gan_only"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of one method, and the folder of its images."""
    folder = tmp_path_factory.mktemp("finished")
    data = healthy(folder / "own", train=4, test=4)
    with pytest.MonkeyPatch.context() as patch:
        leave_out_what_is_slow(patch)
        run_command(folder, data)
    return folder


@pytest.fixture
def folder(finished, tmp_path, monkeypatch):
    """A copy of the finished run and its images."""
    leave_out_what_is_slow(monkeypatch)
    return shutil.copytree(finished, tmp_path / "copy")


def run_command(folder, data, *more, method=METHOD, name="run", code=0):
    where = ["--dataset", "folder", "--data-root", data, "--runs-dir", folder / "runs", "--name", name]
    return cgbench("run", "--methods", method, *where, *SMALL, *more, code=code)


def files(run):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.rglob("[!.]*") if path.is_file()}


def refused(folder, data, *more, **options):
    before = files(folder / "runs" / "run")
    output = run_command(folder, data, *more, code=2, **options)
    assert files(folder / "runs" / "run") == before
    return output.splitlines()[-1]


@pytest.mark.parametrize("method", [METHOD, "cycle_only"])
def test_changed_test_pictures_are_refused_before_anything_is_written(folder, method):
    scene(99).save(folder / "own" / "testB" / "b011.png")
    line = refused(folder, folder / "own", method=method)
    assert "was measured on other test images (AtoB: targets changed): choose another --name" in line


@pytest.mark.parametrize("method", [METHOD, "cycle_only"])
def test_another_number_of_test_images_is_refused(folder, method):
    assert "3 → 2" in refused(folder, folder / "own", "--set", "max_test_images=2", method=method)


@pytest.mark.parametrize("change", ["a training image", "a setting"])
def test_another_dataset_is_refused(folder, change):
    (folder / "own").rename(folder / "other")
    if change == "a training image":
        scene(99).save(next((folder / "other" / "trainB").iterdir()))
    line = refused(folder, folder / "other", *(["--set", "load_size=24"] if change == "a setting" else []))
    assert "run holds a comparison on 'own', not on 'other', whose training images are others or read with" in line


def test_other_test_images_in_a_renamed_folder_are_refused(folder):
    (folder / "own").rename(folder / "other")
    scene(99).save(next((folder / "other" / "testB").iterdir()))
    assert "was measured on other test images (AtoB: targets changed)" in refused(folder, folder / "other")


def test_numbers_of_another_protocol_are_refused_before_training(folder):
    for path in (folder / "runs" / "run").glob("own/*/seed-0/protocols.json"):
        (digest, details), *others = read_json(path).items()
        write_json(path, {"f" * 12: {**details, "version": "of another day"}, **dict(others)})
        rows = read_jsonl(path.with_name("metrics.jsonl"))
        rows = [{**row, "protocol": "f" * 12} if row["protocol"] == digest else row for row in rows]
        write_jsonl(path.with_name("metrics.jsonl"), rows)
    line = refused(folder, folder / "own", method="cycle_only")
    assert "gan_only/seed-0 was measured otherwise (" in line
    assert "version of another day → " in line and "'cgbench evaluate " in line and "whole run anew" in line


def test_a_changed_weight_of_a_loss_is_named(folder):
    line = refused(folder, folder / "own", "--set", f"{METHOD}.adversarial_a=3")
    assert "holds another trial (weight of adversarial_a 1 → 3); choose another --name" in line


def test_a_refused_command_leaves_no_new_folder(folder):
    output = run_command(folder, folder / "own", "--set", "ngf=2000000", name="new", code=2)
    assert "GB" in output.splitlines()[-1]
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["run"]


def test_another_method_with_the_same_settings_is_added(folder):
    run_command(folder, folder / "own", method="cycle_only")
    assert read_json(folder / "runs" / "run" / "run.json")["methods"] == [METHOD, "cycle_only"]


@pytest.mark.parametrize("change", [{"version": 0}, {"calibration": None}, {"calibration": {"digest": "another"}}])
def test_trials_examined_by_other_detectors_are_refused_until_the_run_is_evaluated_again(folder, change):
    path = next((folder / "runs" / "run").glob(f"own/{METHOD}/seed-0/failures.json"))
    content = read_json(path)
    content["AtoB"]["copy"] |= change
    write_json(path, content)
    line = refused(folder, folder / "own", method="cycle_only")
    assert "failure copy AtoB was looked for otherwise than in other trials" in line and "'cgbench evaluate" in line
    cgbench("evaluate", folder / "runs" / "run", "--data-root", folder / "own")
    run_command(folder, folder / "own", method="cycle_only")
