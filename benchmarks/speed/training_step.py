"""The training step of each method, and of the five ablations of the paper's tables together."""

import ctypes
import gc
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cgbench.api.method import Method
from cgbench.api.registry import METHODS
from cgbench.benchmarks.evaluation.synthetic_workload import device_barrier, synthetic_batch, timing_model
from cgbench.benchmarks.runtime.determinism import reason_of
from cgbench.benchmarks.runtime.peak_memory import peak_memory, reset_peak_memory
from cgbench.benchmarks.speed.measurements import LeftOut, Measurement, Measurements, SpeedOptions, VariantSettings
from cgbench.benchmarks.speed.reference_cyclegan import WRITTEN, HandWrittenCycleGan
from cgbench.benchmarks.speed.reference_step import ReferenceStep
from cgbench.benchmarks.speed.roofline import flop_of, lower_bounds, machine_peak, machine_peaks
from cgbench.benchmarks.speed.timing import Summary, Variant, added, interleave, summary, times_as_fast
from cgbench.benchmarks.speed.workload import configuration, ensure_same_work, reference_model, why_not_applicable
from cgbench.benchmarks.training.cuda_graphs import WARMUP_STEPS
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import make_train_step
from cgbench.config import TrialConfig
from cgbench.methods.blocks.model import Model
from cgbench.seeds import derive

REFERENCE, BY_HAND = "reference", "by hand"
ABLATIONS = ("cyclegan", "gan_only", "cycle_only", "gan_forward_cycle", "gan_backward_cycle")


@dataclass(frozen=True)
class StepComparison:
    """A method's arms at one size, the reference first; what a step computes, and the bytes that each arm added."""

    arms: tuple[Variant, ...]
    flop: int
    memory: dict[str, int]


def steps(plan: SpeedOptions) -> Measurements:
    """Measure the step of every method at every size, against the reference and against the machine."""
    found = list(machine_peaks(plan))
    yield from found
    peak = machine_peak(found)
    for size, method in itertools.product(plan.sizes, plan.methods):
        plan.say(f"step: {method.name} at {size} pixels")
        if reason := why_not_applicable(method, configuration(size, method, plan.arms[0])):
            yield LeftOut("step", method.name, size, reason)
            continue
        try:
            entries = _measured(method, size, plan, peak)
        except RuntimeError as error:  # out of memory, most often
            entries = [LeftOut("step", method.name, size, reason_of(error), failed=True)]
        yield from entries


def _measured(method: Method, size: str, plan: SpeedOptions, peak: dict[str, float]) -> list[Measurement | LeftOut]:
    """Return what was measured of a method at a size; its models are gone by then."""
    contest = prepared(method, size, plan.arms, plan.device)
    seconds = interleave(contest.arms, plan.budget, device_barrier(plan.device), warm_ups=1)
    return list(_entries(method.name, size, contest, seconds, peak))


def _entries(
    name: str, size: str, contest: StepComparison, seconds: dict[str, list[float]], peak: dict[str, float]
) -> Measurements:
    """Yield an entry per arm, and one per floor: the arithmetic at the machine's best."""
    for arm, values in seconds.items():
        rate = contest.flop / summary(values).median
        details = {
            "flop_per_step": contest.flop,
            "flop_per_second": rate,
            **{f"share_of_{kind}_peak": rate / value for kind, value in peak.items()},
            "memory_bytes": contest.memory[arm],
        }
        ratio = None if arm == REFERENCE else times_as_fast(seconds[REFERENCE], values)
        yield Measurement(
            "step", name, arm, size, "s/step", summary(values), REFERENCE if ratio else "", ratio, details
        )
    for kind, floor in lower_bounds(peak, contest.flop).items():
        yield Measurement("step", name, f"floor {kind}", size, "s/step", Summary(floor, floor, floor, 1))


