"""Checkpoints and records from elsewhere are data: nothing in them is run, and none leads out of its folder."""

import json
import pickle
import struct
import time

import pytest
import torch
from safetensors.torch import save

from cgbench.benchmarks.cli import report
from cgbench.benchmarks.training.checkpoint import ensure_same_checkpoint, metadata_number, read_checkpoint
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.errors import CgbenchError
from cgbench.files import MAX_BYTES, read_json, read_jsonl
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench
from helpers.run_folder import build_run

RUN = ["run", "--methods", "gan_only", "--dataset", "streets", *SMALL, "--name", "run"]


class Bomb:
    def __reduce__(self):
        return open, ("exploded", "w")


def header(text: bytes, length: int = 0) -> bytes:
    return struct.pack("<Q", length or len(text)) + text


HOSTILE = {
    "pickle": pickle.dumps(Bomb()),
    "no bytes": b"",
    "a header of two gigabytes": header(b"{}", 2**31),
    "a header of no JSON": header(b"{" * 1000),
    "deep JSON": header(b'{"a":' * 100_000),
    "a tensor beyond the end": header(b'{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
    "no facts": save({"x": torch.zeros(1)}),
    "another format": save({"x": torch.zeros(1)}, {"format": "cgbench-checkpoint-99"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_checkpoint_is_refused_and_nothing_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(CgbenchError, match=r"checkpoint\.safetensors is not a"):
        read_checkpoint(path)
    assert saved_step(path) == 0
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("step", ["", "NaN", "-1", "inf", "1e400", "three"])
def test_a_checkpoint_without_a_true_step_is_refused(step):
    with pytest.raises(CgbenchError, match="does not say its 'step'"):
        metadata_number({"step": step}, "step")


def test_a_checkpoint_of_another_trial_is_refused_by_name():
    ours = {"method": "cyclegan", "digest": "1", "palette": "[]", "config": json.dumps({"crop_size": 64, "ngf": 8})}
    ensure_same_checkpoint("path", dict(ours), ours)
    others = {"method": "cut", "palette": '[["road", 1, 2, 3]]', "config": json.dumps({"crop_size": 32, "ngf": 8})}
    names = {"method": "method cut instead of cyclegan", "palette": "another class palette"}
    for key, name in (names | {"config": "crop_size 32 instead of 64"}).items():
        with pytest.raises(CgbenchError, match=name):
            ensure_same_checkpoint("path", ours | {key: others[key]}, ours)
    with pytest.raises(CgbenchError, match="digest 2 instead of 1"):
        ensure_same_checkpoint("path", ours | {"digest": "2"}, ours)


def test_a_checkpoint_put_in_another_trials_place_is_refused_by_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "write_and_print", lambda *_: None)
    cgbench(*RUN, "--runs-dir", tmp_path)
    cgbench(*RUN[:2], "cycle_only", *RUN[3:], "--runs-dir", tmp_path)
    one, two = (TrialFolder.of(tmp_path / "run", "streets", name, 0) for name in ("gan_only", "cycle_only"))
    one.checkpoint.write_bytes(two.checkpoint.read_bytes())
    said = cgbench("evaluate", tmp_path / "run", code=1)
    assert "gan_only, seed 0: left out" in said and "method cycle_only instead of gan_only" in said
    one.checkpoint.write_bytes(HOSTILE["pickle"])
    assert "not a readable checkpoint" in cgbench("evaluate", tmp_path / "run", code=1)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 200_000, "\ud800", '{"a": 1' + "0" * 5000 + "}", "nonsense", '{"state": "../.."}', "[]"]
)
def test_hostile_json_is_one_line(text, tmp_path):
    path = tmp_path / "status.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(CgbenchError, match=r"status\.json") as error:
        TrialFolder(tmp_path).status()
    assert "\n" not in str(error.value)
    path.rename(tmp_path / "rows.jsonl")
    (tmp_path / "rows.jsonl").write_bytes(b"[1]\n" + text.encode("utf-8", "surrogatepass") + b"\n")
    with pytest.raises(CgbenchError, match=r"rows\.jsonl"):
        list(read_jsonl(tmp_path / "rows.jsonl"))


def test_a_monstrous_record_is_not_read(tmp_path):
    path = tmp_path / "trial.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole: no disk is filled
    started = time.monotonic()
    for read in (read_json, lambda path: list(read_jsonl(path))):
        with pytest.raises(CgbenchError, match="too large to be a record"):
            read(path)
    assert time.monotonic() - started < 1


BAD_FACTS = {
    "method": {"name": "../../../evil"}, "seed": "0", "config": None, "steps": True, "digest": 7,
    "dataset": {"label": "../..", "name": "x", "directions": {}}, "extended": [{"from": "1"}], "weights": [1],
}  # fmt: skip


@pytest.mark.parametrize("key", BAD_FACTS)
@pytest.mark.parametrize("command", ["report", "evaluate"])
def test_a_foreign_trial_is_refused_and_nothing_is_written_elsewhere(key, command, tmp_path):
    run = build_run(tmp_path / "in" / "run", ("cyclegan", "copy"), (0,), images=2)
    path = TrialFolder.of(run, "shapes", "cyclegan", 0).trial
    changed = BAD_FACTS[key]
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {key: facts[key] | changed if isinstance(changed, dict) else changed}))
    before = sorted(tmp_path.rglob("*"))
    assert "trial.json" in cgbench(command, run, code=2)
    assert sorted(set(tmp_path.rglob("*")) - set(before)) == [run / ".lock"]


@pytest.mark.parametrize("row", [{"evil": 1}, {"value": "<script>"}, {"step": [1]}])
def test_a_foreign_row_is_refused(row, tmp_path):
    run = build_run(tmp_path / "run", ("cyclegan",), (0,), images=2)
    path = TrialFolder.of(run, "shapes", "cyclegan", 0).metrics
    rows = [{**next(read_jsonl(path)), **row}]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in rows))
    assert "metrics.jsonl, line 1 is not as cgbench writes it" in cgbench("report", run, code=2)


def test_names_from_outside_stay_in_their_folder(tmp_path):
    suite = tmp_path / "suite.toml"
    suite.write_text('methods = ["gan_only"]\ndataset = "streets"\npreset = "smoke"\nname = "../../outside"\n')
    runs = tmp_path / "a" / "b" / "runs"
    said = cgbench("run", "--suite", suite, "--runs-dir", runs, "--seeds", "0", "--dry-run", *SMALL, code=2)
    assert "a name is no path" in said
    folder = TrialFolder(tmp_path)
    with pytest.raises(CgbenchError, match="no direction"):
        folder.output("../..", "key")
    assert folder.output("AtoB", "../../key").parent == tmp_path / "outputs" / "AtoB"
