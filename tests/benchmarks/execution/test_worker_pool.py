"""Several trials at once: the bits of one after the other, one voice, no orphans, and no death takes others along."""

import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cgbench.benchmarks.cli import run as run_command
from cgbench.benchmarks.execution import worker_pool
from cgbench.benchmarks.execution.parallelism import CUDA_BYTES, Machine, choose_parallelism, wall_time
from cgbench.benchmarks.execution.worker_pool import exit_reason
from cgbench.benchmarks.runtime import progress as console
from cgbench.benchmarks.runtime.progress import ProgressForwarder, RunConsole, progress, progress_rows
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.lock import locked
from cgbench.results.run_folder import TrialFolder, trial_folders
from helpers.cli import SMALL, cgbench, leave_out_what_is_slow
from helpers.file_trees import contents

RUN = ["run", "--dataset", "streets", "--methods", "cyclegan,gan_only", *SMALL]
CHILD = """
import sys
from cgbench.benchmarks.cli import report
from cgbench.benchmarks.cli.main import main
from cgbench.benchmarks.execution import run_plan as planning
planning.MEASURED_SECONDS = 0.0
report.write_and_print = lambda *_: print("Reported")
main(sys.argv[1:], prog_name="cgbench")
"""
GB = 10**9


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Reports and the plan's times are slow, and tested elsewhere."""
    leave_out_what_is_slow(monkeypatch)


def trial(run, method="gan_only"):
    return TrialFolder.of(run, "streets", method, 0)


@pytest.mark.parametrize(
    ("asked", "trials", "here", "each", "workers", "threads", "said"),
    [
        (1, 9, Machine(8, 8, 0), 0, 1, 8, ""),
        (3, 9, Machine(8, 8, 99 * GB), GB, 3, 2, "3 processes of 2 threads, as asked"),
        (4, 9, Machine(2, 2, 2 * GB), GB, 4, 1, "they may run out of memory"),
        (2, 9, Machine(8, 1, 99 * GB), GB, 2, 1, "of 1 thread, as asked"),  # OMP_NUM_THREADS=1
        ("auto", 9, Machine(4, 4, 99 * GB), GB, 4, 1, "the least of 4 cores, 9 trials to train, 79 that fit into 80%"),
        ("auto", 2, Machine(8, 8, 99 * GB), GB, 2, 4, "2 trials to train"),
        ("auto", 9, Machine(8, 8, 3 * GB), GB, 2, 4, "2 that fit into 80% of the memory (at about 1.0 GB each"),
        ("auto", 9, Machine(8, 8, GB), GB, 1, 8, "1 process of 8 threads"),
        ("auto", 9, Machine(8, 8, 0), GB, 8, 1, "8 cores"),
        ("auto", 9, Machine(16, 16, 70 * GB, gpu=True), 13 * GB, 4, 4, "on a GPU was not measured"),
        ("auto", 9, Machine(16, 16, 20 * GB, gpu=True), 9 * GB, 1, 16, "1 that fit into 80%"),
        ("auto", 9, Machine(16, 16, 70 * GB, gpu=True), 0, 1, 16, "not known"),
    ],
)  # fmt: skip
def test_how_many_at_once_and_why(asked, trials, here, each, workers, threads, said):
    found = choose_parallelism(asked, trials, here, each)
    assert (found.workers, found.threads) == (workers, threads)
    assert said in found.why and bool(said) == bool(found.why)
    assert CUDA_BYTES == GB


def test_trials_that_wait_go_to_the_next_free_worker():
    assert wall_time([3, 1, 1, 1], 2) == 3 and wall_time([1, 1, 4], 2) == 5 and wall_time([], 2) == 0
    assert wall_time([1, 2, 3], 1) == 6


def test_the_plan_says_what_was_decided_and_how_long_it_takes(tmp_path):
    said = cgbench(*RUN, "--runs-dir", tmp_path, "--dry-run", "--jobs", "auto")
    assert "jobs: " in said and "the least of" in said
    said = cgbench(*RUN, "--runs-dir", tmp_path, "--dry-run", "--jobs", "3")
    assert "jobs: 3 processes of 1 thread, as asked" in said and "with 3 at once" in said
    assert "jobs:" not in cgbench(*RUN, "--runs-dir", tmp_path, "--dry-run")
    for wrong in ("0", "-1", "many", "1.5"):
        assert "a whole number from 1 to 9999, or auto" in cgbench(*RUN, "--jobs", wrong, code=2)


