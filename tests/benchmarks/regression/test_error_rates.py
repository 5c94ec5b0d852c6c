"""Error rates of the gate, by simulation from the committed baseline; the full table is in its README."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cgbench.benchmarks.regression import permutation
from cgbench.benchmarks.regression.baseline_file import read_baseline
from cgbench.benchmarks.regression.gate import check
from cgbench.benchmarks.trials.suite import read_suite
from helpers.simulated_seeds import CI, REASSIGNMENTS, ROWS, Source, splits, verdicts


@pytest.fixture(scope="module")
def source():
    return Source(read_baseline(CI))


@pytest.fixture(autouse=True)
def few_reassignments(monkeypatch):
    monkeypatch.setattr(permutation, "REASSIGNMENTS", REASSIGNMENTS)


def rate(source, state, count=100, **arguments):
    return verdicts(source, np.random.default_rng(7), count, **arguments)[state] / count


def most(count):
    """The largest rate that a gate with 5 % false alarms exceeds in one of a thousand such tests only."""
    return stats.binom.ppf(0.999, count, 0.05) / count


@pytest.mark.parametrize(
    "arguments", [{}, {"noise": "t3"}, {"noise": "broken"}, {"alike": 0.9}, {"alike": 0.99, "split": True}]
)
def test_a_reseeding_or_another_machine_seldom_fails(source, arguments):
    assert rate(source, "fail", **arguments) <= most(100)


def test_a_large_change_is_found_and_a_small_one_only_with_the_same_seeds(source):
    assert rate(source, "fail", 40, shift=3) >= 0.9
    small = {"shift": 1, "seeds": (30, 8)}
    assert rate(source, "fail", 40, **small, alike=0.97) > 0.5 > rate(source, "fail", 40, **small)


def test_a_wider_spread_is_found(source):
    assert rate(source, "fail", 40, widening=8) > 0.5


def test_few_seeds_are_inconclusive_rather_than_wrong(source):
    counts = verdicts(source, np.random.default_rng(7), 40, seeds=(3, 3))
    assert counts["inconclusive"] >= 30 and counts["fail"] <= 5


def test_the_real_seeds_split_at_random_seldom_differ(source):
    """No assumption about their distribution; the choices share seeds, so the bound is a wide one."""
    counts = splits(source.baseline.run, np.random.default_rng(11), 100, (25, 5))
    assert counts["fail"] / 100 <= 1.5 * most(100)


def test_the_suite_repeated_digit_for_digit_passes_whatever_its_seeds(source):
    recorded, rng = source.baseline, np.random.default_rng(13)
    everyone = list(next(iter(recorded.run.numbers.values())).values)
    for seeds in (read_suite("ci")["seeds"], *(rng.choice(everyone, 5, replace=False).tolist() for _ in range(20))):
        numbers = {
            key: replace(number, values={seed: number.values[seed] for seed in seeds})
            for key, number in recorded.run.numbers.items()
        }
        judged = check(recorded.run, replace(recorded.run, numbers=numbers), recorded.tolerances, recorded.rules)
        assert {verdict.status for verdict in judged} == {"pass"}


def test_the_seeds_are_those_of_the_recorded_draw_and_the_suite_has_five_of_them(source):
    drawn = np.random.default_rng(0).choice(1_000_000, 130, replace=False)[:30].tolist()
    assert all(sorted(number.values) == sorted(drawn) for number in source.baseline.run.numbers.values())
    assert read_suite("ci")["seeds"] == drawn[:5]
    makefile = (CI.parents[2] / "Makefile").read_text().replace("$\\\n", "")
    assert re.search(r"^SEEDS := (.*)$", makefile, re.M)[1] == ",".join(map(str, drawn))


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", [row for row in ROWS if row[1].startswith("none")], ids=lambda row: f"{row[0]} {row[1]}"
)
def test_false_alarms_of_a_thousand_comparisons(source, row):
    counts = verdicts(source, np.random.default_rng(3), 1000, **row[2])
    assert counts["fail"] / 1000 <= most(1000)
