"""Simulated columns of methods with equal means: how often the band, Welch's and the paired test find a difference.

Run as a program it prints the tables of cgbench/results/README.md: python tests/helpers/simulated_columns.py COUNT
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cgbench.benchmarks.regression.baseline_file import read_baseline
from cgbench.benchmarks.regression.run_numbers import TRAINED
from cgbench.results import band as band_module
from cgbench.results.band import band
from cgbench.results.significance import ALPHA, POWER, Effect, mean_effect, welch

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "benchmarks" / "baselines" / "ci.json"  # 30 seeds: the shapes of measured distributions
RECORDS = [ROOT / "reports" / "reference" / name / "results.csv" for name in ("camvid-all", "streets-all")]
REFERENCE = "cyclegan"
METHODS = 24  # with the reference
SEEDS = (3, 5, 8)
DRAWS = 4000  # of the band, for speed; one row is repeated with those that reports use
ALL_DRAWS = 1  # the row that is
BANDWIDTH = 0.25  # of the kernel that keeps two measured seeds from being equal, in standard deviations

Column = list[np.ndarray]  # the numbers of the reference, then those of each other method, one per seed
Draw = Callable[[np.random.Generator, int], Column]


@dataclass(frozen=True)
class Outcome:
    """What the three procedures make of simulated columns: shares of columns with a false difference, and per column
    and method the differences and the half widths of its intervals, both (procedures, columns, methods)."""

    false: np.ndarray
    differences: np.ndarray
    halves: np.ndarray

    def detectable(self) -> list[float]:
        """Return for each procedure the true difference of one method that is found with probability 0.8, over all
        methods and columns together, in either direction."""
        found = []
        for differences, halves in zip(self.differences, self.halves, strict=True):
            low, high = 0.0, 10 * float(np.quantile(halves, 0.9))
            for _ in range(50):
                middle = (low + high) / 2
                low, high = (middle, high) if np.mean(np.abs(differences + middle) > halves) < POWER else (low, middle)
            found.append(high)
        return found


def simulate(draw: Draw, seeds: int, count: int, stream: int = 0) -> Outcome:
    """Return the outcome of `count` columns. Holm's procedure makes a false difference among equal methods exactly
    where its first step does, so its intervals are those of the first step."""
    rng = np.random.default_rng([stream, seeds])
    differences, halves = [], []
    for _ in range(count):
        reference, *others = draw(rng, seeds)
        found = band(reference, others)
        rows = [[(entry.mean, (entry.high - entry.low) / 2) for entry in found]]
        rows.append([_first_step(welch(values, reference), len(others)) for values in others])
        pairs = [min(len(values), len(reference)) for values in others]
        effects = [mean_effect(values[:n] - reference[:n]) for values, n in zip(others, pairs, strict=True)]
        rows.append([_first_step(effect, len(others)) for effect in effects])
        table = np.array(rows)
        differences.append(table[..., 0])
        halves.append(table[..., 1])
    by_procedure, widths = np.array(differences).swapaxes(0, 1), np.array(halves).swapaxes(0, 1)
    return Outcome((np.abs(by_procedure) > widths).any(axis=2).mean(axis=1), by_procedure, widths)


def _first_step(effect: Effect | None, tests: int) -> tuple[float, float]:
    assert effect is not None
    low, high = effect.interval(ALPHA / tests)
    return effect.mean, (high - low) / 2


def normal(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.standard_normal(size)


def skewed(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return exponential numbers of mean 0 and variance 1: skewness 2."""
    return rng.exponential(size=size) - 1


