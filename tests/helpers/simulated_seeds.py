"""Error rates of the drift gate: comparisons of simulated and of real seeds. As a program it prints the tables of
benchmarks/baselines/README.md:

    python tests/helpers/simulated_seeds.py simulated BASELINE COUNT
    python tests/helpers/simulated_seeds.py real COUNT RUN|BASELINE...
"""

import math
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from cgbench.api.registry import metric_values
from cgbench.benchmarks.regression import permutation
from cgbench.benchmarks.regression.baseline_file import Baseline, read_baseline
from cgbench.benchmarks.regression.gate import Rules, check, make_tolerance, outcome
from cgbench.benchmarks.regression.run_numbers import TRAINED, RunNumbers, collect_numbers
from cgbench.results.run import read_run

CI = Path(__file__).resolve().parents[2] / "benchmarks" / "baselines" / "ci.json"
REASSIGNMENTS = 999  # of each permutation: a tenth of the gate's, for a tenth of the time
RULES = Rules()
STATES = ("pass", "inconclusive", "fail")


def normal(standard, rng):
    """Normal noise."""
    return standard


def t5(standard, rng):
    """Student's with 5 degrees of freedom: some seeds deviate in all their numbers."""
    return standard * np.sqrt(3 / rng.chisquare(5, standard.shape[1]))


def t3(standard, rng):
    """Student's with 3 degrees of freedom."""
    return standard * np.sqrt(1 / rng.chisquare(3, standard.shape[1]))


def skewed(standard, rng):
    """Log-normal noise of skewness 3.7, each number's tail to a fixed side of its own."""
    sides = np.where(np.arange(len(standard)) % 2, 1, -1)[:, None]
    shape = 0.8
    return sides * (np.exp(shape * sides * standard - shape**2 / 2) - 1) / math.sqrt(math.exp(shape**2) - 1)


def broken(standard, rng):
    """Normal noise; a tenth of the seeds is off by six spreads in half of its numbers."""
    affected = (rng.random(standard.shape[1]) < 0.1) & (np.arange(len(standard)) % 2 == 0)[:, None]
    return standard + 6 * affected


NOISES = {noise.__name__: noise for noise in (normal, t5, t3, skewed, broken)}


class Source:
    """Draws seeds of all trained numbers with the means, spreads and correlations of the baseline; a tenth of
    independence is added, since few seeds cannot determine hundreds of correlations."""

    def __init__(self, baseline: Baseline) -> None:
        self.baseline, numbers = baseline, baseline.run.numbers
        self.keys = [key for key, number in numbers.items() if number.kind == TRAINED]
        table = np.array([list(numbers[key].values.values()) for key in self.keys])
        self.means, self.spreads = table.mean(axis=1, keepdims=True), table.std(axis=1, ddof=1, keepdims=True)
        self.root = np.linalg.cholesky(0.9 * np.corrcoef(table) + 0.1 * np.eye(len(self.keys)))
        better = [numbers[key].better for key in self.keys]
        self.harm = np.array([{"higher": -1.0, "lower": 1.0}.get(direction, 1.0) for direction in better])

    def standard(self, rng: np.random.Generator, seeds: int) -> np.ndarray:
        """Return correlated normal noise (numbers, seeds) of mean 0 and variance 1."""
        return self.root @ rng.normal(size=(len(self.keys), seeds))

    def simulate(self, noise: np.ndarray, first: int = 0) -> RunNumbers:
        """Return the numbers of a run with this noise, in spreads, and the seeds from `first` on."""
        recorded = self.baseline.run.numbers
        rows = zip(self.keys, (self.means + self.spreads * noise).tolist(), strict=True)
        numbers = {key: replace(recorded[key], values=dict(enumerate(row, first))) for key, row in rows}
        return RunNumbers(numbers, self.baseline.run.protocols, {}, {})


def verdicts(
    source: Source, rng: np.random.Generator, count: int, seeds: tuple[int, int] = (30, 5), shift: float = 0.0,
    widening: float = 1.0, share: float = 0.0, alike: float | None = None, noise: str = "normal", split: bool = False,
) -> Counter:  # fmt: skip
    """Return how many of `count` comparisons end in each verdict.

    Args:
        source: What the seeds are drawn from.
        rng: The stream.
        count: The number of comparisons.
        seeds: The numbers of seeds of baseline and run.
        shift: Spreads, for the worse, that are added to the affected numbers of the run.
        widening: Factor of the noise of the affected numbers of the run.
        share: Share of the numbers that are affected, at random; one at least.
        alike: Correlation of the same seed on both sides, None for other seeds.
        noise: The name of the noise.
        split: Whether a random half of the seeds is correlated and the rest is not at all, as where rounding has
            changed the course of some trainings.

    Returns:
        The verdicts, counted.
    """
    counts: Counter = Counter()
    for _ in range(count):
        first, second = (source.standard(rng, number) for number in seeds)
        if alike is not None:
            correlation = alike * np.where(rng.random(seeds[1]) < 0.5, 1, 0) if split else np.full(seeds[1], alike)
            second = correlation * first[:, : seeds[1]] + np.sqrt(1 - correlation**2) * second
        first, second = NOISES[noise](first, rng), NOISES[noise](second, rng)
        affected = (rng.permutation(len(source.harm)) < max(1, round(share * len(source.harm))))[:, None]
        second = np.where(affected, widening * second + shift * source.harm[:, None], second)
        counts[_compare(source.simulate(first), source.simulate(second, 0 if alike is not None else 100))] += 1
    return counts


