"""Names of files and folders: safe, apart from each other, and the same when named again."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.errors import CgbenchError
from cgbench.files import file_name, safe_name

PLAIN = string.ascii_letters + string.digits


@given(st.text(max_size=300))
def test_any_key_has_a_safe_name_that_stays(key):
    name = file_name(key)
    assert 0 < len(name) <= 100 and name.isascii() and "/" not in name and not name.startswith((".", "-"))
    assert file_name(name) == name


@given(st.text(max_size=200), st.text(max_size=200))
def test_two_keys_have_two_names(first, second):
    assert first == second or file_name(first) != file_name(second)


@given(st.text(min_size=1, max_size=300))
def test_any_text_is_one_folder_below_another(text):
    name = safe_name(text)
    assert 0 < len(name.encode()) <= 200 and name.isprintable()
    assert not name.startswith((".", "-", " ")) and not name.endswith((".", " "))
    assert not set(name) & set('/\\\\:*?"<>|[]')


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_two_texts_have_two_folders(first, second):
    assert first == second or safe_name(first) != safe_name(second)


@given(st.sampled_from(PLAIN), st.text(PLAIN + "._+-", max_size=100), st.sampled_from(PLAIN))
def test_plain_names_are_kept(first, middle, last):
    assert safe_name(first + middle + last) == first + middle + last


@pytest.mark.parametrize("text", ["exp 1", "данные", "数据", "猫x", "犬x", "été 1", "हिन्दी", "a-", "v1.2+cu_3"])
def test_what_a_file_system_can_hold_is_kept(text):
    assert safe_name(text) == text


def test_names_that_were_one_folder_are_several():
    alike = ["exp/1", "exp-1", "exp 1", "exp:1", "exp-1.", ".exp-1", "exp-1~", "e\N{COMBINING ACUTE ACCENT}", "é"]
    assert len({safe_name(text) for text in alike}) == len(alike)
    assert len({safe_name(text) for text in ("x" * 400, "x" * 401, "数" * 100, "数" * 101)}) == 4
    taken = safe_name("exp/1")  # the name that another text was given belongs to it
    assert taken.startswith("exp-1~") and safe_name(taken) != taken


def test_an_empty_text_is_no_name():
    with pytest.raises(CgbenchError, match="cannot be used as a name"):
        safe_name("")
