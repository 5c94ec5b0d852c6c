"""Timing of several arms in one process, interleaved, and the statistics of what was measured. No torch."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WARM_UPS = 2  # calls of every arm before the first one counts: a compiled arm may compile twice
LEAST_ROUNDS = 3  # fewer have no quartiles
BLOCK_SECONDS = 0.05  # an arm is called for so long in a row that the clock and a pause of the system hardly count


@dataclass(frozen=True)
class Variant:
    """One of the things that are compared: `call()` does the work once."""

    name: str
    call: Callable[[], object]


@dataclass(frozen=True)
class Budget:
    """How long is measured: `seconds` per arm and at least three rounds, or exactly `rounds` where they are given."""

    seconds: float = 5.0
    rounds: int = 0

    def goes_on(self, done: int, spent: float, arms: int) -> bool:
        """Say whether another round follows `done` rounds of `arms` arms that took `spent` seconds in all."""
        if self.rounds:
            return done < self.rounds
        return done < LEAST_ROUNDS or spent < self.seconds * arms


@dataclass(frozen=True)
class Summary:
    """Median and quartiles of `n` numbers."""

    median: float
    lower: float
    upper: float
    n: int


def summary(values: Sequence[float]) -> Summary:
    """Return median and quartiles (linear between neighbours) of at least one number."""
    lower, median, upper = np.percentile(np.asarray(values, dtype=np.float64), (25, 50, 75))
    return Summary(float(median), float(lower), float(upper), len(values))


def rates(seconds: Sequence[float], units: float) -> list[float]:
    """Return `units` per second for every measured time."""
    return [units / value for value in seconds]


def times_as_fast(reference: Sequence[float], seconds: Sequence[float]) -> Summary:
    """Return by what factor an arm is faster than the reference: the ratio of times round by round, then its median.

    Both were measured in the same rounds, so what slowed the machine for a while slowed both.
    """
    return summary([slow / fast for slow, fast in zip(reference, seconds, strict=True)])


def added(seconds: Mapping[str, Sequence[float]], names: Sequence[str]) -> list[float]:
    """Return the sum over the arms `names`, round by round."""
    return [sum(values) for values in zip(*(seconds[name] for name in names), strict=True)]


def interleave(
    arms: Sequence[Variant], budget: Budget, wait: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter, warm_ups: int = WARM_UPS,
) -> dict[str, list[float]]:  # fmt: skip
    """Return the seconds per call of every arm, one number per round: A B A B, never A A B B.

    `wait` returns when the device has done its work; it is part of what is timed. In its turn an arm is called once, or
    where it is quick as often as `BLOCK_SECONDS` needs.
    """
    calls = {arm.name: _calls(_warmed_up(arm, wait, clock, warm_ups)) for arm in arms}
    found: dict[str, list[float]] = {arm.name: [] for arm in arms}
    done, started = 0, clock()
    while budget.goes_on(done, clock() - started, len(arms)):
        for arm in arms:
            found[arm.name].append(_timed(arm, calls[arm.name], wait, clock))
        done += 1
    return found


def _calls(seconds: float) -> int:
    """Return how often an arm is called in its turn that takes `seconds` a call."""
    return max(1, round(BLOCK_SECONDS / max(seconds, 1e-7)))


def _warmed_up(arm: Variant, wait: Callable[[], None], clock: Callable[[], float], times: int) -> float:
    """Call an arm before it counts and return the seconds of the last call."""
    return [_timed(arm, 1, wait, clock) for _ in range(max(1, times))][-1]


def _timed(arm: Variant, calls: int, wait: Callable[[], None], clock: Callable[[], float]) -> float:
    wait()
    started = clock()
    for _ in range(calls):
        arm.call()
    wait()
    return (clock() - started) / calls
