"""The drift gate as users meet it: check, baseline update and diff on runs as training leaves them."""

import json
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from cgbench.files import read_json, read_jsonl, write_json, write_jsonl
from helpers.cli import cgbench
from helpers.run_folder import build_run, whole_run

METHODS = ("cyclegan", "gan_only", "copy", "real")
SEEDS = tuple(range(12))


def make(path, seeds=SEEDS, **options):
    return whole_run(path, METHODS, seeds, side=8, images=2, **options)


def alter(run, metric, change, method="cyclegan"):
    """Change a number in all seeds of a run."""
    for path in run.glob(f"shapes/{method}/seed-*/metrics.jsonl"):
        rows = [row | {"value": change(row["value"])} if row["metric"] == metric else row for row in read_jsonl(path)]
        write_jsonl(path, rows)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture
def file(base, tmp_path):
    path = tmp_path / "b.json"
    assert "A new baseline" in cgbench("baseline", "update", base, "--baseline", path)
    return path


@pytest.fixture
def run(tmp_path):
    return make(tmp_path / "pr", SEEDS[:6])


def test_an_unchanged_run_passes_and_says_that_it_is_the_same(file, run):
    output = cgbench("check", run, "--baseline", file)
    assert output.startswith("PASS") and "digit for digit: 30 of 30" in output


def test_a_worse_run_fails_in_text_json_and_junit(file, run, tmp_path):
    alter(run, "fcn_iou", lambda value: value - 0.2)
    files = ["--json", tmp_path / "v.json", "--junit", tmp_path / "deep" / "v.xml"]
    output = cgbench("check", run, "--baseline", file, *files, code=1)
    assert output.startswith("FAIL") and "fcn_iou ↑" in output and "cyclegan AtoB" in output
    verdict = json.loads((tmp_path / "v.json").read_text())
    assert verdict["exit_code"] == 1 and verdict["counts"]["fail"] == 1
    suite = ElementTree.parse(tmp_path / "deep" / "v.xml").getroot()[0]
    assert suite.get("failures") == "1" and int(suite.get("tests")) == len(verdict["findings"])


def test_a_better_run_passes_unless_strict(file, run):
    alter(run, "fcn_iou", lambda value: value + 0.2)
    assert "better beyond the noise" in cgbench("check", run, "--baseline", file)
    assert "better (--strict)" in cgbench("check", run, "--baseline", file, "--strict", code=1)


def test_one_seed_is_inconclusive(file, tmp_path):
    output = cgbench("check", make(tmp_path / "one", (0,)), "--baseline", file, code=3)
    assert output.startswith("INCONCLUSIVE") and "one seed in the run" in output


def test_a_floor_that_moves_fails_even_with_one_seed(file, tmp_path):
    run = make(tmp_path / "one", (0,))
    alter(run, "fcn_pixel", lambda value: value + 0.01, method="copy")
    assert "no seed can change it" in cgbench("check", run, "--baseline", file, code=1)


@pytest.mark.parametrize(("state", "code"), [("diverged", 1), ("failed", 1), ("interrupted", 3), ("", 3)])
def test_trials_without_numbers(file, tmp_path, state, code):
    run = make(tmp_path / "pr", SEEDS[:4], states={("gan_only", 3): state})
    output = cgbench("check", run, "--baseline", file, code=code)
    assert f"seed 3 {state or 'not started'}" in output
    assert len(output.splitlines()) < 12  # one line for all that it lacks


def test_a_missing_method_fails(file, tmp_path):
    run = build_run(tmp_path / "pr", ("cyclegan", "copy", "real"), seeds=SEEDS[:4], side=8, images=2)
    assert "not in this run" in cgbench("check", run, "--baseline", file, code=1)


def test_another_protocol_is_refused(file, run):
    for path in run.glob("shapes/*/seed-*/protocols.json"):
        known = read_json(path)
        write_json(path, {"cccccccccccc": known["aaaaaaaaaaaa"] | {"images": 3}, "bbbbbbbbbbbb": known["bbbbbbbbbbbb"]})
        rows = list(read_jsonl(path.with_name("metrics.jsonl")))
        write_jsonl(path.with_name("metrics.jsonl"),
                    [row | {"protocol": row["protocol"].replace("a", "c")} for row in rows])  # fmt: skip
    output = cgbench("check", run, "--baseline", file, code=2)
    assert "images 2 → 3" in output and "baseline update" in output and len(output.splitlines()) == 1


def test_settings_and_program_that_differ_are_shown(file, run):
    for path in run.glob("shapes/*/seed-*/trial.json"):
        spec = read_json(path)
        spec["config"]["learning_rate"], spec["versions"]["torch"] = 0.0006, "2.16.0"
        write_json(path, spec)
    output = cgbench("check", run, "--baseline", file)
    assert "learning_rate 0.0002 → 0.0006" in output and "torch 2.15.0 → 2.16.0" in output


@pytest.mark.parametrize("content", ["", "{}", "\x80", '{"kind": "cgbench baseline"}'])
def test_what_is_no_baseline_is_one_line(tmp_path, run, content):
    path = tmp_path / "bad.json"
    path.write_bytes(content.encode("latin-1"))
    for command in (["check", run], ["baseline", "update", run]):
        output = cgbench(*command, "--baseline", path, code=2)
        assert len(output.splitlines()) == 1 and str(path) in output
    assert path.read_bytes() == content.encode("latin-1")


