"""Body masks: Otsu's threshold, and the largest part with its holes filled."""

import numpy as np

from cgbench.datasets.volume_files.body_mask import largest_part, otsu_threshold


def test_otsu_separates_two_classes():
    rng = np.random.default_rng(3)
    dark, bright = rng.normal(20, 3, 4000), rng.normal(120, 10, 2000)
    assert 32 < otsu_threshold(np.concatenate([dark, bright])) < 85
    assert otsu_threshold(np.full(4, 7.0)) == 7


def test_the_largest_part_is_the_body_and_its_holes_are_filled():
    voxels = np.full((3, 12, 12), -1000)
    voxels[:, 2:9, 2:9] = 40
    voxels[:, 4:6, 4:6] = -900  # lungs
    voxels[1, 11, :] = 200  # the couch
    expected = np.zeros((3, 12, 12), bool)
    expected[:, 2:9, 2:9] = True
    np.testing.assert_array_equal(largest_part(voxels, -500.0), expected)
