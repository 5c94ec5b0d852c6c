"""Results and options of the speed benchmark: measurements, and what could not be measured. No torch."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cgbench.api.method import Method
from cgbench.benchmarks.speed.timing import Budget, Summary


@dataclass(frozen=True)
class VariantSettings:
    """A variant from the command line: its name, and the settings in which it differs from the default."""

    name: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Measurement:
    """One measured number of `part`: median and quartiles in `unit`.

    `ratio` is the speed-up over `reference`, timed in the same rounds. `details` are further numbers by name, with the
    unit in the name.
    """

    part: str
    name: str
    variant: str
    size: str
    unit: str
    value: Summary
    reference: str = ""
    ratio: Summary | None = None
    details: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the measurement as JSON-able data; recorded keys `part` and `variant` are `part` and `variant`."""
        recorded = {"part": "what", "variant": "arm"}
        return {recorded.get(key, key): value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class LeftOut:
    """Something that was not measured, and the reason; `failed` means that it should have been possible."""

    part: str
    name: str
    size: str
    reason: str
    failed: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data; the recorded key `part` is `part`."""
        return {"what" if key == "part" else key: value for key, value in asdict(self).items()}


Measurements = Iterator[Measurement | LeftOut]


@dataclass(frozen=True)
class SpeedOptions:
    """The options of the speed benchmark: methods, names of sizes, variants (the default one first), time budget and
    device. `log` is called with a description of each measurement before it starts."""

    methods: tuple[Method, ...]
    sizes: tuple[str, ...]
    variants: tuple[VariantSettings, ...]
    budget: Budget
    device: str
    log: Callable[[str], None] = lambda text: None
