"""`cgbench speed` as it is called: arms, sizes and methods, what is printed and written, what is refused."""

from functools import partial

import pytest

from cgbench.api.registry import METHODS
from cgbench.benchmarks.cli.options import known_names
from cgbench.benchmarks.cli.speed import PARTS
from cgbench.benchmarks.speed import (
    end_to_end,
    roofline,
    session,
    training_step,
)
from cgbench.benchmarks.speed.measurements import LeftOut, Measurement, SpeedOptions
from cgbench.benchmarks.speed.roofline import TYPES
from cgbench.benchmarks.speed.timing import (
    Budget,
    summary,
)
from cgbench.benchmarks.speed.workload import (
    SIZES,
    read_methods,
    read_variants,
)
from cgbench.errors import CgbenchError
from cgbench.files import read_json, write_jsonl
from helpers.cli import cgbench


@pytest.mark.parametrize(
    ("text", "problem"),
    [("bf16", "write NAME:KEY=VALUE"), ("x:", "write NAME:KEY=VALUE"), ("x:sneed=1", "unknown setting 'sneed'"),
     ("x:norm", "write key=value"), ("reference:horizontal_flip=false", "is taken"),
     ("cgbench:horizontal_flip=false", "is taken"),
     ("x:cyclegan.horizontal_flip=false", "holds for all"), ("x:ngf=7", "changes the work itself"),
     ("x:learning_rate=fast", "must be a number")],
)  # fmt: skip
def test_an_arm_that_cannot_be_measured_is_refused(text, problem):
    with pytest.raises(CgbenchError, match=problem):
        read_variants([text])


def test_arms_sizes_and_methods_are_read_once_each():
    trained = [name for name in METHODS.names() if METHODS.get(name).reference is None]
    assert [arm.name for arm in read_variants(["slow:learning_rate=0.1,horizontal_flip=false"])] == ["cgbench", "slow"]
    assert read_variants(["slow:learning_rate=0.1,horizontal_flip=false"])[1].values == {
        "learning_rate": "0.1",
        "horizontal_flip": "false",
    }
    assert known_names("--sizes", "64, 128,64", SIZES) == ("64", "128")
    assert [method.name for method in read_methods("all")] == trained
    sizes = partial(known_names, "--sizes", known=SIZES)
    for read, text in ((sizes, "100"), (sizes, ","), (read_methods, "copy"), (read_methods, "cyclegann")):
        with pytest.raises(CgbenchError):
            read(text)


def test_the_command_of_a_run_has_the_settings_of_its_size_and_arm(tmp_path):
    (method,), (_, arm) = read_methods("cyclegan"), read_variants(["slow:learning_rate=0.1"])
    words = end_to_end.command(method, "64", arm, "cpu", tmp_path)
    assert "--set=crop_size=64" in words and "--set=learning_rate=0.1" in words
    assert f"--set=steps={end_to_end.RUN_STEPS}" in words and not any("features" in word for word in words)


def test_training_seconds_are_those_of_the_last_line_of_every_log(tmp_path):
    for name, seconds in (("cyclegan", [1.0, 2.5]), ("cut", [4.0])):
        log = tmp_path / "run" / "streets" / name / "seed-0" / "steps.jsonl"
        write_jsonl(log, [{"step": step, "losses": {}, "seconds": value} for step, value in enumerate(seconds)])
    assert end_to_end.training_seconds(tmp_path) == 6.5
    with pytest.raises(CgbenchError, match="left no"):
        end_to_end.training_seconds(tmp_path / "nothing")


def test_a_method_that_needs_a_larger_batch_is_left_out_and_a_failure_is_told(monkeypatch):
    plan = SpeedOptions(read_methods("distancegan,cyclegan"), ("128",), read_variants([]), Budget(rounds=1), "cpu")
    monkeypatch.setattr(
        training_step,
        "machine_peaks",
        lambda plan: iter([Measurement("peak", k, k, "", "FLOP/s", summary([1.0])) for k in TYPES]),
    )

    def fail(*_):
        raise RuntimeError("not enough memory\nand more")

    monkeypatch.setattr(training_step, "prepare_comparison", fail)
    small, broken = (one for one in training_step.steps(plan) if isinstance(one, LeftOut))
    assert (small.name, small.failed) == ("distancegan", False) and "batch_size=2" in small.reason
    assert (broken.name, broken.failed, broken.reason) == ("cyclegan", True, "not enough memory")


def test_the_command_prints_tables_and_writes_json(tmp_path, monkeypatch):
    file = tmp_path / "speed.json"
    monkeypatch.setitem(roofline.PRODUCT_SIDE, "cpu", 64)
    monkeypatch.setitem(roofline.IMAGES, "cpu", 1)
    monkeypatch.setattr(end_to_end, "STARTS", (("--help",),))
    words = ["--parts", "step,table,translation,features,start", "--methods", "cyclegan", "--sizes", "32"]
    output = cgbench("speed", *words, "--seconds", "0.001", "--rounds", "1", "--variant", "late:learning_rate=0.1",
                     "--json", file, "--device", "cpu")  # fmt: skip
    for text in ("Training step", "five ablations", "Translation", "cgbench --help", "times as fast"):
        assert text in output
    found = read_json(file)
    assert {"schema", "created", "command", "whole", "budget", "arms", "sizes", "device", "hardware", "precision",
            "versions", "git", "entries", "left_out"} <= set(found)  # fmt: skip
    assert found["whole"] and found["arms"] == {"cgbench": {}, "late": {"learning_rate": "0.1"}}
    keys = {"what", "name", "arm", "size", "unit", "value", "reference", "ratio", "details"}
    assert all(
        set(entry) == keys and set(entry["value"]) == {"median", "lower", "upper", "n"} for entry in found["entries"]
    )
    trained_ = [entry for entry in found["entries"] if entry["what"] == "step"]
    assert [entry["arm"] for entry in trained_] == [
        "reference",
        "by hand",
        "cgbench",
        "late",
        "floor float32",
        "floor bf16",
    ]
    assert [entry["reference"] for entry in trained_[:4]] == ["", "reference", "reference", "reference"]
    assert len({entry["details"]["flop_per_step"] for entry in trained_[:4]}) == 1


def test_a_stopped_measurement_shows_what_it_has(tmp_path, monkeypatch):
    def stopped(plan):
        yield Measurement("start", "one", "cgbench", "", "s", summary([1.0]))
        raise KeyboardInterrupt

    monkeypatch.setitem(session.PARTS, "start", stopped)
    output = cgbench("speed", "--parts", "start", "--json", tmp_path / "speed.json", "--device", "cpu", code=130)
    assert "stopped by Ctrl-C" in output and "one" in output
    assert not read_json(tmp_path / "speed.json")["whole"]


def test_a_mistake_on_the_command_line_is_told_before_anything_is_measured():
    misspelt = ["--variant", "x:precisionn=bf16"]  # codespell:ignore precisionn
    for words in (["--parts", "stop"], misspelt, ["--sizes", "65"], ["--methods", "real"]):
        assert cgbench("speed", *words, code=2).startswith("cgbench: ")


def test_every_part_of_the_command_is_there():
    assert list(session.PARTS) == list(PARTS)
