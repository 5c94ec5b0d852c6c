"""Packages that misbehave, through their entry points: each costs itself alone, and one line names its package."""

import hashlib
import re
from pathlib import Path

import pytest

from cgbench.api import declarations
from cgbench.api.registry import DATASETS, FAILURES, METHODS, METRICS
from cgbench.files import read_json, read_jsonl
from cgbench.results.run_folder import TrialFolder
from helpers.hostile_package import DECLARATIONS, EXIT, RUNNING, Installed
from helpers.run_folder import build_run

# what stands in the place of a plugin -> (group, entry point, what its line says beside its name and package)
REFUSED = {
    "none": ("methods", "its factory returns NoneType, not a Method"),
    "number": ("methods", "its factory returns int, not a Method"),
    "raising": ("methods", "ValueError: two"),
    "leaving": ("methods", "SystemExit: good bye"),
    "uncallable_term": ("methods", "term 'cycle_a': its function is none, but None"),
    "endless_weight": ("methods", "term 'cycle_a': its weight is a finite number, not nan"),
    "foreign_default": ("methods", "'steps' belongs to the comparison"),
    "uncallable_reference": ("methods", "the function of its reference is none"),
    "VALUE": ("methods", "it is a Method, not a function that returns a method"),
    "cyclegan": ("methods", "registered twice: by cgbench.methods.cyclegan and by declarations (package hostile 1.0)"),
    "best": ("metrics", "better is 'higher', 'lower' or '', not 'best'"),
    "taken": ("metrics", "its value 'psnr' is one of metric 'similarity' too"),
    "valueless": ("metrics", "its values must be a tuple of Value, not ('brightness',)"),
    "unprintable": ("metrics", "value 'unprintable': it needs a label"),
    "unprintable_name": ("methods", r"a method needs a name, one line of text, not '\ud800'"),
    "uncallable_metric": ("metrics", "`compute` must be a function, not 3"),
    "similarity": ("metrics", "registered twice: by cgbench.benchmarks.metrics.similarity and by declarations"),
    "too_common": ("failures", "the share of images is above 0 and at most 1, not 1.5"),
    "boundless": ("failures", "the threshold is inf"),
    "NoDomains": ("datasets", "dataset 'no_domains' has 0 domains, not two"),
    "NoTexts": ("datasets", "splits must be a tuple of texts, not (1, 2)"),
    "OneText": ("datasets", "splits must be a tuple of texts, not 'train'"),
    "Abstract": ("datasets", "TypeError: Can't instantiate abstract class Abstract"),
}
EVERYTHING = """
from cgbench import METHODS
from cgbench.benchmarks.trials.request import RunRequest
trials, _, left_out = RunRequest(tuple(METHODS.names()), "phantoms", None, (0,), "smoke", whatever_fits=True).resolve()
print(*(f"{name}: {reason}" for name, reason in left_out.items() if name == "cyclegan"))
print(*(trial.method.name for trial in trials), "")
"""
BROKEN_DATASETS = (
    "RaisingItems", "RaisingMissing", "RaisingImage", "NoItems", "UnprintableLabel", "UnprintableKey",
)  # fmt: skip
BROKEN_METRICS = ("writing", "mapping", "undeclared", "raising", "unprintable", "inapplicable", "once")
SOUND = ("copy", "shuffled", "real", "cycle_only")


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    points = {"methods": {"sound_method": "declarations:sound_method", "exit": "leaves_at_import"}}
    for name, (group, _) in REFUSED.items():
        points.setdefault(group, {})[name] = f"declarations:{name}"
    modules = {"declarations": DECLARATIONS, "leaves_at_import": EXIT}
    return Installed(tmp_path_factory.mktemp("declared"), modules, points)


@pytest.fixture(scope="module")
def listed(declared):
    return {group: declared.cgbench(group) for group in ("methods", "metrics", "failures", "datasets")}


@pytest.mark.parametrize("name", REFUSED)
def test_a_declaration_that_is_wrong_is_refused_when_it_is_found(listed, name):
    group, message = REFUSED[name]
    lines = [line for line in listed[group].stderr.splitlines() if message in line]
    assert len(lines) == 1, listed[group].stderr
    assert "could not be loaded" in lines[0] and "package hostile 1.0" in lines[0]
    assert f":{name})" in lines[0] or f"'{name}'" in lines[0]
    assert "Traceback" not in listed[group].stderr


