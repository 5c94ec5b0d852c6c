"""Tests of the settings `split` and `paired`, which a run hands to its dataset."""

import pytest

from cgbench.benchmarks.trials.request import open_dataset
from cgbench.errors import CgbenchError


def test_a_dataset_with_one_test_set_refuses_another_split():
    with pytest.raises(CgbenchError, match="split=val: dataset 'streets' cannot be measured on that; it has one test"):
        open_dataset("streets", None, split="val")


def test_paired_no_makes_paired_test_images_unpaired():
    assert open_dataset("streets", None).paired_test
    assert not open_dataset("streets", None, paired="no").paired_test
    assert open_dataset("streets", None, paired="yes").paired_test