def splits(recorded: RunNumbers, rng: np.random.Generator, count: int, sizes: tuple[int, int]) -> Counter:
    """Return the verdicts of `count` random choices of disjoint real seeds as baseline and run."""
    seeds = np.array(sorted(set.union(*(set(number.values) for number in recorded.numbers.values()))))
    counts: Counter = Counter()
    for _ in range(count):
        chosen = rng.permutation(seeds)[: sum(sizes)].tolist()
        counts[_compare(_subset(recorded, chosen[: sizes[0]]), _subset(recorded, chosen[sizes[0] :]))] += 1
    return counts


def _subset(recorded: RunNumbers, seeds: list[int]) -> RunNumbers:
    numbers = {
        key: replace(number, values={seed: number.values[seed] for seed in seeds})
        for key, number in recorded.numbers.items()
        if number.kind == TRAINED
    }
    return replace(recorded, numbers=numbers, unfinished=())


def _compare(before: RunNumbers, after: RunNumbers) -> str:
    tolerances = {key: make_tolerance(number, key.metric, RULES) for key, number in before.numbers.items()}
    return outcome(check(before, after, tolerances, RULES))


SAME = "same seeds, correlation 0.9"


def spreads(n: int) -> str:
    return "1 spread" if n == 1 else f"{n} spreads"


ROWS = [  # simulated cases: seeds, change put in and arguments
    *(("30 and 5", f"none; other seeds, {noise}", {"noise": noise}) for noise in NOISES),
    *(("30 and 5", f"none; {SAME}, {noise}", {"noise": noise, "alike": 0.9}) for noise in ("normal", "t3")),
    ("30 and 5", "none; same seeds, correlation 0", {"alike": 0.0}),
    ("30 and 5", "none; same seeds, half of them 0.99 and half 0", {"alike": 0.99, "split": True}),
    *((f"{n} and {m}", "none; other seeds", {"seeds": (n, m)}) for n, m in ((30, 8), (30, 3), (16, 5), (5, 5))),
    *(("30 and 5", f"{spreads(n)} in one number; other seeds", {"shift": n}) for n in (1, 2, 3)),
    *(("30 and 5", f"2 spreads in one number; other seeds, {noise}", {"shift": 2, "noise": noise})
      for noise in list(NOISES)[1:]),
    ("30 and 5", "1 spread in a quarter of them; other seeds", {"shift": 1, "share": 0.25}),
    *(("30 and 5", f"{spreads(n)} in one number; {SAME}", {"shift": n, "alike": 0.9}) for n in (1, 2, 3)),
    ("30 and 5", "1 spread in one number; same seeds, correlation 0.99", {"shift": 1, "alike": 0.99}),
    *(("30 and 5", f"one number spreads {n} times as wide; other seeds", {"widening": n}) for n in (3, 5)),
]  # fmt: skip


def print_row(cells: list[str], counts: Counter) -> None:
    total = counts.total()
    error = math.sqrt(counts["fail"] * (total - counts["fail"]) / total**3)
    shares = [f"{100 * counts[state] / total:.1f} %" for state in STATES]
    print(f"| {' | '.join([*cells, *shares])} ± {100 * error:.1f} |", flush=True)


def print_simulated(path: str, count: str) -> None:
    permutation.REASSIGNMENTS = REASSIGNMENTS
    source = Source(read_baseline(Path(path)))
    print(f"{count} comparisons a row, {len(source.keys)} numbers\n")
    print("| seeds of baseline and run | change put in | pass | inconclusive | fail |\n|---|---|---|---|---|")
    for row, (seeds, description, arguments) in enumerate(ROWS):
        print_row([seeds, description], verdicts(source, np.random.default_rng(row), int(count), **arguments))


def print_real(count: str, *paths: str) -> None:
    permutation.REASSIGNMENTS = REASSIGNMENTS
    recorded = merge([read_numbers(Path(path)) for path in paths])
    seeds = max(len(number.values) for number in recorded.numbers.values())
    print(f"{count} random choices a row, of {seeds} seeds\n")
    print("| seeds of baseline and run | pass | inconclusive | fail |\n|---|---|---|---|")
    for sizes in ((24, 5), (16, 5), (24, 8), (16, 8)):
        if sum(sizes) <= seeds:
            counts = splits(recorded, np.random.default_rng(0), int(count), sizes)
            print_row([f"{sizes[0]} and {sizes[1]}"], counts)


def read_numbers(path: Path) -> RunNumbers:
    """Return the numbers of a run's folder or of a baseline."""
    return collect_numbers(read_run(path), metric_values()) if path.is_dir() else read_baseline(path).run


def merge(runs: list[RunNumbers]) -> RunNumbers:
    """Return the numbers of runs of one protocol with the seeds of all."""
    numbers = {
        key: replace(number, values={s: v for run in runs for s, v in run.numbers[key].values.items()})
        for key, number in runs[0].numbers.items()
        if all(key in run.numbers for run in runs)
    }
    return replace(runs[0], numbers=numbers)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"simulated": print_simulated, "real": print_real}[command](*arguments)
