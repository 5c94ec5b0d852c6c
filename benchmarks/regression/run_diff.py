"""Differences between two runs: settings with their layers, program, states and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cgbench.api.metric import Value
from cgbench.api.names import TrialState
from cgbench.benchmarks.regression.changes import (
    ABSENT,
    Change,
    format_number,
    format_value,
    program_changes,
    setting_changes,
    value_changes,
)
from cgbench.benchmarks.regression.run_numbers import Key, RunNumbers, SeedValues, collect_numbers
from cgbench.results.run import RunRecords, TrialResult
from cgbench.results.significance import ALPHA, Effect, mean_effect, welch
from cgbench.results.uniformity import differing, mixture, training_facts

PAIRED, UNPAIRED = "paired", "other seeds"


@dataclass(frozen=True)
class NumberRow:
    """One number that differs: `effect` is B minus A with its error, None where one side has a single seed; `basis` is
    the kind of comparison, paired by seed or not. `note` is the reason why two numbers cannot be compared."""

    key: Key
    before: SeedValues | None
    after: SeedValues | None
    effect: Effect | None
    basis: str
    note: str = ""


@dataclass(frozen=True)
class Difference:
    """All differences; `same` counts the numbers that are equal, digit for digit, in every seed that both have.
    `mixtures` says of A and of B what its trials do not share although no table may mix it, "" for nothing."""

    settings: tuple[Change, ...]
    program: tuple[Change, ...]
    data: tuple[Change, ...]
    states: tuple[Change, ...]
    numbers: tuple[NumberRow, ...]
    same: int
    mixtures: tuple[str, str] = ("", "")

    @property
    def differs(self) -> bool:
        """Whether anything but program and machine differs."""
        return bool(self.settings or self.data or self.states or self.numbers)


def difference(a: RunRecords, b: RunRecords, values: Mapping[str, Value]) -> Difference:
    """Return the differences between two runs, without the rows of other programs."""
    a, b = a.own(), b.own()
    first, second = collect_numbers(a, values), collect_numbers(b, values)
    keys = list(dict.fromkeys([*first.numbers, *second.numbers]))
    same = [key for key in keys if _equal(first.numbers.get(key), second.numbers.get(key))]
    rows = [_number_row(key, first, second) for key in keys if key not in set(same)]
    settings = setting_changes(_settings_by_trial(a, b), _settings_by_trial(b, a))
    return Difference(
        tuple(settings), tuple(program_changes(first.provenance, second.provenance)),
        tuple(value_changes(_data_identity(a), _data_identity(b))), tuple(_state_changes(a, b)), tuple(rows), len(same),
        (mixture([trial.spec for trial in a.trials]), mixture([trial.spec for trial in b.trials])),
    )  # fmt: skip


def diff_text(diff: Difference, a: str, b: str) -> str:
    """Return the difference as text: A → B."""
    parts = [f"{a} → {b}"]
    parts += [f"{run}: {text}; no table may mix them" for run, text in zip((a, b), diff.mixtures, strict=True) if text]
    titles = {"Settings": diff.settings, "Data and seeds": diff.data, "Program and machine": diff.program,
              "Trials": diff.states}  # fmt: skip
    for title, changes in titles.items():
        text = [f"  {change.text}" for change in changes] or ["  the same"]
        parts += [f"{title}:", *text]
    parts.append(f"Numbers: {len(diff.numbers)} differ, {diff.same} are the same in every seed that both have")
    parts += [f"  {_number_text(row)}" for row in diff.numbers]
    if any(row.effect for row in diff.numbers):
        parts.append(
            f"B minus A with its {1 - ALPHA:.0%} interval (Student's, each number by itself), over the seeds that both "
            "have, or Welch's where they share fewer than two; * it excludes zero."
        )
    return "\n".join(parts) + "\n"


def _number_row(key: Key, a: RunNumbers, b: RunNumbers) -> NumberRow:
    before, after = a.numbers.get(key), b.numbers.get(key)
    if before is None or after is None:
        return NumberRow(key, before, after, None, "")
    if before.protocol != after.protocol:
        first, second = a.protocols.get(before.protocol, {}), b.protocols.get(after.protocol, {})
        changes = ", ".join(change.text for change in value_changes(first, second)) or "not recorded"
        return NumberRow(key, before, after, None, "", f"measured differently: {changes}")
    shared = sorted(set(before.values) & set(after.values))
    if len(shared) >= 2:
        return NumberRow(key, before, after, mean_effect([after.values[s] - before.values[s] for s in shared]), PAIRED)
    effect = welch(list(after.values.values()), list(before.values.values()))
    return NumberRow(key, before, after, effect, UNPAIRED)


def _number_text(row: NumberRow) -> str:
    text = f"{' '.join(filter(None, row.key[1:]))}: {format_number(row.before)} → {format_number(row.after)}"
    if row.effect:
        low, high = row.effect.interval(ALPHA)
        marker = " *" if row.effect.p <= ALPHA else ""
        interval = f"{row.effect.mean:+.3g} [{low:+.3g}, {high:+.3g}]".replace("-", "−")
        text += f"; {interval} {row.basis}{marker}"
    return text + (f"; {row.note}" if row.note else "")


def _equal(first: SeedValues | None, second: SeedValues | None) -> bool:
    """Return whether two numbers are the same, digit for digit, in every seed that both have, and they share one."""
    if not first or not second or first.protocol != second.protocol:
        return False
    shared = set(first.values) & set(second.values)
    return bool(shared) and all(first.values[seed] == second.values[seed] for seed in shared)


def _settings_by_trial(run: RunRecords, other: RunRecords) -> dict[str, dict[str, Any]]:
    """Return every setting as "value (layer)" and the values of its declaration: of each method, or of each of its
    trials where they are not trained alike in either run."""
    unlike = _unlike_methods(run) | _unlike_methods(other)
    settings = {}
    for name in run.order:
        for trial in run.trials_of(name)[: None if name in unlike else 1]:
            title = f"{name} seed {trial.seed}" if name in unlike else name
            settings[title] = _settings_with_layers(trial, name in unlike)
    return settings


def _unlike_methods(run: RunRecords) -> set[str]:
    """Return the trained methods whose seeds were not trained with the same settings."""
    return {
        name
        for name in run.trained
        if differing({str(trial.seed): training_facts(trial.spec) for trial in run.trials_of(name)})
    }


def _settings_with_layers(trial: TrialResult, images: bool = False) -> dict[str, Any]:
    """Return the settings of a trial; with `images`, its steps and the digests of its training images as well."""
    spec = trial.spec
    origins = spec.get("origins", {})
    settings = {
        name: f"{format_value(value)} ({origins.get(name, 'recipe')})" for name, value in spec["config"].items()
    }
    terms = spec["method"].get("terms", [])
    settings |= {f"weight of {term['name']}": f"{term['weight']:g} {term['function']}" for term in terms}
    settings |= {f"weights of {name}": count for name, count in spec.get("parameters", {}).items()}
    if images:
        settings["steps trained"] = spec["steps"]
        settings |= {f"training images {domain.upper()}": digest for domain, digest in spec.get("data", {}).items()}
    return {"preset": spec["preset"], **settings}


def _data_identity(run: RunRecords) -> dict[str, Any]:
    """Return the identity of the data: its name, the numbers of images, and the digests of the training images."""
    trained = run.trials_of(run.trained[0]) if run.trained else []
    spec = (trained or list(run.trials))[0].spec
    counts = {f"{name} images": count for name, count in spec["dataset"].get("counts", {}).items()}
    digests = {f"training images {domain}": digest for domain, digest in spec.get("data", {}).items()}
    palette = ", ".join(entry[0] for entry in spec["dataset"].get("palette", []))
    return {"dataset": run.metadata["dataset"], "seeds": list(run.seeds), **counts, **digests, "classes": palette}


def _state_changes(a: RunRecords, b: RunRecords) -> list[Change]:
    """Return the trials whose states differ."""
    first, second = ({f"{t.method} seed {t.seed}": t.state for t in run.trials} for run in (a, b))
    return [row for row in value_changes(first, second) if {row.before, row.after} != {TrialState.DONE, ABSENT}]
