"""The baseline file: JSON, one number per line, so that a change of it can be reviewed. Its content is untrusted: the
size is bounded, the type of every value is checked, and an invalid file raises a one-line error."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cgbench.api.names import DIRECTIONS
from cgbench.benchmarks.regression.gate import Rules, Tolerance, make_tolerance
from cgbench.benchmarks.regression.run_numbers import COUNT, NOT_TRAINED, TRAINED, Key, RunNumbers, SeedValues
from cgbench.errors import CgbenchError
from cgbench.files import open_file, write_text

SCHEMA = 2  # 1 had other names for settings
KIND = "cgbench baseline"
MAX_BYTES = 8 * 2**20
MAX_NUMBERS = 20_000
NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]{1,200}")  # nothing moves a cursor


@dataclass(frozen=True)
class Baseline:
    """The numbers of the run that a baseline was made from, the tolerance that the file states for each number, and the
    rules that the tolerances were computed with."""

    run: RunNumbers
    tolerances: Mapping[Key, Tolerance]
    rules: Rules


def make_baseline(run: RunNumbers, rules: Rules) -> Baseline:
    """Return the baseline of a run. A run with trials that are not done, or without a number, raises `CgbenchError`."""
    if run.unfinished:
        first = run.unfinished[0]
        raise CgbenchError(
            f"the run has {len(run.unfinished)} trials that are not done (first: {first.method}, seed {first.seed}: "
            f"{first.state}); a baseline is made from a whole one"
        )
    if not run.numbers:
        raise CgbenchError("the run has no number: there is nothing to make a baseline of")
    metrics = {key.metric for key in run.numbers}
    for metric in set(rules.minimum) - metrics:
        raise CgbenchError(f"--min-effect {metric}: the run has no such number: known: {', '.join(sorted(metrics))}")
    tolerances = {key: make_tolerance(number, key.metric, rules) for key, number in run.numbers.items()}
    return Baseline(run, tolerances, rules)


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write the file atomically; equal baselines give equal bytes."""
    write_text(path, baseline_text(baseline))


def baseline_text(baseline: Baseline) -> str:
    """Return the content of the file."""
    run = baseline.run
    protocols = sorted({number.protocol for number in run.numbers.values()} - {""})
    header = {
        "kind": KIND,
        "schema": SCHEMA,
        "provenance": run.provenance,
        "rules": asdict(baseline.rules),
        "settings": run.settings,
        "protocols": {digest: run.protocols.get(digest, {}) for digest in protocols},
    }
    lines = [f" {json.dumps(key)}: {_compact_json(value)}" for key, value in header.items()]
    rows = [f"  {_compact_json(_row(key, number, baseline.tolerances[key]))}" for key, number in run.numbers.items()]
    numbers = ",\n".join(rows)
    lines.append(f' "numbers": [\n{numbers}\n ]')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_baseline(path: Path) -> Baseline:
    """Read a baseline. A missing, too large or invalid file raises `CgbenchError`."""
    validator = _Validator(path)
    content = validator.fields(_load(path), {"kind": str, "schema": int, "provenance": dict, "rules": dict,
                                        "settings": dict, "protocols": dict, "numbers": list}, "the file")  # fmt: skip
    if content["kind"] != KIND:
        raise validator.error("it is not a baseline of cgbench")
    if content["schema"] != SCHEMA:
        raise validator.error(f"its form has version {content['schema']}, and this program reads {SCHEMA}")
    if not 0 < len(content["numbers"]) <= MAX_NUMBERS:
        raise validator.error(f"it must hold 1 to {MAX_NUMBERS} numbers")
    numbers, tolerances = {}, {}
    for position, row in enumerate(content["numbers"], 1):
        key, number, tolerance = _parse_number(validator, row, f"number {position}")
        if key in numbers:
            raise validator.error(f"number {position}: '{key.text}' stands there twice")
        numbers[key], tolerances[key] = number, tolerance
    settings = {
        validator.name(k, "settings"): validator.plain_values(v, "settings") for k, v in content["settings"].items()
    }
    protocols = {
        validator.name(k, "protocols"): validator.plain_values(v, "protocols") for k, v in content["protocols"].items()
    }
    provenance = validator.fields(content["provenance"], {"run": str, "command": str, "created": str, "git": list,
                                                     "device": list, "versions": dict}, "provenance")  # fmt: skip
    if not provenance["command"].isprintable():
        raise validator.error("provenance: the command must be printable")
    validator.plain_values(provenance["versions"], "versions")
    validator.plain_values({name: provenance[name] for name in ("run", "created")}, "provenance")
    for text in [*provenance["git"], *provenance["device"]]:
        validator.name(text or "unknown", "provenance")
    return Baseline(
        RunNumbers(numbers, protocols, settings, provenance), tolerances, _parse_rules(validator, content["rules"])
    )


def _load(path: Path) -> Any:
    """Return the JSON of a file of bounded size; duplicate names and NaN raise `CgbenchError`."""
    if not (path.exists() or path.is_symlink()):
        raise CgbenchError(f"--baseline {path}: not there; 'cgbench baseline update RUN --baseline {path}' makes it")
    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except CgbenchError as error:
        raise CgbenchError(f"--baseline {error}") from None
    except FileNotFoundError:
        raise CgbenchError(f"--baseline {path}: its symbolic link leads to nothing: mend or remove it") from None
    if len(data) > MAX_BYTES:
        raise CgbenchError(f"--baseline {path}: larger than {MAX_BYTES // 2**20} MiB, so it is no baseline")

    def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name stands twice in one object")
        return dict(pairs)

    def refuse_constant(word: str) -> None:
        raise ValueError(f"{word} is not a number")

    try:
        return json.loads(data.decode(), object_pairs_hook=refuse_duplicates, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0][:200]
        raise CgbenchError(f"--baseline {path}: not readable JSON: {reason}") from None