def table(plan: SpeedOptions) -> Measurements:
    """Measure one step of each of the five ablations, all arms in the same rounds, and add them up."""
    for size in plan.sizes:
        plan.say(f"table: the five ablations at {size} pixels")
        arms: list[Variant] = []
        try:
            for name in ABLATIONS:
                makers = builders(METHODS.get(name), size, plan.arms, plan.device)
                arms += [Variant(f"{arm}/{name}", build()) for arm, build in makers.items() if arm != BY_HAND]
            seconds = interleave(arms, plan.budget, device_barrier(plan.device))
        except RuntimeError as error:
            yield LeftOut("table", "five ablations", size, reason_of(error), failed=True)
            continue
        sums = {arm: added(seconds, [f"{arm}/{name}" for name in ABLATIONS])
                for arm in (REFERENCE, *(setting.name for setting in plan.arms))}  # fmt: skip
        for arm, values in sums.items():
            ratio = None if arm == REFERENCE else times_as_fast(sums[REFERENCE], values)
            unit = "s/step of all five"
            yield Measurement(
                "table", "five ablations", arm, size, unit, summary(values), REFERENCE if ratio else "", ratio
            )


def prepared(method: Method, size: str, settings: Sequence[VariantSettings], device: str) -> StepComparison:
    """Return the arms of a method at a size, each called once."""
    makers = builders(method, size, settings, device)
    flop = flop_of(makers[REFERENCE]())  # of a step that is thrown away: the first one pays for the libraries' start
    made = {name: measured_memory(build, torch.device(device)) for name, build in makers.items()}
    arms = tuple(Variant(name, call) for name, (call, _) in made.items())
    return StepComparison(arms, flop, {name: memory for name, (_, memory) in made.items()})


def builders(
    method: Method, size: str, settings: Sequence[VariantSettings], device: str
) -> dict[str, Callable[[], Callable[[], object]]]:
    """Return what makes the step of each arm: the reference, for CycleGAN the one by hand, then cgbench's own with each
    of the `settings`."""
    config = configuration(size, method, settings[0])
    batch = synthetic_batch(config, device)
    found = {REFERENCE: lambda: _plain(ReferenceStep(reference_model(method, config, device), config), batch, config)}
    if method.name in WRITTEN:
        found[BY_HAND] = lambda: _by_hand(method, config, batch, device)
    return found | {setting.name: partial(_own, method, size, setting, config, device) for setting in settings}


def measured_memory(
    build: Callable[[], Callable[[], object]], device: torch.device
) -> tuple[Callable[[], object], int]:
    """Return what `build` makes, called once, and the bytes that this took at its most; on a CPU by which the process
    grew."""
    gc.collect()
    give_back_memory()
    reset_peak_memory(device)
    before = peak_memory(device)
    call = build()
    call()
    return call, max(0, peak_memory(device) - before)


def give_back_memory() -> None:
    """Let the C library give what is free back to the system, so that no arm lives on what an earlier one left."""
    with suppress(OSError, AttributeError):  # another C library: then the numbers of a CPU are too small
        ctypes.CDLL(None).malloc_trim(0)


def cgbench_step(model: Model, config: TrialConfig, batch: dict[str, Tensor]) -> Callable[[], None]:
    """Return what the training loop does in a step with the batch at hand: layers' stream, step, sums, log."""
    take_step, count, sums = make_train_step(model, make_optimizers(model, config), config), itertools.count(), {}

    def call() -> None:
        step = next(count)
        torch.manual_seed(derive(model.seed, "layers", step))
        losses = take_step(batch, step, config.learning_rate)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value
        if (step + 1) % config.log_every == 0:
            _fetched(sums)
            sums.clear()

    return call


def _own(method: Method, size: str, setting: VariantSettings, plain: TrialConfig, device: str) -> Callable[[], None]:
    config = configuration(size, method, setting)
    ensure_same_work(setting, config, plain)
    call = cgbench_step(timing_model(method, config, device), config, synthetic_batch(config, device))
    for _ in range(WARMUP_STEPS * config.cuda_graphs):
        call()
    return call


def _by_hand(method: Method, config: TrialConfig, batch: dict[str, Tensor], device: str) -> Callable[[], None]:
    step = HandWrittenCycleGan(reference_model(method, config, device), config, WRITTEN[method.name])
    return _plain(lambda batch, number: step(batch), batch, config)


def _plain(step: Callable[..., dict[str, Tensor]], batch: dict[str, Tensor], config: TrialConfig) -> Callable[[], None]:
    """Return a plain step that fetches its losses where a plain loop logs them, as often as ours does."""
    count = itertools.count()

    def call() -> None:
        number = next(count)
        losses = step(batch, number)
        if (number + 1) % config.log_every == 0:
            _fetched(losses)

    return call


def _fetched(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in losses.items()}
