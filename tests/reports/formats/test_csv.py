"""CSV files: what spreadsheets do with them, and what stays as it is."""

import pandas as pd
import pytest

from cgbench.reports.formats.csv import csv_lines, csv_text, defused, defused_rows


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "--"])
def test_a_text_that_would_be_computed_is_defused(text):
    assert defused(text) == f"'{text}"
    assert csv_lines(["a"], [{"a": text}]).splitlines()[1].strip('"').startswith("'")
    assert csv_text(pd.DataFrame({"a": [text, "b"], "n": [-1.5, 2.0]})).splitlines()[1].strip('"').startswith("'")


@pytest.mark.parametrize("value", ["-0.5", "+3", "-inf", "-1e-05", "plain", "a=b", "", -1.5, 3, None])
def test_numbers_and_other_texts_stay(value):
    assert defused(value) is value


def test_columns_without_a_formula_stay_in_type_and_in_text():
    rows = pd.DataFrame({"a": [1, None], "b": pd.Series([2, None], dtype=object), "c": ["x", None], "d": ["=1", None]})
    assert defused_rows(rows[["a", "b", "c"]]).equals(rows[["a", "b", "c"]])
    assert csv_text(rows).splitlines() == ["a,b,c,d", "1,2,x,'=1", ",,,"]
