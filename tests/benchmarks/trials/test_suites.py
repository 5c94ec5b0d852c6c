"""The suites that come along: they name the methods of the papers' tables, in the order of their rows."""

import os

import pytest

from cgbench.api.registry import METHODS
from cgbench.benchmarks.trials.suite import read_suite, suite_names
from cgbench.errors import CgbenchError
from cgbench.reports.paper_tables.published import TABLES

SUITE_OF = {"2": "rivals", "3": "rivals", "4": "family", "5": "family", "cut": "cut"}


@pytest.mark.parametrize("table", SUITE_OF)
def test_a_suite_has_the_rows_of_its_table(table):
    rows = [row.method for row in TABLES[table].rows if row.method]
    assert sorted(read_suite(SUITE_OF[table])["methods"]) == sorted(rows)


@pytest.mark.parametrize("name", suite_names())
def test_a_suite_names_methods_that_exist_and_three_seeds(name):
    suite = read_suite(name)
    assert set(suite["methods"]) <= set(METHODS.names()) and len(suite["seeds"]) >= 3


HOSTILE = {
    "nested": "set = " + "[" * 5_000 + "]" * 5_000, "digits": f"seeds = [1{'0' * 5_000}]", "huge": "#" * 2_000_000,
    "methods": f"methods = {['m'] * 2_000}", "seeds": f"seeds = {list(range(20_000))}", "kind": "seeds = [true]",
    "text": 'methods = "cyclegan"', "latin": b'name = "\xe9"', "a key": "extra = 1",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_suite_is_one_line(name, tmp_path):
    content = HOSTILE[name]
    (path := tmp_path / "suite.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CgbenchError, match=r"suite\.toml") as error:
        read_suite(str(path))
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_a_suite_may_begin_with_a_byte_order_mark_and_is_a_file(tmp_path):
    (path := tmp_path / "suite.toml").write_bytes(b'\xef\xbb\xbfmethods = ["cyclegan"]\n')
    assert read_suite(str(path)) == {"methods": ["cyclegan"]}


def test_a_suite_that_is_no_file_is_called_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "named pipe"), (tmp_path, "folder"), ("/dev/zero", "device")):
        with pytest.raises(CgbenchError, match=f"^--suite {path} is a {kind} where a file is expected"):
            read_suite(str(path))
    with pytest.raises(CgbenchError, match="no such file"):
        read_suite(str(tmp_path / "missing"))
