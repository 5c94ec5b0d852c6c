"""Tests of the plug-in: the conformance tests of cgbench, and what only we know of our own functions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from my_dataset import MyDataset
from my_method import my_method, total_variation
from my_metric import my_metric
from PIL import Image

from cgbench.benchmarks.testing.conformance import check_dataset, check_method, check_metric


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with three small photos per split and domain."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for domain in ("summer", "winter"):
            folder = tmp_path / split / domain
            folder.mkdir(parents=True)
            for index in range(3):
                Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    return tmp_path


def test_the_method_conforms() -> None:
    check_method(my_method)


def test_the_dataset_conforms(data: Path) -> None:
    check_dataset(MyDataset, data)


def test_the_metric_conforms() -> None:
    check_metric(my_metric)


def test_total_variation_by_hand() -> None:
    flat = torch.zeros(1, 3, 4, 4)
    assert total_variation(flat) == 0
    flat[..., 2:] = 1  # one of three steps to the right is 1
    assert total_variation(flat).item() == pytest.approx(1 / 3)


def test_without_data_the_user_is_told_how_to_get_it(tmp_path: Path) -> None:
    assert "--data-root" in (MyDataset().missing() or "")
    assert "no images in" in (MyDataset(tmp_path).missing() or "")
