"""Killed at any moment while a set is decoded to disk: nothing is taken for whole, and the rest is swept away."""

import os
import shutil
import signal
import sys
import time

import numpy as np
import pytest

from cgbench import lock
from cgbench.benchmarks.data import decoded_cache
from cgbench.benchmarks.data.loading import load_images
from helpers.counting_dataset import SIDE, Drawn, eager, entries, load, same
from helpers.crash_process import CHANGES
from helpers.tiny_models import tiny_config

KILLS = 200

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")


def life(work, moment: int = 0, root: str = "") -> int:
    """Do `work` in a process of its own; kill it right before change number `moment` of what lies below `root`, or of
    the content of one of its files. Returns its exit code; negative: the signal that ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = 0

    def change(*_) -> None:
        nonlocal seen
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in CHANGES or writes) and str(arguments[0]).startswith(root):
            change()

    def half(file, content: bytes) -> None:
        file.write(content[: len(content) // 2])
        change()
        file.write(content[len(content) // 2 :])

    if moment:
        decoded_cache.CacheWriter._all = staticmethod(half)
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
    """One life per change, until a life gets through; where the entry is damaged it is replaced."""
    rests = moment = 0
    ended = -9
    while ended == -9:
        moment += 1
        for name in entries(root):
            os.truncate(root / name / "images.npy", 700) if damaged else shutil.rmtree(root / name)
        ended = life(lambda: load(Drawn()), moment, str(root))
        rests += any(name.endswith(".part") for name in entries(root))
        assert life(lambda: load(Drawn())) == 0  # sweeps
        assert not any(name.endswith(".part") for name in entries(root))
        assert same(load(Drawn()), expected)
    assert ended == 0 and moment > 15 and rests > 8


def test_the_rest_of_a_living_process_is_left_alone(root, expected):
    """Two build one entry: the second begins and ends while the first is in the middle of it."""

    def another(done, total):
        if done == 4:
            assert life(lambda: load(Drawn())) == 0
            assert len(entries(root)) == 2

    data = Drawn()
    found = load_images(data, "test", "B", SIDE, tiny_config(), progress=another, labels=True)
    assert same(found, expected) and data.drawn == 12
    assert len(entries(root)) == 1 and same(load(Drawn()), expected)


def test_two_sets_that_grow_at_a_time_stay_below_the_limit(root, monkeypatch):
    """The second takes the room while the first is in the middle: of the two, what is not used for longest goes."""
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", str(round(1.4 * 6 * SIDE * SIDE * 4)))

    def another(done, total):
        if done == 4:
            assert life(lambda: load(Drawn(), "train")) == 0
            assert len(entries(root)) == 2

    load_images(Drawn(), "test", "B", SIDE, tiny_config(), progress=another, labels=True)
    assert len(entries(root)) == 1
    again = Drawn()
    load(again)
    assert again.drawn == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_many_random_moments(root, monkeypatch):
    """Two processes at a time, killed after random times; whoever comes next finds what is right."""
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", "0")
    wanted = {split: load(Drawn(40), split) for split in ("train", "test")}
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", "40 KB")  # room for one of them
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.005)
    random, started, kills = np.random.default_rng(0), time.perf_counter(), 0
    assert life(lambda: load(Drawn(40), "train")) == 0
    whole = time.perf_counter() - started
    while kills < KILLS:
        children = []
        for split in random.permutation(["train", "test", "test"]):
            moment, child = random.uniform(0, whole), os.fork()
            if not child:
                try:
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends the process as SIGKILL does, and in time
                    signal.setitimer(signal.ITIMER_REAL, moment)
                    os._exit(0 if same(load(Drawn(40), split), wanted[split]) else 98)
                finally:
                    os._exit(99)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert set(codes) <= {0, -signal.SIGALRM}
        kills += sum(code < 0 for code in codes)
        if random.random() < 0.2:
            split = str(random.choice(["train", "test"]))
            assert life(lambda split=split: 1 / same(load(Drawn(40), split), wanted[split])) == 0
            assert len(entries(root)) <= 1
