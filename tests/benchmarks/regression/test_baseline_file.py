"""The baseline file: what is written is read back equal, and an invalid file raises a one-line error."""

import copy
import json
import os

import pytest

from cgbench.benchmarks.regression.baseline_file import (
    MAX_BYTES,
    SCHEMA,
    baseline_text,
    make_baseline,
    read_baseline,
    write_baseline,
)
from cgbench.benchmarks.regression.gate import Rules
from cgbench.benchmarks.regression.run_numbers import collect_numbers
from cgbench.errors import CgbenchError
from cgbench.results.run import read_run
from helpers.run_folder import VALUES, build_run, whole_run

METHODS = ("cyclegan", "copy", "real")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    run = read_run(whole_run(tmp_path_factory.mktemp("runs") / "base", METHODS, (0, 1, 2, 3), side=8, images=2))
    return make_baseline(collect_numbers(run, VALUES), Rules())


@pytest.fixture
def content(made):
    return json.loads(baseline_text(made))


def refused(tmp_path, data):
    path = tmp_path / "b.json"
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    with pytest.raises(CgbenchError) as error:
        read_baseline(path)
    text = str(error.value)
    assert text.isprintable() and str(path) in text and len(text) < 700
    return text


def test_it_holds_numbers_losses_and_counts_by_seed(made):
    kinds = {key.metric: number.kind for key, number in made.run.numbers.items()}
    assert kinds["fcn_iou"] in ("trained", "untrained") and kinds["loss/cycle_a"] == "trained"
    assert kinds["parameters/G_ab"] == "count"
    number = next(number for key, number in made.run.numbers.items() if key[1:] == ("cyclegan", "AtoB", "fcn_pixel"))
    assert number.values == pytest.approx({0: 0.5, 1: 0.52, 2: 0.54, 3: 0.56}) and number.better == "higher"
    assert number.n == 2 and number.protocol == "aaaaaaaaaaaa"


def test_what_is_written_is_read_again_and_written_alike(made, tmp_path):
    path = tmp_path / "deep" / "b.json"
    write_baseline(path, made)
    again = read_baseline(path)
    assert again.run.numbers == dict(made.run.numbers) and again.tolerances == made.tolerances
    assert again.rules == made.rules and again.run.provenance == made.run.provenance
    assert baseline_text(again) == path.read_text() == baseline_text(made)


def test_one_number_is_one_line(made):
    lines = baseline_text(made).splitlines()
    assert sum('"metric": "fcn_iou"' in line for line in lines) == len(METHODS)
    assert all(line.count('"metric": ') <= 1 for line in lines if '"dataset"' in line)


def test_it_says_where_it_came_from(content):
    provenance = content["provenance"]
    assert provenance["command"].startswith("cgbench run") and provenance["git"] == ["abc1234"]
    assert provenance["versions"]["torch"] == "2.15.0" and provenance["device"] == ["cpu (2 threads)"]
    assert content["settings"]["cyclegan"]["learning_rate"] == 0.0002
    assert content["settings"]["cyclegan"]["weight of cycle_a"] == 10.0
    assert content["protocols"]["aaaaaaaaaaaa"]["metric"] == "fcn_score"


@pytest.mark.parametrize(
    "states", [{("cyclegan", 1): "diverged"}, {("cyclegan", 2): "interrupted"}, {("cyclegan", 0): ""}]
)
def test_an_unfinished_run_makes_none(tmp_path, states):
    run = read_run(build_run(tmp_path / "r", METHODS, states=states, side=8, images=2))
    with pytest.raises(CgbenchError, match="1 trials that are not done"):
        make_baseline(collect_numbers(run, VALUES), Rules())


def test_a_minimum_for_a_number_that_is_not_there_is_refused(made):
    with pytest.raises(CgbenchError, match="no such number"):
        make_baseline(made.run, Rules(minimum={"fcn_io": 0.1}))
    baseline = make_baseline(made.run, Rules(minimum={"fcn_iou": 0.25}))
    assert {tolerance.min_effect for key, tolerance in baseline.tolerances.items() if key.metric == "fcn_iou"} == {0.25}


@pytest.mark.parametrize("data", [
    b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"schema": NaN}', b"1" * 5000, b'{"a": 1, "a": 2}',
    b"\x80\x04\x95cposix\nsystem\n", b'"\\ud800"', b" " * (MAX_BYTES + 1),
])  # fmt: skip
def test_what_is_no_json_object_is_refused(tmp_path, data):
    refused(tmp_path, data)


CHANGES = {
    "a surplus field": lambda c: c.update(more=1),
    "a missing field": lambda c: c.pop("rules"),
    "another kind": lambda c: c.update(kind="report"),
    "another version": lambda c: c.update(schema=SCHEMA + 1),
    "no numbers": lambda c: c.update(numbers=[]),
    "a bool for a number": lambda c: c["numbers"][0]["values"].update({"0": True}),
    "text for a number": lambda c: c["numbers"][0]["values"].update({"0": "1"}),
    "a huge number": lambda c: c["numbers"][0]["values"].update({"0": 10**400}),
    "a huge count": lambda c: c["numbers"][0].update(n="12"),
    "a seed that is none": lambda c: c["numbers"][0]["values"].update({"../x": 1.0}),
    "one seed twice": lambda c: c["numbers"][0]["values"].update({"00": 1.0}),
    "no values": lambda c: c["numbers"][0].update(values={}),
    "a negative spread": lambda c: c["numbers"][0].update(spread=-1.0),
    "no band": lambda c: c["numbers"][0].update(spread=None),
    "a band without width": lambda c: next(n for n in c["numbers"] if n["kind"] == "trained").update(spread=0),
    "an unknown direction": lambda c: c["numbers"][0].update(direction="AtoC"),
    "an unknown better": lambda c: c["numbers"][0].update(better="more"),
    "an unknown kind of number": lambda c: c["numbers"][0].update(kind="exact"),
    "a name that moves the cursor": lambda c: c["numbers"][0].update(method="\x1b[2Jcyclegan"),
    "a name that turns the line round": lambda c: c["numbers"][0].update(method="\u202enagelcyc"),
    "a name without end": lambda c: c["numbers"][0].update(metric="x" * 201),
    "a number twice": lambda c: c["numbers"].append(copy.deepcopy(c["numbers"][0])),
    "a list as a row": lambda c: c["numbers"].append([]),
    "a setting that is an object": lambda c: c["settings"]["cyclegan"].update(steps={}),
    "a command of control characters": lambda c: c["provenance"].update(command="\x1b]0;x\x07"),
    "a device that is none": lambda c: c["provenance"].update(device=[1]),
    "rules of text": lambda c: c["rules"].update(tolerance_spreads="3"),
    "a negative rule": lambda c: c["rules"].update(minimum_share=-1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_has_not_the_form_is_refused(tmp_path, content, name):
    CHANGES[name](content)
    assert "take it from version control again" in refused(tmp_path, content) or name == "a huge number"


def test_a_folder_a_pipe_and_nothing_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing"):
        with pytest.raises(CgbenchError, match=r"--baseline .*(where a file is expected|not there)"):
            read_baseline(path)
