"""The gate against the real program: five faults that no record shows, other seeds, and the unchanged program."""

import numpy as np
import pytest

from cgbench.files import read_json
from helpers.cli import cgbench
from helpers.injected_faults import TRAINING, dataset_palette_shifted
from helpers.simulated_seeds import CI

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def trained(tmp_path):
    """Run the suite and return a function that checks it."""

    def checked(*options, code):
        cgbench("run", "--suite", "ci", "--device", "cpu", "--runs-dir", tmp_path, *options)
        return cgbench("check", tmp_path / "ci", "--baseline", CI, "--json", tmp_path / "v.json", code=code)

    return checked


@pytest.mark.parametrize("fault", TRAINING, ids=lambda fault: fault.__name__)
def test_a_fault_fails(fault, trained, monkeypatch):
    fault(monkeypatch)
    output = trained(code=1)
    assert "Settings that differ" not in output, "the records show this fault: it tests nothing"


def test_label_images_of_another_palette_are_refused(trained, monkeypatch):
    dataset_palette_shifted(monkeypatch)
    assert "not measured as the baseline was" in trained("--seeds", "0,1", code=2)


def test_the_program_as_it_is_passes(trained):
    assert trained(code=0).startswith("PASS")


def test_other_seeds_pass(trained, tmp_path):
    """The next seeds of the draw that the baseline's come from; 5 % of such draws fail by chance."""
    others = np.random.default_rng(0).choice(1_000_000, 130, replace=False)[30:35]
    trained("--seeds", ",".join(map(str, others)), code=0)
    assert read_json(tmp_path / "v.json")["counts"]["fail"] == 0
