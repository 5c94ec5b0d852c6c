"""Pictures of the user's own through a trained method: the bytes that evaluation keeps, and nothing else touched."""

import hashlib
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from cgbench.api.graph_nodes import Apply
from cgbench.api.method_description import describe
from cgbench.api.registry import DATASETS, METHODS
from cgbench.benchmarks.cli import report
from cgbench.benchmarks.data import lossless_files
from cgbench.benchmarks.exchange.translate_files import translating_model
from cgbench.benchmarks.execution import runner
from cgbench.benchmarks.training.checkpoint import checkpoint_metadata, read_checkpoint, recorded_checkpoint_metadata
from cgbench.benchmarks.trials.trial import Trial
from cgbench.benchmarks.trials.trial_record import trial_record
from cgbench.config_layers import Resolved
from cgbench.datasets.images.decoding import read_image
from cgbench.datasets.images.resizing import resized
from cgbench.errors import CgbenchError
from cgbench.files import link_or_copy, read_json, write_json
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench
from helpers.image_folders import scene
from helpers.tiny_models import tiny_config, tiny_model

SETTINGS = ["learning_rate=0.01", "ndf=4", "resize_mode=crop", "evaluate_every=1", "validation_images=1", "keep_last=3",
            "keep_best=reconstruction_l1"]  # fmt: skip
