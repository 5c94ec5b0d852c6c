"""Full disks, folders that cannot be written, signals, losses that are no numbers: what is said, and what is safe."""

import errno
import os
import signal
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import pytest

from cgbench import files
from cgbench.benchmarks.cli import report
from cgbench.benchmarks.evaluation import evaluator
from cgbench.benchmarks.execution import runner
from cgbench.benchmarks.training import trainer
from cgbench.benchmarks.training.checkpoint import read_checkpoint
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.benchmarks.training.checkpoint_retention import ensure_selectable
from cgbench.errors import CgbenchError
from cgbench.files import read_json, read_jsonl, write_bytes, write_jsonl
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench
from helpers.tiny_models import tiny_config

RUN = ["run", "--methods", "gan_only,cycle_only", "--dataset", "streets", *SMALL, "--set=save_every=1"]


@pytest.fixture(autouse=True)
def _no_report(monkeypatch):
    """Reports are slow, and tested elsewhere."""
    monkeypatch.setattr(report, "write_and_print", lambda *_: None)


def trial(runs, method="gan_only"):
    return TrialFolder.of(runs / "run", "streets", method, 0)


def run(runs, *more, code=0):
    return cgbench(*RUN, "--runs-dir", runs, "--name", "run", *more, code=code)


def full_from(monkeypatch, wanted, number):
    """Let the disk be full from the moment at which the file `wanted` is written for the `number`-th time."""
    real, seen = os.fsync, []

    def fsync(handle):
        name = os.readlink(f"/proc/self/fd/{handle}")
        seen.append(wanted in name)
        if sum(seen) >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(files.os, "fsync", fsync)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file is written")
@pytest.mark.parametrize(("file", "number", "step"), [("checkpoint.saf", 2, 1), ("metrics", 1, 3)])
def test_a_full_disk_stops_the_run_and_the_checkpoint_before_is_whole(tmp_path, monkeypatch, file, number, step):
    run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        real = runner._write_record
        patch.setattr(runner, "_write_record", recording_ends_with_references(real, patch, file, number))
        said = run(tmp_path / "full", code=1)
    assert "No space left on device. Safe: finished trials" in said and "make room" in said
    folder = trial(tmp_path / "full")
    assert read_checkpoint(folder.checkpoint)[1]["step"] == str(step)
    assert folder.status()["state"] == "running"  # nothing more could be written
    assert not trial(tmp_path / "full", "cycle_only").path.exists()  # it would have met the same disk
    run(tmp_path / "full")
    assert not list((tmp_path / "full").rglob(".*.part"))
    for method in ("gan_only", "cycle_only"):
        one, two = trial(tmp_path / "whole", method), trial(tmp_path / "full", method)
        assert (
            one.metrics.read_bytes() == two.metrics.read_bytes()
            and one.image_scores.read_bytes() == two.image_scores.read_bytes()
        )


def recording_ends_with_references(real, patch, file, number):
    """Let the disk fill up in the first trained trial only."""

    def record(prepared, context, model, resumed_step):
        real(prepared, context, model, resumed_step)
        if model is not None:
            prepared.folder.set_status("running", step=0)
            full_from(patch, file, number)

    return record


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts a small file system")
def test_a_really_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        said = run(disk, code=1)
        assert "No space left on device" in said and "the same command goes on" in said
        subprocess.run(["mount", "-o", "remount,size=40m", disk], check=True)
        run(disk)
        assert trial(disk).status()["state"] == "done"
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(files.tempfile, "mkstemp", read_only)
        said = run(tmp_path, code=1)
    assert "run.json: Read-only file system. Safe:" in said


def test_a_vanished_data_root_is_named_and_costs_nothing(tmp_path):
    assert "Ready now:" in cgbench(*RUN[:3], "--dataset", "camvid", "--data-root", tmp_path / "gone", code=2)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGUSR1, 138), (signal.SIGUSR2, 140),
     (signal.SIGXCPU, 152)],
)  # fmt: skip
def test_a_signal_lets_the_step_end_and_the_same_command_goes_on(tmp_path, monkeypatch, request, number, code):
    real = trainer.train_step
    if number != signal.SIGINT:  # under nohup this process ignores SIGHUP, and so does a run
        request.addfinalizer(partial(signal.signal, number, signal.signal(number, signal.SIG_DFL)))

    def asked_to_stop(model, optimizers, batch, step, rate):
        if step == 1 and rate:  # the plan's own steps have the rate 0
            signal.raise_signal(number)
        return real(model, optimizers, batch, step, rate)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "train_step", asked_to_stop)
        said = run(tmp_path, code=code)
    assert "its checkpoint of step 2 is whole" in said and "the same command goes on" in said
    assert trial(tmp_path).status() == {"state": "interrupted", "step": 2}
    assert signal.getsignal(signal.SIGTERM) is signal.getsignal(number) is signal.SIG_DFL or number == signal.SIGINT


