"""Scores of groups of images, such as patients, in the records of an evaluation."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cgbench import METRICS, Metric, Scores, Value
from cgbench.benchmarks.evaluation.evaluator import EvaluationResult
from cgbench.benchmarks.evaluation.feature_extractors import FeatureExtractors
from cgbench.benchmarks.testing.sample_translations import sample_translations
from cgbench.files import write_jsonl
from cgbench.results.record_files import read_score_rows

OF_GROUPS = {"mae", "rmse", "stored_psnr", "stored_ssim", "bone_dice", "bone_hd95", "dice", "hd95", "nmi"}


def context(translations):
    patients = dict(zip(translations.keys, translations.groups, strict=True)) if translations.groups else {}
    return SimpleNamespace(
        split="test",
        dataset=SimpleNamespace(
            image_groups="patient" if patients else "", group=lambda key: patients.get(key, "of a target")
        ),
        feature_extractors=FeatureExtractors(),
        protocol=lambda metric, direction: {"metric": metric.name, "direction": direction},
        recipe=lambda metric, direction: {},
    )


def scored(translations):
    results = EvaluationResult()
    results.add(translations, context(translations), step=1)
    return results


@pytest.fixture(scope="module")
def volumes():
    return sample_translations(12)["paired volumes"]


def test_a_row_of_a_patient_is_named_like_it_and_rows_of_slices_say_whose_they_are(volumes, tmp_path):
    results = scored(volumes)
    assert len(set(volumes.groups)) == 4 and volumes.groups.count("p0") == 1
    counts = {row["metric"]: row["n"] for row in results.metrics}
    assert set(counts) >= OF_GROUPS and all(counts[name] == 12 for name in OF_GROUPS)
    for row in results.images:
        of_group = row["metric"] in OF_GROUPS
        assert row.get("of") == ("group" if of_group else None)
        assert row["key"] in (volumes.groups if of_group else volumes.keys)
        assert row["group"] == (row["key"] if of_group else volumes.groups[volumes.keys.index(row["key"])])
    by_group = [row["value"] for row in results.images if row["metric"] == "mae"]
    (value,) = (row["value"] for row in results.metrics if row["metric"] == "mae")
    assert value == pytest.approx(np.mean(by_group)) and len(by_group) == 4
    write_jsonl(tmp_path / "image_scores.jsonl", results.images)
    assert read_score_rows(tmp_path / "image_scores.jsonl") == results.images


def test_one_psnr_and_one_ssim_is_measured(volumes):
    shared = {"psnr", "ssim"}, {"stored_psnr", "stored_ssim"}
    measured = {row["metric"] for row in scored(volumes).metrics}
    assert shared[1] <= measured and not shared[0] & measured
    pictures = {row["metric"] for row in scored(sample_translations(12)["paired photos"]).metrics}
    assert shared[0] <= pictures and not (OF_GROUPS | {"spectral_angle", "stored_ms_ssim"}) & pictures


def test_images_without_groups_have_rows_of_their_own(volumes):
    rows = [row for row in scored(replace(volumes, groups=())).images if row["metric"] == "mae"]
    assert [row["key"] for row in rows] == list(volumes.keys)
    assert all(set(row) == {"direction", "key", "metric", "value"} for row in rows)


def test_unpaired_volumes_have_no_numbers_against_the_truth():
    measured = {row["metric"] for row in scored(sample_translations(12)["unpaired volumes"]).metrics}
    assert OF_GROUPS & measured == {"dice", "hd95", "nmi"}


def test_a_broken_metric_of_groups_costs_itself_only(volumes, monkeypatch):
    def by_image(translations):
        return Scores({"bad": 0.5}, {"bad": np.zeros(len(translations.keys))})

    bad = Metric("bad", "too many scores", (Value("bad", "bad", "lower", of="group"),), by_image)
    intensity = METRICS.get("intensity")
    factories = {"bad": lambda: bad, "intensity": lambda: intensity}
    monkeypatch.setattr(METRICS, "_factories", factories)
    results = scored(volumes)
    rows = {row["metric"]: row for row in results.metrics}
    assert np.isnan(rows["bad"]["value"]) and rows["bad"]["reason"] == "failed: ValueError"
    assert np.isfinite(rows["mae"]["value"]) and {row["metric"] for row in results.images} == {
        "mae", "rmse", "stored_psnr",
    }  # fmt: skip
