"""Failures of each method: tables of seeds and images that show them, and findings as sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cgbench.api.names import DIRECTIONS, FailureState, TrialState
from cgbench.reports.formats.csv import csv_text
from cgbench.reports.formats.markdown import escaped, markdown_table
from cgbench.results.record_files import read_failures_file
from cgbench.results.run import UNTRAINED, Run

COLUMNS = ["direction", "method", "seed", "failure", "state", "rate", "images", "evidence", "detail", "explained_by"]
CAPTION = (
    "Seeds that fail, of those examined, and the mean share of test images that show it. In brackets: seeds in which "
    "another failure brings this one with it. – cannot be looked for. Copy and shuffled are here to see that the "
    "detectors work: a copy must be called one, and a street of another scene must have the wrong structure."
)


@dataclass(frozen=True)
class FailureCell:
    """One method and failure: `found` seeds fail, `main` is the text ("2 of 3 · 41%"), `note` the text on seeds that
    fail only because of another failure."""

    main: str
    note: str = ""
    found: int = 0

    @property
    def text(self) -> str:
        return f"{self.main} {self.note}".rstrip()


@dataclass(frozen=True)
class FailureTable:
    """Methods × failures in one direction. `headers` are the failures' labels, `rows` a method, its role and its
    cells, `findings` one sentence per trained method and failure that it has."""

    direction: str
    name: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[FailureCell, ...]], ...]
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """The definition of a failure as text: its evidence, the threshold for an image, and the threshold for a trial."""

    label: str
    summary: str
    evidence: str
    image: str
    trial: str


def read_failures(run: Run) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Return the detections, one row per direction, method, seed and failure, and the definition of each failure by
    name. Trials that were evaluated before there were detectors have no rows."""
    rows: list[dict[str, Any]] = []
    definitions: dict[str, dict[str, Any]] = {}
    for trial in run.trials:
        if trial.state != TrialState.DONE:
            continue
        for direction, detections in read_failures_file(trial.folder.failures).items():
            for name, entry in detections.items():
                definitions.setdefault(name, entry)
                row = {"direction": direction, "method": trial.method, "seed": trial.seed, "failure": name}
                rows.append(row | {key: entry.get(key) for key in COLUMNS[4:]})
    return pd.DataFrame(rows, columns=COLUMNS), definitions


def rules(definitions: Mapping[str, Mapping[str, Any]]) -> list[Rule]:
    """Return the definition of each failure as text."""
    return [
        Rule(
            entry["label"],
            entry["summary"],
            entry["evidence_definition"],
            f"{entry['threshold']:g} or {'more' if entry['above'] else 'less'}".replace("-", "−"),
            f"{entry['share']:.0%} of the images",
        )
        for entry in definitions.values()
    ]


def failure_tables(
    detections: pd.DataFrame, definitions: Mapping[str, Mapping[str, Any]], order: Sequence[str],
    roles: Mapping[str, str], names: Mapping[str, str],
) -> list[FailureTable]:  # fmt: skip
    """Return the printable tables of failures.

    Args:
        detections: The rows that `read_failures` returns.
        definitions: The definitions of failures by name.
        order: The methods in the order of tables.
        roles: The role of each method.
        names: The display names of directions.

    Returns:
        One table per direction that has detections.
    """
    labels = {name: entry["label"] for name, entry in definitions.items()}
    tables = []
    for direction in DIRECTIONS:
        shown = detections[detections["direction"] == direction]
        methods = [name for name in order if name in set(shown["method"])]
        if not methods:
            continue
        cells = {key: rows for key, rows in shown.groupby(["method", "failure"], sort=False)}
        rows = tuple(
            (method, roles.get(method, ""), tuple(_cell(cells.get((method, name)), labels) for name in labels))
            for method in methods
        )
        trained = [name for name in methods if roles.get(name, "") not in UNTRAINED]
        findings = tuple(
            text for method in trained for name in labels if (text := _finding(cells.get((method, name)), labels))
        )
        tables.append(FailureTable(direction, names.get(direction, direction), tuple(labels.values()), rows, findings))
    return tables


def failures_markdown(tables: Sequence[FailureTable], definitions: Sequence[Rule]) -> str:
    """Return the tables as Markdown, with the findings below each, and a table of the definitions at the end."""
    parts = []
    for table in tables:
        lines = [["method", *map(escaped, table.headers)]]
        for method, role, cells in table.rows:
            lines.append([escaped(f"{method} ({role})" if role else method), *(cell.text for cell in cells)])
        parts.append(f"### {table.direction}: {escaped(table.name)}, failures\n\n{markdown_table(lines)}\n")
        parts.append(f"{CAPTION}\n")
        parts += ["".join(f"- {escaped(text)}\n" for text in table.findings)] if table.findings else []
    if tables:
        lines = [["failure", "an image shows it where this is", "", "a trial has it from"]]
        lines += [[escaped(rule.label), escaped(rule.evidence), rule.image, rule.trial] for rule in definitions]
        parts.append(f"### How failures are told\n\n{markdown_table(lines)}\n")
    return "\n".join(parts)


def failures_csv(detections: pd.DataFrame) -> str:
    """Return all detections as CSV, one line per direction, method, seed and failure."""
    explained_by = detections["explained_by"].map(lambda names: ";".join(names) if names else "")
    return csv_text(detections.assign(explained_by=explained_by))


def _cell(rows: pd.DataFrame | None, labels: Mapping[str, str]) -> FailureCell:
    """Return the cell of one method and failure from its rows, one per seed."""
    if rows is None or (rows["state"] == FailureState.NOT_APPLICABLE).all():
        return FailureCell("–")
    judged = rows[~rows["state"].isin([FailureState.NOT_APPLICABLE, FailureState.FAILED])]
    if judged.empty:
        return FailureCell("detector broke")
    count, note = int((judged["state"] == FailureState.FOUND).sum()), ""
    explained = judged[judged["state"] == FailureState.EXPLAINED]
    if len(explained):
        causes = dict.fromkeys(labels.get(name, name) for names in explained["explained_by"] for name in names)
        note = f"({len(explained)} with {', '.join(causes)})"
    return FailureCell(f"{count} of {len(judged)} · {judged['rate'].mean():.0%}", note, count)


def _finding(rows: pd.DataFrame | None, labels: Mapping[str, str]) -> str:
    """Return the sentence on one failure of one method, with the detail of its first seed; "" if no seed has it."""
    if rows is None or not (rows["state"] == FailureState.FOUND).any():
        return ""
    seeds = rows[rows["state"] == FailureState.FOUND]
    first = seeds.iloc[0]
    text = f"{first['method']}: {labels[first['failure']]} (seed {', '.join(map(str, seeds['seed']))})"
    return f"{text}: {first['detail']}" if first["detail"] else text
