"""Timing of the training step of each method, and of the five ablations of the paper's tables together."""

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
from cgbench.benchmarks.runtime.determinism import describe_error
from cgbench.benchmarks.runtime.peak_memory import peak_memory, reset_peak_memory
from cgbench.benchmarks.speed.measurements import LeftOut, Measurement, Measurements, SpeedOptions, VariantSettings
from cgbench.benchmarks.speed.reference_cyclegan import HAND_WRITTEN, HandWrittenCycleGan
from cgbench.benchmarks.speed.reference_step import ReferenceStep
from cgbench.benchmarks.speed.roofline import flop_of, lower_bounds, machine_peak, machine_peaks
from cgbench.benchmarks.speed.timing import Summary, Variant, interleave, sum_by_round, summary, times_as_fast
from cgbench.benchmarks.speed.workload import configuration, ensure_same_work, reference_model, why_not_applicable
from cgbench.benchmarks.training.cuda_graphs import WARMUP_STEPS
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import make_train_step
from cgbench.config import TrialConfig
from cgbench.methods.blocks.model import Model
from cgbench.seeds import derive

REFERENCE, HAND_WRITTEN_STEP = "reference", "by hand"
ABLATIONS = ("cyclegan", "gan_only", "cycle_only", "gan_forward_cycle", "gan_backward_cycle")


@dataclass(frozen=True)
class StepComparison:
    """A method's variants at one size, the reference first; the FLOP of a step, and the bytes that each variant
    added."""

    variants: tuple[Variant, ...]
    flop: int
    memory: dict[str, int]


def steps(options: SpeedOptions) -> Measurements:
    """Measure the step of every method at every size, against the reference and the machine's peak."""
    peaks = list(machine_peaks(options))
    yield from peaks
    peak = machine_peak(peaks)
    for size, method in itertools.product(options.sizes, options.methods):
        options.log(f"step: {method.name} at {size} pixels")
        if reason := why_not_applicable(method, configuration(size, method, options.variants[0])):
            yield LeftOut("step", method.name, size, reason)
            continue
        try:
            entries = _measure(method, size, options, peak)
        except RuntimeError as error:  # out of memory, most often
            entries = [LeftOut("step", method.name, size, describe_error(error), failed=True)]
        yield from entries


def _measure(method: Method, size: str, options: SpeedOptions, peak: dict[str, float]) -> list[Measurement | LeftOut]:
    """Return the measurements of a method at a size; its models are freed on return."""
    comparison = prepare_comparison(method, size, options.variants, options.device)
    seconds = interleave(comparison.variants, options.budget, device_barrier(options.device), warm_ups=1)
    return list(_entries(method.name, size, comparison, seconds, peak))


def _entries(
    name: str, size: str, comparison: StepComparison, seconds: dict[str, list[float]], peak: dict[str, float]
) -> Measurements:
    """Yield a measurement per variant, and a lower bound per type: the arithmetic at the machine's peak."""
    for variant, values in seconds.items():
        rate = comparison.flop / summary(values).median
        details = {
            "flop_per_step": comparison.flop,
            "flop_per_second": rate,
            **{f"share_of_{dtype}_peak": rate / value for dtype, value in peak.items()},
            "memory_bytes": comparison.memory[variant],
        }
        ratio = None if variant == REFERENCE else times_as_fast(seconds[REFERENCE], values)
        yield Measurement(
            "step", name, variant, size, "s/step", summary(values), REFERENCE if ratio else "", ratio, details
        )
    for dtype, lower_bound in lower_bounds(peak, comparison.flop).items():
        yield Measurement(
            "step", name, f"floor {dtype}", size, "s/step", Summary(lower_bound, lower_bound, lower_bound, 1)
        )


def table(options: SpeedOptions) -> Measurements:
    """Measure one step of each of the five ablations, all variants in the same rounds, and their sum."""
    for size in options.sizes:
        options.log(f"table: the five ablations at {size} pixels")
        variants: list[Variant] = []
        try:
            for name in ABLATIONS:
                makers = step_builders(METHODS.get(name), size, options.variants, options.device)
                variants += [
                    Variant(f"{variant}/{name}", build())
                    for variant, build in makers.items()
                    if variant != HAND_WRITTEN_STEP
                ]
            seconds = interleave(variants, options.budget, device_barrier(options.device))
        except RuntimeError as error:
            yield LeftOut("table", "five ablations", size, describe_error(error), failed=True)
            continue
        sums = {variant: sum_by_round(seconds, [f"{variant}/{name}" for name in ABLATIONS])
                for variant in (REFERENCE, *(setting.name for setting in options.variants))}  # fmt: skip
        for variant, values in sums.items():
            ratio = None if variant == REFERENCE else times_as_fast(sums[REFERENCE], values)
            unit = "s/step of all five"
            yield Measurement(
                "table", "five ablations", variant, size, unit, summary(values), REFERENCE if ratio else "", ratio
            )


