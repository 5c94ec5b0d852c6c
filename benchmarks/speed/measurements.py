"""What the parts of the benchmark hand over: measured entries, and what could not be measured. No torch."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cgbench.api.method import Method
from cgbench.benchmarks.speed.timing import Budget, Summary


@dataclass(frozen=True)
class VariantSettings:
    """An arm of the command line: its name, and the settings in which it differs from the default."""

    name: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Measurement:
    """One measured number of part `what`: median and quartiles in `unit`.

    `ratio` says how many times as fast it is as `reference`, measured in the same rounds. `details` are numbers that
    come with it, by name with the unit in the name.
    """

    what: str
    name: str
    arm: str
    size: str
    unit: str
    value: Summary
    reference: str = ""
    ratio: Summary | None = None
    details: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


@dataclass(frozen=True)
class LeftOut:
    """What was not measured, and why; `failed` says that it should have been possible."""

    what: str
    name: str
    size: str
    reason: str
    failed: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


Measurements = Iterator[Measurement | LeftOut]


@dataclass(frozen=True)
class SpeedOptions:
    """What is asked for: methods, names of sizes, arms (the default one first), time, device. `say` tells a person
    what is measured now."""

    methods: tuple[Method, ...]
    sizes: tuple[str, ...]
    arms: tuple[VariantSettings, ...]
    budget: Budget
    device: str
    say: Callable[[str], None] = lambda text: None
