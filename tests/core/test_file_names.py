"""Names of files: safe, apart from each other, and the same when named again."""

from hypothesis import given
from hypothesis import strategies as st

from cgbench.files import file_name


@given(st.text(max_size=300))
def test_any_key_has_a_safe_name_that_stays(key):
    name = file_name(key)
    assert 0 < len(name) <= 100 and name.isascii() and "/" not in name and not name.startswith((".", "-"))
    assert file_name(name) == name


@given(st.text(max_size=200), st.text(max_size=200))
def test_two_keys_have_two_names(first, second):
    assert first == second or file_name(first) != file_name(second)
