"""Intermediate evaluation during training: on validation and test images, once each, and the same after a stop."""

import pytest

from cgbench.benchmarks.evaluation import evaluator
from cgbench.benchmarks.evaluation.evaluator import evaluate_intermediate
from cgbench.benchmarks.execution import runner
from cgbench.files import read_json, read_jsonl
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench

COMMAND = ["run", "--methods", "gan_only", "--dataset", "streets", *SMALL, "--set", "evaluate_every=1"]


def run_into(folder, code=0):
    cgbench(*COMMAND, "--runs-dir", folder, "--name", "way", code=code)
    return TrialFolder.of(folder / "way", "streets", "gan_only", 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_into(tmp_path_factory.mktemp("whole"))


def test_every_point_is_measured_on_both_splits_and_the_last_one_with_the_trial(whole):
    history, last = list(read_jsonl(whole.history)), list(read_jsonl(whole.metrics))
    assert {(row["step"], row["split"]) for row in history} == {(s, split) for s in (1, 2) for split in ("test", "val")}
    assert {(row["step"], row["split"]) for row in last} == {(3, "test"), (3, "val")}
    protocols = read_json(whole.protocols)
    assert {protocols[row["protocol"]]["split"] for row in history} == {"test", "val"}
    records = read_run(whole.path.parents[2]).all_records
    assert set(records[records["method"] == "gan_only"]["step"]) == {1, 2, 3}
    assert (whole.path.parents[2] / "report" / "selection.csv").exists()
    text = (whole.path.parents[2] / "report" / "table.md").read_text()
    assert "which checkpoint" in text and "What it costs" in text


def test_costs_are_measured(whole):
    assert set(read_json(whole.cost)["images_per_second"]) == {"AtoB", "BtoA"}
    assert whole.status()["seconds"] > 0 and whole.status()["memory"] >= 0


def test_a_stop_between_a_checkpoint_and_its_measurement_loses_nothing(whole, tmp_path, monkeypatch):
    def stopped(trial, model, evaluations, folder, step):
        if step == 2:
            raise KeyboardInterrupt
        evaluate_intermediate(trial, model, evaluations, folder, step)

    monkeypatch.setattr(runner, "evaluate_intermediate", stopped)
    run_into(tmp_path, code=130)
    monkeypatch.undo()
    resumed = run_into(tmp_path)
    assert resumed.history.read_bytes() == whole.history.read_bytes()
    assert resumed.metrics.read_bytes() == whole.metrics.read_bytes()


def test_numbers_of_a_life_before_the_checkpoint_was_lost_are_measured_again(whole, tmp_path, monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(arguments[-1])
        return original(*arguments)

    original = evaluator.evaluate_images
    monkeypatch.setattr(evaluator, "evaluate_images", counted)
    folder = run_into(tmp_path)
    folder.checkpoint.unlink()
    folder.set_status("interrupted", step=0)
    before = len(calls)
    run_into(tmp_path)
    assert calls[before:].count(1) == 2  # both contexts at step 1, though the history had it
    assert folder.history.read_bytes() == whole.history.read_bytes()


def test_numbers_by_other_protocols_are_left_out_of_the_records(whole, tmp_path):
    folder = run_into(tmp_path)
    rows = list(read_jsonl(folder.history))
    text = folder.history.read_text().replace(rows[0]["protocol"], "0" * 12)
    folder.history.write_text(text)
    records = read_run(tmp_path / "way").all_records
    assert "0" * 12 not in set(records["protocol"]) and 1 in set(records["step"])
