"""Evaluation of a run on another machine: what it needs of the data, and what does not fit."""

import errno
import os
import shutil
from types import ModuleType

import pytest

from cgbench.api.registry import METHODS
from cgbench.benchmarks.execution import reevaluation
from cgbench.benchmarks.training.checkpoint import read_checkpoint
from cgbench.files import read_json, write_json
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench, leave_out_what_is_slow
from helpers.file_trees import contents
from helpers.image_folders import healthy, scene

METHOD = "gan_only"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Reports and the plan's times are slow, and tested elsewhere."""
    leave_out_what_is_slow(monkeypatch)


@pytest.fixture
def trained(tmp_path):
    """A run, and the folder of its images."""
    return train(tmp_path), tmp_path / "own"


def train(folder, *more):
    healthy(folder / "own", train=4, test=3)
    data = ["--dataset", "folder", "--data-root", folder / "own"]
    cgbench("run", "--methods", METHOD, *data, *SMALL, *more, "--runs-dir", folder, "--name", "run")
    return folder / "run"


def trial(run):
    return TrialFolder.of(run, "own", METHOD, 0)


def test_the_test_images_alone_are_enough(trained):
    run, data = trained
    before = contents(run)
    for folder in ("trainA", "trainB"):
        shutil.rmtree(data / folder)
    cgbench("evaluate", run, "--data-root", data)
    assert contents(run) == before
    shutil.rmtree(data / "testB")
    assert "Expected either trainA" in cgbench("evaluate", run, "--data-root", data, code=2)


def test_a_method_that_raises_costs_its_own_trials_alone(trained, monkeypatch):
    run, data = trained
    before = contents(run)
    (run / "own" / "copy" / "seed-0" / "metrics.jsonl").unlink()
    breaks = ModuleType("hostile")
    exec("def function(*_): raise KeyError('in the method')", vars(breaks))
    monkeypatch.setattr(reevaluation, "trained_model", breaks.function)
    monkeypatch.setitem(METHODS._packages, METHOD, "package hostile 1.0")
    monkeypatch.setitem(METHODS._origins, METHOD, "hostile.module")
    monkeypatch.setitem(METHODS._made, METHOD, METHODS.get(METHOD))
    said = cgbench("evaluate", run, "--data-root", data, code=1)
    line = next(line for line in said.splitlines() if METHOD in line)
    assert line.startswith("gan_only, seed 0: left out: KeyError: 'in the method' (package hostile 1.0, function in ")
    assert contents(run) == before  # the others are evaluated, and the trial keeps its records
    monkeypatch.setattr(reevaluation, "trained_model", full_disk)
    assert "No space left on device. Safe: " in cgbench("evaluate", run, "--data-root", data, code=1)


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_folder_may_have_another_name(trained):
    run, data = trained
    before = contents(run)
    moved = data.rename(data.with_name("moved"))
    cgbench("evaluate", run, "--data-root", moved)
    assert contents(run) == before
    shutil.rmtree(moved / "trainA")
    cgbench("evaluate", run, "--data-root", moved)
    assert contents(run) == before


@pytest.mark.parametrize("given", [(), ("--data-root", "elsewhere")], ids=["none given", "another given"])
def test_data_that_is_not_there_is_looked_for_where_it_was(trained, monkeypatch, tmp_path, given):
    run, data = trained
    monkeypatch.chdir(tmp_path)
    record = read_json(run / "run.json")
    line = f"The run was trained with --data-root {data}"
    for word, said in ((f"--data-root {data}", True), (f"--data-root={data}", True), ("", False), ("'", False)):
        write_json(run / "run.json", {**record, "command": f"cgbench run --dataset folder {word}"})
        for command in (("evaluate",), ("extend", "--steps", "5")):
            assert (line in cgbench(command[0], run, *command[1:], *given, code=2)) == said


@pytest.mark.parametrize("domain", "AB")
def test_other_images_under_another_name_are_refused(trained, domain):
    run, data = trained
    before = contents(run)
    moved = data.rename(data.with_name("moved"))
    scene(99).save(next((moved / f"test{domain}").iterdir()))
    said = cgbench("evaluate", run, "--data-root", moved, code=2)
    assert "measured on 'own', but --data-root holds 'moved', whose test images are others" in said
    assert contents(run) == before


def test_validation_images_that_are_not_there_are_named(tmp_path):
    run = train(tmp_path, "--set=evaluate_every=1", "--set=validation_images=1")
    before = contents(run)
    for folder in ("trainA", "trainB"):
        shutil.rmtree(tmp_path / "own" / folder)
    said = cgbench("evaluate", run, "--data-root", tmp_path / "own", code=1)
    assert f"{METHOD}, seed 0: left out: its validation images are not there" in said
    assert contents(trial(run).path) == {
        name.removeprefix(f"own/{METHOD}/seed-0/"): content for name, content in before.items() if METHOD in name
    }


def test_a_checkpoint_of_another_step_is_left_out(tmp_path):
    run = train(tmp_path, "--set=keep_last=3", "--set=save_every=1")
    folder = trial(run)
    shutil.copyfile(folder.checkpoint_at(2), folder.checkpoint)
    assert read_checkpoint(folder.checkpoint)[1]["step"] == "2"
    said = cgbench("evaluate", run, "--data-root", tmp_path / "own", code=1)
    assert "is of step 2, and the training ended with step 3" in said
    assert folder.status()["state"] == "done"


def test_outputs_that_are_not_finite_are_neither_measured_nor_translated(trained, monkeypatch, tmp_path):
    run, data = trained
    folder, before = trial(run), trial(run).metrics.read_bytes()
    from cgbench.methods.blocks.model import Model

    for name in ("translate", "translate_and_reconstruct"):
        real = getattr(Model, name)

        def overflowing(self, *arguments, real=real, **more):
            output = real(self, *arguments, **more)
            (output[0] if isinstance(output, tuple) else output)[-1] = float("inf")
            return output

        monkeypatch.setattr(Model, name, overflowing)
    said = cgbench("translate", run, data / "testA", "--output", tmp_path / "translated", code=1)
    assert "1 of 3 translations AtoB are infinite or not a number" in said
    assert not list((tmp_path / "translated").iterdir())
    said = cgbench("evaluate", run, "--data-root", data, code=1)
    assert f"{METHOD}, seed 0: diverged: 1 of 3 outputs AtoB are infinite or not a number" in said
    assert folder.status()["state"] == "diverged" and folder.metrics.read_bytes() == before


def test_other_test_images_under_the_same_name_are_said(trained):
    run, data = trained
    assert "test images are others" not in cgbench("evaluate", run, "--data-root", data)
    scene(99).save(data / "testA" / "a008.png")
    said = cgbench("evaluate", run, "--data-root", data)
    assert "the test images are others than before (AtoB: sources changed); all is measured on these" in said
    assert "test images are others" not in cgbench("evaluate", run, "--data-root", data)
