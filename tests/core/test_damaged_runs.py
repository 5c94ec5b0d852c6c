"""Run folders with one damaged or foreign value each: every command that reads them ends with one line or as usual."""

import json
import math
import os
import shutil
import socket
from contextlib import suppress

import pytest
from click.testing import CliRunner

from cgbench.benchmarks.cli.main import main
from cgbench.digests import digest
from cgbench.errors import CgbenchError
from cgbench.files import append_jsonl, read_json, read_jsonl, write_json, write_jsonl
from cgbench.formatting import CONTROLS
from cgbench.lock import locked
from cgbench.reports.figures.losses import read_losses
from cgbench.reports.formats.images import data_uri
from cgbench.reports.galleries.worst_images import worst_images
from cgbench.reports.sections.costs import costs
from cgbench.reports.sections.failures import read_failures
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from helpers.run_folder import VALUES, add_failures, build_run

GONE = object()
DEEP = json.loads("[" * 400 + "]" * 400)
LONG = "x" * 1_000_000
TRIAL = "shapes/cyclegan/seed-0"

# file, path of the value in it (a line's number first in a .jsonl), new value
REFUSED = [
    *(("run.json", path, value) for path, value in (
        ("", []), ("", None), ("", 3), ("name", 3), ("name", GONE), ("command", None), ("created", GONE),
        ("created", 1e308), ("preset", GONE), ("preset", ["demo"]), ("dataset", ["shapes"]), ("dataset", "elsewhere"),
        ("methods", {"cyclegan": 1}), ("methods", "cyclegan"), ("methods", [1]), ("methods", [["cyclegan"]]),
        ("methods", ["cyclegan", "cyclegan"]), ("methods", [f"m{i}" for i in range(2_000)]),
        ("seeds", {"0": 0}), ("seeds", ["0"]), ("seeds", [0.5]), ("seeds", [True]), ("seeds", [-1]), ("seeds", [0, 0]),
        ("seeds", [10**30]), ("seeds", list(range(20_000))), ("seeds", [math.nan]),
    )),
    *((f"{TRIAL}/trial.json", path, value) for path, value in (
        ("", []), ("schema", 1), ("schema", 3), ("schema", "2"), ("schema", True), ("schema", None), ("method", []),
        ("method.name", GONE), ("method.parent", 3), ("method.role", "king"), ("method.role", None),
        ("method.terms", {"a": 1}), ("method.terms", [1]), ("method.terms.0.weight", "1"),
        ("method.terms.0.weight", 1e308), ("method.terms.0.name", GONE), ("method.changes", "none"),
        ("dataset", None), ("dataset.label", 7), ("dataset.label", "../.."), ("dataset.directions", ["AtoB"]),
        ("dataset.directions.AtoB", 5), ("dataset.counts", [1]), ("dataset.counts.test", "many"),
        ("dataset.palette", {"road": 1}), ("dataset.palette", [[]]), ("dataset.palette", [[1, 2, 3, "road"]]),
        ("dataset.domains", [1]), ("seed", "0"), ("seed", 1), ("seed", True), ("steps", GONE), ("steps", 1e308),
        ("steps", -5), ("config", []), ("config.batch_size", "1"), ("config.batch_size", True),
        ("config.batch_size", 10**400), ("config.learning_rate", math.nan), ("config.crop_size", [64]),
        ("config.horizontal_flip", "false"), ("weights", [1]), ("weights.cycle_a", "10"), ("origins", []),
        ("origins.steps", 3), ("digest", 7), ("preset", 7), ("data", ["a"]), ("parameters", [1]), ("parameters", None),
        ("parameters.G_ab", "180419"), ("parameters.G_ab", 1e308), ("versions", "1"), ("versions.torch", 2.15),
        ("git", {}), ("device", ["cpu"]), ("hardware", "big"), ("extended", {}), ("extended", [{"from": "1"}]),
        ("extended", [{}]), ("continued", 3),
    )),
    *((f"{TRIAL}/status.json", path, value) for path, value in (
        ("", []), ("state", "finished"), ("state", ["done"]), ("state", GONE), ("step", "2000"), ("step", 1e308),
        ("step", -1), ("seconds", "many"), ("seconds", math.nan), ("seconds", math.inf), ("seconds", 1e308),
        ("memory", [1]), ("memory", 10**40), ("reason", 5),
    )),
    *((f"{TRIAL}/metrics.jsonl", path, value) for path, value in (
        ("1.value", "0.5"), ("1.value", None), ("1.value", True), ("1.value", [0.5]), ("1.value", 1e308),
        ("1.value", -1e308), ("1.value", GONE), ("1.step", "2000"), ("1.step", 1.5), ("1.step", -1), ("1.n", GONE),
        ("1.n", "12"), ("1.metric", 3), ("1.metric", ""), ("1.metric", GONE), ("1.direction", "../.."),
        ("1.direction", 5), ("1.protocol", GONE), ("1.protocol", ["a"]), ("1.split", "train"), ("1.reason", 3),
        ("1.seed", 4), ("1.two\nlines", 4), ("1", []), ("1", 5), ("1.error_images", -0.1), ("1.error_images", "0.1"),
        ("1.error_images", math.nan), ("1.error_images", 1e308),
    )),
    *((f"{TRIAL}/image_scores.jsonl", path, value) for path, value in (
        ("0.value", "0.5"), ("0.value", {}), ("0.value", 1e308), ("0.key", 3), ("0.key", GONE), ("0.metric", ["m"]),
        ("0.direction", "up"), ("0", [1]),
    )),
    *((f"{TRIAL}/steps.jsonl", path, value) for path, value in (
        ("3.step", "200"), ("3.step", GONE), ("3.losses", [1]), ("3.losses", GONE), ("3.losses.cycle_a", "0.3"),
        ("3.losses.cycle_a", 1e308), ("3.seconds", math.nan), ("3", 7),
    )),
    *((f"{TRIAL}/failures.json", path, value) for path, value in (
        ("", []), ("AtoB", [1]), ("up", {}), ("AtoB.copy", 3), ("AtoB.copy.state", "perhaps"),
        ("AtoB.copy.label", GONE), ("AtoB.copy.label", 3), ("AtoB.copy.threshold", "0.25"),
        ("AtoB.copy.threshold", 1e308), ("AtoB.copy.share", 7), ("AtoB.copy.rate", "0"), ("AtoB.copy.rate", GONE),
        ("AtoB.copy.flagged", {"a": 1}), ("AtoB.copy.flagged", [1]), ("AtoB.copy.explained_by", "copy"),
        ("AtoB.copy.state", "explained"), ("AtoB.copy.detail", 4), ("AtoB.copy.above", "no"),
        ("AtoB.copy.state", "cannot be judged"),
        ("AtoB.lost.calibration", [1]), ("AtoB.lost.calibration.healthy_rate", 7),
        ("AtoB.lost.calibration.control_images", GONE), ("AtoB.lost.calibration.origin", 3),
    )),
    *((f"{TRIAL}/cost.json", path, value) for path, value in (
        ("", []), ("images_per_second", GONE), ("images_per_second", [1]), ("images_per_second.AtoB", "80"),
        ("images_per_second.AtoB", 1e308), ("images_per_second.AtoB", math.nan), ("images_per_second.up", 3),
    )),
    *((f"{TRIAL}/protocols.json", path, value) for path, value in (
        ("", []), ("aaaaaaaaaaaa", "test"), ("aaaaaaaaaaaa.scorer", ["x"]), ("aaaaaaaaaaaa.images", 1e308),
    )),
]  # fmt: skip
# what must not be refused: numbers as measured, and fields of a later step of this version
READ = [
    ("run.json", "note", "new"), (f"{TRIAL}/trial.json", "note", DEEP),
    (f"{TRIAL}/status.json", "note", 1), (f"{TRIAL}/metrics.jsonl", "1.value", math.nan),
    (f"{TRIAL}/metrics.jsonl", "1.value", math.inf), (f"{TRIAL}/metrics.jsonl", "1.value", 1),
    (f"{TRIAL}/metrics.jsonl", "1.value", 1e99), (f"{TRIAL}/image_scores.jsonl", "0.value", math.nan),
    (f"{TRIAL}/steps.jsonl", "3.losses.cycle_a", math.inf), (f"{TRIAL}/failures.json", "AtoB.copy.evidence", None),
    (f"{TRIAL}/cost.json", "images_per_second", {}), (f"{TRIAL}/protocols.json", "cccccccccccc", {"images": 3}),
    (f"{TRIAL}/metrics.jsonl", "1.reason", LONG[:90_000]),
    (f"{TRIAL}/metrics.jsonl", "1.error_images", 0.01), (f"{TRIAL}/metrics.jsonl", "1.error_images", None),
]  # fmt: skip
# a surrogate of a name that is not UTF-8, one that stands for no byte, and what terminals obey
UNPRINTABLE = "caf\udce9 \ud800 \x1b[31m\u202e\x9b1m"
PLACES = [
    ("run.json", "command"), ("run.json", "preset"), (f"{TRIAL}/trial.json", "git"),
    (f"{TRIAL}/trial.json", "device"),
    (f"{TRIAL}/trial.json", "dataset.licence"), (f"{TRIAL}/trial.json", "method.summary"),
    (f"{TRIAL}/status.json", "reason"), (f"{TRIAL}/metrics.jsonl", "1.reason"),
    (f"{TRIAL}/metrics.jsonl", "1.metric"),
    (f"{TRIAL}/image_scores.jsonl", "0.key"), (f"{TRIAL}/failures.json", "AtoB.copy.label"),
    (f"{TRIAL}/failures.json", "AtoB.copy.summary"), (f"{TRIAL}/protocols.json", "aaaaaaaaaaaa.scorer"),
]  # fmt: skip
FILES = [
    "run.json",
    *(f"{TRIAL}/{name}" for name in (
        "trial.json", "status.json", "metrics.jsonl", "history.jsonl", "image_scores.jsonl", "steps.jsonl",
        "failures.json", "cost.json", "protocols.json",
    )),
]  # fmt: skip


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    path = build_run(tmp_path_factory.mktemp("healthy") / "run", ("cyclegan", "gan_only"), (0, 1), images=2, side=8)
    return add_failures(path, images=2, ood_images=1)


