"""One process per run folder: the second is told who is there, waits if asked, and is not fooled by the dead."""

import errno
import json
import os
import socket
import subprocess
import sys

import pytest

from cgbench import lock
from cgbench.lock import InUse, locked
from helpers.cli import SMALL, cgbench

HOLD = """
import sys
from pathlib import Path
from cgbench.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of a run until its input ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_process_is_refused_with_the_first_ones_name(other, tmp_path):
    named = rf"in use by process {other.pid} on {socket.gethostname()} since .*--wait"
    with pytest.raises(InUse, match=named), locked(tmp_path / "run"):
        pass
    command = ["run", "--methods", "gan_only", "--dataset", "streets", *SMALL, "--runs-dir", tmp_path, "--name", "run"]
    assert f"process {other.pid} on " in cgbench(*command, code=2)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock"]


def test_who_waits_is_let_in_when_the_first_one_leaves(other, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(lock.time, "sleep", lambda _: (other.stdin.close(), other.wait()))
    with locked(tmp_path / "run", wait=True, say=said.append) as killed:
        assert not killed
    assert len(said) == 1 and f"waiting for process {other.pid}" in said[0]


def test_the_lock_of_a_killed_process_is_no_hindrance(other, tmp_path):
    other.kill()
    other.wait()
    assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == other.pid
    with locked(tmp_path / "run") as killed:
        assert killed
        (tmp_path / "run" / "run.json").touch()
    with locked(tmp_path / "run") as killed:
        assert not killed


def test_without_locks_of_the_file_system_the_named_process_decides(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    path = tmp_path / "run" / ".lock"
    path.parent.mkdir()
    with locked(tmp_path / "run"), pytest.raises(InUse, match=str(os.getpid())), locked(tmp_path / "run"):
        pass
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path.write_text(json.dumps({"pid": dead.pid, "host": socket.gethostname()}))
    with locked(tmp_path / "run") as killed:
        assert killed
    path.write_text(json.dumps({"pid": dead.pid, "host": "elsewhere"}))
    with pytest.raises(InUse, match="on elsewhere"), locked(tmp_path / "run"):
        pass


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with locked(tmp_path / "new"):
        pass
    (tmp_path / "there").mkdir()
    with locked(tmp_path / "there"), locked(tmp_path / "used"):
        (tmp_path / "used" / "run.json").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there", "used"]


def test_who_waits_for_a_folder_that_is_removed_makes_it_again(other, tmp_path, monkeypatch):
    monkeypatch.setattr(lock.time, "sleep", lambda _: (other.stdin.close(), other.wait()))
    with locked(tmp_path / "run", wait=True):
        assert (tmp_path / "run" / ".lock").stat().st_size > 0