def test_a_limit_of_processor_time_may_be_signalled_again_and_again(tmp_path, monkeypatch):
    """As the system does it every second; a second signal of another kind ends the run at once."""
    real_step, real_save = trainer.train_step, trainer.save_checkpoint

    def over_the_limit(model, optimizers, batch, step, rate):
        if step == 1 and rate:
            signal.raise_signal(signal.SIGXCPU)
        return real_step(model, optimizers, batch, step, rate)

    def still_over_it(*arguments):
        signal.raise_signal(signal.SIGXCPU)
        real_save(*arguments)

    def and_once_more(path):
        if path.exists():
            signal.raise_signal(signal.SIGXCPU)
        return saved_step(path)

    monkeypatch.setattr(trainer, "train_step", over_the_limit)
    monkeypatch.setattr(trainer, "save_checkpoint", still_over_it)
    monkeypatch.setattr(runner, "saved_step", and_once_more)
    said = cgbench(*RUN[:-1], "--runs-dir", tmp_path, "--name", "run", code=152)
    assert "stopped by SIGXCPU; its checkpoint of step 2 is whole" in said
    assert trial(tmp_path).status() == {"state": "interrupted", "step": 2}
    assert signal.getsignal(signal.SIGXCPU) is signal.SIG_DFL


def test_a_stop_while_measuring_again_leaves_a_trial_that_counts_as_unfinished(tmp_path, monkeypatch):
    run(tmp_path)
    before = trial(tmp_path).metrics.read_bytes()

    def stopped(path, rows):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evaluator, "write_jsonl", stopped)
        cgbench("evaluate", tmp_path / "run", code=130)
    states = [TrialFolder(path.parent).status()["state"] for path in tmp_path.glob("run/*/*/*/trial.json")]
    assert sorted(states) == ["done"] * 4 + ["interrupted"]
    cgbench("evaluate", tmp_path / "run")
    assert trial(tmp_path).status()["state"] == "done" and trial(tmp_path).metrics.read_bytes() == before


def test_divergence_names_its_step_keeps_the_checkpoint_and_costs_no_other_trial(tmp_path, monkeypatch):
    real = trainer.train_step

    def poisoned(model, optimizers, batch, step, rate):
        losses = real(model, optimizers, batch, step, rate)
        if step == 1 and model.method.name == "gan_only":
            next(iter(model.networks["G_ab"].parameters())).data[0] = float("nan")
        return losses

    monkeypatch.setattr(trainer, "train_step", poisoned)
    said = run(tmp_path, code=1)
    status = trial(tmp_path).status()
    assert (status["state"], status["step"], status["found"]) == ("diverged", 1, 2)
    assert "before step 2; the checkpoint of step 1 is kept" in said
    assert read_checkpoint(trial(tmp_path).checkpoint)[1]["step"] == "1"
    assert trial(tmp_path, "cycle_only").status()["state"] == "done"
    assert "diverged before, kept" in run(tmp_path, code=1)


def test_kept_checkpoints_are_those_asked_for(tmp_path):
    more = ["--set=keep_last=2", "--set=evaluate_every=1", "--set=keep_best=psnr", "--set=validation_images=2"]
    run(tmp_path, *more)
    folder = trial(tmp_path)
    assert sorted(folder.earlier_checkpoints()) == [2]
    assert read_checkpoint(folder.checkpoint_at(2))[1]["step"] == "2"
    scores = {
        row["step"]: row["value"]
        for row in [*read_jsonl(folder.history), *read_jsonl(folder.metrics)]
        if row["metric"] == "psnr" and row["split"] == "val"
    }
    assert set(scores) == {1, 2, 3}
    best = max(scores, key=lambda step: (scores[step], -step))
    assert read_checkpoint(folder.best)[1]["step"] == str(best)
    with pytest.raises(CgbenchError, match="--set validation_images=COUNT"):
        ensure_selectable(tiny_config(keep_best="psnr", evaluate_every=1), SimpleNamespace(splits=("train", "test")))
    assert "--set evaluate_every=STEPS" in run(tmp_path / "b", more[2], code=2)
    assert "did you mean 'psnr'" in run(tmp_path / "b", "--set=keep_best=pnsr", code=2)


def test_a_deterministic_run_says_so_and_so_does_one_that_goes_on_elsewhere(tmp_path):
    run(tmp_path, "--deterministic")
    facts = read_json(trial(tmp_path).trial)
    assert facts["deterministic"] and facts["precision"] == "float32" and facts["hardware"]["threads"] == 1
    assert "continued" not in facts and facts["versions"]["scipy"]
    run(tmp_path, "--set=scorer_steps=5")
    assert read_json(trial(tmp_path).trial)["continued"] == [{"step": 3, "deterministic": False}]


def test_bf16_is_recorded_and_a_processor_without_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("cgbench.benchmarks.runtime.environment.CPU_INFO", tmp_path / "none")
    assert "float32 is faster here" in run(tmp_path, "--set=precision=bf16")
    assert read_json(trial(tmp_path).trial)["precision"] == "bf16 in the networks, float32 elsewhere"
    (tmp_path / "none").write_text("model name : X\nflags : fpu avx512_bf16 sse\n")
    assert "float32 is faster here" not in run(tmp_path, "--set=precision=bf16")
    assert "precision float32 → bf16" not in run(tmp_path, "--set=precision=bf16")
    assert "precision bf16 → float32" in run(tmp_path, code=2)


def test_an_operation_that_cannot_repeat_itself_is_named(tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("some_backward_cuda does not have a deterministic implementation, but you set …\nmore")

    monkeypatch.setattr("cgbench.benchmarks.training.trainer.train_step", fails)
    assert "some_backward_cuda has no deterministic implementation" in run(tmp_path, "--deterministic", code=2)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    full_from(monkeypatch, "file", 1)
    with pytest.raises(OSError, match="No space left") as error:
        write_bytes(path, b"new")
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"old" and [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_torn_last_line_is_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    write_jsonl(path, [{"step": 1}, {"step": 2}])
    with path.open("a") as file:
        file.write('{"step": 3, "los')
    assert [row["step"] for row in read_jsonl(path)] == [1, 2]
