"""Caveats below the score tables: metrics that were not measured, and the accuracy of distances between image sets."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from cgbench.api.metric import REAL, TRAINING, WIDTH, Value
from cgbench.api.names import Role
from cgbench.formatting import listed, plural
from cgbench.reports.formats.numbers import declared, in_order, number
from cgbench.results.records import not_measured
from cgbench.results.run import RunRecords


def caveats(records: pd.DataFrame, values: Mapping[str, Value]) -> list[str]:
    """Return a sentence per reason why metrics were not measured, and a paragraph per direction and network with
    distances between sets."""
    return [*_absences(records, values), *_set_sizes(records, values)]


def judge_caveats(run: RunRecords, values: Mapping[str, Value]) -> list[str]:
    """Return a sentence per untrained row that beats trained methods, and one per direction that scorers judge."""
    protocols, ceiling = run.protocols().values(), Role.CEILING in run.roles.values()
    return [*_beaten(run, values), *_scorers(protocols), *_published_scorers(protocols, ceiling)]


def _beaten(run: RunRecords, values: Mapping[str, Value]) -> list[str]:
    """Return a warning per direction whose primary number is better for an untrained row than for trained methods."""
    lines = []
    for direction, metric in run.dataset.get("primary", {}).items():
        value = declared(values, metric)
        chosen = (run.records["direction"] == direction) & (run.records["metric"] == metric)
        means = run.records[chosen].groupby("method")["value"].mean().dropna() * (-1 if value.better == "lower" else 1)
        trained = [name for name in run.trained if name in means]
        for floor in (name for name in means.index if run.roles.get(name) == Role.FLOOR):
            worse = [name for name in trained if means[name] < means[floor]]
            if worse:
                which = "every trained method" if len(worse) == len(trained) else listed(worse)
                name = run.dataset["directions"].get(direction, direction)
                lines.append(
                    f"{name}: {floor}, which is not trained, has a better {value.label} than {which}: either the "
                    "training is too short, or the number can be had without translating."
                )
    return lines


def _scorers(protocols: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return per direction how many scorers judged, and what they reach on photos that they were not trained on."""
    lines: dict[str, None] = {}
    for details in protocols:
        if details.get("metric") == "fcn_score" and "scorer_held_out_accuracy" in details:
            count = int(details.get("scorers", 1))
            text = (
                f"FCN scores ({details['direction']}): mean of {plural(count, 'scorer')}; on photos that they were not "
                f"trained on: pixel accuracy {details['scorer_held_out_accuracy']:.3f}, calibration error "
                f"{details['scorer_calibration_error']:.3f}, {details['scorer_held_out_rejected']:.1%} of the pixels "
                "rejected."
            )
            lines[text] = None
    return list(lines)


def _published_scorers(protocols: Iterable[Mapping[str, Any]], ceiling: bool) -> list[str]:
    """Return per direction that a published network judged, and which: it is one scorer, not trained here; where there
    is a `ceiling`, the row of real photos shows what it reaches."""
    lines: dict[str, None] = {}
    for details in protocols:
        if details.get("metric") == "fcn_score" and "scorer_network" in details:
            source = f", {details['scorer_source']}" if details.get("scorer_source") else ""
            reached = "; the row of real photos shows what it reaches on the test photos" if ceiling else ""
            text = (
                f"FCN scores ({details['direction']}): by one published network, {details['scorer_network']} "
                f"({details['scorer_architecture']}, SHA-256 {details['scorer_weights'][:12]}, class map "
                f"{details['scorer_class_map']}{source}). It was not trained here, and what it reaches on photos that "
                f"it was not trained on is not known{reached}. One scorer says nothing about others."
            )
            lines[text] = None
    return list(lines)


def _absences(records: pd.DataFrame, values: Mapping[str, Value]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for (_, metric), reason in not_measured(records).items():
        by_reason.setdefault(reason, []).append(metric)
    return [
        f"Not measured: {', '.join(declared(values, name).label for name in in_order(set(names), values))}: {reason}."
        for reason, names in by_reason.items()
    ]


def _set_sizes(records: pd.DataFrame, values: Mapping[str, Value]) -> list[str]:
    """Return per direction and number of features: the numbers of images that distances compare, a warning where they
    are fewer than features (the covariances are singular then, Heusel et al. 2017), what rows of real images compare,
    and the largest standard error of each distance."""
    lines = []
    details = records[records["metric"].str.endswith((f"/{REAL}", f"/{WIDTH}", f"/{TRAINING}"))]
    parts = details["metric"].str.split("/")
    details = details.assign(name=parts.str[0], detail=parts.str[-1])
    widths = details[details["detail"] == WIDTH].groupby(["direction", "name"], sort=False)["value"].min()
    for (direction, width), group in widths.groupby([widths.index.get_level_values(0), widths], sort=False):
        names = in_order(set(group.index.get_level_values(1)), values)
        rows = details[(details["direction"] == direction) & details["name"].isin(names)]
        fakes, reals = int(rows["n"].min()), int(rows.loc[rows["detail"] == REAL, "value"].min())
        text = f"{', '.join(declared(values, name).label for name in names)} ({direction}): "
        text += f"{fakes:,} translated and {reals:,} real images."
        if min(fakes, reals) < width:
            text += (
                f" Fewer than the {int(width):,} features of an image: a Fréchet distance of so few comes out too "
                "large; compare only here."
            )
        text += _training_photos(rows[rows["detail"] == TRAINING], fakes)
        for name in names:
            errors = records[(records["direction"] == direction) & (records["metric"] == name)]["error_images"]
            if errors.notna().any():
                value = declared(values, name)
                text += f" Standard error of {value.label} over images: {number(errors.max(), value.digits)} at most."
        lines.append(text)
    return lines


def _training_photos(rows: pd.DataFrame, fakes: int) -> str:
    """Return the sentence on the rows that compare training photos with the real images, "" where there are none."""
    if rows.empty:
        return ""
    count, methods = int(rows["value"].min()), list(dict.fromkeys(rows["method"]))
    few = " (the fewer, the larger a Fréchet distance)" if count < fakes else ""
    return f" For {listed(methods)}, which show the real images: {count:,} training photos against these{few}."
