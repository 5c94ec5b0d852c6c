"""Killed anywhere, the same command ends with the same bits: decoded images, training, evaluation, scorer, report."""

import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.cli import SMALL
from helpers.crash_process import Lives
from helpers.file_trees import contents

METHODS = "cyclegan,gan_only"
MORE = ["evaluate_every=1", "validation_images=2", "keep_last=2", "keep_best=fcn_iou", "pool_size=3", "log_every=2"]
RUN = ["run", "--methods", METHODS, "--dataset", "streets", *SMALL, *(f"--set={text}" for text in MORE)]
KILLS = 24

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")


class Bench:
    """Folders of runs, each with a scorer cache beside it, and one run that nobody disturbed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lives = Lives(folder / "one" / "cache")
        self.number = 0
        self.whole = self.live("whole")
        assert self.whole["code"] == 0, self.whole["said"]
        self.expected = contents(self.root("whole"))

    def root(self, name: str) -> Path:
        """Return the folder of a run and its cache. All runs lie at one place in turn: a path is part of a record."""
        return self.folder / name

    def live(self, name: str, **kill) -> dict:
        place = self.folder / "one"
        if self.root(name).exists():
            self.root(name).rename(place)
        place.mkdir(exist_ok=True)
        try:
            return self.lives.live(place, *RUN, "--runs-dir", place / "runs", "--name", "run", **kill)
        finally:
            place.rename(self.root(name))

    def finish(self, name: str) -> None:
        """Run the command once more and compare all that it left with the undisturbed run."""
        last = self.live(name)
        assert last["code"] == 0, last["said"]
        found = contents(self.root(name))
        assert found.keys() == self.expected.keys()
        for path, content in self.expected.items():
            assert found[path] == content, f"{path} differs"


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    made = Bench(tmp_path_factory.mktemp("lives"))
    yield made
    made.lives.close()


def test_the_undisturbed_run_holds_all_that_is_compared(evaluation):
    names = {Path(name).name for name in evaluation.expected}
    kept = {"checkpoint.safetensors", "checkpoint-2.safetensors", "best.safetensors"}
    logs = {"steps.jsonl", "history.jsonl", "metrics.jsonl", "image_scores.jsonl"}
    assert kept | logs | {"protocols.json", "status.json", "trial.json", "results.csv", "table.md"} <= names
    assert not any(name.endswith(".part") for name in names)
    assert sum("scorer-" in name for name in names) == 1
    assert sum("/decoded/" in name for name in evaluation.expected) > 20
    assert (
        sum("/outputs/" in name for name in evaluation.expected) == 2 * 3 * 2 * 5
    )  # usual and strange, images, ways, rows


def test_killed_before_two_changes_of_its_files(evaluation):
    """Before a checkpoint is put in its place, when the log is ahead of it; then while it measures or reports."""
    for kill in ({"file": "checkpoint.safetensors", "change": 2}, {"change": round(0.4 * evaluation.whole["changes"])}):
        ended = evaluation.live("changes", **kill)  # each life begins where the one before was killed
        assert ended["code"] == -9, ended["said"]
        assert any(evaluation.root("changes").rglob(".*.part")) or "file" not in kill
    evaluation.finish("changes")


def test_killed_three_times_while_images_are_decoded(evaluation):
    """Each time at a later change of the cache of decoded images; what is whole is not decoded again."""
    rests = 0
    for change in (7, 13, 19):
        ended = evaluation.live("decoding", change=change)
        assert ended["code"] == -9, ended["said"]
        rests += any(evaluation.root("decoding").rglob("decoded/.*.part"))
    assert rests
    evaluation.finish("decoding")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", ["cpu", "change"])
def test_killed_at_many_random_moments(evaluation, how):
    """Moments are spread evenly over the whole run; where a life ends before its moment, another run begins."""
    random = np.random.default_rng(0 if how == "cpu" else 1)
    kills = rounds = 0
    while kills < KILLS:
        name, rounds = f"{how}-{rounds}", rounds + 1
        for _ in range(4):
            most = evaluation.whole[how if how == "cpu" else "changes"]
            moment = random.uniform(0, most) if how == "cpu" else int(random.integers(1, most + 1))
            ended = evaluation.live(name, **{how: moment})
            assert ended["code"] in (0, -9), ended["said"]
            kills += ended["code"] == -9
        evaluation.finish(name)
