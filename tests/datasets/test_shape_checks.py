"""Dataset checks of shapes: the usual one of a domain, and pictures that have another."""

import numpy as np
import pytest

from cgbench.datasets.checks.checker import check
from cgbench.datasets.checks.image_checks import aspect_groups
from cgbench.datasets.folder import Folder
from helpers.image_folders import healthy, scene


def shaped(root, sizes):
    """A healthy folder whose trainA and testA have these sizes in turn instead."""
    healthy(root)
    for number, path in enumerate(path for name in ("trainA", "testA") for path in sorted((root / name).iterdir())):
        scene(number, size=sizes[number % len(sizes)]).save(path)
    return [(issue.text, issue.files) for issue in check(Folder(root)).issues if issue.check == "shape"]


LYING, UPRIGHT, SQUARE, WIDE = (96, 72), (72, 96), (96, 96), (200, 64)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([LYING, UPRIGHT], "9 lying (about 1.33), 9 upright (about 0.75)"),
        ([LYING, UPRIGHT, SQUARE], "6 lying (about 1.33), 6 square (about 1.00), 6 upright (about 0.75)"),
        ([LYING, WIDE], "9 lying (about 1.33), 9 lying (about 3.12)"),
        ([LYING, UPRIGHT, WIDE, (64, 200), (300, 64), (64, 300)], "9 of other shapes"),
    ],
)
def test_a_domain_without_a_usual_shape_is_one_issue(sizes, said, tmp_path):
    ((text, files),) = shaped(tmp_path / "set", sizes)
    assert text.startswith("domain A has no usual width : height: of 18 pictures ") and files == ()
    assert set(said.split(", ")) <= set(text.split("pictures ")[1].split(", "))


def test_the_usual_shape_is_the_most_frequent_one_and_each_other_is_named(tmp_path):
    issues = shaped(tmp_path / "set", [SQUARE, SQUARE, SQUARE, (100, 96), (96, 94), UPRIGHT])
    assert [files for _, files in issues] == [("trainA/a005.png",), ("trainA/a011.png",), ("testA/a029.png",)]
    assert {text for text, _ in issues} == {"72 × 96; width : height is about 1.00 in 15 of 18 pictures of domain A"}


def test_two_domains_of_unlike_shapes_are_one_issue(tmp_path):
    assert shaped(tmp_path / "set", [LYING]) == [("width : height is mostly about 1.33 in A and 1.00 in B", ())]


def test_groups_of_aspect_ratios_hold_every_one_once():
    rng = np.random.default_rng(0)
    for aspects in ([1e-7, 1e7], [1.0], np.exp(rng.normal(0, 1, 200)), [0.9, 1.0, 1.0, 1.1, 1.24]):
        groups = aspect_groups(list(aspects))
        assert sum(count for _, count in groups) == len(aspects)
        assert [count for _, count in groups] == sorted((count for _, count in groups), reverse=True)
    assert aspect_groups([0.9, 1.0, 1.0, 1.1, 1.24]) == [(1.0, 5)]
