"""What a run will cost, from a few measured steps, before it begins."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table

from cgbench.api.dataset import Dataset
from cgbench.benchmarks.evaluation.output_images import max_bytes
from cgbench.benchmarks.evaluation.synthetic_workload import device_barrier, synthetic_batch, timing_model
from cgbench.benchmarks.execution.parallelism import Parallelism, choose_parallelism, wall_time
from cgbench.benchmarks.execution.resources import machine, threads
from cgbench.benchmarks.runtime.determinism import reason_of
from cgbench.benchmarks.runtime.environment import computes_bf16
from cgbench.benchmarks.runtime.peak_memory import peak_memory, reset_peak_memory
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.training.cuda_graphs import WARMUP_STEPS
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import make_train_step
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.formatting import duration, size
from cgbench.results.run_folder import TrialFolder

MEASURED_SECONDS = 1.5  # per method, after one step of warm-up
IMAGE_COPIES = 3  # of every decoded image that a process holds: as read, for the device, and in the evaluation's hands
# what a worker on a CPU holds beside measured steps and images, mostly libraries; at the demo preset 0.1 to 0.35 GB
LATER_BYTES = 4 * 10**8


@dataclass(frozen=True)
class Cost:
    """What a trial of one method needs: seconds per step, bytes of its checkpoint, weights per network, and the bytes
    of memory that steps take: of the GPU, or of this process on a CPU; 0 where that is not known."""

    seconds_per_step: float
    checkpoint_bytes: int
    parameters: dict[str, int]
    memory: int


def measure(trial: Trial, device: str) -> Cost:
    """Take a few training steps on noise and return their cost. Nothing is written, no stream of the trial is used."""
    try:
        return _measured(trial, device)
    except RuntimeError as error:  # out of memory, most often: then training would fail as well
        raise CgbenchError(f"{trial.method.name}: a training step fails: {reason_of(error)}") from error
    finally:
        if device.startswith("cuda"):
            torch.cuda.empty_cache()  # this process needs it no more, and workers on the same GPU do


def _measured(trial: Trial, device: str) -> Cost:
    reset_peak_memory(torch.device(device))
    model = timing_model(trial.method, trial.config, device)
    batch, wait = synthetic_batch(trial.config, device), device_barrier(device)
    take_step = make_train_step(model, make_optimizers(model, trial.config), trial.config)
    warm_ups = 1 + WARMUP_STEPS * trial.config.cuda_graphs
    for step in range(warm_ups):
        take_step(batch, step, 0.0)
    wait()
    started, steps = time.perf_counter(), 0
    while steps == 0 or time.perf_counter() - started < MEASURED_SECONDS:
        take_step(batch, warm_ups + steps, 0.0)
        wait()
        steps += 1
    seconds = (time.perf_counter() - started) / steps
    counts = model.counts()
    trained = sum(counts[name] for player in model.live.players for name in player.networks)
    pools = len(model.pools) * trial.config.pool_size * 3 * trial.config.crop_size**2
    checkpoint = 4 * (sum(counts.values()) + 2 * trained + pools)
    return Cost(seconds, checkpoint, counts, peak_memory(torch.device(device)))


def print_plan(trials: list[Trial], data: Dataset, run: Path, device: str, asked: int | str = 1) -> Parallelism:
    """Print what will be trained, for how long, and where it goes; finished trials are counted as such. Return how many
    trials train at once, where `asked` is a number of processes or "auto"."""
    config = trials[0].config
    counts = _counts(data, config)
    steps = config.total_steps(*counts)
    trained: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.method.reference is None:
            trained.setdefault(trial.method.name, []).append(trial)
    tests = sum(_test_counts(data, config))
    images = IMAGE_COPIES * 3 * (sum(counts) * config.load_size**2 + tests * config.crop_size**2)
    jobs, costs = _costs_and_jobs(trained, device, asked, images)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("method", "trials", "to do", "steps", "s/step", "time", "disk"):
        table.add_column(title, justify="left" if title == "method" else "right")
    disk, pictures = 0.0, tests * max_bytes(config.crop_size)
    todo = [trial for trial in trials if trial.method.reference is None and not _is_done(run, data, trial)]
    for name, group in trained.items():
        cost, count = costs[name], sum(trial.method.name == name for trial in todo)
        bytes_left = count * (cost.checkpoint_bytes + pictures)
        disk += bytes_left
        time_left = duration(count * steps * cost.seconds_per_step)
        per_step = f"{cost.seconds_per_step:.3f}"
        table.add_row(name, str(len(group)), str(count), str(steps), per_step, time_left, size(bytes_left))
    seeds = [str(seed) for seed in sorted({trial.seed for trial in trials})]
    console.print(
        f"{data.label}: {data.direction_name('AtoB')} and {data.direction_name('BtoA')}, "
        f"{counts[0]} + {counts[1]} training images, {config.crop_size} pixels, batch {config.batch_size}, "
        f"preset {trials[0].preset}, seeds {', '.join(seeds)}, {device}"
    )
    console.print(table)
    if config.precision == "bf16" and not computes_bf16(device):
        console.print("precision=bf16: this device has no arithmetic for it; float32 is faster here", style="yellow")
    seconds = wall_time([steps * costs[trial.method.name].seconds_per_step for trial in todo], jobs.workers)
    beside = f" with {jobs.workers} at once, if they do not slow each other" if jobs.workers > 1 else ""
    console.print(
        f"training about {duration(seconds)}{beside} and {size(disk)} on disk in {run}, measured just now; "
        "reading the data, the scorer and the evaluation come on top"
    )
    if jobs.why:
        console.print(jobs.why)
    return jobs


def _costs_and_jobs(
    trained: dict[str, list[Trial]], device: str, asked: int | str, images: int
) -> tuple[Parallelism, dict[str, Cost]]:
    """Return how many trials train at once, and each method's cost with the threads that a trial then has."""
    count, here = sum(map(len, trained.values())), machine(device)

    def measured(with_threads: int) -> dict[str, Cost]:
        with threads(with_threads):
            return {name: measure(group[0], device) for name, group in trained.items()}

    first = choose_parallelism(asked, count, here)
    costs = measured(first.threads)
    needed = max(cost.memory for cost in costs.values())
    more = images if here.gpu else images + LATER_BYTES
    jobs = choose_parallelism(asked, count, here, needed and needed + more)
    return jobs, costs if jobs.threads == first.threads else measured(jobs.threads)


def _counts(data: Dataset, config: TrialConfig) -> tuple[int, int]:
    """Return the number of training images of both domains, without decoding one."""
    limit = config.max_train_images
    a, b = (len(data.items("train", domain)) for domain in "AB")
    return (min(a, limit), min(b, limit)) if limit else (a, b)


def _test_counts(data: Dataset, config: TrialConfig) -> tuple[int, int]:
    """Return the number of test images of both domains, without decoding one."""
    counts = [len(data.items("test", domain)) for domain in "AB"]
    return tuple(min(count, config.max_test_images) if config.max_test_images else count for count in counts)


def _is_done(run: Path, data: Dataset, trial: Trial) -> bool:
    return TrialFolder.of(run, data.label, trial.method.name, trial.seed).status()["state"] == "done"
