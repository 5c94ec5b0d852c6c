"""Time of whole processes: a run of the command line beside its steps, and the start of commands."""

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
from cgbench.benchmarks.speed.timing import MIN_ROUNDS, Budget, Variant, interleave, summary, times_as_fast
from cgbench.benchmarks.speed.training_step import cgbench_step
from cgbench.benchmarks.speed.workload import DEFAULT, SIZES, configuration, why_not_applicable
from cgbench.datasets.streets import Streets
from cgbench.errors import CgbenchError
from cgbench.results.record_files import read_step_rows

PROGRAM = (sys.executable, "-m", "cgbench.benchmarks")
STARTS = (("--help",), ("methods",), ("datasets",), ("metrics",), ("failures",))
BARE = "bare Python"
RUN_STEPS = 300
RUN_DATA = {"max_train_images": 100, "max_test_images": 20, "scorer_limit": 100}


@dataclass(frozen=True)
class RunTime:
    """The seconds of a whole run: from start to end of the process, in its training loop, and of its steps alone (their
    number times the seconds of a step timed by itself)."""

    wall: float
    training: float
    steps: float

    @property
    def parts(self) -> dict[str, tuple[float, str]]:
        """The reported values, with units."""
        return {
            "whole run": (self.wall, "s"),
            "before and after training": (self.wall - self.training, "s"),
            "share not in steps": (1 - self.steps / self.wall, "of the run"),
            "share of training not in steps": (1 - self.steps / self.training, "of the training"),
        }


def start(options: SpeedOptions) -> Measurements:
    """Measure the time of the listing commands, from process start to exit, beside that of Python alone."""
    options.log("start: --help and the listings")
    variants = [Variant(BARE, lambda: _run_process([sys.executable, "-c", "pass"]))]
    variants += [
        Variant(f"cgbench {' '.join(words)}", lambda w=words: _run_process([*PROGRAM, *w])) for words in STARTS
    ]
    for name, values in interleave(variants, options.budget, warm_ups=1).items():
        yield Measurement("start", name, "" if name == BARE else DEFAULT, "", "s", summary(values))


def run(options: SpeedOptions) -> Measurements:
    """Measure a small run of one method on the built-in dataset: first with an empty cache, then with the scorer in the
    cache, each variant in turn."""
    size, method = options.sizes[0], run_method(options)
    if reason := why_not_applicable(method, configuration(size, method, options.variants[0])):
        yield LeftOut("run", method.name, size, reason)
        return
    times: dict[str, list[RunTime]] = {settings.name: [] for settings in options.variants}
    rounds = options.budget.rounds or MIN_ROUNDS
    with tempfile.TemporaryDirectory(prefix="cgbench-speed-") as name:
        for round_number in range(rounds + 1):
            for settings in options.variants if round_number else options.variants[:1]:
                state = "scorer in the cache" if round_number else "empty cache"
                options.log(f"run: {method.name} at {size} pixels, {RUN_STEPS} steps, {settings.name}, {state}")
                run_time = run_once(
                    Path(name) / f"{round_number}-{settings.name}", Path(name) / "cache", options, settings
                )
                if round_number:
                    times[settings.name].append(run_time)
                else:
                    yield from _run_entries(f"{method.name}, empty cache", settings.name, size, [run_time], [])
    for variant, variant_times in times.items():
        default = [] if variant == DEFAULT else times[DEFAULT]
        yield from _run_entries(method.name, variant, size, variant_times, default)


def run_method(options: SpeedOptions) -> Method:
    """Return the method whose run is measured: CycleGAN if requested, else the first."""
    return next((method for method in options.methods if method.name == "cyclegan"), options.methods[0])


def _run_entries(
    name: str, variant: str, size: str, times: Sequence[RunTime], default: Sequence[RunTime]
) -> Measurements:
    for part, (_, unit) in times[0].parts.items():
        values = [run_time.parts[part][0] for run_time in times]
        ratio = None
        if default and unit == "s":
            ratio = times_as_fast([run_time.parts[part][0] for run_time in default], values)
        reference, details = DEFAULT if ratio else "", {"steps": RUN_STEPS}
        yield Measurement("run", f"{part}: {name}", variant, size, unit, summary(values), reference, ratio, details)


def run_once(runs: Path, cache: Path, options: SpeedOptions, settings: VariantSettings) -> RunTime:
    """Run the command line once, in a folder of its own, and time single steps right before and after it."""
    method, size = run_method(options), options.sizes[0]
    config = configuration(size, method, settings)
    step = cgbench_step(timing_model(method, config, options.device), config, synthetic_batch(config, options.device))
    seconds_before = _step_seconds(step, options.device)
    started = time.perf_counter()
    _run_process(command(method, size, settings, options.device, runs), {"CGBENCH_CACHE": str(cache)})
    wall = time.perf_counter() - started
    seconds_after = _step_seconds(step, options.device)
    return RunTime(wall, training_seconds(runs), RUN_STEPS * (seconds_before + seconds_after) / 2)


def command(method: Method, size: str, settings: VariantSettings, device: str, runs: Path) -> list[str]:
    """Return the command of a small run with a size's settings.

    Args:
        method: The method to train.
        size: The name of the size.
        settings: The variant.
        device: The device.
        runs: The folder of runs.

    Returns:
        The words of the command.
    """
    values = {**SIZES[size], "steps": RUN_STEPS, **RUN_DATA, "features": "scorer", **settings.values}
    if "features" not in method.settings:
        del values["features"]
    words = ["run", "--methods", method.name, "--dataset", Streets.name, "--preset", "paper", "--device", device]
    return [*PROGRAM, *words, "--runs-dir", str(runs), *(f"--set={key}={value}" for key, value in values.items())]


def training_seconds(runs: Path) -> float:
    """Return the seconds that all trials below `runs` spent in training, by the last line of each log."""
    logs = sorted(runs.glob("*/*/*/seed-*/steps.jsonl"))
    if not logs:
        raise CgbenchError(f"{runs}: the run that was measured left no steps.jsonl")
    return sum(read_step_rows(log)[-1]["seconds"] for log in logs)


def _step_seconds(call: Callable[[], object], device: str) -> float:
    """Return the median seconds of a step, timed for two seconds."""
    return summary(interleave([Variant("step", call)], Budget(seconds=2.0), device_barrier(device))["step"]).median


def _run_process(words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a program to its end; a non-zero exit code raises `CgbenchError` with the last line of its output."""
    process = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if process.returncode:
        last_line = (process.stderr.strip() or process.stdout.strip() or "no output").splitlines()[-1]
        raise CgbenchError(f"'{' '.join(map(str, words[2:]))}' ended with exit code {process.returncode}: {last_line}")
