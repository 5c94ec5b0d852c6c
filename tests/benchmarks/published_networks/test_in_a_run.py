"""A run whose scorer is a published network: protocols, calibration, the report, and what it refuses to mix."""

import shutil

import pytest
import torch

from cgbench import DATASETS
from cgbench.api.registry import METRICS
from cgbench.benchmarks.calibration.calibration_images import load_calibration_images
from cgbench.benchmarks.evaluation.context import open_evaluation_context, with_scorers
from cgbench.benchmarks.evaluation.scorer import PublishedScorer
from cgbench.benchmarks.trials.fingerprint import trial_fingerprint
from cgbench.benchmarks.trials.trial import resolve_trials
from cgbench.config import TrialConfig
from cgbench.files import read_json, read_jsonl, write_json, write_jsonl
from helpers.cli import cgbench
from helpers.published_network import network, put

SETTINGS = ["steps=2", "max_train_images=4", "max_test_images=4", "crop_size=16", "load_size=20", "ngf=4"]
COMMAND = ["run", "--methods", "gan_only", "--dataset", "streets", "--preset", "smoke", "--device", "cpu",
           "--set", "scorer=tiny", *(f"--set={value}" for value in SETTINGS)]  # fmt: skip
FILES = {"input_size": [32, 32], "source": "https://example.org/tiny"}
FCN = METRICS.get("fcn_score")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that holds weights, cache and runs, and is where commands look for them."""
    folder = tmp_path_factory.mktemp("published")
    put(folder, **FILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CGBENCH_WEIGHTS", str(folder))
        patch.setenv("CGBENCH_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def printed(place):
    """What a run of two seeds prints."""
    return cgbench(*COMMAND, "--seeds", "0,1", "--runs-dir", place, "--name", "run")


def context(config):
    return with_scorers(open_evaluation_context(DATASETS.factory("streets")(None), config), config, "cpu")


def trial(*settings):
    return resolve_trials(["gan_only"], DATASETS.factory("streets")(None), [0], "smoke", [*SETTINGS, *settings])[-1]


def test_every_number_names_the_network_its_digests_and_its_architecture(place, printed):
    folder = place / "run/streets/gan_only/seed-0"
    protocols = read_json(folder / "protocols.json")
    rows = {row["metric"]: row for row in read_jsonl(folder / "metrics.jsonl") if row["direction"] == "AtoB"}
    for name in ("fcn_iou", "scorer_fid"):
        details = protocols[rows[name]["protocol"]]
        assert details["scorer_network"] == "tiny" and details["scorer_architecture"] == "lraspp_mobilenet_v3_large"
        assert len(details["scorer_weights"]) == 64 and len(details["scorer_class_map"]) == len(details["scorer"]) == 12
        assert details["scorer_source"] == "https://example.org/tiny" and details["scorers"] == 1
        assert not any("held_out" in key for key in details)
    assert len(rows["fcn_iou"]["by_scorer"]) == 1
    assert not list((place / "cache").glob("scorer-*"))


def test_the_plan_and_the_report_name_the_network_and_answer_no_question_about_scorers(place, printed):
    assert "FCN scores by tiny: lraspp_mobilenet_v3_large, SHA-256 " in printed and "no scorer is trained" in printed
    table, page = ((place / "run/report" / name).read_text() for name in ("table.md", "index.html"))
    (line,) = [line for line in table.splitlines() if line.startswith("FCN scores (AtoB)")]
    assert line.startswith("FCN scores (AtoB): by one published network, tiny (lraspp_mobilenet_v3_large, SHA-256 ")
    assert "https://example.org/tiny" in line and "the row of real photos shows what it reaches" in line
    assert "by one published network, tiny" in page and "scorer_class_map" in page
    assert "any such scorers" not in table + page and "mean of" not in line
    assert "| real (ceiling)" in table


def test_thresholds_are_calibrated_with_the_network(place, printed):
    entries = read_json(place / "run/streets/gan_only/seed-0/failures.json")["AtoB"]
    calibration = entries["lost"]["calibration"]
    assert calibration["healthy_images"] > 0 and calibration["control_images"] > 0 and calibration["digest"]


@pytest.mark.parametrize("change", ["trained", "other weights", "other input"])
def test_numbers_of_another_scorer_are_refused_beside_these(change, place, printed):
    command, said = list(COMMAND), "was measured otherwise (fcn_score AtoB: scorer "
    if change == "trained":
        command[command.index("scorer=tiny")] = "scorer=trained"
        said = "belongs to another comparison (scorer tiny → trained)"
    weights = {**network().state_dict(), "classifier.low_classifier.bias": torch.ones(12)}
    put(place, input_size=[32, 48 if change == "other input" else 32], weights=weights if "weight" in change else None)
    try:
        output = cgbench(*command, "--seeds", "2", "--runs-dir", place, "--name", "run", code=2)
    finally:
        put(place, **FILES)
    assert said in output.replace("scorer_distance", "fcn_score") and "choose another --name" in output
    assert not (place / "run/streets/gan_only/seed-2").exists()


def test_a_table_refuses_numbers_of_two_networks(place, printed, tmp_path):
    run = shutil.copytree(place / "run", tmp_path / "mixed")
    folder = run / "streets/gan_only/seed-1"
    rows, protocols = list(read_jsonl(folder / "metrics.jsonl")), read_json(folder / "protocols.json")
    (own,) = {row["protocol"] for row in rows if row["metric"] == "fcn_iou"}
    write_json(folder / "protocols.json", {**protocols, "0" * 12: protocols[own] | {"scorer": "another"}})
    write_jsonl(folder / "metrics.jsonl", [row | ({"protocol": "0" * 12} if row["protocol"] == own else {})
                                           for row in rows])  # fmt: skip
    said = cgbench("report", run, code=2)
    assert "fcn_" in said and "protocol" in said and own in said


def test_an_evaluation_without_the_network_says_so_and_changes_nothing(place, printed, monkeypatch):
    path = place / "run/streets/gan_only/seed-0/metrics.jsonl"
    before = path.read_bytes()
    monkeypatch.delenv("CGBENCH_WEIGHTS")
    assert "scorer=tiny: CGBENCH_WEIGHTS is not set" in cgbench("evaluate", place / "run", "--device", "cpu", code=2)
    assert path.read_bytes() == before


def test_without_the_setting_protocols_and_fingerprints_are_those_of_before(place):
    default, named = trial("scorers=1", "scorer_steps=2", "scorer_limit=4"), trial("scorer=tiny")
    assert TrialConfig().scorer == "trained" and "scorer" not in default.config.affecting("training")
    assert trial_fingerprint(trial(), {}) == trial_fingerprint(named, {})
    evaluation = context(default.config)
    details = evaluation.protocol(FCN, "AtoB")
    assert list(details) == [
        "metric", "version", "dataset", "split", "direction", "images", "sources", "targets", "side", "resize_mode",
        "format", "scorer",
    ]  # fmt: skip
    assert details["scorer"] == evaluation.scorers["B"].digest and evaluation.feature_network is not None
    assert set(evaluation.recipe(FCN, "AtoB")) == {"scorer_recipe", "scorers"}
    published = context(named.config)
    assert isinstance(published.scorers["B"].first, PublishedScorer) and published.feature_network is None
    assert list(published.protocol(FCN, "AtoB")) == list(details)
    assert published.protocol(FCN, "AtoB") != details and published.digest() != evaluation.digest()


def test_no_scene_was_learned_from_where_the_scorer_is_a_published_network(place):
    config = trial("scorer=tiny").config
    data = DATASETS.factory("streets")(None)
    data.splits = tuple(split for split in data.splits if split != "val")
    assert load_calibration_images(data, config, True).origin == "48 training scenes"
