"""A folder of images that was renamed: finished, half finished and extended runs go on with it."""

import shutil

import pytest

from cgbench.benchmarks.runtime.signals import Stopped
from cgbench.benchmarks.training import trainer
from cgbench.files import read_json
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench, leave_out_what_is_slow
from helpers.file_trees import contents
from helpers.image_folders import healthy

SET = ["--set", "evaluate_every=2", "--set", "validation_images=1", "--set", "save_every=1"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Reports and the plan's times are slow, and tested elsewhere."""
    leave_out_what_is_slow(monkeypatch)


@pytest.fixture
def data(tmp_path):
    return healthy(tmp_path / "own", train=5, test=3)


def run(data, *more, methods="gan_only", code=0):
    where = ["--dataset", "folder", "--data-root", data, "--runs-dir", data.parent, "--name", "run"]
    return cgbench("run", "--methods", methods, *where, *SMALL, *SET, *more, code=code)


def records(folder):
    """What the trials of a run hold, and run.json without the command, which names the folder of the images."""
    return contents(folder) | {"run.json": {**contents(folder)["run.json"], "command": ""}}


def test_a_finished_run_is_kept_and_gains_a_method_under_the_recorded_name(data, tmp_path):
    run(data)
    before = records(tmp_path / "run")
    moved = data.rename(tmp_path / "elsewhere")
    assert "the images in 'elsewhere' are those of 'own'" in run(moved, "--dry-run")
    assert run(moved).count("done before, kept") == 3
    assert records(tmp_path / "run") == before
    run(moved, methods="gan_only,cycle_only")
    shutil.rmtree(tmp_path / "run" / "own" / "cycle_only")
    after = records(tmp_path / "run")
    assert {name: after[name] for name in before if name != "run.json"} == {
        name: content for name, content in before.items() if name != "run.json"
    }
    assert read_json(tmp_path / "run" / "run.json")["dataset"] == "own"
    assert not (tmp_path / "run" / "elsewhere").exists()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_stopped_run_ends_with_the_same_bits(data, tmp_path, monkeypatch, jobs):
    methods = "gan_only,cycle_only"
    run(data, methods=methods)
    whole = shutil.move(tmp_path / "run", tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "train_step", stopping_at(6, trainer.train_step))
        run(data, methods=methods, code=130)  # the plan measures two steps of each method
    assert TrialFolder.of(tmp_path / "run", "own", "gan_only", 0).status()["state"] == "interrupted"
    run(data.rename(tmp_path / "elsewhere"), "--jobs", jobs, methods=methods)
    own = records(tmp_path / "run"), records(whole)
    assert own[0].keys() == own[1].keys()
    for path, content in own[0].items():
        assert content == own[1][path] or path == "run.json", path


def stopping_at(step, take):
    """The step of the trainer, interrupted by Ctrl-C at a step."""
    calls = []

    def stopping(*arguments, **named):
        calls.append(step)
        if len(calls) == step:
            raise Stopped(2)
        return take(*arguments, **named)

    return stopping


def test_a_run_is_extended_with_the_renamed_folder(data, tmp_path):
    run(data)
    moved = data.rename(tmp_path / "elsewhere")
    cgbench("extend", tmp_path / "run", "--steps", "5", "--data-root", moved)
    record = read_json(TrialFolder.of(tmp_path / "run", "own", "gan_only", 0).trial)
    assert (record["steps"], record["dataset"]["label"]) == (5, "own")
    (next((moved / "trainA").iterdir())).unlink()
    said = cgbench("extend", tmp_path / "run", "--steps", "7", "--data-root", moved, code=2)
    assert "was trained on other images than are in 'elsewhere' now" in said
