"""A run read from Python: the numbers of the report as tables, images, figures, and a table in a notebook."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import cgbench
from cgbench.benchmarks.interface import opened_run
from cgbench.files import read_json, write_json
from cgbench.reports.contents import collect_contents
from cgbench.results.run_folder import trial_folders
from helpers.pages import HOSTILE
from helpers.run_folder import METHODS, VALUES, build_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_run(tmp_path_factory.mktemp("runs") / "demo", states={("gan_only", 1): "diverged"}, images=3, side=16)


@pytest.fixture
def run(folder, monkeypatch):
    monkeypatch.setattr(opened_run, "metric_values", lambda: VALUES)
    return cgbench.open_run(folder)


def test_records_have_units_labels_and_protocols(run):
    records = run.records
    assert set(records["method"]) == set(METHODS) and (records["label"] == "FCN IoU").any()
    assert records.loc[records["metric"] == "reconstruction_l1", "preferred"].unique().tolist() == ["lower"]
    assert set(records["unit"]) == {""} and records["protocol"].isin(run.protocols).all()
    assert len(run.history) > len(records)


def test_a_number_in_the_unit_of_the_target_says_it(run, folder, tmp_path, monkeypatch):
    path = build_run(tmp_path / "run", methods=("cyclegan", "gan_only"), images=2, side=8)
    for trial in trial_folders(path):
        spec = read_json(trial.trial)
        domains = [{**domain, "pixels": {"unit": unit}} for domain, unit in
                   zip(spec["dataset"]["domains"], ("", "HU"), strict=True)]  # fmt: skip
        write_json(trial.trial, spec | {"dataset": spec["dataset"] | {"domains": domains}})
    monkeypatch.setitem(VALUES, "fcn_iou", cgbench.Value("fcn_iou", "MAE", "lower", unit_of_target=True))
    records = cgbench.open_run(path).records
    assert records.loc[records["metric"] == "fcn_iou", "unit"].unique().tolist() == ["HU"]
    assert records.loc[records["metric"] != "fcn_iou", "unit"].unique().tolist() == [""]


def test_scores_and_differences_are_those_of_the_report(run, folder):
    contents = collect_contents(folder, VALUES)
    scores = run.scores()
    pd.testing.assert_series_equal(scores["mean"], contents.table["mean"])
    assert {"low", "high", "n_seeds", "label", "unit", "preferred"} <= set(scores)
    differences = run.differences()
    pd.testing.assert_series_equal(differences["difference"], contents.comparison.rows["difference"])
    assert set(run.differences(reference="gan_only")["reference"]) == {"gan_only"}
    with pytest.raises(cgbench.CgbenchError, match="unknown analysis 'welsh': did you mean 'welch'"):
        run.differences(analysis="welsh")


def test_trials_losses_and_what_failed(run):
    assert run.failed[["method", "seed", "state"]].values.tolist() == [["gan_only", 1, "diverged"]]
    losses = run.losses()
    assert list(losses) == ["method", "seed", "step", "term", "value"] and set(losses["method"]) >= {"cyclegan"}
    assert run.seeds == [0, 1, 2] and run.trial("cyclegan", 2).record["seed"] == 2
    with pytest.raises(cgbench.CgbenchError, match="choose one of the seeds 0, 1, 2"):
        run.trial("cyclegan")
    with pytest.raises(cgbench.CgbenchError, match="did you mean 'cyclegan'"):
        run.trial("cycelgan", 0)


def test_images_by_key(run):
    outputs, sources = run.images("cyclegan", 0), run.images(which="sources")
    assert outputs.keys() == sources.keys() == run.images(which="targets").keys() and len(outputs) == 3
    assert all(image.shape == (16, 16, 3) and image.dtype == np.uint8 for image in outputs.values())
    with pytest.raises(cgbench.CgbenchError, match="unknown images 'inputs'"):
        run.images(which="inputs")
    with pytest.raises(cgbench.CgbenchError, match="is no direction"):
        run.images("cyclegan", 0, "AtoC")


def test_figures_and_the_report(run, folder):
    figures = run.figures()
    assert "dots-AtoB-fcn_iou" in figures and hasattr(figures["dots-AtoB-fcn_iou"], "savefig")
    assert run.report() == folder / "report" / "index.html" and run.report().exists()


def test_it_shows_itself_as_an_escaped_table(tmp_path, monkeypatch):
    monkeypatch.setattr(opened_run, "metric_values", lambda: VALUES)
    path = build_run(tmp_path / "run", methods=("cyclegan", "copy"), seeds=(0,), images=1, side=8)
    for trial in trial_folders(path):
        spec = read_json(trial.trial)
        write_json(trial.trial, spec | {"dataset": spec["dataset"] | {"directions": {"AtoB": HOSTILE, "BtoA": "b"}}})
    shown = cgbench.open_run(path)
    text = shown._repr_html_()
    assert "<table>" in text and "One seed" in text and "<script>" not in text and "&lt;script&gt;" in text
    assert repr(shown).startswith(f"Run('{path}'): 1 trained method on shapes")


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(cgbench.CgbenchError):
        cgbench.open_run(tmp_path)


def test_the_names_are_there_without_torch_or_pandas():
    code = "import cgbench, sys; print([name for name in ('torch', 'pandas', 'numpy') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert {"run", "open_run", "Run"} <= set(cgbench.__all__)
