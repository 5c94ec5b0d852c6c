"""Outputs of another program in a run: measured as a method's own, complete or refused, and left alone by commands."""

import os
import shutil
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cgbench.api.registry import METRICS
from cgbench.benchmarks.cli import report
from cgbench.benchmarks.exchange import external_trials
from cgbench.datasets.images.decoding import read_image
from cgbench.files import read_json, read_jsonl
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench, leave_out_what_is_slow
from helpers.file_trees import contents
from helpers.image_files import chunk
from helpers.image_folders import healthy

KEYS = ("0", "1", "2")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Reports and the plan's times are slow, and tested elsewhere."""
    leave_out_what_is_slow(monkeypatch)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a method that translates there and back, on paired test images whose files say their domain."""
    folder = tmp_path_factory.mktemp("trained")
    data = healthy(folder / "own", train=4, test=3)
    for domain in "AB":
        for key, path in zip(KEYS, sorted((data / f"test{domain}").iterdir()), strict=True):
            path.rename(path.with_name(f"{key}_{domain}.png"))
    with pytest.MonkeyPatch.context() as patched:
        leave_out_what_is_slow(patched)
        cgbench(*command(folder, data))
    return folder / "run", data


def command(folder, data, *more):
    place = ["--data-root", data, "--runs-dir", folder, "--name", "run", "--set=paired=yes"]
    return ["run", "--methods", "cyclegan", "--dataset", "folder", *SMALL, *place, *more]


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained[0], tmp_path / "run")


@pytest.fixture
def data(trained):
    return trained[1]


@pytest.fixture
def given(run, tmp_path):
    """A folder of the outputs of another program: those of the trained method."""
    return shutil.copytree(method_folder(run, "cyclegan").path / "outputs" / "AtoB", tmp_path / "given")


def method_folder(run, name="theirs", seed=0):
    return TrialFolder.of(run, "own", name, seed)


def import_outputs(run, data, folder, *options, name="theirs", direction="AtoB", code=0):
    arguments = [run, folder, "--as", name, "--direction", direction, "--data-root", data, "--device", "cpu"]
    return cgbench("import", "outputs", *arguments, *options, code=code)


def numbers(folder, direction):
    """The numbers of a trial as text: one that is not measured is NaN, which equals nothing."""
    keys = ("value", "n", "protocol", "split", "error_images", "reason")
    rows = [row for row in read_jsonl(folder.metrics) if row["direction"] == direction]
    return {row["metric"]: repr({key: row[key] for key in keys if key in row}) for row in rows}


def ensure_same_numbers(own, added, direction):
    """The numbers and the failures that depend on the outputs of one direction alone are those of the method itself;
    the others are absent with the reason."""
    expected, found = numbers(own, direction), numbers(added, direction)
    assert found == {name: expected[name] for name in found}
    reasons = read_json(added.trial)["external"]["not_measured"]
    absent = {name for name in expected.keys() - found.keys() if "/" not in name}
    assert absent >= {"reconstruction_l1"} and all(reasons[name].startswith("needs a ") for name in absent), absent
    assert {row["direction"] for row in read_jsonl(added.metrics)} == {direction}
    scores = [{row["metric"]: row["value"] for row in read_jsonl(folder.image_scores)
               if row["direction"] == direction and row["metric"] in found} for folder in (own, added)]  # fmt: skip
    assert scores[0] == scores[1] != {}
    failures, others = (read_json(folder.failures)[direction] for folder in (added, own))
    assert failures.pop("hidden")["reason"] == "needs a method that translates an output back"
    others.pop("hidden")
    assert failures == others
    return found


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_a_methods_own_outputs_have_its_numbers_and_nothing_else_changes(run, data, direction):
    own, before = method_folder(run, "cyclegan"), contents(run)
    said = import_outputs(run, data, own.path / "outputs" / direction, "--seed", 7, direction=direction)
    added = method_folder(run, seed=7)
    assert f"theirs: folder {direction} (3 PNG) measured and added as {added.path}" in said
    found = ensure_same_numbers(own, added, direction)
    assert {"psnr", "ssim", "output_diversity"} <= found.keys() or {"l1", "output_diversity"} <= found.keys(), found
    told = read_json(added.trial)["external"]
    assert (told["seed"], told["training"], told["direction"]) == (7, "", direction)
    assert {path: content for path, content in contents(run).items() if path in before} == before
    assert {path.name for path in run.iterdir()} == {"own", "run.json", ".lock"}
    for key in KEYS:
        assert np.array_equal(read_image(added.output(direction, key)), read_image(own.output(direction, key)))


def test_a_results_page_is_read_where_it_lies(run, data, given, tmp_path):
    page = tmp_path / "test_latest" / "images"
    page.mkdir(parents=True)
    (page.parent / "index.html").write_text("a page")
    for key in KEYS:
        for kind in ("real_A", "rec_A", "real_B", "rec_B", "fake_A"):
            Image.new("RGB", (5, 5)).save(page / f"{key}_A_{kind}.png")  # none of their concern
        shutil.copy(given / f"{key}.png", page / f"{key}_A_fake_B.png")
    assert "theirs: folder images (3 PNG, named KEY_fake_B; 15 beside them left out)" in import_outputs(
        run, data, page.parent
    )
    ensure_same_numbers(method_folder(run, "cyclegan"), method_folder(run), "AtoB")


def test_jpeg_is_measured_and_noted(run, data, given):
    for path in list(given.iterdir()):
        Image.open(path).save(path.with_suffix(".jpg"), quality=70)
        path.unlink()
    assert "3 JPEG, compressed with loss" in import_outputs(run, data, given)
    assert read_json(method_folder(run).trial)["external"]["origin"] == "folder given (3 JPEG, compressed with loss)"


def test_evaluate_measures_it_again_and_run_extend_and_translate_leave_it_alone(run, data, given, trained):
    import_outputs(run, data, given, "--training", "200 epochs")
    before = contents(run)
    cgbench("evaluate", run, "--data-root", data, "--device", "cpu")
    assert contents(run) == before
    assert "cyclegan, seed 0: done before, kept" in " ".join(cgbench(*command(run.parent, data)).split())
    assert contents(run) == before
    out = run.parent / "out"
    images = ["translate", run, data / "testA", "--output", out, "--device", "cpu"]
    assert "'theirs' holds outputs of another program; there is cyclegan (seed 0)" in cgbench(
        *images, "--method", "theirs", code=2
    )
    cgbench(*images)  # there is one trained trial still
    assert "theirs" not in cgbench("diff", trained[0], run)  # and exit code 0: nothing differs
    said = " ".join(cgbench("extend", run, "--steps", 4, "--data-root", data, "--device", "cpu").split())
    assert "left out: theirs: outputs of another program, nothing to train here" in said
    after = contents(run)
    assert {path: it for path, it in after.items() if "theirs" in path} == {
        path: it for path, it in before.items() if "theirs" in path
    }


def test_a_changed_metric_measures_it_again_with_the_run_and_is_refused_before(run, data, given, monkeypatch):
    import_outputs(run, data, given)
    metric = METRICS.get("output_diversity")
    changed = replace(metric, version=metric.version + 1)
    monkeypatch.setitem(METRICS._factories, metric.name, lambda: changed)
    assert "was measured otherwise" in import_outputs(run, data, given, name="more", code=2)
    cgbench(*command(run.parent, data))
    rows = [row for name in ("cyclegan", "theirs", "copy") for row in read_jsonl(method_folder(run, name).metrics)]
    assert len({row["protocol"] for row in rows if (row["metric"], row["direction"]) == (metric.name, "AtoB")}) == 1
    ensure_same_numbers(method_folder(run, "cyclegan"), method_folder(run), "AtoB")


def test_lost_outputs_are_said_and_the_row_keeps_its_records(run, data, given):
    import_outputs(run, data, given)
    method_folder(run).output("AtoB", "1").unlink()
    before = contents(run)
    said = " ".join(cgbench("evaluate", run, "--data-root", data, "--device", "cpu", code=1).split())
    assert "theirs, seed 0: left out:" in said and "delete the row's folder and import its outputs again" in said
    assert contents(run) == before


def test_names_and_seeds_that_are_taken_are_refused(run, data, given):
    import_outputs(run, data, given, "--seed", 1)
    import_outputs(run, data, given, "--seed", 2)
    import_outputs(run, data, given, name="alone")
    before = contents(run)
    for name, options, said in (
        ("theirs", ["--seed", 1], "seed 1 was imported before; to import it anew, delete"),
        ("theirs", [], "imported before with seed 1"),
        ("alone", ["--seed", 0], "imported before without a seed"),
        ("alone", [], "imported before without a seed"),
        ("Alone", [], "the run has alone, which not every file system tells apart"),
        ("theirs", ["--seed", 3, "--training", "long"], "has --training nothing, not long"),
        ("cyclegan", [], "a method has this name: choose another, such as cyclegan-theirs"),
        ("CUT", [], "a method has this name"),  # not in this run, but it may come
        ("copy", [], "a method has this name"),
        *((name, [], "a name has 1 to 64 letters") for name in ("../out", "a/b", ".x", "", "a b", "é", "a" * 65)),
        ("a\n", [], "a name has 1 to 64 letters"),
        ("more", ["--seed", -1], "a seed is a whole number from 0"),
        ("more", ["--seed", 2**31], "a seed is a whole number from 0"),
        ("more", ["--training", "two\nlines"], "--training: one line"),
        ("more", ["--training", "x" * 501], "--training: one line"),
    ):  # fmt: skip
        text = import_outputs(run, data, given, *options, name=name, code=2)
        assert said in text and text.count("cgbench:") == 1, text
        assert len(text.strip().splitlines()[-1]) < 400
    assert "choose another name" in import_outputs(
        run, data, method_folder(run, "cyclegan").path / "outputs" / "BtoA", "--seed", 3, direction="BtoA", code=2
    )
    assert contents(run) == before


def bomb(path):
    """A PNG file whose header says a gigapixel."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 40_000, 25_000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))