def test_a_module_that_leaves_the_program_leaves_alone(listed):
    assert "plugin 'exit' could not be loaded: package hostile 1.0 (leaves_at_import): SystemExit: 7" in (
        listed["methods"].stderr
    )
    assert "sound_method" in listed["methods"].stdout and "unit" in listed["methods"].stdout


def test_a_name_that_two_packages_give_is_refused_and_others_are_trained(declared):
    twice = "'cyclegan' is registered twice: by cgbench.methods.cyclegan and by declarations (package hostile 1.0)"
    for arguments in (("show", "cyclegan"), ("run", "--methods", "cyclegan", "--dataset", "phantoms")):
        refused = declared.cgbench(*arguments, code=2).stderr.splitlines()[-1]
        assert twice in refused and "uninstall package hostile 1.0 or rename its method" in refused
    assert not (declared.work / "runs").exists()
    left_out, trained = declared.python(EVERYTHING).stdout.splitlines()
    assert left_out.startswith("cyclegan: method " + twice) and "sound_method" in trained and "unit" in trained
    assert "cyclegan " not in trained
    assert "cannot be used: package hostile 1.0" in declared.cgbench("show", "none", code=2).stderr


def test_a_name_that_two_packages_give_is_not_timed_nor_translated_with(declared, tmp_path):
    twice = "'cyclegan' is registered twice: by cgbench.methods.cyclegan and by declarations (package hostile 1.0)"
    refused = declared.cgbench("speed", "--parts", "table", "--methods", "cyclegan", code=2).stderr
    assert twice in refused.splitlines()[-1]
    build_run(tmp_path / "run", ("cyclegan",), (0,), images=1, side=8)
    photo = TrialFolder.of(tmp_path / "run", "shapes", "cyclegan", 0).output("AtoB", "scene-000")
    refused = declared.cgbench("translate", tmp_path / "run", photo, "--output", tmp_path / "out", code=2).stderr
    assert twice in refused.splitlines()[-1]


def test_tracebacks_are_for_those_who_ask(declared):
    quiet = declared.run("sound_method", "--dry-run")
    assert "Traceback" not in quiet.stdout + quiet.stderr and "plugin 'raising' could not be loaded" in quiet.stderr
    loud = declared.run("sound_method", "--dry-run", "-v")
    assert 'raise ValueError("two' in loud.stdout


@pytest.mark.parametrize(
    ("registry", "check"),
    [
        (METHODS, declarations.check_method),
        (DATASETS, declarations.check_dataset),
        (METRICS, declarations.check_metric),
        (FAILURES, declarations.check_failure),
    ],
)
def test_built_in_components_declare_what_plugins_must(registry, check):
    made = [registry.get(name) for name in registry.names()]
    for index, component in enumerate(made):
        check(component, made[:index])
    assert not registry.broken


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    losses = ("late_loss", "first_loss", "leaving_loss", "scribbling_row")
    points = {
        "methods": {name: f"running:{name}" for name in losses},
        "metrics": {name: f"running:{name}" for name in BROKEN_METRICS},
        "failures": {"writing_detector": "running:writing_detector"},
        "datasets": {name: f"running:{name}" for name in BROKEN_DATASETS},
    }
    return Installed(tmp_path_factory.mktemp("running"), {"running": RUNNING}, points)


def numbers(run: Path):
    """The lines of all metrics of all trials that the built-in metrics gave, and the digest of every stored output."""
    lines, ours = {}, ("copy", "real", "cycle_only")
    for path in sorted(run.rglob("metrics.jsonl")):
        if path.parts[-3] in ours:
            rows = [
                row for row in path.read_text().splitlines() if not any(f'"{name}"' in row for name in BROKEN_METRICS)
            ]
            lines[path.relative_to(run)] = rows
    images = [path for path in sorted(run.rglob("*.png")) if set(path.parts) & set(ours)]
    return lines, {path.relative_to(run): hashlib.sha256(path.read_bytes()).hexdigest() for path in images}


