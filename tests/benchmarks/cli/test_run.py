"""The command line as users meet it: the main job, what it says when something is wrong, and what it leaves behind."""

import json
import signal
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cgbench.benchmarks.training import trainer
from cgbench.files import read_json, read_jsonl
from cgbench.methods.blocks.model import Model
from cgbench.results.run_folder import TrialFolder, trial_folders
from helpers.cli import SMALL, VALUES, cgbench


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two methods and two seeds on the built-in dataset; tests must not change it."""
    runs = tmp_path_factory.mktemp("runs")
    command = [
        "run",
        "--methods",
        "cyclegan,gan_only",
        "--dataset",
        "streets",
        "--seeds",
        "0,1",
        *SMALL,
        "--runs-dir",
        runs,
    ]
    return runs, command, cgbench(*command)


def test_the_main_job_ends_with_a_table_and_a_page(finished):
    runs, _, output = finished
    run = runs / "streets-smoke"
    assert "cyclegan" in output and "gan_only" in output and "Report:" in output
    assert (run / "report" / "index.html").exists() and (run / "report" / "table.csv").exists()
    assert len(trial_folders(run)) == 10  # two methods and three reference rows, two seeds each
    assert {folder.status()["state"] for folder in trial_folders(run)} == {"done"}


def test_records_identify_every_number(finished):
    runs, _, _ = finished
    table = pd.read_csv(runs / "streets-smoke" / "results.csv")
    assert set(table["method"]) == {"copy", "shuffled", "real", "cyclegan", "gan_only"}
    assert (table["n"] == 3).all() and table["protocol"].notna().all()
    shares = table[~table["metric"].str.contains("psnr|ssim|fid|kid") & table["value"].notna()]
    assert shares["value"].between(0, 2).all()
    assert (table["value"].isna() == table["reason"].notna()).all()
    assert table["reason"].str.startswith("weights absent", na=False).any()
    assert set(table["direction"]) == {"AtoB", "BtoA"}
    assert table.groupby(["direction", "metric"])["protocol"].nunique().max() == 1
    perfect = table[(table["method"] == "real") & table["metric"].isin(["label_pixel", "label_iou"])]
    assert len(perfect) == 4 and (perfect["value"] == 1).all()


def test_every_test_image_has_one_output_and_scores(finished):
    runs, _, _ = finished
    folder = TrialFolder.of(runs / "streets-smoke", "streets", "cyclegan", 0)
    for direction in ("AtoB", "BtoA"):
        files = sorted((folder.path / "outputs" / direction).glob("*.png"))
        keys = {row["key"] for row in read_jsonl(folder.image_scores) if row["direction"] == direction}
        assert len(files) == 3 and {file.stem for file in files} == keys


def test_the_trial_says_how_it_was_made(finished):
    runs, _, _ = finished
    facts = read_json(TrialFolder.of(runs / "streets-smoke", "streets", "gan_only", 1).trial)
    assert sorted(facts) == sorted([
        "schema", "method", "dataset", "seed", "preset", "steps", "config", "weights", "origins", "digest", "data",
        "parameters", "device", "versions", "git", "hardware", "precision", "deterministic",
    ])  # fmt: skip
    assert facts["method"]["parent"] == "cyclegan" and facts["seed"] == 1 and facts["steps"] == 3
    assert facts["origins"]["steps"] == "--set" and facts["origins"]["batch_size"] == "preset"
    assert facts["origins"]["learning_rate"] == "recipe" and facts["versions"]["torch"]


def test_a_second_call_trains_nothing(finished):
    runs, command, _ = finished
    before = {folder.path: folder.checkpoint.stat().st_mtime_ns
              for folder in trial_folders(runs / "streets-smoke") if folder.checkpoint.exists()}  # fmt: skip
    output = cgbench(*command)
    assert "done before, kept" in output
    assert before and all(TrialFolder(path).checkpoint.stat().st_mtime_ns == time for path, time in before.items())


def test_a_changed_setting_under_the_same_name_is_refused(finished):
    _, command, _ = finished
    output = cgbench(*command, "--set", "learning_rate=1e-3", code=2)
    assert "learning_rate 0.0002 → 0.001" in output and "--name" in output and "Report:" not in output


def test_evaluating_again_gives_the_same_numbers_and_translates_each_image_once(finished, monkeypatch):
    runs, _, _ = finished
    run = runs / "streets-smoke"
    before = (run / "results.csv").read_bytes(), (run / "report" / "table.md").read_bytes()
    translated, real = Counter(), Model.translate_and_reconstruct

    def counted(model, images, direction, first):
        translated[direction] += len(images)
        return real(model, images, direction, first)

    monkeypatch.setattr(Model, "translate_and_reconstruct", counted)
    cgbench("evaluate", run, "--device", "cpu")
    assert translated == {"AtoB": 12, "BtoA": 12}  # three images, two methods, two seeds
    assert ((run / "results.csv").read_bytes(), (run / "report" / "table.md").read_bytes()) == before


def test_report_alone_gives_the_same_table(finished):
    runs, _, output = finished
    assert (runs / "streets-smoke" / "report" / "table.md").read_text() in output
    assert (runs / "streets-smoke" / "report" / "table.md").read_text() in cgbench("report", runs / "streets-smoke")


def test_a_supervised_method_is_marked_and_needs_pairs(tmp_path):
    output = cgbench("run", "--methods", "gan_only,pix2pix", "--dataset", "streets", *SMALL, "--runs-dir", tmp_path)
    assert "pix2pix (supervised)" in output and "Supervised: trained on pairs" in output
    facts = read_json(TrialFolder.of(tmp_path / "streets-smoke", "streets", "pix2pix", 0).trial)
    assert facts["method"]["role"] == "supervised" and facts["dataset"]["counts"]["train A"] == 4
    for folder in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / "flat" / folder).mkdir(parents=True)
        Image.new("RGB", (20, 20)).save(tmp_path / "flat" / folder / "one.png")
    refused = ["run", "--methods", "pix2pix", "--dataset", "folder", "--data-root", tmp_path / "flat", *SMALL]
    assert "has none to train on" in cgbench(*refused, code=2)


def test_methods_join_an_existing_run(tmp_path):
    common = ["--dataset", "streets", *SMALL, "--runs-dir", tmp_path]
    cgbench("run", "--methods", "cycle_only", *common)
    output = cgbench("run", "--methods", "gan_only", *common)
    assert read_json(tmp_path / "streets-smoke" / "run.json")["methods"] == ["cycle_only", "gan_only"]
    assert "cycle_only" in output and "gan_only" in output


def test_divergence_is_a_status_and_the_others_go_on(tmp_path):
    output = cgbench(
        "run", "--methods", "cyclegan,gan_only", "--dataset", "streets", *SMALL, "--runs-dir", tmp_path,
        "--set", "cyclegan.learning_rate=1e30", code=1,
    )  # fmt: skip
    run = tmp_path / "streets-smoke"
    assert TrialFolder.of(run, "streets", "cyclegan", 0).status()["state"] == "diverged"
    assert TrialFolder.of(run, "streets", "gan_only", 0).status()["state"] == "done"
    assert "diverged" in (run / "report" / "table.md").read_text() and "diverged" in output


def test_ctrl_c_leaves_a_resumable_run(tmp_path, monkeypatch):
    command = ["run", "--methods", "gan_only", "--dataset", "streets", *SMALL, "--runs-dir", tmp_path]
    real_step = trainer.train_step

    def pressed_in_step_two(model, optimizers, batch, step, rate):
        if step == 1 and rate:  # the plan's own steps have the rate 0
            signal.raise_signal(signal.SIGINT)
        return real_step(model, optimizers, batch, step, rate)

    monkeypatch.setattr(trainer, "train_step", pressed_in_step_two)
    assert "the same command goes on" in cgbench(*command, code=130)
    folder = TrialFolder.of(tmp_path / "streets-smoke", "streets", "gan_only", 0)
    assert folder.status() == {"state": "interrupted", "step": 2}
    monkeypatch.setattr(trainer, "train_step", real_step)
    cgbench(*command)
    assert folder.status()["state"] == "done"


def test_a_broken_checkpoint_fails_its_trial_and_no_other(tmp_path):
    command = ["run", "--methods", "gan_only,cycle_only", "--dataset", "streets", *SMALL, "--runs-dir", tmp_path]
    cgbench(*command)
    folders = [TrialFolder.of(tmp_path / "streets-smoke", "streets", name, 0) for name in ("gan_only", "cycle_only")]
    folders[0].checkpoint.write_bytes(folders[0].checkpoint.read_bytes()[:99])
    for folder in folders:
        folder.set_status("interrupted", step=1)
    output = cgbench(*command, code=1)
    assert "not a readable checkpoint" in output
    assert [folder.status()["state"] for folder in folders] == ["failed", "done"]


def test_one_run_holds_one_comparison(tmp_path):
    """Another budget, resolution or test set under the same name would make an unfair table."""
    common = ["--dataset", "streets", *SMALL, "--runs-dir", tmp_path]
    cgbench("run", "--methods", "cycle_only", *common)
    for change in ("steps=5", "max_test_images=2"):
        output = cgbench("run", "--methods", "gan_only", "--seeds", "1", *common, "--set", change, code=2)
        assert "belongs to another comparison" in output and change.split("=")[0] in output
    assert read_json(tmp_path / "streets-smoke" / "run.json")["methods"] == ["cycle_only"]


def test_a_run_is_not_measured_on_other_data(tmp_path):
    for name, level in (("dark", 30), ("bright", 220)):
        for folder in ("trainA", "trainB", "testA", "testB"):
            (tmp_path / name / folder).mkdir(parents=True)
            Image.new("RGB", (20, 20), (level,) * 3).save(tmp_path / name / folder / "one.png")
    small = [*SMALL, "--runs-dir", tmp_path / "runs"]
    cgbench("run", "--methods", "cycle_only", "--dataset", "folder", "--data-root", tmp_path / "dark", *small)
    run = tmp_path / "runs" / "dark-smoke"
    before = (run / "results.csv").read_bytes()
    Image.new("RGB", (20, 20), (31, 31, 31)).save(tmp_path / "dark" / "trainA" / "one.png")
    more = ["run", "--methods", "gan_only", "--dataset", "folder", "--data-root", tmp_path / "dark", *small]
    assert "another comparison (its training images)" in cgbench(*more, code=2)
    output = cgbench("evaluate", run, "--data-root", tmp_path / "bright", code=2)
    assert "measured on 'dark'" in output and "holds 'bright'" in output
    assert (run / "results.csv").read_bytes() == before


def test_a_folder_of_mixed_rectangular_pictures_runs(tmp_path):
    """Grey, palette and alpha files; no labels and no pairs: reconstruction alone is measured."""
    root = tmp_path / "mixed"
    rng = np.random.default_rng(0)
    modes = [("L", "jpg"), ("P", "png"), ("RGBA", "webp"), ("RGB", "tiff"), ("L", "bmp")]
    for folder in ("trainA", "trainB", "testA", "testB"):
        (root / folder).mkdir(parents=True)
        for number, (mode, ending) in enumerate(modes):
            picture = Image.fromarray(rng.integers(0, 255, (31, 47, 3), dtype=np.uint8)).convert(mode)
            picture.save(root / folder / f"{folder}{number}.{ending}")
    command = ["run", "--methods", "cyclegan", "--dataset", "folder", "--data-root", root, *SMALL]
    command += ["--runs-dir", tmp_path]
    output = cgbench(*command, "--set", "resize_mode=crop")
    assert "rec. L1" in output and "FCN" not in output and "real (ceiling)" not in output
    table = pd.read_csv(tmp_path / "mixed-smoke" / "results.csv")
    assert set(table["dataset"]) == {"mixed"}
    assert {"copy", "shuffled", "cyclegan"} == set(table["method"])
    (root / "trainA" / "trainA0.jpg").write_bytes(b"no picture")
    assert "trainA0.jpg" in cgbench(*command, "--name", "other", code=2)


def test_a_dry_run_plans_and_writes_nothing(tmp_path):
    command = ["run", "--methods", "cyclegan", "--dataset", "streets", *SMALL, "--runs-dir", tmp_path]
    output = cgbench(*command, "--dry-run")
    assert "s/step" in output and "training about" in output
    assert list(tmp_path.iterdir()) == []


def test_a_suite_file_says_what_to_run(tmp_path):
    suite = tmp_path / "mine.toml"
    head = 'methods = ["gan_only"]\ndataset = "streets"\npreset = "smoke"\nseeds = [4]\n[set]\n'
    suite.write_text(head + "\n".join(VALUES))
    cgbench("run", "--suite", suite, "--runs-dir", tmp_path, "--set", "steps=2")
    folder = TrialFolder.of(tmp_path / "streets-smoke", "streets", "gan_only", 4)
    origins = read_json(folder.trial)["origins"]
    assert (origins["ngf"], origins["steps"], origins["ndf"]) == ("suite", "--set", "preset")
    assert folder.status()["state"] == "done"
    suite.write_text("metods = []\n")  # codespell:ignore metods
    assert "did you mean 'methods'" in cgbench("run", "--suite", suite, code=2)


def test_show_lists_live_terms_only():
    output = cgbench("show", "gan_only")
    assert "adversarial_a" in output and "difference from cyclegan: without cycle_a; without cycle_b" in output
    assert "l1(" not in output and "11,378,179" in output and "2,764,737" in output
    assert "0.5 × identity" not in output
    assert "5 × cycle_a" in cgbench("show", "cyclegan", "--set", "cycle_a=5")
    assert "no such method here" in cgbench("show", "cyclegan", "--set", "gan_only.adversarial_a=5", code=2)


def test_listings_say_what_is_ready(tmp_path):
    lines = cgbench("datasets").splitlines()
    state = {line.split()[0]: line for line in lines if line and not line.startswith("Data is")}
    assert " ready " in state["streets"] and "not there" in state["cityscapes"]
    assert "gan_forward_cycle" in cgbench("methods") and "fcn_iou ↑" in cgbench("metrics")


def test_mixed_protocols_are_refused(finished, tmp_path):
    import shutil

    runs, _, _ = finished
    run = tmp_path / "copy"
    shutil.copytree(runs / "streets-smoke", run)
    path = TrialFolder.of(run, "streets", "cyclegan", 0).metrics
    rows = [json.loads(line) | {"protocol": "another"} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "cannot stand in one table" in cgbench("report", run, code=2)


def test_the_version_is_that_of_the_package():
    assert sys.version_info >= (3, 11)
    assert "0.1.0" in cgbench("--version")


def test_epochs_given_by_hand_win_over_the_presets_steps(tmp_path):
    output = cgbench(
        "run", "--methods", "gan_only", "--dataset", "streets", *SMALL[:4], "--set", "epochs=3", "--dry-run"
    )
    assert " 18 " in output  # 12 images in batches of 2, three times
