"""Links in a run from elsewhere: no command changes, or makes, a file outside the run through them."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from cgbench.benchmarks.cli import report
from cgbench.errors import EXIT_INCONCLUSIVE
from helpers.cli import SMALL, cgbench
from helpers.file_trees import contents
from helpers.run_folder import build_run

NAME = "shapes/cyclegan/seed-0"
COMMANDS = {
    "report": ["report", "RUN"],
    "check": ["check", "RUN", "--baseline", "BASELINE", "--json", "OUT"],
    "baseline": ["baseline", "update", "RUN", "--baseline", "OUT"],
    "diff": ["diff", "RUN", "OTHER"],
    "table": ["table", "4", "RUN"],
    "study make": ["study", "make", "RUN", "--practice", 1, "--scored", 3],
    "evaluate": ["evaluate", "RUN"],
    "translate": ["translate", "RUN", "PHOTO", "--output", "OUT"],
    "extend": ["extend", "RUN", "--steps", 5],
}
CODES = {"check": EXIT_INCONCLUSIVE}  # two seeds are few
TRAINED = ("evaluate", "translate", "extend")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A run as it is drawn for reports, one that was trained, and what the commands read besides."""
    folder = tmp_path_factory.mktemp("stored")
    build_run(folder / "drawn", ("cyclegan", "copy", "real"), (0, 1), images=4, side=8)
    cgbench("baseline", "update", folder / "drawn", "--baseline", folder / "baseline.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_and_print", lambda *_: None)
        cgbench(
            "run", "--methods", "gan_only", "--dataset", "streets", *SMALL, "--runs-dir", folder, "--name", "trained"
        )
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "photo.png")
    return folder


@pytest.fixture
def command(stored, tmp_path, monkeypatch):
    """Return a function that copies a command's run, links parts of it, runs the command, and compares what is
    outside."""

    def run(name, link, codes):
        run = shutil.copytree(stored / ("trained" if name in TRAINED else "drawn"), tmp_path / "run")
        outside = tmp_path / "outside"
        outside.mkdir()
        link(run, outside)
        if name in TRAINED:
            monkeypatch.setattr(report, "write_and_print", lambda *_: None)  # slow, and the command `report` itself
        before = contents(outside)
        (tmp_path / "results").mkdir()
        words = {"RUN": run, "OTHER": stored / "drawn", "BASELINE": stored / "baseline.json",
                 "PHOTO": stored / "photo.png", "OUT": tmp_path / "results" / "out"}  # fmt: skip
        said = cgbench(*(words.get(word, word) for word in COMMANDS[name]), code=codes)
        assert contents(outside) == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "results", "run"]
        return said

    return run


def link_files(run, outside):
    """Move every file of the run out of it, and put links in their places."""
    for number, path in enumerate(sorted(path for path in run.rglob("*") if path.is_file())):
        if path.name != ".lock":
            shutil.move(path, outside / f"{number}{path.suffix}")
            path.symlink_to(outside / f"{number}{path.suffix}")


def link_folders(run, outside):
    """Move the folders that commands write to out of the run, and put links in their places."""
    for name in ("report", "study", *(path.relative_to(run) for path in run.glob("*/*/seed-*/outputs"))):
        target = outside / str(name).replace("/", "-")
        if (run / name).exists():
            shutil.move(run / name, target)
        target.mkdir(exist_ok=True)
        os.symlink(target, run / name)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", COMMANDS)
def test_linked_files_are_replaced_or_left_and_never_written_through(name, command):
    command(name, link_files, CODES.get(name, 0))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", COMMANDS)
def test_linked_folders_are_not_written_to(name, command):
    writing = name in ("report", "study make", "evaluate", "extend")
    said = command(name, link_folders, 2 if writing else CODES.get(name, 0))
    assert not writing or "is a symbolic link to a folder, and nothing is written through one" in said
