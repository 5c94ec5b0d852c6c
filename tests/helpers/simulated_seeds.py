"""Simulated comparisons: seeds drawn with the spreads and correlations of a real baseline, and injected changes.

Run as a program it prints the table of benchmarks/baselines/README.md: python tests/helpers/simulated_seeds.py FILE
COUNT
"""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from cgbench.benchmarks.regression.baseline_file import Baseline, read_baseline
from cgbench.benchmarks.regression.gate import Rules, check, make_tolerance, outcome
from cgbench.benchmarks.regression.run_numbers import TRAINED, RunNumbers

CI = Path(__file__).resolve().parents[2] / "benchmarks" / "baselines" / "ci.json"
HEAVY = 5  # degrees of freedom of heavy tails: some seeds deviate in all their numbers
RULES = Rules()


class Source:
    """Draws seeds of all trained numbers with the means, spreads and correlations of the baseline; a tenth of
    independence is added, since 16 seeds cannot determine hundreds of correlations."""

    def __init__(self, baseline: Baseline) -> None:
        self.baseline, numbers = baseline, baseline.run.numbers
        self.keys = [key for key, number in numbers.items() if number.kind == TRAINED]
        table = np.array([list(numbers[key].values.values()) for key in self.keys])
        self.means, self.spreads = table.mean(axis=1, keepdims=True), table.std(axis=1, ddof=1, keepdims=True)
        self.root = np.linalg.cholesky(0.9 * np.corrcoef(table) + 0.1 * np.eye(len(self.keys)))
        better = [numbers[key].better for key in self.keys]
        self.harm = np.array([{"higher": -1.0, "lower": 1.0}.get(direction, 1.0) for direction in better])

    def noise(self, rng: np.random.Generator, seeds: int, heavy: bool) -> np.ndarray:
        """Return (numbers, seeds) of mean 0 and variance 1."""
        normal = self.root @ rng.normal(size=(len(self.keys), seeds))
        return normal * np.sqrt((HEAVY - 2) / rng.chisquare(HEAVY, seeds)) if heavy else normal

    def simulate(self, noise: np.ndarray) -> RunNumbers:
        """Return the numbers of a run with this noise, in spreads."""
        recorded = self.baseline.run.numbers
        rows = zip(self.keys, (self.means + self.spreads * noise).tolist(), strict=True)
        numbers = {key: replace(recorded[key], values=dict(enumerate(row))) for key, row in rows}
        return RunNumbers(numbers, self.baseline.run.protocols, {}, {})


def verdicts(
    source: Source, rng: np.random.Generator, count: int, seeds: tuple[int, int] = (16, 5), shift: float = 0.0,
    share: float = 0.0, alike: float | None = None, heavy: bool = False, split: bool = False,
) -> Counter:  # fmt: skip
    """Return how many of `count` comparisons of (baseline, run) seeds end in each verdict.

    `shift` spreads, for the worse, are added to a random `share` of the numbers, but to one at least. `alike` is the
    correlation of the same seed on both sides, None for other seeds; with `split` a random half of the seeds is
    correlated and the rest is not at all, as where rounding has changed the course of some trainings.
    """
    counts: Counter = Counter()
    for _ in range(count):
        first, second = (source.noise(rng, number, heavy) for number in seeds)
        if alike is not None:
            correlation = alike * np.where(rng.random(seeds[1]) < 0.5, 1, 0) if split else np.full(seeds[1], alike)
            second = correlation * first[:, : seeds[1]] + np.sqrt(1 - correlation**2) * second
        affected = rng.permutation(len(source.harm)) < max(1, round(share * len(source.harm)))
        before, after = source.simulate(first), source.simulate(second + (shift * source.harm * affected)[:, None])
        if alike is None:
            renumbered = {
                k: replace(n, values={100 + s: v for s, v in n.values.items()}) for k, n in after.numbers.items()
            }
            after = replace(after, numbers=renumbered)
        tolerances = {key: make_tolerance(number, key.metric, RULES) for key, number in before.numbers.items()}
        counts[outcome(check(before, after, tolerances, RULES))] += 1
    return counts


ROWS = [  # simulated cases: seeds, description and arguments
    ("16 and 5", "none; other seeds", {}),
    ("16 and 5", "none; other seeds, heavy tails", {"heavy": True}),
    ("16 and 5", "none; same seeds, correlation 0.9", {"alike": 0.9}),
    ("16 and 5", "none; same seeds, correlation 0", {"alike": 0.0}),
    ("16 and 5", "none; same seeds, half of them 0.99 and half 0", {"alike": 0.99, "split": True}),
    ("16 and 5", "none; the same, heavy tails", {"alike": 0.99, "split": True, "heavy": True}),
    ("16 and 8", "none; other seeds", {"seeds": (16, 8)}),
    ("16 and 3", "none; other seeds", {"seeds": (16, 3)}),
    ("8 and 5", "none; other seeds", {"seeds": (8, 5)}),
    ("5 and 5", "none; other seeds", {"seeds": (5, 5)}),
    ("3 and 3", "none; other seeds", {"seeds": (3, 3)}),
    *(("16 and 5", f"{n} spreads in one number; other seeds", {"shift": n}) for n in (1, 2, 3)),
    *(("16 and 5", f"{n} spreads in one number; same seeds, correlation 0.9", {"shift": n, "alike": 0.9})
      for n in (0.5, 1, 2, 3)),
    ("16 and 8", "1 spread in one number; other seeds", {"shift": 1, "seeds": (16, 8)}),
    ("16 and 8", "1 spread in one number; same seeds, correlation 0.9", {"shift": 1, "alike": 0.9, "seeds": (16, 8)}),
    *(("16 and 5", f"{n} spreads in a quarter of them; other seeds", {"shift": n, "share": 0.25}) for n in (1, 2, 3)),
]  # fmt: skip


def main(path: str, count: str) -> None:
    source = Source(read_baseline(Path(path)))
    print(f"{count} comparisons a row, {len(source.keys)} numbers\n")
    print("| seeds of baseline and run | change put in | pass | inconclusive | fail |\n|---|---|---|---|---|")
    for row, (seeds, description, arguments) in enumerate(ROWS):
        counts = verdicts(source, np.random.default_rng(row), int(count), **arguments)
        shares = " | ".join(f"{100 * counts[state] / int(count):.1f} %" for state in ("pass", "inconclusive", "fail"))
        print(f"| {seeds} | {description} | {shares} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
