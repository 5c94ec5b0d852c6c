"""Quantities as text, and names as words of a shell."""

import os
import shutil
import subprocess

import pytest

from cgbench.formatting import plural, shell_word


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


@pytest.mark.parametrize(
    ("name", "word"),
    [
        (b"plain", "plain"),
        (b"it's mine", """'it'"'"'s mine'"""),
        ("café".encode(), "'café'"),
        (b"caf\xe9", r"$'caf\xe9'"),
        (b"it's\\\x1b\xe90\n", r"$'it\'s\\\x1b\xe90\n'"),
    ],
)
def test_a_name_as_a_word_of_a_shell(name, word):
    text = os.fsdecode(name)
    assert shell_word(text) == word and word.isprintable()
    if shutil.which("bash"):
        said = subprocess.run(["bash", "-c", f"printf %s {shell_word(text)}"], capture_output=True, timeout=20)
        assert said.stdout == name
