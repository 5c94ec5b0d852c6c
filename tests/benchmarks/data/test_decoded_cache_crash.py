"""Crashes while a set is decoded to disk: no partial entry is used, and the remains are removed."""

import os
import shutil
import signal
import sys
import time

import numpy as np
import pytest

from cgbench import lock
from cgbench.benchmarks.data import decoded_cache
from cgbench.benchmarks.data.geometry import square
from cgbench.benchmarks.data.loading import load_images
from helpers.counting_dataset import SIDE, Drawn, eager, entries, load, same
from helpers.crash_process import CHANGES

KILLS = 200

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")


def run_in_child(work, moment: int = 0, root: str = "") -> int:
    """Do `work` in a child process; kill it right before change number `moment` below `root`, or of the content of one
    of its files. Returns its exit code; negative: the signal that ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    changes = 0

    def change(*_) -> None:
        nonlocal changes
        changes += 1
        if changes == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in CHANGES or writes) and str(arguments[0]).startswith(root):
            change()

    def write_halves(file, content: bytes) -> None:
        file.write(content[: len(content) // 2])
        change()
        file.write(content[len(content) // 2 :])

    if moment:
        decoded_cache.CacheWriter._write_all = staticmethod(write_halves)
        sys.addaudithook(watch)
    try:
        work()
        os._exit(0)
    finally:
        os._exit(99)


@pytest.fixture
def root(monkeypatch, tmp_path):
    monkeypatch.setattr(decoded_cache, "WRITE_BYTES", 1000)
    return eager(monkeypatch, tmp_path / "cache")


@pytest.fixture
def expected(root, monkeypatch):
    with monkeypatch.context() as without:
        without.setenv("CGBENCH_CACHE_LIMIT", "0")
        return load(Drawn())


@pytest.mark.parametrize("damaged", [False, True])
def test_killed_before_each_change_that_it_makes(root, expected, damaged):
    """One child per change, until one finishes; a damaged entry is replaced."""
    remains = moment = 0
    exit_code = -9
    while exit_code == -9:
        moment += 1
        for name in entries(root):
            os.truncate(root / name / "images.npy", 700) if damaged else shutil.rmtree(root / name)
        exit_code = run_in_child(lambda: load(Drawn()), moment, str(root))
        remains += any(name.endswith(".part") for name in entries(root))
        assert run_in_child(lambda: load(Drawn())) == 0  # removes what was left
        assert not any(name.endswith(".part") for name in entries(root))
        assert same(load(Drawn()), expected)
    assert exit_code == 0 and moment > 15 and remains > 8


def test_the_rest_of_a_living_process_is_left_alone(root, expected):
    """Two processes build one entry: the second begins and ends while the first is in the middle of it."""

    def build_again(done, total):
        if done == 4:
            assert run_in_child(lambda: load(Drawn())) == 0
            assert len(entries(root)) == 2

    data = Drawn()
    images = load_images(data, "test", "B", square(SIDE), progress=build_again, labels=True)
    assert same(images, expected) and data.rendered == 12
    assert len(entries(root)) == 1 and same(load(Drawn()), expected)


def test_two_sets_that_grow_at_a_time_stay_below_the_limit(root, monkeypatch):
    """The second takes the space while the first is in the middle: the least recently used of the two is evicted."""
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", str(round(1.4 * 6 * SIDE * SIDE * 4)))

    def build_other(done, total):
        if done == 4:
            assert run_in_child(lambda: load(Drawn(), "train")) == 0
            assert len(entries(root)) == 2

    load_images(Drawn(), "test", "B", square(SIDE), progress=build_other, labels=True)
    assert len(entries(root)) == 1
    again = Drawn()
    load(again)
    assert again.rendered == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_many_random_moments(root, monkeypatch):
    """Two processes at a time, killed after random times; the next one reads correct images."""
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", "0")
    expected = {split: load(Drawn(40), split) for split in ("train", "test")}
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", "40 KB")  # space for one of them
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.005)
    random, started, kills = np.random.default_rng(0), time.perf_counter(), 0
    assert run_in_child(lambda: load(Drawn(40), "train")) == 0
    duration = time.perf_counter() - started
    while kills < KILLS:
        children = []
        for split in random.permutation(["train", "test", "test"]):
            moment, child = random.uniform(0, duration), os.fork()
            if not child:
                try:
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends the process as SIGKILL does, at a set time
                    signal.setitimer(signal.ITIMER_REAL, moment)
                    os._exit(0 if same(load(Drawn(40), split), expected[split]) else 98)
                finally:
                    os._exit(99)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert set(codes) <= {0, -signal.SIGALRM}
        kills += sum(code < 0 for code in codes)
        if random.random() < 0.2:
            split = str(random.choice(["train", "test"]))
            assert run_in_child(lambda split=split: 1 / same(load(Drawn(40), split), expected[split])) == 0
            assert len(entries(root)) <= 1