def spoil(given, how):
    one = given / "1.png"
    if how == "missing":
        one.unlink()
    elif how == "too many":
        for number in range(1_000):
            shutil.copy(one, given / f"wrong-{number}.png")
    elif how == "control characters":
        one.rename(given / "1\x1b[2J\n.png")
    elif how == "link":
        one.rename(given.parent / "outside.png")
        os.symlink(given.parent / "outside.png", one)
    elif how == "broken":
        one.write_bytes(one.read_bytes()[:60])
    elif how == "bomb":
        bomb(one)
    elif how == "size":
        Image.open(one).resize((32, 16)).save(one)
    elif how == "pipe":
        one.unlink()
        os.mkfifo(one)
    elif how == "numbers":
        np.save(given / "1.npy", np.zeros((16, 16), np.int16))
        one.unlink()
    else:
        shutil.rmtree(given)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "3 test images AtoB: 1 missing (1); expected is one image per test image, named KEY.png"),
        ("too many", "1,000 too many (wrong-0.png, wrong-1.png, wrong-10.png and 997 more)"),
        ("control characters", r"1 missing (1); 1 too many (1\x1b[2J\n.png)"),
        ("link", "is a symbolic link that leads out of its folder"),
        ("broken", "1.png"),
        ("bomb", "1.png: more than 80,000,000 pixels"),
        ("size", "1.png is 32 × 16 pixels, and the run measures at 16 × 16 (1 of 3 files differ)"),
        ("pipe", "1.png: is no file but a pipe"),
        ("numbers", "1 missing (1)"),
        ("gone", "it is not there: name the folder of the images"),
    ],
)
def test_what_does_not_fit_is_one_line_and_nothing_is_written(run, data, given, how, said):
    before = contents(run)
    spoil(given, how)
    text = import_outputs(run, data, given, code=2)
    (line,) = [line for line in text.splitlines() if line.startswith("cgbench:")]
    assert said in line and "\x1b" not in line and len(line) < 700
    assert contents(run) == before and not list(run.glob(".import*"))


def test_stopped_it_leaves_nothing_half_done(run, data, given, monkeypatch):
    before = contents(run)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(external_trials, "save_imported", stop)  # all is measured, nothing is in place
    import_outputs(run, data, given, code=130)
    assert contents(run) == before and not list(run.glob(".import*"))
    killed = run / ".import.left.part"
    shutil.copytree(method_folder(run, "cyclegan").path, killed)  # of a process that could not clean up
    monkeypatch.undo()
    monkeypatch.setattr(report, "write_and_print", lambda *_: None)
    import_outputs(run, data, given)
    assert not killed.exists() and method_folder(run).trial.is_file()


def test_a_run_that_is_not_finished_or_not_there_is_refused(run, data, given, tmp_path):
    for path in run.glob("own/*/seed-0/status.json"):
        path.unlink()
    assert "has no finished trial to compare with" in import_outputs(run, data, given, code=2)
    assert "is not a run folder" in import_outputs(tmp_path / "none", data, given, code=2)
    assert not (tmp_path / "none").exists()
