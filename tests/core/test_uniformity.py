"""What the trials of one table must share, and what the reader of runs does where they do not."""

import shutil

import pytest

from cgbench.errors import CgbenchError
from cgbench.files import read_json, write_json
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from cgbench.results.uniformity import mixture
from helpers.cli import cgbench
from helpers.run_folder import build_run, trial_json

EXTENDED = [{"from": 2000, "to": 3000, "schedule": "constant", "digest": "0"}]


def spec(method="cyclegan", seed=0, images="0a", **config):
    content = trial_json(method, seed)
    return {**content, "config": {**content["config"], **config}, "data": {"a": images, "b": "0b"}}


def test_alike_trials_are_no_mixture():
    assert mixture([spec("cyclegan", 0), spec("cyclegan", 1), spec("gan_only", 0), spec("copy", 0, steps=9)]) == ""


def test_seeds_of_unlike_settings_are_named_with_both_values():
    trials = [spec(seed=0), spec(seed=1, learning_rate=0.1), spec(seed=2)]
    found = mixture(trials)
    assert found == (
        "the seeds of cyclegan were trained with unlike settings: learning_rate 0.0002 (seed 0, seed 2), 0.1 (seed 1)"
    )


def test_seeds_of_unlike_budgets_are_a_mixture():
    assert "steps 2000 (seed 0), 40 (seed 1)" in mixture([spec(seed=0), {**spec(seed=1), "steps": 40}])


def test_seeds_of_unlike_images_or_declarations_are_a_mixture():
    assert "training images A 0a (seed 0), 0c (seed 1)" in mixture([spec(), spec(seed=1, images="0c")])
    weighted = spec(seed=1)
    weighted["method"]["terms"][0]["weight"] = 7.0
    assert "weight of adversarial_a 1 (seed 0), 7 (seed 1)" in mixture([spec(), weighted])
    other = spec(seed=1)
    other["method"]["terms"][0]["function"] = "l1"
    assert "function of adversarial_a lsgan_generator (seed 0), l1 (seed 1)" in mixture([spec(), other])
    lacking = spec(seed=1)
    lacking["method"]["terms"] = lacking["method"]["terms"][1:]
    assert "weight of adversarial_a 1 (seed 0), none (seed 1)" in mixture([spec(), lacking])


def test_long_values_that_begin_alike_are_told_apart():
    trials = [spec(seed=seed) for seed in range(2)]
    for trial, end in zip(trials, "xy", strict=True):
        trial["method"]["networks"] = {"G_ab": "a_generator_with_a_long_description_" + end}
    assert "networks G_ab" in mixture(trials)
    assert "learning_rate" in mixture([spec(learning_rate=0.0002), spec(seed=1, learning_rate=0.00020000001)])


def test_methods_share_what_no_method_may_set_for_itself():
    assert mixture([spec(), spec("gan_only", beta1=0.9, learning_rate=0.1)]) == ""
    found = mixture([spec(), spec("gan_only", batch_size=1)])
    assert found == "its methods were trained with unlike settings: batch_size 4 (cyclegan), 1 (gan_only)"
    assert "training images A 0a (cyclegan), 0c (gan_only)" in mixture([spec(), spec("gan_only", images="0c")])


def test_a_supervised_method_trains_on_other_images():
    supervised = spec("pix2pix", images="0c")
    supervised["method"]["role"] = "supervised"
    assert mixture([spec(), supervised]) == ""
    assert "crop_size" in mixture([spec(), {**supervised, "config": {**supervised["config"], "crop_size": 8}}])


def test_how_it_is_evaluated_and_recorded_is_not_compared_here():
    assert mixture([spec(), spec(seed=1, save_every=7, scorer_steps=9)]) == ""


def test_an_extended_training_may_stand_beside_one_that_is_not_yet():
    extended = {**spec(seed=1, steps=3000), "steps": 3000, "extended": EXTENDED}
    assert mixture([spec(), extended]) == ""
    longer = {**extended, "extended": [{**EXTENDED[0], "from": 2500}]}
    assert "steps 2000 (seed 0), 2500 (seed 1)" in mixture([spec(), longer])


def test_a_setting_that_an_older_record_lacks_has_its_default():
    older = spec(seed=1)
    del older["config"]["pool_size"]
    assert mixture([spec(), older]) == ""


def test_no_command_makes_a_table_of_a_mixture(tmp_path):
    run = build_run(tmp_path / "run", ("cyclegan", "gan_only", "copy", "real"), (0, 1), images=2, side=8)
    shutil.copytree(run, tmp_path / "alike")
    path = TrialFolder.of(run, "shapes", "gan_only", 1).trial
    write_json(path, {**read_json(path), "steps": 40})
    text = "the seeds of gan_only were trained with unlike settings: steps 2000 (seed 0), 40 (seed 1); no table may mix"
    with pytest.raises(CgbenchError, match="run: the seeds of gan_only"):
        read_run(run)
    baseline = ["baseline", "update", run, "--baseline", tmp_path / "b.json"]
    study = ["study", "make", run, "--output", tmp_path / "study"]
    for command in (["report", run], ["table", "4", run], baseline, study):
        assert text in cgbench(*command, code=2)
    assert not (run / "report").exists() and not (tmp_path / "b.json").exists() and not (tmp_path / "study").exists()
    differences = cgbench("diff", tmp_path / "alike", run)
    assert text in differences and "gan_only seed 1: steps trained 2000 → 40" in differences
