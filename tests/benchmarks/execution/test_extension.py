"""Extending a finished run: said beforehand, marked afterwards, old records kept, and stopped anywhere it goes on."""

import pytest

from cgbench.benchmarks.cli import report
from cgbench.benchmarks.execution import extension
from cgbench.benchmarks.execution.extension import schedule_text
from cgbench.benchmarks.runtime.signals import Stopped
from cgbench.benchmarks.training import trainer
from cgbench.benchmarks.training.optimizers import learning_rate_factor
from cgbench.files import read_json, read_jsonl
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench
from helpers.tiny_models import tiny_config

RUN = ["run", "--methods", "gan_only", "--dataset", "streets", *SMALL]


def finished(folder):
    cgbench(*RUN, "--runs-dir", folder, "--name", "short")
    return folder / "short", TrialFolder.of(folder / "short", "streets", "gan_only", 0)


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    run, folder = finished(tmp_path_factory.mktemp("extended"))
    before = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    return run, folder, before, cgbench("extend", run, "--steps", "6", "--device", "cpu")


def test_the_plan_states_the_rates_of_the_last_and_the_next_step():
    config = tiny_config(steps=10, learning_rate=1e-3, decay_fraction=0.5)
    text = schedule_text(config, 10, 1, 40)
    assert f"ended at {1e-3 * learning_rate_factor(9, 10, 1, 0.5):.2g};" in text and "goes back to 0.001" in text
    assert f"from step 20 to {1e-3 * learning_rate_factor(39, 40, 1, 0.5):.2g}" in text
    assert learning_rate_factor(19, 40, 1, 0.5) == 1 > learning_rate_factor(20, 40, 1, 0.5)


def test_an_extended_run_says_so_and_keeps_the_old_records(extended):
    run, folder, before, output = extended
    assert "goes back to" in output and "not what 6 steps from the start would give" in output
    facts = read_json(folder.trial)
    assert facts["steps"] == facts["config"]["steps"] == 6 and facts["origins"]["steps"] == "extend"
    assert [(entry["from"], entry["to"]) for entry in facts["extended"]] == [(3, 6)]
    assert r"gan_only \[extended 3 → 6]" in (run / "report" / "table.md").read_text()
    aside = folder.path / "before-extension-3"
    for name in ("metrics.jsonl", "status.json", "trial.json", "checkpoint.safetensors", "steps.jsonl"):
        assert (aside / name).read_bytes() == before[name]
    assert {row["step"] for row in read_jsonl(folder.history)} == {3}
    assert {row["step"] for row in read_jsonl(folder.metrics)} == {6}
    rates = {row["step"]: row["learning_rate"] for row in read_jsonl(folder.steps)}
    assert rates[4] == pytest.approx(2e-4 * learning_rate_factor(3, 6, 1, 0.5)) and rates[3] < rates[4]


def test_extended_and_unextended_trials_do_not_mix(extended):
    run, _, _, _ = extended
    assert "was extended (3 → 6 steps)" in cgbench(*RUN, "--runs-dir", run.parent, "--name", run.name, code=2)
    more = ["run", "--methods", "cycle_only", *RUN[3:], "--set", "steps=6"]
    more += ["--runs-dir", run.parent, "--name", run.name]
    assert "extended 3 → 6 steps" in cgbench(*more, code=2)
    assert "has 6 steps already" in cgbench("extend", run, "--steps", "5", code=2)
    before = (run / "results.csv").read_bytes()
    cgbench("evaluate", run)
    assert (run / "results.csv").read_bytes() == before


@pytest.mark.parametrize("where", ["_copy_records", "write_json", "rewrite_metadata", "train_step"])
def test_stopped_anywhere_it_goes_on_to_the_same_bits(extended, tmp_path, monkeypatch, where):
    _, whole, _, _ = extended
    monkeypatch.setattr(report, "write_and_print", lambda *_: None)  # it is slow, and tested elsewhere
    run, folder = finished(tmp_path)

    def stopped(*arguments, **more):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(trainer if where == "train_step" else extension, where, stopped)
        cgbench("extend", run, "--steps", "6", "--device", "cpu", code=130)
    cgbench("extend", run, "--steps", "6", "--device", "cpu")
    for name in ("metrics.jsonl", "history.jsonl", "image_scores.jsonl"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert read_json(folder.trial) == read_json(whole.trial)


def test_an_unfinished_run_is_not_extended_and_a_dry_run_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "write_and_print", lambda *_: None)
    run, folder = finished(tmp_path)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert "goes back to" in cgbench("extend", run, "--steps", "9", "--dry-run")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    folder.set_status("interrupted", step=2)
    folder.checkpoint.unlink()
    assert "is not finished" in cgbench("extend", run, "--steps", "9", code=2)
