"""A session of the speed benchmark: all requested parts in turn, and its JSON report."""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from cgbench.benchmarks.runtime.environment import environment
from cgbench.benchmarks.speed.data_loading import data
from cgbench.benchmarks.speed.end_to_end import run, start
from cgbench.benchmarks.speed.inference import features, translation
from cgbench.benchmarks.speed.measurements import LeftOut, Measurement, Measurements, SpeedOptions
from cgbench.benchmarks.speed.training_step import steps, table
from cgbench.benchmarks.speed.workload import configuration
from cgbench.benchmarks.training.cuda_graphs import ensure_capturable

SCHEMA = 1
PARTS: dict[str, Callable[[SpeedOptions], Measurements]] = {
    "step": steps, "table": table, "data": data, "translation": translation, "features": features, "run": run,
    "start": start,
}  # fmt: skip


@dataclass
class Report:
    """The measurements so far; `complete` is set when all parts have finished."""

    entries: list[Measurement] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    complete: bool = False

    @property
    def failed(self) -> bool:
        """Whether something could not be measured that should have been."""
        return any(entry.failed for entry in self.left_out)


def measure(parts: Sequence[str], options: SpeedOptions, report: Report) -> None:
    """Run `parts` and add their results to `report`, which keeps them when the session is interrupted."""
    for variant in options.variants:
        ensure_capturable(configuration(options.sizes[0], None, variant).cuda_graphs, options.device)
    for part in parts:
        for result in PARTS[part](options):
            (report.entries if isinstance(result, Measurement) else report.left_out).append(result)
    report.complete = True


def as_json(report: Report, options: SpeedOptions) -> dict[str, Any]:
    """Return all measurements, with the environment and the options."""
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["cgbench", *sys.argv[1:]]),
        "whole": report.complete,
        "budget": asdict(options.budget),
        "arms": {variant.name: dict(variant.values) for variant in options.variants},
        "sizes": {size: asdict(configuration(size, None, options.variants[0])) for size in options.sizes},
        **environment(options.device),
        "entries": [entry.as_json() for entry in report.entries],
        "left_out": [entry.as_json() for entry in report.left_out],
    }
