"""What whole processes take: a run of the command line beside its steps, and the start of commands."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgbench.api.method import Method
from cgbench.benchmarks.evaluation.synthetic_workload import device_barrier, synthetic_batch, timing_model
from cgbench.benchmarks.speed.measurements import LeftOut, Measurement, Measurements, SpeedOptions, VariantSettings
from cgbench.benchmarks.speed.timing import LEAST_ROUNDS, Budget, Variant, interleave, summary, times_as_fast
from cgbench.benchmarks.speed.training_step import cgbench_step
from cgbench.benchmarks.speed.workload import DEFAULT, SIZES, configuration, why_not_applicable
from cgbench.datasets.streets import Streets
from cgbench.errors import CgbenchError
from cgbench.files import read_jsonl

PROGRAM = (sys.executable, "-m", "cgbench.benchmarks")
STARTS = (("--help",), ("methods",), ("datasets",), ("metrics",), ("failures",))
BARE = "bare Python"
RUN_STEPS = 300
RUN_DATA = {"max_train_images": 100, "max_test_images": 20, "scorer_limit": 100}


@dataclass(frozen=True)
class Spent:
    """The seconds of a whole run: from start to end of the process, in its training loop, and of its steps, as many as
    it took, each as long as one takes alone."""

    wall: float
    training: float
    steps: float

    @property
    def parts(self) -> dict[str, tuple[float, str]]:
        """What is reported of it, with units."""
        return {
            "whole run": (self.wall, "s"),
            "before and after training": (self.wall - self.training, "s"),
            "share not in steps": (1 - self.steps / self.wall, "of the run"),
            "share of training not in steps": (1 - self.steps / self.training, "of the training"),
        }


def start(plan: SpeedOptions) -> Measurements:
    """Measure how long the commands that only list take, from a new process to its end, beside Python alone."""
    plan.say("start: --help and the listings")
    arms = [Variant(BARE, lambda: _output([sys.executable, "-c", "pass"]))]
    arms += [Variant(f"cgbench {' '.join(words)}", lambda w=words: _output([*PROGRAM, *w])) for words in STARTS]
    for name, values in interleave(arms, plan.budget, warm_ups=1).items():
        yield Measurement("start", name, "" if name == BARE else DEFAULT, "", "s", summary(values))


def run(plan: SpeedOptions) -> Measurements:
    """Measure a small run of one method on the built-in dataset: first with nothing in the cache, then with the scorer
    there, each arm in turn."""
    size, method = plan.sizes[0], chosen(plan)
    if reason := why_not_applicable(method, configuration(size, method, plan.arms[0])):
        yield LeftOut("run", method.name, size, reason)
        return
    found: dict[str, list[Spent]] = {setting.name: [] for setting in plan.arms}
    rounds = plan.budget.rounds or LEAST_ROUNDS
    with tempfile.TemporaryDirectory(prefix="cgbench-speed-") as name:
        for number in range(rounds + 1):
            for setting in plan.arms if number else plan.arms[:1]:
                state = "scorer in the cache" if number else "empty cache"
                plan.say(f"run: {method.name} at {size} pixels, {RUN_STEPS} steps, {setting.name}, {state}")
                spent = one_run(Path(name) / f"{number}-{setting.name}", Path(name) / "cache", plan, setting)
                if number:
                    found[setting.name].append(spent)
                else:
                    yield from _run_entries(f"{method.name}, empty cache", setting.name, size, [spent], [])
    for arm, spent in found.items():
        default = [] if arm == DEFAULT else found[DEFAULT]
        yield from _run_entries(method.name, arm, size, spent, default)


def chosen(plan: SpeedOptions) -> Method:
    """Return the method whose run is measured: CycleGAN where it is among those asked for, else the first."""
    return next((method for method in plan.methods if method.name == "cyclegan"), plan.methods[0])


def _run_entries(name: str, arm: str, size: str, spent: Sequence[Spent], default: Sequence[Spent]) -> Measurements:
    for part, (_, unit) in spent[0].parts.items():
        values = [one.parts[part][0] for one in spent]
        ratio = None
        if default and unit == "s":
            ratio = times_as_fast([one.parts[part][0] for one in default], values)
        yield Measurement("run", f"{part}: {name}", arm, size, unit, summary(values), DEFAULT if ratio else "", ratio,
                    {"steps": RUN_STEPS})  # fmt: skip


def one_run(runs: Path, cache: Path, plan: SpeedOptions, setting: VariantSettings) -> Spent:
    """Run the command line once, in a folder of its own, and measure steps alone right before and after it."""
    method, size = chosen(plan), plan.sizes[0]
    config = configuration(size, method, setting)
    alone = cgbench_step(timing_model(method, config, plan.device), config, synthetic_batch(config, plan.device))
    before = _seconds_of_a_step(alone, plan.device)
    started = time.perf_counter()
    _output(command(method, size, setting, plan.device, runs), {"CGBENCH_CACHE": str(cache)})
    wall = time.perf_counter() - started
    after = _seconds_of_a_step(alone, plan.device)
    return Spent(wall, training_seconds(runs), RUN_STEPS * (before + after) / 2)


def command(method: Method, size: str, setting: VariantSettings, device: str, runs: Path) -> list[str]:
    """Return the command of a small run with a size's settings."""
    settings = {**SIZES[size], "steps": RUN_STEPS, **RUN_DATA, "features": "scorer", **setting.values}
    if "features" not in method.settings:
        del settings["features"]
    words = ["run", "--methods", method.name, "--dataset", Streets.name, "--preset", "paper", "--device", device]
    return [*PROGRAM, *words, "--runs", str(runs), *(f"--set={key}={value}" for key, value in settings.items())]


def training_seconds(runs: Path) -> float:
    """Return the seconds that all trials below `runs` spent in training, by the last line of each log."""
    logs = sorted(runs.glob("*/*/*/seed-*/steps.jsonl"))
    if not logs:
        raise CgbenchError(f"{runs}: the run that was measured left no steps.jsonl")
    return sum(list(read_jsonl(log))[-1]["seconds"] for log in logs)


def _seconds_of_a_step(call: Callable[[], object], device: str) -> float:
    """Return the median seconds of a step within two seconds."""
    return summary(interleave([Variant("step", call)], Budget(seconds=2.0), device_barrier(device))["step"]).median


def _output(words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a program to its end; one that fails raises `CgbenchError` with its last line."""
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise CgbenchError(f"'{' '.join(map(str, words[2:]))}' ended with exit code {done.returncode}: {last}")