def test_two_at_once_leave_the_same_bits_as_one_after_the_other(tmp_path):
    more = ["--set", "evaluate_every=2", "--set", "validation_images=2", "--set", "keep_best=psnr"]
    more += ["--runs-dir", tmp_path]
    cgbench(*RUN, *more, "--name", "one")
    said = cgbench(*RUN, *more, "--name", "two", "--jobs", "2")
    one, two = (contents(tmp_path / name / "streets") for name in ("one", "two"))
    assert one.keys() == two.keys() and sum(name.endswith("best.safetensors") for name in one) == 2
    for path, content in one.items():
        assert two[path] == content, f"{path} differs"
    lines = [line for line in said.splitlines() if line.startswith("[")]
    assert len(lines) == 5 and all(": done in " in line for line in lines)  # one line per trial, and no other
    again = cgbench(*RUN, *more, "--name", "two", "--jobs", "2")
    assert again.count("done before, kept") == 5


def test_a_worker_that_is_killed_costs_its_trial_alone(tmp_path, monkeypatch):
    """And a loss that is no number is told through a worker as it is without one."""
    real = worker_pool._send

    def killing(one, word):
        real(one, word)
        if word == 4:  # gan_only, after three reference rows and cyclegan
            one.process.kill()

    monkeypatch.setattr(worker_pool, "_send", killing)
    more = ["--runs-dir", tmp_path, "--name", "run", "--jobs", "2", "--set", "cyclegan.learning_rate=1e30"]
    said = cgbench(*RUN, *more, code=1)
    assert "[5/5] gan_only, seed 0: failed: its process was killed by SIGKILL, most often for want of memory" in said
    assert "[4/5] cyclegan, seed 0: diverged: " in said
    states = {folder.path.parent.name: folder.status()["state"] for folder in trial_folders(tmp_path / "run")}
    assert all(states[name] == "done" for name in ("copy", "shuffled", "real")) and states["cyclegan"] == "diverged"
    status = trial(tmp_path / "run").status()
    assert status["state"] == "failed" and status["reason"].startswith("its process was killed by SIGKILL")


def test_workers_that_never_get_to_a_trial_end_the_run(tmp_path, monkeypatch):
    real = worker_pool.WorkerPool.spawn

    def still_born(self, row):
        real(self, row)
        self.workers[-1].process.kill()

    monkeypatch.setattr(worker_pool.WorkerPool, "spawn", still_born)
    said = cgbench(*RUN, "--runs-dir", tmp_path, "--jobs", "2", code=1)
    assert said.count("a worker was killed by SIGKILL") == 2
    assert "5 trials were not begun" in said and "use fewer --jobs" in said


def test_files_that_cannot_be_written_stop_all_workers(tmp_path):
    blocked = trial(tmp_path / "run", "cyclegan").steps
    blocked.mkdir(parents=True)
    said = cgbench(*RUN, "--runs-dir", tmp_path, "--name", "run", "--jobs", "2", "--set", "steps=100000", code=1)
    assert f"{blocked.name}: " in said and "Safe: finished trials" in said
    assert trial(tmp_path / "run", "cyclegan").status()["state"] == "interrupted"
    assert trial(tmp_path / "run").status()["state"] in ("", "interrupted")


@pytest.mark.slow
def test_a_worker_that_would_measure_otherwise_is_refused(tmp_path, monkeypatch):
    """Where the scorer cannot be kept, a worker trains its own, with other threads and so to other bits."""
    real = run_command.WorkerSpec
    another = {"evaluation_digest": "another"}
    monkeypatch.setattr(run_command, "WorkerSpec", lambda *content: replace(real(*content), **another))
    said = cgbench(*RUN, "--runs-dir", tmp_path, "--jobs", "2", code=2)
    assert "a worker would measure with another scorer" in said and "use --jobs 1" in said


def test_how_a_process_ended_is_said_in_words():
    assert exit_reason(-signal.SIGSEGV) == "was killed by SIGSEGV" and exit_reason(3) == "ended with exit code 3"


class Command:
    """A run of two long trials in a process group of its own, both of them in training when it is entered."""

    def __init__(self, runs: Path) -> None:
        self.run = runs / "run"
        arguments = [*RUN, "--set=steps=1000000", "--set=save_every=1", "--runs-dir", str(runs), "--name", "run"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments, "--jobs", "2"], start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        until(lambda: all(saved_step(folder.checkpoint) > 1 for folder in self.folders()), self.process)
        self.workers = children(self.process.pid)

    def folders(self) -> list[TrialFolder]:
        return [trial(self.run, name) for name in ("cyclegan", "gan_only")]

    def end(self) -> tuple[int, str]:
        """Return the exit code and what was said."""
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said


