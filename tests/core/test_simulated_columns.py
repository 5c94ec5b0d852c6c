"""The simulation behind cgbench/results/README.md: its noise, its records, its summaries."""

import numpy as np
import pandas as pd
import pytest

from cgbench.results import band as band_module
from cgbench.results.significance import holm, mean_effect, welch
from helpers import simulated_columns
from helpers.simulated_columns import ROOT, Outcome, recorded_columns, scenarios, simulate


@pytest.mark.parametrize("noise", ["normal", "skewed", "heavy", "broken", "measured"])
def test_noise_has_the_mean_0_so_that_methods_are_equal(noise):
    draw = simulated_columns.measured_shapes() if noise == "measured" else getattr(simulated_columns, noise)
    values = np.concatenate([draw(np.random.default_rng(seed), 100) for seed in range(2000)])
    assert values.mean() == pytest.approx(0, abs=0.02)
    assert values.var() == pytest.approx(3.25 if noise == "broken" else 1, rel=0.1)  # broken: 1 + 25 · 0.1 · 0.9


def test_recorded_columns_are_those_of_the_committed_records():
    columns = recorded_columns()
    runs = {path.parent.name for path in simulated_columns.RECORDS}
    assert {(run, direction) for run, direction, metric in columns if metric == "fcn_iou"} == {
        (run, "AtoB") for run in runs
    }
    assert min(len(scale) for scale in columns.values()) >= 10
    assert all(np.isfinite(scale).all() and scale.max() > 0 for scale in columns.values())
    rows = pd.read_csv(ROOT / "reports" / "reference" / "camvid-all" / "results.csv", low_memory=False)
    rows = rows[(rows["direction"] == "AtoB") & (rows["metric"] == "fcn_iou") & (rows["method"] == "cyclegan")]
    assert len(rows) == 3
    assert columns["camvid-all", "AtoB", "fcn_iou"][0] == pytest.approx(np.std(rows["value"], ddof=1))


def test_a_false_difference_is_what_holm_and_the_band_call_one(monkeypatch):
    monkeypatch.setattr(band_module, "DRAWS", 500)
    drawn = []

    def draw(rng, seeds):
        drawn.append([rng.normal(0, scale, seeds) for scale in (1, 3, 1, 1, 1)])
        return drawn[-1]

    outcome = simulate(draw, 3, 150)
    expected = np.zeros(3)
    for reference, *others in drawn:
        verdicts = (
            band_module.band(reference, others),
            holm([welch(values, reference) for values in others]),
            holm([mean_effect(values - reference) for values in others]),
        )
        expected += [any(verdict.significant for verdict in procedure) for procedure in verdicts]
    assert expected.sum() > 0 and outcome.false * 150 == pytest.approx(expected)


def test_the_detectable_difference_of_known_errors():
    differences = np.random.default_rng(0).normal(0, 1, (1, 4000, 5))
    outcome = Outcome(np.zeros(1), differences, np.full(differences.shape, 2.0))
    assert outcome.detectable() == [pytest.approx(2 + 0.8416, abs=0.03)]


def test_every_scenario_draws_columns_of_its_size():
    for description, draw, seed_numbers in scenarios():
        column = draw(np.random.default_rng(0), seed_numbers[0])
        assert len(column) == (2 if description.startswith("two methods") else 24)
        assert len(column[0]) == seed_numbers[0] and min(map(len, column)) >= 2
