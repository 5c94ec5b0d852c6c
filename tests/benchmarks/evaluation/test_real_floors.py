"""Distances of the rows that show real images: training photos against the test images, recorded with their numbers."""

from dataclasses import replace

import numpy as np
import pytest

from cgbench import DATASETS, METRICS
from cgbench.benchmarks.data.geometry import square
from cgbench.benchmarks.data.loading import load_images
from cgbench.benchmarks.evaluation.context import open_evaluation_context, with_scorers
from cgbench.benchmarks.evaluation.evaluator import EvaluationResult
from cgbench.benchmarks.evaluation.inference import translate_all
from cgbench.benchmarks.trials.trial import resolve_trials
from cgbench.datasets.streets import Streets
from cgbench.files import write_jsonl
from cgbench.methods.blocks.model import Model
from cgbench.results.record_files import read_metric_rows

SMALL = ["max_test_images=6", "scorer_steps=4", "scorer_limit=8", "crop_size=16", "load_size=20", "ngf=4"]


class Untrained(Streets):
    """Streets whose training set is gone, as where a run is evaluated on another machine."""

    def items(self, split, domain):
        return [] if split == "train" else super().items(split, domain)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Trials of the untrained rows and of a method by name, and the evaluation context that they share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CGBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        data = DATASETS.factory("streets")(None)
        trials = {trial.method.name: trial for trial in resolve_trials(["gan_only"], data, [0], "smoke", SMALL)}
        config = trials["gan_only"].config
        yield trials, with_scorers(open_evaluation_context(data, config), config, "cpu")


def measured(name, small, folder):
    """The recorded rows of one trial to photos, by metric."""
    trials, evaluation = small
    trial = trials[name]
    model = None if trial.method.reference else Model(trial.method, trial.config, 0)
    result = EvaluationResult()
    result.add(translate_all(trial, model, evaluation, "AtoB"), evaluation, 1)
    write_jsonl(folder / "metrics.jsonl", result.metrics)
    return {row["metric"]: row for row in read_metric_rows(folder / "metrics.jsonl")}


@pytest.mark.parametrize("name", ["real", "shuffled"])
def test_real_rows_compare_as_many_training_photos_with_the_same_test_images(name, small, tmp_path):
    trials, evaluation = small
    rows = measured(name, small, tmp_path)
    config = trials["real"].config
    photos = load_images(evaluation.dataset, "train", "B", square(config.crop_size), 6, True)
    assert photos.keys[0] == "train-0400" and photos.keys[-1] == "train-0799"  # spread over the training set
    metric, targets = METRICS.get("scorer_distance"), evaluation.target("AtoB").images
    translations = translate_all(trials["copy"], None, evaluation, "AtoB")
    expected = metric.compute(replace(translations, outputs=photos.images)).values
    assert rows["scorer_fid"]["value"] == pytest.approx(expected["scorer_fid"]) and expected["scorer_fid"] > 0
    assert rows["scorer_kid"]["value"] == pytest.approx(expected["scorer_kid"])
    assert rows["scorer_kid"]["error_images"] > 0 and "error_images" not in rows["scorer_fid"]
    assert rows["scorer_fid/training_photos"]["value"] == 6 and rows["scorer_fid/real_images"]["value"] == len(targets)
    assert rows["scorer_fid/features"]["value"] == 8 * config.scorer_width


@pytest.mark.parametrize("name", ["copy", "gan_only"])
def test_other_rows_compare_their_outputs(name, small, tmp_path):
    rows = measured(name, small, tmp_path)
    assert "scorer_fid/training_photos" not in rows and np.isfinite(rows["scorer_fid"]["value"])


def test_without_training_photos_the_floor_is_not_measured_and_says_why(small, tmp_path):
    trials, _ = small
    config = trials["real"].config
    evaluation = with_scorers(open_evaluation_context(Untrained(None), config), config, "cpu")
    rows = measured("real", (trials, evaluation), tmp_path)
    assert np.isnan(rows["scorer_fid"]["value"]) and np.isnan(rows["scorer_kid"]["value"])
    assert "two training photos" in rows["scorer_fid"]["reason"]
    assert np.isfinite(measured("copy", (trials, evaluation), tmp_path)["scorer_fid"]["value"])
    protocols = [EvaluationResult(), EvaluationResult()]
    for result, context in zip(protocols, (small[1], evaluation), strict=True):
        result.add(translate_all(trials["copy"], None, context, "AtoB"), context, 1)
    assert set(protocols[0].protocols) == set(protocols[1].protocols)  # no method's number depends on the photos