def prepare_comparison(method: Method, size: str, settings: Sequence[VariantSettings], device: str) -> StepComparison:
    """Return the variants of a method at a size, each called once."""
    makers = step_builders(method, size, settings, device)
    flop = flop_of(makers[REFERENCE]())  # of a discarded step: the first one includes the libraries' initialisation
    built = {name: measure_memory(build, torch.device(device)) for name, build in makers.items()}
    variants = tuple(Variant(name, call) for name, (call, _) in built.items())
    return StepComparison(variants, flop, {name: memory for name, (_, memory) in built.items()})


def step_builders(
    method: Method, size: str, settings: Sequence[VariantSettings], device: str
) -> dict[str, Callable[[], Callable[[], object]]]:
    """Return the functions that build the step of each variant: the reference, for CycleGAN the hand-written one, then
    cgbench's own with each of the `settings`."""
    config = configuration(size, method, settings[0])
    batch = synthetic_batch(config, device)
    builders = {
        REFERENCE: lambda: _with_logging(ReferenceStep(reference_model(method, config, device), config), batch, config)
    }
    if method.name in HAND_WRITTEN:
        builders[HAND_WRITTEN_STEP] = lambda: _hand_written_step(method, config, batch, device)
    return builders | {
        setting.name: partial(_cgbench_variant, method, size, setting, config, device) for setting in settings
    }


def measure_memory(build: Callable[[], Callable[[], object]], device: torch.device) -> tuple[Callable[[], object], int]:
    """Return the result of `build`, called once, and the peak bytes that this took; on a CPU the growth of the
    process."""
    gc.collect()
    trim_heap()
    reset_peak_memory(device)
    initial = peak_memory(device)
    call = build()
    call()
    return call, max(0, peak_memory(device) - initial)


def trim_heap() -> None:
    """Make the C library return free memory to the system, so that no variant reuses memory of an earlier one."""
    with suppress(OSError, AttributeError):  # with another C library the memory on a CPU is underestimated
        ctypes.CDLL(None).malloc_trim(0)


def cgbench_step(model: Model, config: TrialConfig, batch: dict[str, Tensor]) -> Callable[[], None]:
    """Return the training loop's work per step with a fixed batch: layers' random stream, step, sums of losses, log."""
    take_step, count, sums = make_train_step(model, make_optimizers(model, config), config), itertools.count(), {}

    def call() -> None:
        step = next(count)
        torch.manual_seed(derive(model.seed, "layers", step))
        losses = take_step(batch, step, config.learning_rate)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value
        if (step + 1) % config.log_every == 0:
            _fetch(sums)
            sums.clear()

    return call


def _cgbench_variant(
    method: Method, size: str, settings: VariantSettings, reference_config: TrialConfig, device: str
) -> Callable[[], None]:
    config = configuration(size, method, settings)
    ensure_same_work(settings, config, reference_config)
    call = cgbench_step(timing_model(method, config, device), config, synthetic_batch(config, device))
    for _ in range(WARMUP_STEPS * config.cuda_graphs):
        call()
    return call


def _hand_written_step(
    method: Method, config: TrialConfig, batch: dict[str, Tensor], device: str
) -> Callable[[], None]:
    step = HandWrittenCycleGan(reference_model(method, config, device), config, HAND_WRITTEN[method.name])
    return _with_logging(lambda batch, number: step(batch), batch, config)


def _with_logging(
    step: Callable[..., dict[str, Tensor]], batch: dict[str, Tensor], config: TrialConfig
) -> Callable[[], None]:
    """Return a reference step that fetches its losses where a reference loop logs them, as often as ours does."""
    count = itertools.count()

    def call() -> None:
        number = next(count)
        losses = step(batch, number)
        if (number + 1) % config.log_every == 0:
            _fetch(losses)

    return call


def _fetch(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in losses.items()}
