"""Caveats below the score tables: metrics that were not measured, and the accuracy of distances between image sets."""

from collections.abc import Mapping

import pandas as pd

from cgbench.api.metric import ERROR, REAL, Value
from cgbench.reports.formats.numbers import declared, in_order, number
from cgbench.results.records import not_measured

ENOUGH_IMAGES = 2048  # the number of Inception features: with fewer, the covariance is singular (Heusel et al. 2017)


def caveats(records: pd.DataFrame, values: Mapping[str, Value]) -> list[str]:
    """Return a sentence per reason why metrics were not measured, and one per direction with distances between sets."""
    return [*_absences(records, values), *_set_sizes(records, values)]


def _absences(records: pd.DataFrame, values: Mapping[str, Value]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for (_, metric), reason in not_measured(records).items():
        by_reason.setdefault(reason, []).append(metric)
    return [
        f"Not measured: {', '.join(declared(values, name).label for name in in_order(set(names), values))}: {reason}."
        for reason, names in by_reason.items()
    ]


def _set_sizes(records: pd.DataFrame, values: Mapping[str, Value]) -> list[str]:
    """Return per direction the numbers of images that distances compare, a warning where they are few, and the largest
    standard error of each distance."""
    lines = []
    real = records[records["metric"].str.endswith(f"/{REAL}")]
    for direction, rows in real.groupby("direction", sort=False):
        names = in_order({name.partition("/")[0] for name in rows["metric"]}, values)
        fakes, reals = int(rows["n"].min()), int(rows["value"].min())
        text = f"{', '.join(declared(values, name).label for name in names)} ({direction}): "
        text += f"{fakes:,} translated and {reals:,} real images."
        if min(fakes, reals) < ENOUGH_IMAGES:
            text += (
                f" Fewer than {ENOUGH_IMAGES:,}: a Fréchet distance of so few comes out too large; compare only here."
            )
        for name in names:
            errors = records[(records["direction"] == direction) & (records["metric"] == f"{name}/{ERROR}")]["value"]
            if errors.notna().any():
                value = declared(values, name)
                text += f" Standard error of {value.label} over images: {number(errors.max(), value.digits)} at most."
        lines.append(text)
    return lines
