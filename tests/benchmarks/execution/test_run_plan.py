"""The plan of a run: none is made of an empty set of images."""

import pytest

from cgbench.api.registry import DATASETS
from cgbench.datasets.folder import Folder
from helpers.cli import SMALL, cgbench
from helpers.image_folders import healthy


@pytest.mark.parametrize("options", [["--dry-run"], []], ids=["dry run", "run"])
def test_a_run_of_an_empty_set_ends_before_anything_is_trained(options, tmp_path, monkeypatch):
    class Silent(Folder):
        """A dataset that says nothing of what it lacks."""

        def missing(self):
            return None

        def items(self, split, domain):
            return () if (split, domain) in (("train", "A"), ("test", "B")) else super().items(split, domain)

    monkeypatch.setattr(DATASETS, "chosen", lambda name: Silent)
    root = healthy(tmp_path / "set")
    run = ["run", "--methods", "gan_only", "--dataset", "folder", "--data-root", root, "--runs-dir", tmp_path / "runs"]
    output = cgbench(*run, *SMALL, *options, code=2)
    assert "train A and test B are empty" in " ".join(output.split())
    assert "training about" not in output and not list((tmp_path / "runs").glob("*"))
