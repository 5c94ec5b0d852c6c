"""Failure detection in an evaluated trial: its records, a model that breaks, and the backward translation of an
output."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from cgbench import DATASETS, FAILURES, METHODS
from cgbench.benchmarks.calibration import calibration_images
from cgbench.benchmarks.calibration.calibration_images import CalibrationImages
from cgbench.benchmarks.data.conversion import to_bytes
from cgbench.benchmarks.evaluation import failure_detection
from cgbench.benchmarks.evaluation.context import open_evaluation_context, with_scorers
from cgbench.benchmarks.evaluation.evaluator import evaluate
from cgbench.benchmarks.evaluation.inference import translate_all
from cgbench.benchmarks.evaluation.output_images import max_bytes, replace_images, save_images
from cgbench.benchmarks.trials.trial import resolve_trials
from cgbench.errors import Diverged
from cgbench.files import read_json
from cgbench.methods.blocks.model import Model
from cgbench.results.detections import setting_of
from cgbench.results.run_folder import TrialFolder
from helpers.tiny_models import noise_batch, tiny_config, tiny_model
from helpers.toy_scenes import PALETTE, toy_translations

SMALL = ["steps=3", "max_train_images=4", "max_test_images=4", "scorer_steps=4", "scorer_limit=4", "crop_size=16",
         "load_size=20", "ngf=4"]  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Trials of two methods and the evaluation context that they share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CGBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        data = DATASETS.factory("streets")(None)
        trials = {
            trial.method.name: trial for trial in resolve_trials(["cyclegan", "munit"], data, [0], "smoke", SMALL)
        }
        config = trials["cyclegan"].config
        yield trials, with_scorers(open_evaluation_context(data, config), config, "cpu")


def evaluated(name, small, folder, spoil=lambda model: None):
    trials, evaluation = small
    trial = trials[name]
    model = Model(trial.method, trial.config, 0) if trial.method.reference is None else None
    spoil(model)
    evaluate(trial, model, evaluation, None, folder, 3, lambda done, total: None)
    return read_json(folder.failures)


def test_every_direction_and_failure_is_recorded(small, tmp_path):
    record = evaluated("cyclegan", small, TrialFolder(tmp_path))
    names = [failure.name for failure in failure_detection.declared_failures()]
    assert list(record) == ["AtoB", "BtoA"] and all(list(entries) == names for entries in record.values())
    assert record["AtoB"]["hidden"]["images"] == 4
    assert record["AtoB"]["ood"]["reason"] == "needs 50 usual and 50 out-of-distribution test scenes or more"
    assert all(entry["state"] not in ("failed",) for entries in record.values() for entry in entries.values())


def test_the_copy_row_is_a_copy_and_the_real_row_is_well(small, tmp_path):
    copies = evaluated("copy", small, TrialFolder(tmp_path / "copy"))
    truth = evaluated("real", small, TrialFolder(tmp_path / "real"))
    for direction in ("AtoB", "BtoA"):
        assert copies[direction]["copy"]["state"] == "found" and copies[direction]["copy"]["rate"] == 1
        states = {name: entry["state"] for name, entry in truth[direction].items()}
        assert set(states.values()) <= {"not found", "not applicable", "cannot be judged"}
        assert states["copy"] == states["collapse"] == states["inversion"] == "not found"


def test_thresholds_are_set_once_and_recorded_with_their_rates(small, tmp_path, monkeypatch):
    trials, evaluation = small
    calls = []
    made = calibration_images.calibrate
    monkeypatch.setattr(calibration_images, "calibrate", lambda *given: calls.append(given) or made(*given))
    images = replace(evaluation.calibration_images, made={})
    context = trials, replace(evaluation, calibration_images=images)
    record = evaluated("copy", context, TrialFolder(tmp_path / "copy"))
    evaluated("real", context, TrialFolder(tmp_path / "real"))
    assert len(calls) == 2  # one per direction
    for direction, entries in record.items():
        for name, entry in entries.items():
            assert setting_of(entry) == context[1].detector_settings()[name]
            if FAILURES.get(name).control is None:
                assert "calibration" not in entry
            else:
                calibration = entry["calibration"]
                assert calibration["origin"] == calibration["control_origin"] == "48 validation scenes"
                assert calibration["digest"] == images.digest()
        assert entries["lost"]["state"] == "cannot be judged" or direction == "BtoA"  # that scorer has had four steps


def test_outputs_that_are_not_finite_are_a_divergence(small, tmp_path):
    def spoil(model):
        next(model.networks["G_ab"].parameters()).data.fill_(float("nan"))

    folder = TrialFolder(tmp_path)
    with pytest.raises(Diverged, match="4 of 4 outputs AtoB are infinite or not a number after step 3"):
        evaluated("cyclegan", small, folder, spoil)
    assert not folder.failures.exists() and not folder.metrics.exists()


def test_what_is_not_a_number_becomes_black():
    images = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0]).expand(1, 3, 1, 4)
    assert to_bytes(images)[0, 0, :, 0].tolist() == [0, 255, 0, 128]


@pytest.mark.parametrize("name", ["cyclegan", "munit", "unit", "bigan"])
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_the_way_back_from_an_output_is_that_of_the_reconstruction(name, direction):
    config = tiny_config()
    method = METHODS.get(name)
    model = tiny_model(method, tiny_config(**method.defaults))
    images = noise_batch(config, torch.float32)["real_a" if direction == "AtoB" else "real_b"]
    output, reconstruction = model.translate_and_reconstruct(images, direction, 0)
    if reconstruction is None:
        assert not model.can_translate_back(direction)
        return
    assert model.can_translate_back(direction)
    torch.testing.assert_close(model.translate_back(output, images, direction), reconstruction)
    assert not torch.allclose(model.translate_back(output + 0.3, images, direction), reconstruction)


@pytest.mark.parametrize("name", ["gcgan", "cut", "cogan"])
def test_there_is_no_way_back_from_an_output_without_one(name):
    method = METHODS.get(name)
    assert not tiny_model(method, tiny_config(**method.defaults)).can_translate_back("AtoB")


def test_the_way_back_takes_the_requested_images(small):
    trials, evaluation = small
    model = Model(trials["munit"].method, trials["munit"].config, 0)  # its way back needs the source's style
    translations = translate_all(trials["munit"], model, evaluation, "AtoB")
    numbers = np.array([3, 1])
    expected = translations.reconstructions[numbers].astype(int)
    assert (
        np.abs(translations.way_back(numbers, translations.outputs[numbers]) - expected).mean() < 2
    )  # the output was rounded
    assert np.abs(translations.way_back(numbers[::-1], translations.outputs[numbers]) - expected).mean() > 4


def test_images_are_saved_beside_the_outputs(tmp_path):
    folder = TrialFolder(tmp_path)
    translations = toy_translations()
    translations = replace(
        translations, reconstructions=np.repeat(np.repeat(translations.sources, 8, axis=1), 8, axis=2)
    )
    save_images(folder, translations)
    output = np.asarray(Image.open(folder.output("AtoB", "test-03")))
    assert (output == translations.outputs[3]).all()
    assert (np.asarray(Image.open(folder.output("AtoB-ood", "ood-03"))) == translations.ood.outputs[3]).all()
    assert Image.open(folder.reconstruction("AtoB", "test-03")).size == (128, 128)
    classes = Image.open(folder.segmentation("AtoB", "test-03"))
    assert (np.asarray(classes) == translations.scorer(translations.outputs)[3]).all()
    assert classes.getpalette()[: 3 * len(PALETTE)] == [level for entry in PALETTE for level in entry.colour]
    size = sum(path.stat().st_size for path in tmp_path.rglob("test-03.png"))
    assert size <= max_bytes(256, 256) and len(list(tmp_path.rglob("*.png"))) == 4 * len(translations.keys)
    new_folder = TrialFolder(tmp_path / ".fresh")
    save_images(new_folder, replace(translations, reconstructions=None, ood=None))
    replace_images(folder, new_folder)
    kinds = {path.parts[len(tmp_path.parts)] for path in tmp_path.rglob("*.png")}
    assert kinds == {"outputs", "segmentations"} and not folder.output("AtoB-ood", "ood-03").exists()


def test_other_detectors_or_ood_scenes_make_a_trial_be_examined_again(small, monkeypatch):
    _, evaluation = small
    before = evaluation.digest()
    assert replace(evaluation, ood_images={}).digest() != before
    assert replace(evaluation, calibration_images=CalibrationImages("none")).digest() != before
    changed = [
        replace(item, threshold=9.0) if item.name == "copy" else item for item in failure_detection.declared_failures()
    ]
    monkeypatch.setattr(failure_detection, "declared_failures", lambda: changed)
    assert evaluation.digest() != before