def test_what_breaks_in_a_run_breaks_alone(running):
    """The numbers and pictures of the others are those of a run without the package."""
    running.run("cycle_only", "--name", "alone", found=False)
    done = running.run("cycle_only,late_loss,first_loss,leaving_loss", "--name", "beside", code=1)
    text = re.sub(r"\s+", " ", done.stdout)
    assert "Traceback" not in done.stdout + done.stderr
    alone, beside = (numbers(running.work / "runs" / name) for name in ("alone", "beside"))
    assert alone == beside and len(alone[0]) == 3 and len(alone[1]) > 6
    for name, error in {
        "writing": "ValueError: assignment destination is read-only",
        "mapping": "TypeError: compute returned dict, not Scores",
        "undeclared": "ValueError: it declares undeclared and computed undeclared, more",
        "unprintable": r"ValueError: \ud800\x1b[31m",
        "raising": "ZeroDivisionError: division by zero",
        "inapplicable": "AttributeError: 'Translations' object has no attribute 'nothing'",
    }.items():
        assert f"metric '{name}' failed: {error} (package hostile 1.0)" in text
    assert "detector 'writing_detector' failed: ValueError: assignment destination is read-only" in text
    assert "method 'first_loss' of package hostile 1.0: a training step fails: AttributeError: 'Tensor'" in text
    assert re.search(r"first_loss, seed 0: failed: .*\(package hostile 1.0, first in running.py, line \d+\)", text)
    assert re.search(r"late_loss, seed 0: failed: KeyError: 'in the middle' \(package hostile 1.0, late in", text)
    assert re.search(r"leaving_loss, seed 0: failed: SystemExit: 5 \(package hostile 1.0, leave in", text)
    assert re.search(r"scribbling_row, seed 0: failed: ValueError: .*read-only \(package hostile 1.0, scribble", text)
    assert "Traceback" in next(running.folder.rglob("first_loss/seed-0/error.txt")).read_text()


def test_what_breaks_in_two_processes_breaks_alone(running):
    """A method that another process trains, a metric whose factory raises the second time, and later an evaluation."""
    methods = "cycle_only,late_loss,first_loss,leaving_loss"
    done = running.run(methods, "--jobs", "2", "--name", "jobs", code=1)
    assert "Traceback" not in done.stdout + done.stderr
    ended = {path.parts[-3]: read_json(path)["state"] for path in running.work.glob("runs/jobs/*/*/*/status.json")}
    broken = ("late_loss", "first_loss", "leaving_loss", "scribbling_row")
    assert ended == {name: "failed" if name in broken else "done" for name in (*broken, *SOUND)}
    assert re.search(r"leaving_loss, seed 0: failed: SystemExit: 5 \(package hostile 1.0, leave in", done.stdout)
    for name in SOUND:
        rows = read_jsonl(running.work / f"runs/jobs/phantoms/{name}/seed-0/metrics.jsonl")
        once = [row["value"] for row in rows if row["metric"] == "once"]
        assert once == [1.0] * len(once) and len(once) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "raising_items",
            "dataset 'raising_items' of package hostile 1.0: items('train', 'A'): IndexError: list index",
        ),
        ("raising_missing", "dataset 'raising_missing' of package hostile 1.0: missing(): KeyError: 'where'"),
        ("raising_image", "items, image '0': image(20): ZeroDivisionError: division by zero"),
        ("unprintable_label", r"its label '\ud800' is no name that can be printed on one line"),
        ("unprintable_key", r"items: the key '\x1b[31m' is no name that can be printed on one line"),
        ("no_items", "returned 'a.png', which is no Item with a text as its key"),
    ],
)
def test_a_dataset_that_raises_is_one_line(running, name, message):
    done = running.run("cycle_only", dataset=name, code=2)
    last = done.stderr.splitlines()[-1]
    assert message in last and "package hostile 1.0" in last and "Traceback" not in done.stdout + done.stderr


def test_a_dataset_that_raises_hides_no_other_one(running):
    listing = running.cgbench("datasets").stdout
    assert re.search(r"raising_missing +broken +dataset 'raising_missing' of package hostile 1.0: missing\(\)", listing)
    assert "phantoms" in listing and "streets" in listing
    unready = running.run("cycle_only", dataset="camvid", code=2).stderr
    assert "Ready now:" in unready and "phantoms" in unready.split("Ready now:")[1]
    assert "Traceback" in running.run("cycle_only", "-v", dataset="raising_items", code=2).stdout
