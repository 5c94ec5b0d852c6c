"""A trial is done where its records are there and agree: else it is evaluated or trained again, or named."""

import shutil

import pytest

from cgbench.benchmarks.cli import report
from cgbench.benchmarks.execution import run_plan, runner
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.files import read_jsonl, write_bytes, write_jsonl
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench, leave_out_what_is_slow
from helpers.file_trees import contents

RUN = ["run", "--methods", "gan_only", "--dataset", "streets", *SMALL]
RECORDS = ("metrics.jsonl", "protocols.json", "image_scores.jsonl", "failures.json")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Reports and the plan's times are slow, and tested elsewhere."""
    leave_out_what_is_slow(monkeypatch)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run; tests copy it."""
    runs = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_and_print", lambda *_: None)
        cgbench(*RUN, "--runs-dir", runs, "--name", "run")
    return runs


@pytest.fixture
def runs(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "runs")
    return tmp_path / "runs"


def trial(runs, method="gan_only"):
    return TrialFolder.of(runs / "run", "streets", method, 0)


def run(runs, *more, code=0):
    return cgbench(*RUN, "--runs-dir", runs, "--name", "run", *more, code=code)


def records(folder):
    return {name: content for name, content in contents(folder.path).items() if "status" not in name}


def lose_a_row(folder):
    write_jsonl(folder.metrics, list(read_jsonl(folder.metrics))[1:])


def lose_an_output(folder):
    next((folder.path / "outputs" / "AtoB").iterdir()).unlink()


def break_the_protocols(folder):
    write_bytes(folder.protocols, b"{")


def disagree_about_the_step(folder):
    folder.set_status(**{**folder.status(), "step": folder.status()["step"] + 1})


@pytest.mark.parametrize(
    "lose",
    [disagree_about_the_step,
     *(lambda folder, name=name: (folder.path / name).unlink() for name in RECORDS), lose_a_row, lose_an_output,
     break_the_protocols, lambda folder: shutil.rmtree(folder.path / "outputs")],
)  # fmt: skip
def test_lost_records_of_an_evaluation_are_made_again(finished, runs, lose):
    for method in ("gan_only", "copy"):
        lose(trial(runs, method))
    said = run(runs)
    assert said.count("done before, but") == 2 and said.count(": it is evaluated again") == 2
    assert said.count("done before, kept") == 2
    for method in ("gan_only", "copy"):
        assert records(trial(runs, method)) == records(trial(finished, method))
    assert run(runs).count("done before, kept") == 4


def test_lost_records_and_a_lost_checkpoint_are_trained_again(finished, runs):
    trial(runs).metrics.unlink()
    trial(runs).checkpoint.unlink()
    said = run(runs, "--jobs", "2")
    assert "its metrics.jsonl is missing: it is trained again, for its checkpoint is not whole either" in said
    assert trial(runs).metrics.read_bytes() == trial(finished).metrics.read_bytes()
    assert saved_step(trial(runs).checkpoint) == 3


def test_a_lost_checkpoint_alone_is_named(runs):
    trial(runs).checkpoint.unlink()
    said = run(runs)
    assert "gan_only, seed 0: its numbers are there, its checkpoint.safetensors is not" in said
    said = cgbench("evaluate", runs / "run", code=1)
    assert "checkpoint.safetensors is not there: put it back, or train the trial again" in said
    assert trial(runs).status()["state"] == "done"


@pytest.mark.parametrize(
    ("gone", "planned"),
    [
        ((), "gan_only 1 0 3"),
        (("metrics.jsonl",), "gan_only 1 1 3"),
        (("metrics.jsonl", "checkpoint.safetensors"), "gan_only 1 1 3"),
        (("checkpoint.safetensors",), "gan_only 1 0 3"),  # its numbers are there
    ],
)
def test_the_plan_counts_as_done_what_the_run_then_keeps(runs, gone, planned):
    for name in gone:
        (trial(runs).path / name).unlink()
    plan = " ".join(run(runs, "--dry-run").split())
    assert planned in plan
    said = run(runs)
    assert ("gan_only, seed 0: done before, kept" in said) == planned.endswith("1 0 3")


def test_the_plan_of_a_trial_that_lacks_its_evaluation_takes_no_training(runs, monkeypatch):
    monkeypatch.setattr(run_plan, "_measure", lambda *_: run_plan.Cost(1000.0, 10**6, 10**6))
    trial(runs).metrics.unlink()
    assert "training about 0 s" in " ".join(run(runs, "--dry-run").split())
    trial(runs).checkpoint.unlink()
    assert "training about 50 min" in " ".join(run(runs, "--dry-run").split())


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_a_run_folder_that_goes_away_ends_the_run_with_an_error(tmp_path, monkeypatch, how, jobs):
    real = runner._write_record

    def taking_away(prepared, context, model, resumed_step):
        real(prepared, context, model, resumed_step)
        if model is not None:
            take_away()

    def take_away():
        (tmp_path / "run").rename(tmp_path / "elsewhere")
        if how == "removed":
            shutil.rmtree(tmp_path / "elsewhere")

    if jobs == "1":
        monkeypatch.setattr(runner, "_write_record", taking_away)
    else:
        from cgbench.benchmarks.execution import worker_pool

        send, sent = worker_pool._send, []

        def sending(worker, message):
            sent.append(message)
            if sent.count(3) == 1 and message == 3:
                take_away()
            send(worker, message)

        monkeypatch.setattr(worker_pool, "_send", sending)
    said = run(tmp_path, "--jobs", jobs, code=1)
    assert "was removed, renamed or replaced while this command worked on it" in said
    assert "gan_only, seed 0: done in" not in said
    assert not any("done" in path.read_text() for path in tmp_path.glob("run/*/*/*/status.json"))
    monkeypatch.undo()
    if how == "renamed":
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        (tmp_path / "elsewhere").rename(tmp_path / "run")
        monkeypatch.setattr(report, "write_and_print", lambda *_: None)
        assert "gan_only, seed 0: done in" in run(tmp_path)


def test_a_divergence_in_the_last_step_is_no_result(tmp_path):
    more = ["--set", "steps=1", "--set", "learning_rate=1e38"]
    said = run(tmp_path, *more, code=1)
    folder = trial(tmp_path)
    assert "gan_only, seed 0: diverged: " in said and folder.status()["state"] == "diverged"
    assert not folder.metrics.exists() and not (folder.path / "outputs").exists()
    assert "gan_only, seed 0: diverged before, kept" in run(tmp_path, *more, code=1)