def until(true, process) -> None:
    """Wait until `true()`, as long as `process` lives."""
    while not true():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Return the workers that a process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (path.parent / "cmdline").read_bytes():
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def alive(pid: int) -> bool:
    """Say whether a process runs; one that is dead and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def command(tmp_path):
    running = Command(tmp_path)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.communicate()


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
slow = pytest.mark.slow


@on_linux
@pytest.mark.parametrize(
    ("number", "group"),
    [
        (signal.SIGINT, True),
        pytest.param(signal.SIGTERM, False, marks=slow),
        pytest.param(signal.SIGTERM, True, marks=slow),  # as SLURM sends it
        pytest.param(signal.SIGHUP, False, marks=slow),
    ],
)
def test_a_signal_lets_every_worker_end_its_step_and_save(command, number, group):
    (os.killpg if group else os.kill)(command.process.pid, number)
    code, said = command.end()
    assert code == 128 + number
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    for folder in command.folders():
        step = saved_step(folder.checkpoint)
        assert folder.status() == {"state": "interrupted", "step": step}
        assert f"stopped by {name}; its checkpoint of step {step} is whole" in said
    assert f"cgbench: stopped by {name}." in said and "Traceback" not in said
    assert ("Reported" in said) == (number == signal.SIGINT)
    assert len(command.workers) == 2 and not any(map(alive, command.workers))


@on_linux
def test_the_limit_of_processor_time_of_one_worker_stops_all_with_their_checkpoints(command):
    os.kill(command.workers[0], signal.SIGXCPU)
    code, said = command.end()
    assert code == 128 + signal.SIGXCPU and "cgbench: stopped by SIGXCPU." in said and "Traceback" not in said
    for folder in command.folders():
        step = saved_step(folder.checkpoint)
        assert step > 0 and folder.status() == {"state": "interrupted", "step": step}
        assert f"stopped by SIGXCPU; its checkpoint of step {step} is whole" in said
    assert not any(map(alive, command.workers))


@on_linux
@slow
def test_a_second_signal_does_not_wait_for_the_workers(command):
    for pid in command.workers:
        os.kill(pid, signal.SIGSTOP)  # they cannot end their step
    os.killpg(command.process.pid, signal.SIGINT)
    time.sleep(1)
    assert command.process.poll() is None
    os.killpg(command.process.pid, signal.SIGINT)
    code, said = command.end()
    assert code == 130 and said.count("stopped by Ctrl-C; its checkpoint of step") == 2
    assert [folder.status()["state"] for folder in command.folders()] == ["interrupted"] * 2
    assert not any(map(alive, command.workers))


@on_linux
def test_workers_die_with_a_parent_that_is_killed(command):
    assert len(command.workers) == 2 and all(map(alive, command.workers))
    command.process.kill()
    command.process.wait()
    deadline = time.monotonic() + 5
    while any(map(alive, command.workers)):
        assert time.monotonic() < deadline, "a worker lives on"
    with locked(command.run) as killed:
        assert killed


def test_a_worker_whose_parent_is_gone_ends_without_the_systems_help():
    code = (
        "import queue, threading, time\nfrom multiprocessing import Pipe\n"
        "from cgbench.benchmarks.execution.worker import listen\n"
        "ours, theirs = Pipe()\nthreading.Thread(target=listen, args=(theirs, queue.SimpleQueue())).start()\n"
        "ours.close()\ntime.sleep(60)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=50).returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_has_done_its_work_exits_quietly_when_it_is_stopped(number):
    code = (
        "import atexit, os, time\n"
        "from multiprocessing import Pipe\n"
        "from cgbench.benchmarks.execution import worker\n"
        "ours, theirs = Pipe()\n"
        "worker._work = lambda *_: None\n"
        f"atexit.register(lambda: (ours.send(worker.StopSignal({int(number)})), time.sleep(1)))\n"
        "spec = worker.WorkerSpec(None, worker.Path('x'), 'cpu', False, 1, '', os.getppid())\n"
        "worker.work(spec, theirs)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_progress_has_a_bar_per_row_in_a_terminal_and_is_quiet_elsewhere(monkeypatch):
    for terminal in (True, False):
        screen = RunConsole(file=io.StringIO(), force_terminal=terminal, width=80)
        monkeypatch.setattr(console, "console", screen)
        with progress_rows() as show:
            show(0, "one", 1, 9)
            show(1, "two", 2, 9)
            show(0, "three", 0, 0)
            show(1, "", 0, 0)
        written = screen.file.getvalue()
        assert ("three" in written and "two" in written) == terminal and bool(written) == terminal


def test_a_worker_sends_its_lines_and_now_and_then_its_progress(monkeypatch):
    sent, screen = [], RunConsole(file=io.StringIO())
    monkeypatch.setattr(console, "console", screen)
    screen.forwarder = ProgressForwarder(sent.append)
    with progress("training") as update:
        for step in range(1, 1001):
            update(step, 1000)
    screen.print("a line", style="red")
    assert sent[0] == ("at", "training", 0, 0) and sent[-2:] == [
        ("at", "training", 1000, 1000),
        ("line", "a line", "red"),
    ]
    assert len(sent) < 100 and not screen.file.getvalue()