def test_a_baseline_that_is_not_there_says_how_to_make_it(tmp_path, run):
    assert "cgbench baseline update" in cgbench("check", run, "--baseline", tmp_path / "none.json", code=2)


def test_an_update_shows_the_change_and_keeps_the_rules(file, base, tmp_path):
    before = file.read_bytes()
    assert "all as before" in cgbench("baseline", "update", base, "--baseline", file)
    assert file.read_bytes() == before
    run = make(tmp_path / "new", SEEDS[:10])
    alter(run, "fcn_iou", lambda value: value + 0.1)
    output = cgbench("baseline", "update", run, "--baseline", file, "--min-effect", "fcn_iou=0.02", "--dry-run")
    assert "Not written" in output and file.read_bytes() == before
    output = cgbench("baseline", "update", run, "--baseline", file, "--min-effect", "fcn_iou=0.02")
    assert "shapes cyclegan AtoB: fcn_iou 0.305 ± 0.036 (12 seeds) → 0.395 ± 0.03 (10 seeds)" in output
    assert "minimum {} → {'fcn_iou': 0.02}" in output
    cgbench("baseline", "update", run, "--baseline", file)
    assert json.loads(file.read_text())["rules"]["minimum"] == {"fcn_iou": 0.02}


@pytest.mark.parametrize("text", ["fcn_iou", "=1", "fcn_iou=much", "fcn_iou=-1", "fcn_iou=inf", "fcn=0.1"])
def test_a_minimum_that_is_none_is_refused(file, base, text):
    assert "--min-effect" in cgbench("baseline", "update", base, "--baseline", file, "--min-effect", text, code=2)


def test_a_baseline_of_one_seed_warns(tmp_path):
    output = cgbench("baseline", "update", make(tmp_path / "one", (0,)), "--baseline", tmp_path / "b.json")
    assert "One seed has no spread" in output
    output = cgbench("check", make(tmp_path / "pr", SEEDS[:4]), "--baseline", tmp_path / "b.json", code=3)
    assert "one seed in the baseline" in output


def test_runs_that_do_not_differ(base, tmp_path):
    shutil.copytree(base, tmp_path / "copy")
    output = cgbench("diff", base, tmp_path / "copy", "--exit-code")
    assert output.count("  the same") == 4 and "0 differ, 30 are the same" in output


def test_a_diff_shows_settings_with_layers_states_and_numbers(base, tmp_path):
    other = make(tmp_path / "other", SEEDS[:6], states={("gan_only", 5): "diverged"})
    alter(other, "fcn_iou", lambda value: 1.1 * value + 0.1)
    for path in other.glob("shapes/gan_only/seed-*/trial.json"):
        spec = read_json(path)
        spec["config"]["learning_rate"], spec["origins"]["learning_rate"], spec["git"] = 0.0006, "--set", "def5678"
        write_json(path, spec)
    output = cgbench("diff", base, other)
    assert "gan_only: learning_rate 0.0002 (recipe) → 0.0006 (--set)" in output
    assert "git abc1234 → abc1234, def5678" in output
    assert "gan_only seed 5 done → diverged" in output and "seeds 0, 1, 2" in output
    assert "cyclegan AtoB fcn_iou: 0.305 ± 0.036 (12 seeds) → " in output and "paired *" in output
    assert "Traceback" not in cgbench("diff", base, other, "--exit-code", code=1)


@pytest.mark.parametrize(("value", "layer", "differs"), [("trained", "recipe", False), ("drivers", "--set", True)])
def test_a_setting_that_the_older_version_did_not_record_had_its_default(value, layer, differs, base, file, tmp_path):
    other = tmp_path / "other"
    for run, record in ((shutil.copytree(base, tmp_path / "old"), None), (shutil.copytree(base, other), value)):
        for path in run.glob("shapes/*/seed-*/trial.json"):
            spec = read_json(path)
            spec["config"].pop("scorer", None)
            spec["config"] |= {"scorer": record} if record else {}
            write_json(path, spec | {"origins": spec["origins"] | {"scorer": layer}})
    cgbench("baseline", "update", tmp_path / "old", "--baseline", file)
    said = cgbench("check", other, "--baseline", file) + cgbench("diff", tmp_path / "old", other)
    assert ("scorer – → drivers" in said) == ("scorer –" in said) == differs


def test_fewer_seeds_are_a_difference_of_seeds_alone(base, run):
    output = cgbench("diff", base, run, "--exit-code", code=1)
    assert "Numbers: 0 differ, 30 are the same" in output and "seeds 0, 1, 2, 3, 4, 5, 6" in output


def test_a_diff_of_other_seeds_is_not_paired(base, tmp_path):
    output = cgbench("diff", base, make(tmp_path / "other", (20, 21, 22)))
    assert "other seeds" in output and "paired" not in output.replace("Welch's", "")


@pytest.mark.parametrize("command", [["check", "--help"], ["baseline", "update", "--help"], ["diff", "--help"]])
def test_the_gate_starts_without_torch(command):
    code = (
        "import sys\nfrom cgbench.benchmarks.cli.main import main\n"
        "import cgbench.benchmarks.regression.verdict_formats, cgbench.benchmarks.regression.run_diff\n"
        f"try:\n    main({command!r})\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
