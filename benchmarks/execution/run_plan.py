"""The plan of a run: what is trained, for how long and in how many processes, from a few measured steps."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

from cgbench.api.dataset import Dataset, describe_test_images
from cgbench.api.names import Split
from cgbench.api.registry import METHODS
from cgbench.benchmarks.data.geometry import evaluation_geometry
from cgbench.benchmarks.data.loading import selected
from cgbench.benchmarks.evaluation.output_images import max_bytes
from cgbench.benchmarks.evaluation.synthetic_workload import device_barrier, synthetic_batch, timing_model
from cgbench.benchmarks.execution.parallelism import (
    MIN_ADVISED_SECONDS,
    Parallelism,
    choose_parallelism,
    jobs_advice,
    wall_time,
)
from cgbench.benchmarks.execution.resources import machine, threads
from cgbench.benchmarks.execution.step_memory import ensure_step_fits
from cgbench.benchmarks.runtime.determinism import describe_error
from cgbench.benchmarks.runtime.environment import bf16_advice, computes_bf16
from cgbench.benchmarks.runtime.peak_memory import peak_memory, reset_peak_memory
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.benchmarks.training.cuda_graphs import WARMUP_STEPS
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import make_train_step
from cgbench.benchmarks.trials.finished_records import is_complete
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError, DataMissing, error_line
from cgbench.formatting import duration, size
from cgbench.results.run_folder import TrialFolder

MEASURED_SECONDS = 1.5  # per method, after one step of warm-up, and no more steps than a trial takes
IMAGE_COPIES = 3  # of every decoded image per process: as read, for the device, and in the evaluation
# of a worker on a CPU beside measured steps and images, mostly libraries; at the demo preset 0.1 to 0.35 GB
LIBRARY_BYTES = 4 * 10**8


@dataclass(frozen=True)
class Cost:
    """The measured cost of one method: seconds per step, bytes of its checkpoint, and the peak memory of steps in bytes
    (of the GPU, or of this process on a CPU; 0: not known)."""

    seconds_per_step: float
    checkpoint_bytes: int
    memory: int


@dataclass(frozen=True)
class MethodPlan:
    """One row of a plan: a method, its number of trials, how many of them are not complete, the steps of each, those
    that are left to train in all of them, and their cost. A trial whose evaluation alone is left has no step left."""

    method: str
    trials: int
    remaining: int
    steps: int
    steps_left: int
    seconds_per_step: float
    disk_bytes: int

    @property
    def seconds(self) -> float:
        """Training time of all remaining trials, one after another."""
        return self.steps_left * self.seconds_per_step


@dataclass(frozen=True)
class RunPlan:
    """What a run will do: its trials, where and on what, the cost per method, and how many trials train at once."""

    trials: tuple[Trial, ...]
    dataset: Dataset
    folder: Path
    device: str
    train_counts: tuple[int, int]  # images of domains A and B
    test_counts: tuple[int, int]
    methods: tuple[MethodPlan, ...]
    parallelism: Parallelism
    seconds: float  # of training, with trials side by side
    advice: tuple[str, ...] = ()  # lines on what would be faster here

    @property
    def config(self) -> TrialConfig:
        """The configuration that all trials share."""
        return self.trials[0].config

    @property
    def disk_bytes(self) -> int:
        """Bytes that the remaining trials will write, approximately."""
        return sum(row.disk_bytes for row in self.methods)


def measure_cost(trial: Trial, device: str, most_steps: int) -> Cost:
    """Return the cost of a method, from at most `most_steps` training steps on noise. No random stream of the trial is
    used.

    A step that surely needs more memory than is free raises `CgbenchError` before any is taken. A method of another
    package whose step fails is reported and costs nothing: its trials will fail, and the others go on.
    """
    try:
        ensure_step_fits(trial, device)
        return _measure(trial, device, most_steps)
    except CgbenchError:
        raise
    except (Exception, SystemExit) as error:
        name = trial.method.name
        if METHODS.package_of(name):
            fails = f"{METHODS.described(name)}: a training step fails: {error_line(error)}"
            console.print(f"{fails}; its trials will fail, others go on", style="yellow")
            return Cost(0.0, 0, 0)
        if not isinstance(error, RuntimeError):
            raise
        raise CgbenchError(f"{name}: a training step fails: {describe_error(error)}") from error  # for want of memory
    finally:
        if device.startswith("cuda"):
            torch.cuda.empty_cache()  # workers on the same GPU need the memory


def _measure(trial: Trial, device: str, most_steps: int) -> Cost:
    reset_peak_memory(torch.device(device))
    model = timing_model(trial.method, trial.config, device)
    batch, wait = synthetic_batch(trial.config, device), device_barrier(device)
    take_step = make_train_step(model, make_optimizers(model, trial.config), trial.config)
    warm_ups = 1 + WARMUP_STEPS * trial.config.cuda_graphs
    for step in range(warm_ups):
        take_step(batch, step, 0.0)
    wait()
    started, steps = time.perf_counter(), 0
    while steps == 0 or (steps < most_steps and time.perf_counter() - started < MEASURED_SECONDS):
        take_step(batch, warm_ups + steps, 0.0)
        wait()
        steps += 1
    seconds = (time.perf_counter() - started) / steps
    counts = model.parameter_counts()
    trained = sum(counts[name] for player in model.live_part.players for name in player.networks)
    channels = max(trial.config.channels_a, trial.config.channels_b)
    pools = len(model.pools) * trial.config.pool_size * channels * math.prod(trial.config.crop_shape)
    checkpoint = 4 * (sum(counts.values()) + 2 * trained + pools)
    return Cost(seconds, checkpoint, peak_memory(torch.device(device)))


def plan_run(trials: Sequence[Trial], dataset: Dataset, folder: Path, device: str, jobs: int | str = 1) -> RunPlan:
    """Return the plan of a run; a few steps of every method are measured for it.

    Args:
        trials: The trials in their order; untrained rows cost nothing.
        dataset: The dataset; no image is decoded.
        folder: The run folder; trials that are complete there are not planned again.
        device: `cpu` or `cuda[:N]`.
        jobs: The number of trials to train at once, or "auto".

    Returns:
        The plan, with the parallelism that `jobs` amounts to on this machine.

    Raises:
        CgbenchError: where a training step fails, for example for want of memory.
        DataMissing: where a training or test set has no image.
    """
    config = trials[0].config
    train_counts = _counts(dataset, Split.TRAIN, config.max_train_images)
    keys = {domain: _test_keys(dataset, config, domain) for domain in "AB"}
    test_counts = len(keys["A"]), len(keys["B"])
    _ensure_images(dataset, {Split.TRAIN: train_counts, Split.TEST: test_counts})
    steps = config.total_steps(*train_counts)
    trained: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.method.reference is None:
            trained.setdefault(trial.method.name, []).append(trial)
    image_bytes = IMAGE_COPIES * _image_bytes(dataset, config, train_counts, test_counts)
    parallelism, costs, trial_bytes = _parallelism_and_costs(trained, device, jobs, image_bytes, steps)
    b_and_a = zip(test_counts, reversed(dataset.domains), strict=True)  # test images of A become images of B
    output_bytes = sum(count * max_bytes(*config.crop_shape, domain.pixels) for count, domain in b_and_a)
    rows, seconds = [], []
    left = [_steps_left(folder, dataset, trial, steps, keys) for trial in trials]
    for name, group in trained.items():
        cost, own = costs[name], [count for trial, count in zip(trials, left, strict=True) if trial.method.name == name]
        remaining = [count for count in own if count is not None]
        disk = len(remaining) * (cost.checkpoint_bytes + output_bytes)
        rows.append(MethodPlan(name, len(group), len(remaining), steps, sum(remaining), cost.seconds_per_step, disk))
    for trial, count in zip(trials, left, strict=True):
        if trial.method.reference is None and count:
            seconds.append(count * costs[trial.method.name].seconds_per_step)
    plan = RunPlan(
        tuple(trials), dataset, folder, device, train_counts, test_counts, tuple(rows), parallelism,
        wall_time(seconds, parallelism.workers),
    )  # fmt: skip
    return replace(plan, advice=_advice(plan, jobs, trial_bytes))


def _image_bytes(
    dataset: Dataset, config: TrialConfig, train_counts: tuple[int, int], test_counts: tuple[int, int]
) -> int:
    """Return the bytes of all decoded images, as if those of sizes of their own had the configured ones."""
    total = 0
    for domain, train, test in zip(dataset.domains, train_counts, test_counts, strict=True):
        numbers = train * math.prod(config.load_shape) + test * math.prod(config.crop_shape)
        total += numbers * domain.pixels.channels * np.dtype(domain.pixels.dtype).itemsize
    return total


def print_plan(plan: RunPlan) -> None:
    """Print a plan: what is compared on what, one row per method, the total, and why so many processes."""
    config, dataset = plan.config, plan.dataset
    say = partial(console.print, soft_wrap=not console.is_terminal)  # a terminal breaks words, files keep whole lines
    seeds = ", ".join(map(str, sorted({trial.seed for trial in plan.trials})))
    say(
        f"{dataset.label}: {dataset.direction_name('AtoB')} and {dataset.direction_name('BtoA')}, "
        f"{plan.train_counts[0]} + {plan.train_counts[1]} training images, {evaluation_geometry(config).title}, "
        f"batch {config.batch_size}, preset {plan.trials[0].preset}, seeds {seeds}, {plan.device}"
    )
    for remark in dataset.remarks():
        say(remark, markup=False)
    say(
        f"test images: {describe_test_images(dataset, *plan.test_counts)}",
        style=None if dataset.paired_test else "yellow",
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("method", "trials", "to do", "steps", "s/step", "time", "disk"):
        table.add_column(title, justify="left" if title == "method" else "right")
    for row in plan.methods:
        table.add_row(
            row.method, str(row.trials), str(row.remaining), str(row.steps), f"{row.seconds_per_step:.3f}",
            duration(row.seconds), size(row.disk_bytes),
        )  # fmt: skip
    console.print(table)
    if config.precision == "bf16" and not computes_bf16(plan.device):
        say("precision=bf16: this device has no arithmetic for it; float32 is faster here", style="yellow")
    workers = plan.parallelism.workers
    beside = f" with {workers} at once, if they do not slow each other" if workers > 1 else ""
    say(
        f"training about {duration(plan.seconds)}{beside} and {size(plan.disk_bytes)} on disk in {plan.folder}, "
        "measured just now; reading the data, the scorer and the evaluation come on top"
    )
    if plan.parallelism.why:
        say(plan.parallelism.why)
    for line in plan.advice:
        say(line)


def _parallelism_and_costs(
    trained: Mapping[str, Sequence[Trial]], device: str, jobs: int | str, image_bytes: int, steps: int
) -> tuple[Parallelism, dict[str, Cost], int]:
    """Return how many trials train at once, each method's cost with the threads that a trial then has, and the bytes
    that a trial takes (0: not known). No more than `steps` are measured."""
    count, resources = sum(map(len, trained.values())), machine(device)

    def measure_all(thread_count: int) -> dict[str, Cost]:
        with threads(thread_count):
            return {name: measure_cost(group[0], device, steps) for name, group in trained.items()}

    first = choose_parallelism(jobs, count, resources)
    costs = measure_all(first.threads)
    step_bytes = max((cost.memory for cost in costs.values()), default=0)  # none where no row is trained
    other_bytes = image_bytes if resources.gpu else image_bytes + LIBRARY_BYTES
    trial_bytes = step_bytes and step_bytes + other_bytes
    parallelism = choose_parallelism(jobs, count, resources, trial_bytes)
    costs = costs if parallelism.threads == first.threads else measure_all(parallelism.threads)
    return parallelism, costs, trial_bytes


def _advice(plan: RunPlan, jobs: int | str, trial_bytes: int) -> tuple[str, ...]:
    """Return the lines on what would be faster; none for a run that has begun, whose digits either would change."""
    trained = [trial for trial in plan.trials if trial.method.reference is None]
    folders = (TrialFolder.of(plan.folder, plan.dataset.label, trial.method.name, trial.seed) for trial in trained)
    if plan.seconds < MIN_ADVISED_SECONDS or any(folder.trial.exists() for folder in folders):
        return ()
    side, lines = plan.config.crop_size, []
    if jobs == 1:
        lines.append(jobs_advice(plan.seconds, len(trained), side, machine(plan.device), trial_bytes))
    lines.append(bf16_advice(plan.device, plan.config.precision, side))
    return tuple(filter(None, lines))


def _counts(dataset: Dataset, split: str, limit: int) -> tuple[int, int]:
    """Return the number of images of both domains of a split, at most `limit` if any, without decoding one."""
    a, b = (len(dataset.items(split, domain)) for domain in "AB")
    return (min(a, limit), min(b, limit)) if limit else (a, b)


def _ensure_images(dataset: Dataset, counts: Mapping[str, tuple[int, int]]) -> None:
    """Raise `DataMissing` where a split has no image of a domain."""
    empty = [f"{split} {letter}" for split in counts for letter, n in zip("AB", counts[split], strict=True) if not n]
    if empty:
        text = f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty"
        raise DataMissing(f"{dataset.label}: {text}: see what the dataset expects, 'cgbench datasets'")


def _test_keys(dataset: Dataset, config: TrialConfig, domain: str) -> list[str]:
    """Return the keys of the test images of a domain, without decoding one."""
    return [item.key for item in selected(dataset.items(Split.TEST, domain), config.max_test_images, spread=True)]


def _steps_left(run: Path, dataset: Dataset, trial: Trial, steps: int, keys: Mapping[str, Sequence[str]]) -> int | None:
    """Return the training steps that a trial lacks, 0 where its evaluation alone is left; None where it is complete, as
    the runner will find it unless it was evaluated by other protocols."""
    folder = TrialFolder.of(run, dataset.label, trial.method.name, trial.seed)
    test_keys = {direction: keys[direction[0]] for direction in trial.method.directions}
    total = steps if trial.method.reference is None else 0
    if is_complete(folder, total, test_keys):
        return None
    return max(0, total - saved_step(folder.checkpoint))
