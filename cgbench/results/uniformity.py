"""Uniformity of a run: the settings that all seeds of a row, and all rows of a table, must share."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cgbench.api.method_description import trained_part
from cgbench.api.names import Role
from cgbench.config import FIELDS
from cgbench.errors import CgbenchError
from cgbench.formatting import shortened

Spec = Mapping[str, Any]  # the content of a trial.json
Facts = dict[str, Any]  # what decides a training, by name
SHARED = tuple(
    name for name, item in FIELDS.items() if item.metadata["affects"] == "training" and not item.metadata["method"]
)
BUDGET = ("steps", "epochs")  # of the configuration; a training that was extended has those of its last part
OPTIONAL = (*BUDGET, "training images A", "training images B")
MOST_NAMED = 4  # values and settings that a message names


def ensure_uniform(run: Path, specs: Sequence[Spec]) -> None:
    """Raise `CgbenchError` where trained trials of one dataset stand in one run that no table may mix."""
    if unlike := mixture(specs):
        raise CgbenchError(f"{run}: {unlike}; no table may mix them: keep each kind in a run folder of its own")


def mixture(specs: Sequence[Spec]) -> str:
    """Return what the trained trials of a run do not share although they must, in words; "" where they may stand in one
    table.

    Seeds of a method must share its declaration, its settings and its training images; methods must share budget,
    batch, resolution and augmentation, and, where they train on unpaired images, these images. Methods that were
    extended may differ in the steps that were added: every table says so. How numbers were measured is compared by
    `records.ensure_one_protocol`.
    """
    by_method: dict[str, list[Spec]] = {}
    for spec in specs:
        if spec["method"].get("role", "") in (Role.COMPARED, Role.SUPERVISED):
            by_method.setdefault(spec["method"]["name"], []).append(spec)
    for name, group in by_method.items():
        if unlike := differing({f"seed {spec['seed']}": training_facts(spec) for spec in group}):
            return f"the seeds of {name} were trained with unlike settings: {unlike}"
    firsts = {name: group[0] for name, group in by_method.items()}
    unpaired = [name for name, spec in firsts.items() if spec["method"].get("role", "") == Role.COMPARED]
    unlike = differing({name: _shared_facts(spec) for name, spec in firsts.items()})
    unlike = unlike or differing({name: _image_facts(firsts[name]) for name in unpaired})
    return f"its methods were trained with unlike settings: {unlike}" if unlike else ""


def training_facts(spec: Spec) -> Facts:
    """Return what decides a training, apart from its seed: settings, steps, images, and the method's declaration."""
    config, method = spec["config"], trained_part(dict(spec["method"]))
    training = [name for name, item in FIELDS.items() if item.metadata["affects"] == "training"]
    facts = _without_budget({name: config.get(name, FIELDS[name].default) for name in training}, spec)
    facts |= {f"weight of {term['name']}": term["weight"] for term in method.get("terms", [])}
    facts |= {f"function of {term['name']}": term.get("function", "") for term in method.get("terms", [])}
    for part in ("networks", "tensors", "players", "translates", "reconstructs", "code"):
        facts |= {f"{part} {name}": value for name, value in method.get(part, {}).items()}
    return facts | _image_facts(spec)


def differing(facts: Mapping[str, Facts]) -> str:
    """Return which facts differ, with the holders of each value: "steps 6 (seed 0), 40 (seed 1)"; "" where all agree.
    A fact that some holders lack is "none" there, except those of `OPTIONAL`."""
    parts = []
    for name in dict.fromkeys(key for values in facts.values() for key in values):
        groups: list[tuple[Any, list[str]]] = []  # a value and its holders; a list or a dictionary has no hash
        for holder, values in facts.items():
            if name in values or name not in OPTIONAL:
                value = values.get(name, "none")
                known = next((holders for other, holders in groups if other == value), None)
                if known is None:
                    groups.append((value, [holder]))
                else:
                    known.append(holder)
        if len(groups) > 1:
            parts.append(f"{name} {_few(f'{_text(value)} ({_few(holders)})' for value, holders in groups)}")
    return _few(parts, "; ")


def _shared_facts(spec: Spec) -> Facts:
    config = spec["config"]
    return _without_budget({name: config.get(name, FIELDS[name].default) for name in SHARED}, spec)


def _without_budget(config: Facts, spec: Spec) -> Facts:
    """Return the settings with the steps that were trained before any extension; the budget settings of an extended
    training are left out."""
    extended = spec.get("extended")
    if not extended:
        return {**config, "steps": spec["steps"]}
    return {name: value for name, value in config.items() if name not in BUDGET} | {"steps": extended[0]["from"]}


def _image_facts(spec: Spec) -> Facts:
    return {f"training images {domain.upper()}": digest for domain, digest in spec.get("data", {}).items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return shortened(str(value), 24)


def _few(texts: Iterable[str], joint: str = ", ") -> str:
    """Return the first texts joined, and how many there are besides."""
    listed = list(texts)
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return joint.join(listed[:MOST_NAMED]) + more
