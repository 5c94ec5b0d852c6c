"""CSV as text."""

import csv as csvfile
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: pd.DataFrame) -> str:
    """Return rows as CSV; numbers have six significant digits, and no text is a formula."""
    return defused_rows(rows).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def csv_lines(columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """Return lines as CSV under their column names; a column that a line lacks is empty. No text is a formula."""
    buffer = io.StringIO()
    writer = csvfile.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: defused(value) for name, value in line.items()} for line in lines)
    return buffer.getvalue()


def defused(value: object) -> object:
    """Return a cell as spreadsheets show it: a text that they would compute, or run, gets an apostrophe before it. Any
    other value, a number written as text among them, is returned as it is."""
    return f"'{value}" if _is_formula(value) else value


def defused_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose texts are `defused`; columns without such a text stay as they are, in type as well."""
    changed = {
        name: column.astype(object).map(defused)
        for name, column in rows.items()
        if not pd.api.types.is_numeric_dtype(column) and any(map(_is_formula, column))
    }
    return rows.assign(**changed) if changed else rows


def _is_formula(value: object) -> bool:
    if not isinstance(value, str) or not value.startswith(FORMULA_STARTS):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def six_digits(value: float | None) -> str:
    """Return a number with six significant digits, "" for NaN and None."""
    if value is None or math.isnan(value):
        return ""
    return f"{round(value, 9) + 0.0:.6g}"  # rounded so that 0.3 - 0.1 - 0.2 is 0, not 3e-17