def _row(key: Key, number: SeedValues, tolerance: Tolerance) -> dict[str, Any]:
    return {
        **key._asdict(), "better": number.better, "n": number.n, "protocol": number.protocol, "kind": number.kind,
        "spread": None if math.isnan(tolerance.spread) else tolerance.spread,
        "minimum": None if math.isnan(tolerance.min_effect) else tolerance.min_effect,
        "tolerance": None if math.isnan(tolerance.margin) else tolerance.margin,
        "values": {str(seed): value for seed, value in sorted(number.values.items())},
    }  # fmt: skip


def _parse_number(validator: "_Validator", row: Any, where: str) -> tuple[Key, SeedValues, Tolerance]:
    limit = (float, int, type(None))
    row = validator.fields(row, {
        "dataset": str, "method": str, "direction": str, "metric": str, "better": str, "n": int, "protocol": str,
        "kind": str, "spread": limit, "minimum": limit, "tolerance": limit, "values": dict,
    }, where)  # fmt: skip
    for name in ("dataset", "method", "metric"):
        validator.name(row[name], f"{where}, {name}")
    validator.one_of(row["direction"], ("", *DIRECTIONS), f"{where}, direction")
    validator.one_of(row["better"], ("", "higher", "lower"), f"{where}, better")
    validator.one_of(row["kind"], (TRAINED, NOT_TRAINED, COUNT), f"{where}, kind")
    validator.name(row["protocol"] or "none", f"{where}, protocol")
    values = {}
    for seed, value in row["values"].items():
        if not re.fullmatch(r"[0-9]{1,18}", seed):
            raise validator.error(f"{where}: a seed must be a whole number")
        values[int(seed)] = validator.number(value, f"{where}, seed {seed}")
    if not values or len(values) < len(row["values"]):
        raise validator.error(f"{where}: it needs values of different seeds")
    bounds = [math.nan if row[name] is None else validator.number(row[name], f"{where}, {name}", minimum=0)
            for name in ("spread", "minimum", "tolerance")]  # fmt: skip
    number = SeedValues(values, row["better"], row["n"], row["protocol"], row["kind"])
    if any(map(math.isnan, bounds)) and (len(values) > 1 or number.exact):
        raise validator.error(f"{where}: spread, minimum and tolerance must be numbers")
    if bounds[0] == 0 and not number.exact:
        raise validator.error(f"{where}: a number that varies with the seed needs a spread above 0")
    key = Key(row["dataset"], row["method"], row["direction"], row["metric"])
    return key, number, Tolerance(*bounds)


def _parse_rules(validator: "_Validator", content: dict[str, Any]) -> Rules:
    kinds = {"minimum_spreads": (float, int), "minimum_share": (float, int), "tolerance_spreads": (float, int),
             "scorer_spreads": (float, int)}  # fmt: skip
    fields = validator.fields(content, {**kinds, "minimum": dict}, "rules")
    minimum = {
        validator.name(key, "rules"): validator.number(value, "rules, minimum", 0)
        for key, value in fields["minimum"].items()
    }
    return Rules(**{name: validator.number(fields[name], f"rules, {name}", 0) for name in kinds}, minimum=minimum)


class _Validator:
    """Validation of values, with errors that name the file and the position."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def error(self, text: str) -> CgbenchError:
        return CgbenchError(f"--baseline {self.path}: {text}; it may be damaged: take it from version control again")

    def fields(self, value: Any, kinds: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return an object that has exactly these fields of these types."""
        if not isinstance(value, dict) or set(value) != set(kinds):
            raise self.error(f"{where} must have exactly the fields {', '.join(kinds)}")
        for name, kind in kinds.items():
            valid = isinstance(value[name], kind) and (kind is bool or not isinstance(value[name], bool))
            if not valid:
                raise self.error(f"{where}: '{name}' has the wrong type")
        return value

    def name(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise self.error(f"{where}: a name must be 1 to 200 printable characters")
        return value

    def one_of(self, value: str, allowed: tuple[str, ...], where: str) -> None:
        if value not in allowed:
            raise self.error(f"{where} must be one of: {', '.join(repr(word) for word in allowed)}")

    def number(self, value: Any, where: str, minimum: float = -math.inf) -> float:
        invalid = isinstance(value, bool) or not isinstance(value, int | float)
        if invalid or not abs(value) < 1e300 or value < minimum:
            raise self.error(
                f"{where}: it must be a finite number" + (f", at least {minimum:g}" if minimum == 0 else "")
            )
        return float(value)

    def plain_values(self, value: Any, where: str) -> dict[str, Any]:
        """Return an object of names and plain values."""
        if not isinstance(value, dict):
            raise self.error(f"{where} must hold objects")
        for key, entry in value.items():
            self.name(key, where)
            if isinstance(entry, str):
                self.name(entry or "none", where)
            elif isinstance(entry, bool) or entry is None:
                continue
            else:
                self.number(entry, where)
        return value


def _compact_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
