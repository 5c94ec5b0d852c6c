"""Unpaired test sets, of unequal sizes and with names of their own: every metric and detector works on them, and each
score per image is recorded under the key of the image that it was measured on."""

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cgbench import FAILURES, METRICS, Detection, Failure
from cgbench.api.metric import TARGET
from cgbench.api.registry import metric_values
from cgbench.benchmarks.evaluation.evaluator import EvaluationResult
from cgbench.benchmarks.evaluation.failure_detection import detect_failures
from cgbench.benchmarks.evaluation.feature_extractors import FeatureExtractors
from cgbench.benchmarks.metrics.functional.image_distances import l1_by_image
from cgbench.benchmarks.testing.sample_translations import sample_translations
from cgbench.files import read_jsonl
from cgbench.results.run_folder import TrialFolder
from helpers.cli import cgbench

CONTEXT = SimpleNamespace(
    split="test",
    dataset=SimpleNamespace(image_groups=""),
    feature_extractors=FeatureExtractors(),
    protocol=lambda metric, direction: {"metric": metric.name, "direction": direction},
    recipe=lambda metric, direction: {},
)
NEED_PAIRS = {"lpips", "similarity", "paired_l1"}
NOT_OF_RGB8 = {
    "intensity", "stored_similarity", "spectral_angle", "shared_information", "tissue_agreement", "bone_agreement",
}  # fmt: skip


def scored(translations):
    results = EvaluationResult()
    results.add(translations, CONTEXT, step=1)
    return results


@pytest.mark.parametrize("size", ["fewer", "more"])
def test_every_metric_and_detector_works_on_sets_of_unequal_sizes(size):
    translations = sample_translations()[f"unpaired photos, {size} targets than outputs"]
    assert len(translations.targets) != len(translations.outputs)
    assert not set(translations.keys) & set(translations.target_keys)
    results = scored(translations)
    assert not any(row.get("reason") for row in results.metrics)
    assert all(np.isfinite(row["value"]) for row in results.metrics)
    measured = {row["metric"] for row in results.metrics}
    missing = {name for name in METRICS.names() if not {v.name for v in METRICS.get(name).values} <= measured}
    assert missing == {*NEED_PAIRS, *NOT_OF_RGB8, "label_accuracy"}
    counts = {row["metric"]: row["n"] for row in results.metrics}
    assert counts["identity_l1"] == len(translations.targets) and counts["reconstruction_l1"] == len(translations.keys)
    of_targets = {value.name for value in metric_values().values() if value.of == TARGET}
    assert "identity_l1" in of_targets
    for metric in {row["metric"] for row in results.images}:
        keys, of = (row_values(results, metric, field) for field in ("key", "of"))
        targets = metric in of_targets
        assert set(keys) <= set(translations.target_keys if targets else translations.keys)
        assert set(of) == {"target" if targets else None}
    states = {name: entry["state"] for name, entry in detect_failures(translations).items()}
    assert set(states) == set(FAILURES.names()) and set(states.values()) <= {"found", "not found", "explained"}


@pytest.mark.parametrize("of", ["source", "target", "ood"])
def test_a_flagged_key_says_which_images_it_is_of(of, monkeypatch):
    translations = sample_translations()["unpaired photos, fewer targets than outputs"]
    translations = replace(translations, ood=replace(translations, keys=tuple(f"o{key}" for key in translations.keys)))
    keys = {"source": (), "target": translations.target_keys, "ood": translations.ood.keys}[of]
    count = len(keys or translations.keys)
    marked = Failure("marked", "m", "m", "e", lambda t: Detection(np.ones(count), "", keys), 0.5, True, 0.5, "j")
    FAILURES.discover()
    monkeypatch.setattr(FAILURES, "_factories", {"marked": lambda: marked})
    record = detect_failures(translations)["marked"]
    assert (record["of"], record["flagged"]) == (of, list(keys or translations.keys))


def row_values(results, metric, field):
    return [row.get(field) for row in results.images if row["metric"] == metric]


def test_scores_of_targets_go_by_the_keys_of_the_targets_where_both_sets_are_as_large():
    samples = sample_translations(12)
    translations = samples["unpaired photos, more targets than outputs"]
    size = {"targets": 12, "target_labels": 12, "target_keys": 12, "identities": 12}
    values = {item.name: getattr(translations, item.name) for item in fields(translations)}
    equal = type(translations)(
        **{name: value[: size.get(name)] if name in size else value for name, value in values.items()}
    )
    rows = {row["key"]: row for row in scored(equal).images if row["metric"] == "identity_l1"}
    expected = dict(zip(equal.target_keys, l1_by_image(equal.targets, equal.identities), strict=True))
    assert {key: row["value"] for key, row in rows.items()} == pytest.approx(expected, abs=1e-6)
    paired = scored(samples["paired photos"]).images
    assert [row["key"] for row in paired if row["metric"] == "identity_l1"] == list(samples["paired photos"].keys)
    assert all(list(row) == ["direction", "key", "metric", "value"] for row in paired)


@pytest.mark.parametrize(("test_a", "test_b"), [(4, 3), (3, 3), (1, 4)])
def test_a_run_on_unpaired_test_sets_keeps_both_apart(tmp_path, test_a, test_b):
    rng = np.random.default_rng(0)
    for folder, count in (("trainA", 4), ("trainB", 5), ("testA", test_a), ("testB", test_b)):
        (tmp_path / "apples" / folder).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "apples" / folder / f"{folder[-1]}{index}.png")
    small = [f"--set={setting}" for setting in ("steps=2", "crop_size=16", "load_size=20", "ngf=4", "ndf=4")]
    data = ["--dataset", "folder", "--data-root", tmp_path / "apples", "--runs-dir", tmp_path / "runs"]
    output = cgbench("run", "--methods", "cyclegan", "--preset", "smoke", "--name", "one", *data, *small)
    assert "failed" not in output
    trial = TrialFolder.of(tmp_path / "runs" / "one", "apples", "cyclegan", 0)
    rows = list(read_jsonl(trial.metrics))
    counts = {(row["direction"], row["metric"]): row["n"] for row in rows}
    assert counts["AtoB", "identity_l1"] == test_b and counts["BtoA", "identity_l1"] == test_a
    assert counts["AtoB", "reconstruction_l1"] == test_a and counts["BtoA", "reconstruction_l1"] == test_b
    assert all(np.isfinite(row["value"]) for row in rows if row["metric"] == "identity_l1")
    for row in read_jsonl(trial.image_scores):
        source, target = row["direction"][0], row["direction"][-1]
        assert row["key"][0] == (target if row["metric"] == "identity_l1" else source)
        assert row.get("of", "source") == ("target" if row["metric"] == "identity_l1" else "source")
