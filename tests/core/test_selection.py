"""Evenly spaced selection: which indices a limit leaves."""

from itertools import pairwise

import pytest

from cgbench.selection import evenly_spaced


@pytest.mark.parametrize("limit", [0, 5, 6])
def test_without_a_limit_below_the_count_all_are_selected(limit):
    assert evenly_spaced(5, limit) == [0, 1, 2, 3, 4]
    assert evenly_spaced(0, limit) == []


def test_a_limit_selects_that_many_different_ones_between_the_first_and_the_last():
    assert evenly_spaced(11, 3) == [0, 5, 10] and evenly_spaced(10, 3) == [0, 4, 9] and evenly_spaced(7, 1) == [0]
    for count in range(3, 120):
        for limit in range(2, count):
            chosen = evenly_spaced(count, limit)
            gaps = {after - before for before, after in pairwise(chosen)}
            assert len(chosen) == limit and (chosen[0], chosen[-1]) == (0, count - 1)
            assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 1
