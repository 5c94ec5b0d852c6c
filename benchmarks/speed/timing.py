"""Interleaved timing of several variants in one process, and the statistics of the times. No torch."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WARM_UPS = 2  # untimed calls of every variant: a compiled variant may compile twice
MIN_ROUNDS = 3  # quartiles need three numbers
BLOCK_SECONDS = 0.05  # length of a variant's turn, so that clock resolution and pauses of the system hardly matter


@dataclass(frozen=True)
class Variant:
    """One of the compared variants: `call()` does the work once."""

    name: str
    call: Callable[[], object]


@dataclass(frozen=True)
class Budget:
    """The time budget: `seconds` per variant and at least three rounds, or exactly `rounds` where they are set."""

    seconds: float = 5.0
    rounds: int = 0

    def goes_on(self, done: int, spent: float, variants: int) -> bool:
        """Return whether another round follows `done` rounds of `variants` variants that took `spent` seconds in
        all."""
        if self.rounds:
            return done < self.rounds
        return done < MIN_ROUNDS or spent < self.seconds * variants


@dataclass(frozen=True)
class Summary:
    """Median and quartiles of `n` numbers."""

    median: float
    lower: float
    upper: float
    n: int


def summary(values: Sequence[float]) -> Summary:
    """Return median and quartiles (linear interpolation) of at least one number."""
    lower, median, upper = np.percentile(np.asarray(values, dtype=np.float64), (25, 50, 75))
    return Summary(float(median), float(lower), float(upper), len(values))


def rates(seconds: Sequence[float], units: float) -> list[float]:
    """Return `units` per second for every measured time."""
    return [units / value for value in seconds]


def times_as_fast(reference: Sequence[float], seconds: Sequence[float]) -> Summary:
    """Return the speed-up of a variant over the reference: the ratio of times round by round, then its median.

    Both were timed in the same rounds, so that a temporary slowdown of the machine affects both.
    """
    return summary([slow / fast for slow, fast in zip(reference, seconds, strict=True)])


def sum_by_round(seconds: Mapping[str, Sequence[float]], names: Sequence[str]) -> list[float]:
    """Return the sum over the variants `names`, round by round."""
    return [sum(values) for values in zip(*(seconds[name] for name in names), strict=True)]


def interleave(
    variants: Sequence[Variant], budget: Budget, wait: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter, warm_ups: int = WARM_UPS,
) -> dict[str, list[float]]:  # fmt: skip
    """Return the seconds per call of every variant, one number per round: A B A B, never A A B B.

    In its turn a variant is called once, or as often as needed to take `BLOCK_SECONDS`.

    Args:
        variants: The variants to time.
        budget: The time budget.
        wait: Returns when the device has done its work; its time is included.
        clock: Returns the current time in seconds.
        warm_ups: The number of untimed calls of each variant.

    Returns:
        Seconds per call, one list per variant by name.
    """
    calls = {variant.name: _calls(_warm_up(variant, wait, clock, warm_ups)) for variant in variants}
    seconds: dict[str, list[float]] = {variant.name: [] for variant in variants}
    done, started = 0, clock()
    while budget.goes_on(done, clock() - started, len(variants)):
        for variant in variants:
            seconds[variant.name].append(_time_calls(variant, calls[variant.name], wait, clock))
        done += 1
    return seconds


def _calls(seconds: float) -> int:
    """Return the number of calls in a turn of a variant that takes `seconds` a call."""
    return max(1, round(BLOCK_SECONDS / max(seconds, 1e-7)))


def _warm_up(variant: Variant, wait: Callable[[], None], clock: Callable[[], float], times: int) -> float:
    """Call a variant `times` times before timing and return the seconds of the last call."""
    return [_time_calls(variant, 1, wait, clock) for _ in range(max(1, times))][-1]


def _time_calls(variant: Variant, calls: int, wait: Callable[[], None], clock: Callable[[], float]) -> float:
    wait()
    started = clock()
    for _ in range(calls):
        variant.call()
    wait()
    return (clock() - started) / calls
