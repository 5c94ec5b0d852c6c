"""Roofline of the machine: its measured peak FLOP/s, and the arithmetic of a step."""

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from cgbench.benchmarks.evaluation.synthetic_workload import device_barrier
from cgbench.benchmarks.speed.measurements import Measurement, Measurements, SpeedOptions
from cgbench.benchmarks.speed.timing import Variant, interleave, rates, summary

TYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
PRODUCT_SIDE = {"cpu": 2048, "cuda": 8192}  # of square matrices
IMAGES = {"cpu": 4, "cuda": 64}  # of the convolution's batch
CHANNELS, MAP_SIDE, KERNEL = 256, 64, 3  # the residual blocks of the published generator at 256 pixels


def machine_peaks(options: SpeedOptions) -> Measurements:
    """Measure FLOP/s of a large matrix product and of a 3×3 convolution of 256 channels at 64×64, in both types.

    The setting is that of the steps: contiguous, and on a GPU with TF32 where torch's defaults have it.
    """
    options.log("peak: matrix product and convolution")
    kind = options.device.partition(":")[0]
    side, images = PRODUCT_SIDE[kind], IMAGES[kind]
    work = {"matrix product": 2 * side**3, "convolution": 2 * images * (CHANNELS * KERNEL * MAP_SIDE) ** 2}
    variants = []
    for name, dtype in TYPES.items():
        variants.append(Variant(f"matrix product {name}", _product(side, dtype, options.device)))
        variants.append(Variant(f"convolution {name}", _convolution(images, dtype, options.device)))
    with torch.no_grad():
        seconds = interleave(variants, options.budget, device_barrier(options.device))
    for name, values in seconds.items():
        flop = work[name.rpartition(" ")[0]]
        yield Measurement("peak", name, name.rpartition(" ")[2], "", "FLOP/s", summary(rates(values, flop)))


def machine_peak(entries: list[Measurement]) -> dict[str, float]:
    """Return the highest measured median FLOP/s by type."""
    return {name: max(entry.value.median for entry in entries if entry.variant == name) for name in TYPES}


def lower_bounds(peak: Mapping[str, float], flop: float) -> dict[str, float]:
    """Return the seconds of `flop` operations at the machine's peak, by type."""
    return {name: flop / rate for name, rate in peak.items()}


def flop_of(call: Callable[[], object]) -> int:
    """Return the floating-point operations of the matrix products and convolutions of a call, backward passes
    included."""
    with _FlopCounter() as counter:
        call()
    return counter.total


class _FlopCounter(TorchDispatchMode):
    """Sums torch's own formulas. Its `FlopCounterMode` does that by module, and fails on second-order gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: ANN204 (torch's signature)
        result = function(*args, **(kwargs or {}))
        if formula := flop_registry.get(function._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _product(side: int, dtype: torch.dtype, device: str) -> Callable[[], object]:
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in "ab")
    return lambda: left @ right


def _convolution(images: int, dtype: torch.dtype, device: str) -> Callable[[], object]:
    maps = torch.randn(images, CHANNELS, MAP_SIDE, MAP_SIDE, device=device).to(dtype)
    weights = torch.randn(CHANNELS, CHANNELS, KERNEL, KERNEL, device=device).to(dtype)
    return lambda: functional.conv2d(maps, weights, padding=1)
