"""The file of a baseline: JSON, one number per line, so that a change of it can be reviewed. What is read is data from
elsewhere: its size is bounded, every value's type is checked, and a file that is not one is refused in one line."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cgbench.api.method import DIRECTIONS
from cgbench.benchmarks.regression.gate import Rules, Tolerance, limits
from cgbench.benchmarks.regression.run_numbers import COUNT, NOT_TRAINED, TRAINED, Key, Measurements, SeedValues
from cgbench.errors import CgbenchError
from cgbench.files import write_text

SCHEMA = 2  # 1 had other names for settings
KIND = "cgbench baseline"
MOST_BYTES = 8 * 2**20
MOST_NUMBERS = 20_000
NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]{1,200}")  # nothing that moves a cursor


@dataclass(frozen=True)
class Baseline:
    """Measurements to compare with, the limits that the file states for each number, and the rules they came from."""

    measured: Measurements
    bands: Mapping[Key, Tolerance]
    rules: Rules


def make_baseline(measured: Measurements, rules: Rules) -> Baseline:
    """Return the baseline that a run makes. One with trials that are not done, or without a number, raises."""
    if measured.troubles:
        first = measured.troubles[0]
        raise CgbenchError(
            f"the run has {len(measured.troubles)} trials that are not done (first: {first.method}, seed {first.seed}: "
            f"{first.state}); a baseline is made from a whole one"
        )
    if not measured.numbers:
        raise CgbenchError("the run has no number: there is nothing to make a baseline of")
    known = {key.metric for key in measured.numbers}
    for metric in set(rules.minimum) - known:
        raise CgbenchError(f"--minimum {metric}: the run has no such number: known: {', '.join(sorted(known))}")
    bands = {key: limits(number, key.metric, rules) for key, number in measured.numbers.items()}
    return Baseline(measured, bands, rules)


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write the file, atomically; equal baselines give equal bytes."""
    write_text(path, baseline_text(baseline))


def baseline_text(baseline: Baseline) -> str:
    """Return the file's content."""
    measured = baseline.measured
    used = sorted({number.protocol for number in measured.numbers.values()} - {""})
    head = {
        "kind": KIND,
        "schema": SCHEMA,
        "provenance": measured.provenance,
        "rules": asdict(baseline.rules),
        "settings": measured.settings,
        "protocols": {digest: measured.protocols.get(digest, {}) for digest in used},
    }
    parts = [f" {json.dumps(key)}: {_compact(value)}" for key, value in head.items()]
    rows = [f"  {_compact(_row(key, number, baseline.bands[key]))}" for key, number in measured.numbers.items()]
    numbers = ",\n".join(rows)
    parts.append(f' "numbers": [\n{numbers}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def read_baseline(path: Path) -> Baseline:
    """Read a baseline; what is no file, too large, not JSON or not of the form raises `CgbenchError`."""
    form = _Form(path)
    content = form.fields(_load(path), {"kind": str, "schema": int, "provenance": dict, "rules": dict,
                                        "settings": dict, "protocols": dict, "numbers": list}, "the file")  # fmt: skip
    if content["kind"] != KIND:
        raise form.error("it is not a baseline of cgbench")
    if content["schema"] != SCHEMA:
        raise form.error(f"its form has version {content['schema']}, and this program reads {SCHEMA}")
    if not 0 < len(content["numbers"]) <= MOST_NUMBERS:
        raise form.error(f"it must hold 1 to {MOST_NUMBERS} numbers")
    numbers, bands = {}, {}
    for place, row in enumerate(content["numbers"], 1):
        key, number, band = _parsed(form, row, f"number {place}")
        if key in numbers:
            raise form.error(f"number {place}: '{key.text}' stands there twice")
        numbers[key], bands[key] = number, band
    settings = {form.name(k, "settings"): form.plain(v, "settings") for k, v in content["settings"].items()}
    protocols = {form.name(k, "protocols"): form.plain(v, "protocols") for k, v in content["protocols"].items()}
    provenance = form.fields(content["provenance"], {"run": str, "command": str, "created": str, "git": list,
                                                     "device": list, "versions": dict}, "provenance")  # fmt: skip
    if not provenance["command"].isprintable():
        raise form.error("provenance: the command must be printable")
    form.plain(provenance["versions"], "versions")
    form.plain({name: provenance[name] for name in ("run", "created")}, "provenance")
    for text in [*provenance["git"], *provenance["device"]]:
        form.name(text or "unknown", "provenance")
    return Baseline(Measurements(numbers, protocols, settings, provenance), bands, _rules(form, content["rules"]))


def _load(path: Path) -> Any:
    """Return the JSON of a file of bounded size; a name that stands twice, and NaN, are refused."""
    if not path.exists():
        raise CgbenchError(f"--baseline {path}: not there; 'cgbench baseline update RUN --baseline {path}' makes it")
    if not path.is_file():
        raise CgbenchError(f"--baseline {path}: not a file")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise CgbenchError(f"--baseline {path}: larger than {MOST_BYTES // 2**20} MiB, so it is no baseline")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name stands twice in one object")
        return dict(pairs)

    def refused(word: str) -> None:
        raise ValueError(f"{word} is not a number")

    try:
        return json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0][:200]
        raise CgbenchError(f"--baseline {path}: not readable JSON: {reason}") from None