@pytest.fixture
def run(healthy, tmp_path):
    return shutil.copytree(healthy, tmp_path / "run")


def change(path, keys, value):
    """Set, or with `GONE` remove, one value of a file; the keys are separated by dots."""
    rows = path.suffix == ".jsonl"
    holder = {"": list(read_jsonl(path)) if rows else read_json(path)}
    place, *names = ["", *filter(None, keys.split("."))]
    target = holder
    for name in names:
        target, place = target[place], int(name) if isinstance(target[place], list) else name
    if value is GONE:
        del target[place]
    else:
        target[place] = value
    (write_jsonl if rows else write_json)(path, holder[""])


def read_everything(run):
    """Read all files of a run, by the functions that the report and the page are made with."""
    contents = read_run(run)
    contents.protocols(), costs(contents), read_failures(contents), read_losses(contents.trials)
    worst_images(contents, VALUES)


def outcome(*arguments):
    """Run a command; return its exit code, which is 0, or 2 with one line."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.exit_code in (0, 2), result.output
    assert result.exit_code == 0 or result.stderr.count("\n") == 1, result.stderr
    assert not CONTROLS.search((result.stdout + result.stderr).replace("\n", ""))
    return result.exit_code


def outcomes(run, healthy):
    """Return the exit codes of the commands that read a run."""
    baseline = run.parent / "baseline.json"
    return {
        outcome("report", run, "--format", "md"), outcome("diff", run, healthy), outcome("table", "4", run),
        outcome("baseline", "update", run, "--baseline", baseline, "--dry-run"),
    }  # fmt: skip


def case_name(case):
    return f"{case[0].split('/')[-1]}-{case[1]}-{repr(case[2])[:20]}"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", REFUSED, ids=case_name)
def test_a_changed_value_is_one_line_that_names_the_file(case, run):
    file, keys, value = case
    change(run / file, keys, value)
    with pytest.raises(CgbenchError) as error:
        read_everything(run)
    line = str(error.value)
    assert file.split("/")[-1] in line and "\n" not in line and len(line) < 1000, line


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", REFUSED[::8], ids=case_name)
def test_every_command_that_reads_it_ends_with_one_line(case, run, healthy):
    change(run / case[0], *case[1:])
    assert outcomes(run, healthy) in ({2}, {0, 2})  # not every command reads every file


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", READ, ids=case_name)
def test_numbers_as_measured_and_unknown_fields_are_read(case, run, healthy):
    change(run / case[0], *case[1:])
    read_everything(run)
    assert outcomes(run, healthy) == {0}


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("file", "keys"), PLACES, ids=lambda text: text.split("/")[-1])
def test_what_cannot_be_printed_is_shown_as_its_escape(file, keys, run, healthy):
    change(run / file, keys, UNPRINTABLE)
    change(run / TRIAL / "steps.jsonl", f"3.losses.{UNPRINTABLE}", 0.5)
    read_everything(run)
    assert outcomes(run, healthy) == {0}
    for form in ("html", "csv", "latex"):
        assert outcome("report", run, "--format", form) == 0
    outcome("study", "make", run, "--practice", "1", "--scored", "1", "--output", run.parent / "study.html")


def test_records_are_read_with_escapes_for_what_cannot_be_printed(tmp_path):
    value = {"caf\udce9": ["\ud800", "sound \U0001f600 é–→\t\n", {"a": r"\ud800"}, "\x1b[31m\r\x7f\x9b\u202e\u2066\0"]}
    controls = r"\x1b[31m\r\x7f\x9b\u202e\u2066\x00"
    escaped = {r"caf\udce9": [r"\ud800", "sound \U0001f600 é–→\t\n", {"a": r"\ud800"}, controls]}
    write_json(tmp_path / "a.json", value)
    (tmp_path / "b.json").write_text(json.dumps(value))
    write_jsonl(tmp_path / "a.jsonl", [value])
    append_jsonl(tmp_path / "a.jsonl", value)
    assert read_json(tmp_path / "a.json") == read_json(tmp_path / "b.json") == escaped
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [escaped, escaped]
    assert len(digest(value)) == 12


@pytest.mark.timeout(30)
def test_a_run_of_as_many_seeds_as_there_may_be_is_read(run, healthy):
    change(run / "run.json", "seeds", list(range(10_000)))
    assert outcome("report", run, "--format", "md") == outcome("table", "4", run) == 0


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "link to a folder", "link to a device", "link to itself"])
@pytest.mark.parametrize("file", [*FILES, f"{TRIAL}/outputs/AtoB/scene-000.png"], ids=lambda file: file.split("/")[-1])
def test_what_is_no_file_is_not_opened(file, kind, run, monkeypatch):
    path = run / file
    path.unlink(missing_ok=True)
    monkeypatch.chdir(path.parent)  # the name of a socket is short
    make = {
        "pipe": os.mkfifo,
        "socket": lambda name: socket.socket(socket.AF_UNIX).bind(name),
        "folder": os.mkdir,
        "link to a folder": lambda name: os.symlink(run.parent, name),
        "link to a device": lambda name: os.symlink("/dev/zero", name),
        "link to itself": lambda name: os.symlink(name, name),
    }
    make[kind](path.name)
    if path.suffix == ".png" or (kind == "link to itself" and file != "run.json"):
        outcome("report", run, "--format", "md")  # as one that is missing
    else:
        with pytest.raises(CgbenchError, match=path.name):
            read_everything(run)
    if path.suffix == ".png" and "link to itself" not in kind:
        with pytest.raises(CgbenchError, match="is not a readable image"):
            data_uri(path)


@pytest.mark.parametrize("name", ["metrics", "history", "image_scores", "steps"])
def test_two_rows_of_one_number_are_refused_with_both_lines(name, run):
    trial = TrialFolder(run / TRIAL)
    path = trial.path / f"{name}.jsonl"
    rows = list(read_jsonl(path if path.exists() else trial.metrics))
    write_jsonl(path, [*rows, {**rows[1], "value": 0.7} if "value" in rows[1] else rows[1]])
    with pytest.raises(CgbenchError, match=rf"{name}\.jsonl, lines 2 and {len(rows) + 1}: two rows of one"):
        read_everything(run)


def test_numbers_of_another_step_than_the_status_are_refused(run):
    folder = TrialFolder(run / TRIAL)
    folder.set_status(**{**folder.status(), "step": 7})
    with pytest.raises(CgbenchError, match=r"metrics\.jsonl is of step \d+, but status\.json says 7"):
        read_run(run)


@pytest.mark.parametrize("name", ["report", "shapes/cyclegan/seed-0/outputs", "shapes/cyclegan", "other"])
def test_a_linked_folder_in_a_run_is_not_written_through(name, run, tmp_path):
    outside = tmp_path / "outside"
    if (path := run / name).exists():
        shutil.move(path, outside)
    outside.mkdir(exist_ok=True)
    path.symlink_to(outside)
    before = sorted(outside.rglob("*"))
    assert outcome("report", run) == 2
    assert sorted(outside.rglob("*")) == before


@pytest.mark.parametrize("kind", ["file", "missing", "pipe", "folder"])
def test_a_lock_that_is_no_file_of_its_own_is_refused(kind, run, tmp_path):
    target = tmp_path / "precious"
    if kind == "file":
        target.write_text("precious")
    if kind in ("file", "missing"):
        (run / ".lock").symlink_to(target)
    else:
        {"pipe": os.mkfifo, "folder": os.mkdir}[kind](run / ".lock")
    with pytest.raises(CgbenchError, match=r"\.lock is a"), locked(run):
        pass
    assert outcome("report", run) == 2
    assert target.exists() == (kind == "file") and (kind != "file" or target.read_text() == "precious")


def test_a_linked_log_is_not_appended_to_and_a_linked_record_is_replaced(run, tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    trial = TrialFolder(run / TRIAL)
    for path, write in ((trial.steps, append_jsonl), (trial.cost, write_json)):
        path.unlink()
        path.symlink_to(target)
        with suppress(CgbenchError):
            write(path, {"a": 1})
    assert target.read_text() == "precious" and trial.steps.is_symlink() and not trial.cost.is_symlink()
