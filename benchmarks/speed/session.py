"""All parts of the benchmark one after the other, and the JSON of what they found."""

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
    """What was found so far; `whole` says that all parts came to their end."""

    entries: list[Measurement] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    whole: bool = False

    @property
    def failed(self) -> bool:
        """Whether something could not be measured that should have been."""
        return any(one.failed for one in self.left_out)


def measure(parts: Sequence[str], plan: SpeedOptions, report: Report) -> None:
    """Carry out `parts` into `report`, which keeps what is there when somebody stops it."""
    for arm in plan.arms:
        ensure_capturable(configuration(plan.sizes[0], None, arm).cuda_graphs, plan.device)
    for part in parts:
        for one in PARTS[part](plan):
            (report.entries if isinstance(one, Measurement) else report.left_out).append(one)
    report.whole = True


def as_json(report: Report, plan: SpeedOptions) -> dict[str, Any]:
    """Return everything measured, with where and how."""
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["cgbench", *sys.argv[1:]]),
        "whole": report.whole,
        "budget": asdict(plan.budget),
        "arms": {arm.name: dict(arm.values) for arm in plan.arms},
        "sizes": {size: asdict(configuration(size, None, plan.arms[0])) for size in plan.sizes},
        **environment(plan.device),
        "entries": [entry.as_json() for entry in report.entries],
        "left_out": [one.as_json() for one in report.left_out],
    }