def heavy(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return Student's t with 3 degrees of freedom, of variance 1."""
    return rng.standard_t(3, size) / np.sqrt(3)


def broken(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return normal numbers, a tenth of which lie five standard deviations lower, of mean 0."""
    return rng.standard_normal(size) - 5 * ((rng.random(size) < 0.1) - 0.1)


def measured_shapes() -> Callable[[np.random.Generator, int], np.ndarray]:
    """Return draws from the residuals of one trained number of the committed baseline, another in each call."""
    numbers = [number for number in read_baseline(CI).run.numbers.values() if number.kind == TRAINED]
    table = np.array([list(number.values.values()) for number in numbers])
    table = (table - table.mean(axis=1, keepdims=True)) / table.std(axis=1, keepdims=True)

    def draw(rng: np.random.Generator, size: int) -> np.ndarray:
        values = rng.choice(table[rng.integers(len(table))], size) + BANDWIDTH * rng.standard_normal(size)
        return values / np.sqrt(1 + BANDWIDTH**2)

    return draw


def spreads(freedom: float, methods: int = METHODS) -> Callable[[np.random.Generator], np.ndarray]:
    """Return draws of standard deviations whose variances have a prior of `freedom` degrees of freedom."""
    return lambda rng: np.sqrt(freedom / rng.chisquare(freedom, methods))


def fixed(*factors: float, methods: int = METHODS) -> Callable[[np.random.Generator], np.ndarray]:
    """Return equal standard deviations but for the first methods, which have these `factors`."""
    return lambda rng: np.array([*factors, *[1.0] * (methods - len(factors))])


def columns(scale: Callable[[np.random.Generator], np.ndarray], noise: Callable = normal, uneven: bool = False) -> Draw:
    """Return draws of columns; with `uneven` the methods other than the reference have 2 to 8 seeds each."""

    def draw(rng: np.random.Generator, seeds: int) -> Column:
        scales = scale(rng)
        counts = [seeds, *(rng.integers(2, 9, len(scales) - 1) if uneven else [seeds] * (len(scales) - 1))]
        return [one * noise(rng, int(count)) for one, count in zip(scales, counts, strict=True)]

    return draw


def noisy_reference(rng: np.random.Generator) -> np.ndarray:
    return spreads(2)(rng) * np.array([2.0, *[1.0] * (METHODS - 1)])


def scenarios() -> list[tuple[str, Draw, Sequence[int]]]:
    """Return description, draw and seed numbers of every scenario of 24 methods or, where it says so, of 2."""
    return [
        ("equal variances", columns(fixed()), SEEDS),
        ("variances with d0 = 2, normal", columns(spreads(2)), SEEDS),
        ("d0 = 2, skewed (exponential)", columns(spreads(2), skewed), SEEDS),
        ("d0 = 2, t with 3 degrees of freedom", columns(spreads(2), heavy), SEEDS),
        ("d0 = 2, shapes measured in 30 seeds", columns(spreads(2), measured_shapes()), SEEDS),
        ("d0 = 1, normal", columns(spreads(1)), SEEDS),
        ("d0 = 1, skewed", columns(spreads(1), skewed), SEEDS),
        ("equal variances, a tenth of seeds broken", columns(fixed(), broken), SEEDS),
        ("reference twice as noisy, the others equal", columns(fixed(2)), SEEDS),
        ("reference twice as noisy, d0 = 2", columns(noisy_reference), SEEDS),
        ("three methods four times as noisy", columns(fixed(1, 4, 4, 4)), SEEDS),
        ("d0 = 2, others with 2 to 8 seeds each", columns(spreads(2), uneven=True), SEEDS),
        ("equal variances, two seeds", columns(fixed()), (2,)),
        ("d0 = 2, two seeds", columns(spreads(2)), (2,)),
        ("d0 = 1, two seeds", columns(spreads(1)), (2,)),
        ("two methods, equal variances", columns(fixed(methods=2)), SEEDS),
        ("two methods, d0 = 2", columns(spreads(2, 2)), SEEDS),
        ("two methods, reference twice as noisy", columns(fixed(2, methods=2)), SEEDS),
        ("two methods, reference half as noisy", columns(fixed(0.5, methods=2)), SEEDS),
    ]


def recorded_columns() -> dict[tuple[str, str, str], np.ndarray]:
    """Return the standard deviations between the three recorded seeds of every method, the reference first, by (data
    set, direction, metric) of the committed records; they are taken as true."""
    found = {}
    for path in RECORDS:
        rows = pd.read_csv(path, low_memory=False)
        rows = rows[(rows["step"] > 0) & rows["value"].notna() & ~rows["metric"].str.contains("/", na=True)]
        for (direction, metric), numbers in rows.groupby(["direction", "metric"]):
            deviations = numbers.groupby("method")["value"].std()
            if len(deviations) >= 10:
                order = [REFERENCE, *deviations.index.drop(REFERENCE)]
                found[path.parent.name, str(direction), str(metric)] = deviations[order].to_numpy()
    return found


def _row(description: str, seed_numbers: Sequence[int], outcomes: Sequence[Outcome]) -> str:
    """Return a row of the table: per procedure the percentages of false differences, one per number of seeds."""
    cells = [
        " / ".join(f"{100 * rate:.1f}" for rate in rates) for rates in zip(*(o.false for o in outcomes), strict=True)
    ]
    return f"| {description} | {' / '.join(map(str, seed_numbers))} | {' | '.join(cells)} |"


def print_scenarios(count: int) -> None:
    print(
        f"| {count} columns a number | seeds | band | Welch, Holm | paired, Holm |\n|---|---|---|---|---|", flush=True
    )
    for stream, (description, draw, seed_numbers) in enumerate(scenarios()):
        outcomes = [simulate(draw, seeds, count, stream) for seeds in seed_numbers]
        print(_row(description, seed_numbers, outcomes), flush=True)
    band_module.DRAWS, few = 20_000, band_module.DRAWS
    description, draw, _ = scenarios()[ALL_DRAWS]
    outcome = simulate(draw, 3, count, ALL_DRAWS)
    print(_row(f"{description}; 20,000 draws in place of {few:,}", [3], [outcome]), flush=True)
    band_module.DRAWS = few


def print_recorded(count: int) -> None:
    recorded = recorded_columns()
    print(f"\n| {len(recorded)} columns, {count} times each | seeds | band | Welch, Holm | paired, Holm |")
    print("|---|---|---|---|---|", flush=True)
    for seeds in SEEDS:
        outcomes = {
            place: simulate(columns(lambda rng, scale=scale: scale), seeds, count, 100 + row)
            for row, (place, scale) in enumerate(recorded.items())
        }
        false = np.array([outcome.false for outcome in outcomes.values()])
        for name, rates in (("mean", false.mean(axis=0)), ("largest", false.max(axis=0))):
            print(f"| false difference, {name} | {seeds} | {' | '.join(f'{100 * rate:.1f}' for rate in rates)} |")
        worst = list(recorded)[int(false[:, 0].argmax())]  # the largest of many is partly chance: drawn again
        again = simulate(columns(lambda rng, scale=recorded[worst]: scale), seeds, 4 * count, 200)
        print(_row(f"{' '.join(worst)}, the band's largest, {4 * count} fresh columns", [seeds], [again]))
        for (run, _, metric), outcome in outcomes.items():
            if metric == "fcn_iou":
                sizes = " | ".join(f"{size:.3f}" for size in outcome.detectable())
                print(f"| FCN IoU found with probability .8, {run} | {seeds} | {sizes} |", flush=True)


def main(count: str) -> None:
    band_module.DRAWS = DRAWS
    print_scenarios(int(count))
    print_recorded(int(count) // 4)


if __name__ == "__main__":
    main(*sys.argv[1:])