METHOD = "gan_only"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two methods, one of which draws numbers, and its test images."""
    root = tmp_path_factory.mktemp("trained")
    for number, folder in enumerate(("trainA", "trainB", "testA", "testB")):
        (root / "own" / folder).mkdir(parents=True)
        for name in ("c.png", "b.bmp", "a.PNG"):
            scene(number + ord(name[0]), size=(31, 19)).save(root / "own" / folder / name)
    settings = [f"--set={setting}" for setting in SETTINGS]
    data = ["--dataset", "folder", "--data-root", root / "own"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_and_print", lambda *_: None)  # slow, and tested elsewhere
        cgbench("run", "--methods", f"{METHOD},munit", *data, *SMALL, *settings, "--runs-dir", root, "--name", "run")
    return root / "run", root / "own" / "testA", root / "own" / "testB"


@pytest.fixture
def copied(trained, tmp_path):
    """The same run, and what may be done to it; the folder of one trial."""
    run = shutil.copytree(trained[0], tmp_path / "copied")
    return run, trained[1], TrialFolder.of(run, "own", METHOD, 0)


def translate(*arguments, method=METHOD, size="crop", code=0):
    """Run the command, and return the last line of what it said."""
    chosen = ["--size", size, *(["--method", method] if method else [])]
    return cgbench("translate", *arguments, "--device", "cpu", *chosen, code=code).splitlines()[-1]


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("method", "direction"), [("gan_only", "AtoB"), ("gan_only", "BtoA"), ("munit", "AtoB")])
def test_a_test_image_becomes_the_bytes_that_evaluation_kept_and_the_run_stays(trained, tmp_path, method, direction):
    run, *sides = trained
    before = {name: hashlib.sha256(data).digest() for name, data in files(run).items()}
    given = sides[direction == "BtoA"]
    said = translate(run, given, "--output", tmp_path / "out", "--direction", direction, method=method)
    assert said == f"3 images by {method}, seed 0, {'→'.join(direction.split('to'))}, from step 3, in {tmp_path}/out"
    kept = files(TrialFolder.of(run, "own", method, 0).path / "outputs" / direction)
    assert files(tmp_path / "out") == kept and len(kept) == 3
    assert {name: hashlib.sha256(data).digest() for name, data in files(run).items()} == before


def test_by_default_a_picture_comes_back_at_its_own_size(trained, tmp_path):
    run, given, _ = trained
    Image.fromarray(np.tile(read_image(given / "a.PNG"), (2, 3, 1))).save(tmp_path / "large.png")
    for name, method in {"one": METHOD, "two": "munit"}.items():
        said = cgbench("translate", run, given, tmp_path / "large.png", "--output", tmp_path / name, "--device", "cpu",
                       "--method", method)  # fmt: skip
        assert said.splitlines()[-1].startswith(f"4 images by {method}, seed 0")
        sizes = {path.name: Image.open(path).size for path in (tmp_path / name).iterdir()}
        assert sizes == {"a.png": (31, 19), "b.png": (31, 19), "c.png": (31, 19), "large.png": (93, 38)}


def test_the_same_pictures_give_the_same_bytes_in_whatever_order_they_are_named(trained, tmp_path):
    run, given, _ = trained
    translate(run, given, "--output", tmp_path / "one", method="munit")
    named = [given / "c.png", given / "a.PNG", given / "b.bmp", given]
    translate(run, *named, "--output", tmp_path / "deep" / "two", method="munit")
    assert files(tmp_path / "one") == files(tmp_path / "deep" / "two")
    translate(run, given / "c.png", "--output", tmp_path / "three", method="munit")  # drawn for as image 0, not 2
    assert files(tmp_path / "three")["c.png"] != files(tmp_path / "one")["c.png"]


def test_label_images_are_made_squares_without_blending(copied, tmp_path):
    run, given, folder = copied
    facts = read_json(folder.trial)
    domains = [domain | {"kind": "labels"} for domain in facts["dataset"]["domains"]]
    write_json(folder.trial, facts | {"dataset": facts["dataset"] | {"domains": domains}})
    (tmp_path / "squares").mkdir()
    for path in given.iterdir():
        nearest = resized(read_image(path), (16, 16), "crop", blend=False)
        Image.fromarray(nearest).save(tmp_path / "squares" / f"{path.stem}.png")
    for name, folder in {"one": given, "two": tmp_path / "squares"}.items():
        translate(run, folder, "--output", tmp_path / name)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_the_last_and_the_best_checkpoint_are_those_files(copied, tmp_path):
    run, given, folder = copied
    link_or_copy(folder.checkpoint_at(1), folder.best)
    for which, step in (("last", 3), ("best", 1)):
        said = translate(run, given, "--output", tmp_path / which, "--checkpoint", which)
        assert f"from step {step}, in" in said
    assert files(tmp_path / "last")["a.png"] != files(tmp_path / "best")["a.png"]
    link_or_copy(folder.best, folder.checkpoint)
    translate(run, given, "--output", tmp_path / "one")
    assert files(tmp_path / "one") == files(tmp_path / "best")
    folder.best.unlink()
    assert "--set keep_best=" in translate(run, given, "--output", tmp_path / "x", "--checkpoint", "best", code=2)
    folder.checkpoint.unlink()
    assert "checkpoint.safetensors is not there" in translate(run, given, "--output", tmp_path / "x", code=2)


def test_the_best_of_before_an_extension_is_still_of_the_trial(copied, tmp_path, monkeypatch):
    run, given, folder = copied
    monkeypatch.setattr(report, "write_and_print", lambda *_: None)
    monkeypatch.setattr(runner, "retain_best", lambda *_: None)  # no later step is better
    step = read_checkpoint(folder.best)[1]["step"]
    cgbench("extend", run, "--steps", "4", "--device", "cpu", "--data-root", given.parent)
    for which, trained_to in (("last", "4"), ("best", step)):
        said = translate(run, given / "a.PNG", "--output", tmp_path / which, "--checkpoint", which)
        assert said == f"1 image by {METHOD}, seed 0, A→B, from step {trained_to}, in {tmp_path / which}"


def test_what_is_to_be_chosen_is_named(copied, tmp_path):
    run, given, folder = copied
    to = [given, "--output", tmp_path / "out"]
    several = translate(run, *to, method=None, code=2)
    assert several.endswith("choose by --method from gan_only (seed 0), munit (seed 0)")
    assert "fits --method cut; there is gan_only (seed 0), mu" in translate(run, *to, method="cut", code=2)
    assert "fits --method munit --seed 7; there" in translate(run, *to, "--seed", 7, method="munit", code=2)
    assert "'copy' is an untrained row" in translate(run, *to, method="copy", code=2)
    other = shutil.copytree(folder.path, run / "other" / METHOD / "seed-0")
    facts = read_json(folder.trial)
    write_json(other / "trial.json", facts | {"dataset": facts["dataset"] | {"label": "other"}})
    assert "by --dataset from gan_only on other (seed 0), gan_only on own (" in translate(run, *to, code=2)
    folder.set_status("diverged", step=1)
    assert "is not finished (diverged)" in translate(run, *to, "--dataset", "own", code=2)
    shutil.rmtree(run / "other")
    assert "munit" in translate(run, *to, method=None)  # the only one that is left


def test_a_direction_that_a_method_has_not_is_refused(copied, tmp_path, monkeypatch):
    run, given, folder = copied
    two = METHODS.get(METHOD)
    one = replace(two, translates={"BtoA": "fake_a"}, reconstructs={})
    monkeypatch.setitem(METHODS._factories, METHOD, lambda: one)
    assert "is declared differently now" in translate(run, given, "--output", tmp_path / "out", code=2)
    facts = read_json(folder.trial)
    write_json(folder.trial, facts | {"method": describe(one)})
    said = translate(run, given, "--output", tmp_path / "out", "--direction", "AtoB", code=2)
    assert said == "cgbench: gan_only has no direction AtoB, only BtoA"
    assert "B→A" in translate(run, given, "--output", tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"digest": "0" * 12}, "belongs to another trial (digest"),
        ({"config": {"surplus": 1}}, "was written by another version"),
        ({"config": {"ngf": 8}}, "belongs to another trial (ngf 4 instead of 8)"),
        ({"dataset": {"domains": None}}, "'dataset.domains': expected `array`"),
        ({"dataset": {"domains": []}}, "does not describe its dataset"),
    ],
)
def test_a_trial_of_another_kind_is_refused(copied, tmp_path, change, said):
    run, given, folder = copied
    facts = read_json(folder.trial)
    write_json(folder.trial, {key: {**value, **change[key]} if isinstance(value, dict) and key in change
                              else change.get(key, value) for key, value in facts.items()})  # fmt: skip
    assert said in translate(run, given, "--output", tmp_path / "out", code=2)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(trained, tmp_path):
    run, given, _ = trained
    out = tmp_path / "out"
    translate(run, given, "--output", out)
    before = files(out)
    assert "a.png and 2 more: already there" in translate(run, given, "--output", out, method="munit", code=2)
    assert "is a file" in translate(run, given, "--output", out / "a.png", code=2)
    assert "lies in the run" in translate(run, given, "--output", run / "mine", code=2)
    assert files(out) == before and not (run / "mine").exists()
    scene(5).save(tmp_path / "d.png")
    translate(run, tmp_path / "d.png", "--output", out)
    assert files(out) == before | {"d.png": (out / "d.png").read_bytes()}


def test_pictures_that_cannot_be_used_are_named_before_anything_is_written(trained, tmp_path):
    run, given, _ = trained
    to = ["--output", tmp_path / "out"]
    for name, data in {"text.png": b"no picture", "cut.png": (given / "a.PNG").read_bytes()[:-200]}.items():
        (tmp_path / name).write_bytes(data)
        said = translate(run, given, tmp_path / name, *to, code=2)
        assert name in said and said.endswith("replace it")
    scene(9).save(tmp_path / "a.jpg")
    both = f"{given}/a.PNG and {tmp_path}/a.jpg would both become a.png"
    assert both in translate(run, tmp_path / "a.jpg", given, *to, code=2)
    (tmp_path / "empty").mkdir()
    assert "empty holds no image file (.jpg," in translate(run, tmp_path / "empty", *to, code=2)
    assert "gone.png: cannot be opened" in translate(run, tmp_path / "gone.png", *to, code=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("late", [False, True])
def test_stopped_it_leaves_nothing_and_what_came_meanwhile_stays(trained, tmp_path, monkeypatch, late):
    run, given, _ = trained
    real = lossless_files.write_bytes

    def meanwhile(path, data):
        real(path, data)
        if not late:
            raise KeyboardInterrupt
        (tmp_path / "out" / "b.png").write_bytes(b"mine")

    monkeypatch.setattr(lossless_files, "write_bytes", meanwhile)
    translate(run, given, "--output", tmp_path / "out", code=2 if late else 130)
    assert files(tmp_path / "out") == ({"b.png": b"mine"} if late else {})
    assert len(os.listdir(tmp_path / "out")) == late


def trial_of(method):
    return Trial(method, 0, "smoke", Resolved(tiny_config(), {}, {}))


def test_a_network_of_the_losses_alone_is_not_needed():
    method = METHODS.get("feature_loss_gan")
    whole, alone = tiny_model(method, tiny_config()), translating_model(trial_of(method), "BtoA", "cpu")
    assert set(alone.networks) == {"G_ba"} < set(whole.networks)
    alone.load(whole.state())
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    assert torch.equal(alone.translate(images, "BtoA"), whole.translate(images, "BtoA"))


def test_a_network_on_the_way_that_is_not_here_is_named():
    method = METHODS.get("feature_loss_gan")
    through = replace(method, graph={**method.graph, "seen": Apply("features", "fake_b")}, translates={"AtoB": "seen"})
    with pytest.raises(CgbenchError, match="translates through 'features': is made of the scorer"):
        translating_model(trial_of(through), "AtoB", "cpu")


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_dropout_and_batch_statistics_rest_in_a_model_that_only_translates(name):
    """Nobody plays in it, and yet it must not behave as in training."""
    method = METHODS.get(name)
    config = tiny_config(norm="batch")
    whole = tiny_model(method, config)
    alone = translating_model(replace(trial_of(method), resolved=Resolved(config, {}, {})), "AtoB", "cpu")
    alone.load(whole.state())
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    assert torch.equal(alone.translate(images, "AtoB"), whole.translate(images, "AtoB"))


def test_a_record_says_of_its_dataset_what_the_dataset_says():
    data, trial = DATASETS.factory("streets")(None), trial_of(METHODS.get(METHOD))
    facts = trial_record(trial, data, {}, "", {"test A": 1, "test B": 1}, 0, {}, {})
    assert recorded_checkpoint_metadata(trial.config, facts["dataset"]) == checkpoint_metadata(trial.config, data)
