"""Readers of a run's files, each checked against its schema.

What is read is returned as it was written: plain dictionaries and lists, with the types and bounds of
`cgbench.results.schemas`. Everything else is one `CgbenchError`, which names file, line and field.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cgbench.api.names import TrialState
from cgbench.errors import CgbenchError
from cgbench.files import read_json, read_jsonl
from cgbench.formatting import printable

SCHEMA = 2  # of a run's files; 1 had other names for settings, graph nodes and image_scores.jsonl


def read_run_file(path: Path) -> dict[str, Any]:
    """Return the content of `run.json`."""
    return dict(_read(path, "RunFile"))


def read_trial_file(path: Path) -> dict[str, Any]:
    """Return the content of `trial.json`; one that another version wrote is refused by the name of that version."""
    content = read_json(path)
    schema = content.get("schema", SCHEMA) if isinstance(content, dict) else SCHEMA
    if type(schema) is not int or schema != SCHEMA:
        raise CgbenchError(
            f"{path} was written by another version of cgbench (schema {schema!r}, this one reads {SCHEMA}): "
            "run it anew under another --name, or read it with that version"
        )
    _check(content, "TrialFile", str(path))
    return dict(content)


def read_status_file(path: Path) -> dict[str, Any]:
    """Return the content of `status.json`."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("state") not in list(TrialState):
        states = ", ".join(state for state in TrialState if state)
        raise CgbenchError(f"{path} is not a trial's status: it names none of {states}")
    _check(content, "StatusFile", str(path))
    return content


def read_cost_file(path: Path) -> dict[str, float]:
    """Return the images per second by direction in `cost.json`; none where it does not exist."""
    return dict(_read(path, "CostFile")["images_per_second"]) if path.exists() else {}


def read_failures_file(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the records of failure modes by direction and name in `failures.json`; none where it does not exist."""
    return _read(path, "FailuresFile") if path.exists() else {}


def read_protocols_file(path: Path) -> dict[str, dict[str, Any]]:
    """Return the protocols by digest in `protocols.json`; none where it does not exist."""
    return _read(path, "ProtocolsFile") if path.exists() else {}


def read_metric_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of `metrics.jsonl` or `history.jsonl`; two of one metric, direction, split, step and protocol
    raise `CgbenchError`."""
    return list(_rows(path, "MetricRow", "metric, direction, split, step and protocol"))


def read_alternative_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of `alternatives.jsonl`; two of one weights, metric, direction, step and protocol raise
    `CgbenchError`."""
    return list(_rows(path, "AlternativeRow", "weights, metric, direction, step and protocol"))


def read_score_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of `image_scores.jsonl`; two rows of one metric, direction and key raise `CgbenchError`."""
    return list(_rows(path, "ScoreRow", "metric, direction and key"))


def read_step_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of `steps.jsonl`; two rows of one step raise `CgbenchError`."""
    return list(_rows(path, "StepRow", "step"))


def _read(path: Path, schema: str) -> Any:
    content = read_json(path)
    _check(content, schema, str(path))
    return content


def _rows(path: Path, schema: str, identity: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON-lines file; none where it does not exist."""
    lines: dict[object, int] = {}
    for number, row in enumerate(read_jsonl(path), 1):
        checked = _check(row, schema, f"{path}, line {number}")
        first = lines.setdefault(checked.identity, number)
        if first != number:
            raise CgbenchError(f"{path}, lines {first} and {number}: two rows of one {identity}; remove one of them")
        yield row


def _check(content: Any, schema: str, where: str) -> Any:
    """Return the content in the form of a schema, or raise `CgbenchError` with the place and the field."""
    import msgspec

    from cgbench.results import schemas

    try:
        return msgspec.convert(content, getattr(schemas, schema))
    except msgspec.ValidationError as error:
        reason = schema_problem(str(error))
        raise CgbenchError(f"{where} is not as cgbench writes it: {reason}; restore the file or run again") from None


def schema_problem(message: str) -> str:
    """Return the message of msgspec about a value that does not fit its schema, with the name of the field in front:
    'dataset.label': expected str, got int. It is one line, whatever foreign fields are called."""
    reason, _, place = printable(message).partition(" - at `")
    field = "" if place.startswith("key` in") else place.removesuffix("`").removeprefix("$").removeprefix(".")
    if missing := re.fullmatch(r"Object missing required field `(.+)`", reason):
        return f"'{'.'.join(filter(None, [field, missing[1]]))}' is missing"
    if reason.startswith(("Expected", "Object", "Number", "Invalid")):
        reason = reason[:1].lower() + reason[1:]
    return f"'{field}': {reason}" if field else reason
