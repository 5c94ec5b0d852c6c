"""The reader of run folders: its tables, and that each record is read once."""

import shutil
from dataclasses import asdict

import pandas as pd
import pytest

from cgbench.files import read_json, read_jsonl, write_json, write_jsonl
from cgbench.reports.report import write_report
from cgbench.results import run
from cgbench.results.records import COLUMNS, read_trial, trial_records
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder, trial_folders
from helpers.run_folder import VALUES, build_run

STATES = {("gan_only", 1): "diverged", ("cycle_only", 0): ""}


@pytest.fixture
def folder(tmp_path):
    """A run with a diverged trial, one that has not begun, one without a status, scores of earlier steps, validation
    scores, and a trial of another dataset."""
    path = build_run(tmp_path / "run", seeds=(0, 1), states=STATES, images=2, side=8)
    trial = TrialFolder.of(path, "shapes", "cyclegan", 0)
    last = [row for row in read_jsonl(trial.metrics) if row["step"] == 2000]
    write_jsonl(trial.metrics, last + [{**row, "split": "val", "value": row["value"] / 2} for row in last])
    write_jsonl(trial.history, [{**row, "step": 500, "split": split} for split in ("test", "val") for row in last])
    (TrialFolder.of(path, "shapes", "cycle_only", 1).path / "status.json").unlink()
    shutil.copytree(path / "shapes" / "copy", path / "circles" / "copy")
    spec = read_json(path / "circles" / "copy" / "seed-0" / "trial.json")
    write_json(
        path / "circles" / "copy" / "seed-0" / "trial.json",
        {**spec, "dataset": {**spec["dataset"], "name": "circles", "label": "circles"}},
    )
    return path


def test_results_csv_holds_the_records_of_all_trials_byte_for_byte(folder):
    write_report(folder, VALUES)
    rows = [
        asdict(record)
        for trial in trial_folders(folder)
        for record in trial_records(folder.name, trial, read_trial(trial), trial.status())
    ]
    expected = pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False)
    assert (folder / "results.csv").read_bytes() == expected.encode()
    assert expected.startswith(
        "run,dataset,direction,method,parent,seed,step,metric,value,n,protocol,status,reason,split,error_images"
    )
    assert "\nrun,circles,AtoB,copy,,0,2000,fcn_pixel,0.12,2,aaaaaaaaaaaa,done,,test,\n" in expected
    assert "\nrun,shapes,,gan_only,cyclegan,1,850,,,0,,diverged,,test,\n" in expected


def test_a_report_reads_the_records_of_each_trial_once(folder, monkeypatch):
    reads = []

    def counted(name, trial, *arguments):
        reads.append(trial.path)
        return trial_records(name, trial, *arguments)

    monkeypatch.setattr(run, "trial_records", counted)
    write_report(folder, VALUES)
    assert reads == [trial.path for trial in trial_folders(folder)]


def test_records_are_those_of_test_images_at_the_last_step_once_each(folder):
    trial = TrialFolder.of(folder, "shapes", "cyclegan", 1)
    rows = list(read_jsonl(trial.metrics))
    write_jsonl(trial.metrics, [*rows, {**rows[-1], "protocol": "cccccccccccc", "value": 0.7}])
    data = read_run(folder)
    assert set(data.records["dataset"]) == {"shapes"} and set(data.records["split"]) == {"test"}
    keys = ["method", "seed", "direction", "metric", "protocol"]
    assert not data.records.duplicated(keys).any()
    repeated = data.records[(data.records["seed"] == 1) & (data.records["metric"] == rows[-1]["metric"])]
    assert 0.7 in set(repeated[repeated["method"] == "cyclegan"]["value"])
    assert set(data.records[data.records["method"] == "cyclegan"]["step"]) == {2000}
    history = data.history[(data.history["method"] == "cyclegan") & (data.history["seed"] == 0)]
    assert set(zip(history["step"], history["split"], strict=True)) == {
        (500, "test"), (500, "val"), (2000, "test"), (2000, "val"),
    }  # fmt: skip


def test_a_trial_without_numbers_has_one_record_with_its_state(folder):
    empty = read_run(folder).records.query("metric == ''")
    states = {(row.method, row.seed): row.status for row in empty.itertuples()}
    assert states == {
        ("gan_only", 1): "diverged", ("cycle_only", 0): "not started", ("cycle_only", 1): "not started",
    }  # fmt: skip
    assert len(empty) == 3