def _row(key: Key, number: SeedValues, band: Tolerance) -> dict[str, Any]:
    return {
        **key._asdict(), "better": number.better, "n": number.n, "protocol": number.protocol, "kind": number.kind,
        "spread": None if math.isnan(band.spread) else band.spread,
        "minimum": None if math.isnan(band.minimum) else band.minimum,
        "tolerance": None if math.isnan(band.tolerance) else band.tolerance,
        "values": {str(seed): value for seed, value in sorted(number.values.items())},
    }  # fmt: skip


def _parsed(form: "_Form", row: Any, where: str) -> tuple[Key, SeedValues, Tolerance]:
    row = form.fields(row, {"dataset": str, "method": str, "direction": str, "metric": str, "better": str, "n": int,
                            "protocol": str, "kind": str, "spread": (float, int, type(None)),
                            "minimum": (float, int, type(None)), "tolerance": (float, int, type(None)),
                            "values": dict}, where)  # fmt: skip
    for name in ("dataset", "method", "metric"):
        form.name(row[name], f"{where}, {name}")
    form.one_of(row["direction"], ("", *DIRECTIONS), f"{where}, direction")
    form.one_of(row["better"], ("", "higher", "lower"), f"{where}, better")
    form.one_of(row["kind"], (TRAINED, NOT_TRAINED, COUNT), f"{where}, kind")
    form.name(row["protocol"] or "none", f"{where}, protocol")
    values = {}
    for seed, value in row["values"].items():
        if not re.fullmatch(r"[0-9]{1,18}", seed):
            raise form.error(f"{where}: a seed must be a whole number")
        values[int(seed)] = form.number(value, f"{where}, seed {seed}")
    if not values or len(values) < len(row["values"]):
        raise form.error(f"{where}: it needs values of different seeds")
    band = [math.nan if row[name] is None else form.number(row[name], f"{where}, {name}", least=0)
            for name in ("spread", "minimum", "tolerance")]  # fmt: skip
    number = SeedValues(values, row["better"], row["n"], row["protocol"], row["kind"])
    if any(map(math.isnan, band)) and (len(values) > 1 or number.exact):
        raise form.error(f"{where}: spread, minimum and tolerance must be numbers")
    if band[0] == 0 and not number.exact:
        raise form.error(f"{where}: a number that varies with the seed needs a spread above 0")
    key = Key(row["dataset"], row["method"], row["direction"], row["metric"])
    return key, number, Tolerance(*band)


def _rules(form: "_Form", content: dict[str, Any]) -> Rules:
    kinds = {"minimum_spreads": (float, int), "minimum_share": (float, int), "tolerance_spreads": (float, int),
             "scorer_spreads": (float, int)}  # fmt: skip
    found = form.fields(content, {**kinds, "minimum": dict}, "rules")
    minimum = {
        form.name(key, "rules"): form.number(value, "rules, minimum", 0) for key, value in found["minimum"].items()
    }
    return Rules(**{name: form.number(found[name], f"rules, {name}", 0) for name in kinds}, minimum=minimum)


class _Form:
    """Checks of values, with errors that name the file and the place."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def error(self, text: str) -> CgbenchError:
        return CgbenchError(f"--baseline {self.path}: {text}; it may be damaged: take it from version control again")

    def fields(self, value: Any, kinds: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return an object that has exactly these fields of these types."""
        if not isinstance(value, dict) or set(value) != set(kinds):
            raise self.error(f"{where} must have exactly the fields {', '.join(kinds)}")
        for name, kind in kinds.items():
            right = isinstance(value[name], kind) and (kind is bool or not isinstance(value[name], bool))
            if not right:
                raise self.error(f"{where}: '{name}' has the wrong type")
        return value

    def name(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise self.error(f"{where}: a name must be 1 to 200 printable characters")
        return value

    def one_of(self, value: str, known: tuple[str, ...], where: str) -> None:
        if value not in known:
            raise self.error(f"{where} must be one of: {', '.join(repr(word) for word in known)}")

    def number(self, value: Any, where: str, least: float = -math.inf) -> float:
        wrong = isinstance(value, bool) or not isinstance(value, int | float)
        if wrong or not abs(value) < 1e300 or value < least:
            raise self.error(f"{where}: it must be a finite number" + (f", at least {least:g}" if least == 0 else ""))
        return float(value)

    def plain(self, value: Any, where: str) -> dict[str, Any]:
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


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
