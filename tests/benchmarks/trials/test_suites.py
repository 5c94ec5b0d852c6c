"""The suites that come along: they name the methods of the papers' tables, in the order of their rows."""

import pytest

from cgbench.api.registry import METHODS
from cgbench.benchmarks.trials.suite import read_suite, suite_names
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
