"""Scores of other weights: means and spreads over seeds, beside those of the last weights, never instead."""

import math

import pytest

from cgbench.files import write_jsonl
from cgbench.reports.contents import collect_contents, markdown
from cgbench.results.record_files import read_metric_rows
from cgbench.results.run import read_run
from cgbench.results.run_folder import trial_folders
from helpers.run_folder import VALUES, build_run


def last_rows(folder):
    """The numbers of the last step; the run of the helpers has earlier ones in the same file."""
    rows = read_metric_rows(folder.metrics)
    return [row for row in rows if row["step"] == max(row["step"] for row in rows)]


def with_alternatives(path, change=lambda row: row):
    """A run whose averages score 0.1 more than the last weights, and whose two earlier checkpoints 0.3 less."""
    run = build_run(path)
    for folder in trial_folders(run):
        rows = [
            {**row, "weights": weights, "step": row["step"] - back, "value": row["value"] + shift}
            for row in last_rows(folder)
            for weights, back, shift in (("ema", 0, 0.1), ("checkpoint", 1, -0.3), ("checkpoint", 2, -0.3))
        ]
        if folder.path.parent.name in ("cyclegan", "gan_only", "cycle_only"):
            write_jsonl(folder.alternatives, map(change, rows))
    return run


def test_the_mean_of_checkpoints_contains_the_last(tmp_path):
    found = collect_contents(with_alternatives(tmp_path / "run"), VALUES).other_weights
    assert len(found)
    for row in found.itertuples():
        assert row.ema == pytest.approx(row.last + 0.1)
        assert row.checkpoints == pytest.approx(row.last - 0.2) and row.checkpoint_count == 3


def test_other_tables_show_the_last_weights_only(tmp_path):
    plain = collect_contents(build_run(tmp_path / "run"), VALUES)
    contents = collect_contents(with_alternatives(tmp_path / "run"), VALUES)
    assert contents.table.equals(plain.table) and plain.other_weights.empty
    text = markdown(contents)
    assert "other weights" in text and "mean of checkpoints (3)" in text and "averaged weights" in text
    assert "other weights" not in markdown(plain)


def test_the_spread_is_pooled_and_the_order_is_compared(tmp_path):
    contents = collect_contents(with_alternatives(tmp_path / "run"), VALUES)
    table = contents.other_weights_tables()[0]
    for _, lines in table.groups:
        by_name = {line[0]: line[1:] for line in lines}
        assert by_name["(spread, against the last)"] == ("1.00", "1.00", "1.00")  # a shift changes no spread
        assert by_name["(order, τ with the last)"] == ("1.00", "1.00", "1.00")


def test_a_half_of_the_spread_is_called_a_half(tmp_path):
    run = build_run(tmp_path / "run")
    for folder in trial_folders(run):
        if folder.path.parent.name == "cyclegan":
            rows = last_rows(folder)
            write_jsonl(folder.alternatives, [{**row, "weights": "ema", "value": row["value"] / 2} for row in rows])
    for _, lines in collect_contents(run, VALUES).other_weights_tables()[0].groups:
        assert [line for line in lines if line[0].startswith("(")] == [("(spread, against the last)", "1.00", "0.50")]


def test_numbers_by_another_protocol_are_left_out(tmp_path):
    run = with_alternatives(tmp_path / "run", lambda row: {**row, "protocol": "0" * 12})
    assert read_run(run).alternatives.empty


def test_a_trial_without_an_average_has_a_gap_there(tmp_path):
    run = build_run(tmp_path / "run")
    for folder in trial_folders(run):
        if folder.path.parent.name == "gan_only":
            rows = last_rows(folder)
            write_jsonl(folder.alternatives, [{**row, "weights": "checkpoint", "step": 1} for row in rows])
    found = collect_contents(run, VALUES).other_weights
    assert set(found["method"]) == {"gan_only"} and all(map(math.isnan, found["ema"]))
    assert collect_contents(run, VALUES).other_weights_tables()[0].headers == (
        "last weights",
        "mean of checkpoints (2)",
    )
