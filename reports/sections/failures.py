"""Failures of each method: tables of seeds and images that show them, findings as sentences, and what a detector is
worth on this dataset."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cgbench.api.names import DIRECTIONS, FailureState, Role, TrialState
from cgbench.reports.formats.csv import csv_text
from cgbench.reports.formats.markdown import escaped, markdown_table
from cgbench.results.detections import ensure_one_setting, setting_of
from cgbench.results.record_files import read_failures_file
from cgbench.results.run import UNTRAINED, RunRecords
from cgbench.results.significance import clopper_pearson

Definitions = Mapping[str, Mapping[str, Mapping[str, Any]]]  # a record by failure and direction
COLUMNS = [
    "direction", "method", "seed", "failure", "state", "rate", "images", "evidence", "detail", "explained_by",
    "threshold", "healthy_rate", "control_rate", "reason",
]  # fmt: skip
CALIBRATED = ("healthy_rate", "control_rate")
CAPTION = (
    "Seeds that fail, of those examined; the mean share of test images that show it; the median of the evidence. In "
    "square brackets: 95 % intervals (Clopper and Pearson), that of images as if of one seed, because all seeds share "
    "the images. In round brackets: seeds in which another failure brings this one with it. – cannot be looked "
    "for. Copy, shuffled and real are here to see that the detectors work."
)


@dataclass(frozen=True)
class FailureCell:
    """One method and failure: `found` seeds fail, `main` is the text ("2 of 3 · 41%"), `interval` that of their
    intervals, `evidence` its median, `note` the text on seeds that fail only because of another failure."""

    main: str
    note: str = ""
    found: int = 0
    interval: str = ""
    evidence: str = ""

    @property
    def text(self) -> str:
        seeds, _, images = self.main.partition(" · ")
        of_seeds, _, of_images = self.interval.rpartition(" · ")
        shares = [f"{seeds} [{of_seeds}]" if of_seeds else seeds, f"{images} [{of_images}]" if of_images else images]
        return f"{' · '.join(filter(None, [*shares, self.evidence]))} {self.note}".rstrip()


@dataclass(frozen=True)
class FailureTable:
    """Methods × failures in one direction. `headers` are the failures' labels, `rows` a method, its role and its
    cells, `findings` one sentence per trained method and failure that it has, `notes` one per detector that says
    little here."""

    direction: str
    name: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[FailureCell, ...]], ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """The definition of a failure as text: its evidence, the threshold for an image, how that was set, and the
    threshold for a trial."""

    label: str
    summary: str
    evidence: str
    image: str
    set_by: str
    trial: str


def read_failures(run: RunRecords) -> tuple[pd.DataFrame, Definitions]:
    """Return the detections, one row per direction, method, seed and failure, and a record of each failure by name and
    direction. Trials that were evaluated before there were detectors have no rows; trials that were examined in
    different ways raise `CgbenchError`."""
    rows: list[dict[str, Any]] = []
    definitions: dict[str, dict[str, dict[str, Any]]] = {}
    for trial in run.trials:
        if trial.state != TrialState.DONE:
            continue
        for direction, detections in read_failures_file(trial.folder.failures).items():
            for name, entry in detections.items():
                first = definitions.setdefault(name, {}).setdefault(direction, entry)
                ensure_one_setting(trial.folder.path, f"{name} {direction}", setting_of(entry), setting_of(first))
                row = {"direction": direction, "method": trial.method, "seed": trial.seed, "failure": name}
                row |= {key: entry.get(key) for key in COLUMNS[4:]}
                rows.append(row | {key: (entry.get("calibration") or {}).get(key) for key in CALIBRATED})
    return pd.DataFrame(rows, columns=COLUMNS), definitions


def labels_of(definitions: Definitions) -> dict[str, str]:
    """Return the label of each failure by its name."""
    return {name: next(iter(entries.values()))["label"] for name, entries in definitions.items()}


def rules(definitions: Definitions) -> list[Rule]:
    """Return the definition of each failure as text."""
    return [
        Rule(
            entry["label"],
            entry["summary"],
            entry["evidence_definition"],
            _by_direction({direction: _threshold(record) for direction, record in entries.items()}),
            _by_direction({direction: _set_by(record) for direction, record in entries.items()}),
            f"{entry['share']:.0%} of the images",
        )
        for entries in definitions.values()
        for entry in list(entries.values())[:1]
    ]


def healthy_note(definitions: Definitions) -> str:
    """Return what was done to the real images that thresholds were set with; "" where none was."""
    records = [entry.get("calibration") or {} for entries in definitions.values() for entry in entries.values()]
    done = next(filter(None, (record.get("disturbances", "") for record in records)), "")
    return f"Healthy images are real ones with one of: {done}." if done else ""


def _by_direction(texts: Mapping[str, str]) -> str:
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{direction}: {text}" for direction, text in texts.items())


def _threshold(entry: Mapping[str, Any]) -> str:
    return f"{entry['threshold']:g} or {'more' if entry['above'] else 'less'}".replace("-", "−")


def _set_by(entry: Mapping[str, Any]) -> str:
    """Return how the threshold of a record was set, with the rates of its calibration."""
    calibration = entry.get("calibration")
    if not calibration:
        return "fixed"
    if "healthy_rate" not in calibration:
        return f"as declared, not checked here: {calibration.get('reason') or entry.get('reason', '')}"
    declared = calibration["declared"]
    how = "as declared" if declared == entry["threshold"] else f"on this dataset, declared {declared:g}"
    healthy = f"{calibration['healthy_rate']:.0%} of {calibration['healthy_images']} healthy images"
    worst = f"{calibration['worst_rate']:.0%} with {calibration.get('worst_disturbance', '')}"
    control = f"{calibration['control_rate']:.0%} of {calibration['control_images']}"
    origin, shown, checked = (calibration.get(name, "") for name in ("origin", "control", "control_origin"))
    return f"{how}; calls {healthy} ({worst}; {origin}) and {control} {shown} ({checked})"


def failure_tables(
    detections: pd.DataFrame, definitions: Definitions, order: Sequence[str], roles: Mapping[str, str],
    names: Mapping[str, str],
) -> list[FailureTable]:  # fmt: skip
    """Return the printable tables of failures.

    Args:
        detections: The rows that `read_failures` returns.
        definitions: The records of failures by name and direction.
        order: The methods in the order of tables.
        roles: The role of each method.
        names: The display names of directions.

    Returns:
        One table per direction that has detections.
    """
    labels = labels_of(definitions)
    tables = []
    for direction in DIRECTIONS:
        shown = detections[detections["direction"] == direction]
        methods = [name for name in order if name in set(shown["method"])]
        if not methods:
            continue
        cells = {key: rows for key, rows in shown.groupby(["method", "failure"], sort=False)}
        trained = [name for name in methods if roles.get(name, "") not in UNTRAINED]
        rows = tuple(
            (method, roles.get(method, ""),
             tuple(_cell(cells.get((method, name)), labels, method in trained) for name in labels))
            for method in methods
        )  # fmt: skip
        external = {name for name in methods if roles.get(name, "") == Role.EXTERNAL}
        findings = tuple(
            text
            for method in trained for name in labels
            if (text := _finding(cells.get((method, name)), labels, method in external))
        )  # fmt: skip
        notes = tuple(
            f"{labels[name][:1].upper()}{labels[name][1:]} {text}."
            for name in labels
            for text in _notes(
                shown[shown["failure"] == name], [each for each in trained if each not in external], roles
            )
        )
        headers = tuple(labels.values())
        tables.append(FailureTable(direction, names.get(direction, direction), headers, rows, findings, notes))
    return tables


def failures_markdown(tables: Sequence[FailureTable], definitions: Definitions) -> str:
    """Return the tables as Markdown, with the findings below each, and a table of the definitions at the end."""
    parts = []
    for table in tables:
        lines = [["method", *map(escaped, table.headers)]]
        for method, role, cells in table.rows:
            lines.append([escaped(f"{method} ({role})" if role else method), *(cell.text for cell in cells)])
        parts.append(f"### {table.direction}: {escaped(table.name)}, failures\n\n{markdown_table(lines)}\n")
        parts.append(f"{CAPTION}\n")
        parts += [f"**{escaped(text)}**\n" for text in table.notes]
        parts += ["".join(f"- {escaped(text)}\n" for text in table.findings)] if table.findings else []
    if tables:
        lines = [["failure", "an image shows it where this is", "", "how this was set", "a trial has it from"]]
        lines += [
            [escaped(rule.label), escaped(rule.evidence), rule.image, escaped(rule.set_by), rule.trial]
            for rule in rules(definitions)
        ]
        parts.append(f"### How failures are told\n\n{markdown_table(lines)}\n")
        parts += [f"{escaped(note)}\n"] if (note := healthy_note(definitions)) else []
    return "\n".join(parts)


def failures_csv(detections: pd.DataFrame) -> str:
    """Return all detections as CSV, one line per direction, method, seed and failure."""
    explained_by = detections["explained_by"].map(lambda names: ";".join(names) if names else "")
    return csv_text(detections.assign(explained_by=explained_by))


def _cell(rows: pd.DataFrame | None, labels: Mapping[str, str], trained: bool) -> FailureCell:
    """Return the cell of one method and failure from its rows, one per seed."""
    if rows is None or (rows["state"] == FailureState.NOT_APPLICABLE).all():
        return FailureCell("–")
    if (rows["state"] == FailureState.UNJUDGED).any():
        return FailureCell(str(FailureState.UNJUDGED), evidence=_evidence(rows))
    judged = rows[~rows["state"].isin([FailureState.NOT_APPLICABLE, FailureState.FAILED])]
    if judged.empty:
        return FailureCell("detector broke")
    count, note = int((judged["state"] == FailureState.FOUND).sum()), ""
    explained = judged[judged["state"] == FailureState.EXPLAINED]
    if len(explained):
        causes = dict.fromkeys(labels.get(name, name) for names in explained["explained_by"] for name in names)
        note = f"({len(explained)} with {', '.join(causes)})"
    rate, images = float(judged["rate"].mean()), int(judged["images"].max())
    of_images = _interval(rate * images, images)
    interval = f"{_interval(count, len(judged))} · {of_images}" if trained else of_images  # untrained: one draw or none
    return FailureCell(f"{count} of {len(judged)} · {rate:.0%}", note, count, interval, _evidence(judged))


def _interval(count: float, total: int) -> str:
    low, high = clopper_pearson(count, total)
    return f"{100 * low:.0f}–{100 * high:.0f}%"


def _evidence(rows: pd.DataFrame) -> str:
    """Return the median evidence of a method, the mean over its seeds; "" where none was recorded."""
    mean = pd.to_numeric(rows["evidence"]).mean()
    return "" if pd.isna(mean) else f"{mean:.2f}".replace("-", "−")


def _notes(rows: pd.DataFrame, trained: Sequence[str], roles: Mapping[str, str]) -> Iterator[str]:
    """Yield why the detector of one failure says little in one direction, from its rows of all methods."""
    unjudged = rows[rows["state"] == FailureState.UNJUDGED]
    if len(unjudged):
        yield f"cannot be judged here: {unjudged['reason'].iloc[0]}"
        return
    called = rows[rows["state"].isin([FailureState.FOUND, FailureState.EXPLAINED])]
    real = called[called["method"].map(lambda name: roles.get(name, "") == Role.CEILING)]
    if len(real):
        yield f"is called on {real['rate'].iloc[0]:.0%} of the real images too: it says nothing here"
    elif len(trained) > 1 and len(called[called["method"].isin(trained)]) == rows["method"].isin(trained).sum():
        yield "is found in every seed of every trained method: the count tells no method apart, rates and evidence may"


def _finding(rows: pd.DataFrame | None, labels: Mapping[str, str], external: bool) -> str:
    """Return the sentence on one failure of one method, with the detail of its first seed; "" if no seed has it. Seeds
    of an `external` one may be unknown, and are not named."""
    if rows is None or not (rows["state"] == FailureState.FOUND).any():
        return ""
    seeds = rows[rows["state"] == FailureState.FOUND]
    first = seeds.iloc[0]
    whose = Role.EXTERNAL.value if external else f"seed {', '.join(map(str, seeds['seed']))}"
    text = f"{first['method']}: {labels[first['failure']]} ({whose})"
    return f"{text}: {first['detail']}" if first["detail"] else text
