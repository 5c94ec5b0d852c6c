"""Quantities as text."""

import pytest

from cgbench.formatting import plural


@pytest.mark.parametrize(
    ("count", "word", "expected"),
    [
        (1, "seed", "1 seed"),
        (3, "seed", "3 seeds"),
        (0, "trial", "0 trials"),
        (2, "trained method", "2 trained methods"),
        (1, "process", "1 process"),
        (4, "process", "4 processes"),
        (2, "box", "2 boxes"),
        (2, "batch", "2 batches"),
    ],
)
def test_a_count_and_its_noun(count, word, expected):
    assert plural(count, word) == expected
