"""CSV as text."""

import csv as csvfile
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd


def csv_text(rows: pd.DataFrame) -> str:
    """Return rows as CSV; numbers have six significant digits."""
    return rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def csv_lines(columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """Return lines as CSV under their column names; a column that a line lacks is empty."""
    buffer = io.StringIO()
    writer = csvfile.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def six_digits(value: float | None) -> str:
    """Return a number with six significant digits, "" for NaN and None."""
    if value is None or math.isnan(value):
        return ""
    return f"{round(value, 9) + 0.0:.6g}"  # rounded so that 0.3 - 0.1 - 0.2 is 0, not 3e-17
