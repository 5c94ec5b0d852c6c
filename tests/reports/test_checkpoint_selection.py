"""Checkpoint selection: the last step, the best on validation images, the best on test images."""

import math

import pandas as pd
import pytest

from cgbench.api.metric import Value
from cgbench.reports.sections.checkpoint_selection import selection, selection_markdown, selection_tables

VALUES = {
    value.name: value
    for value in (Value("iou", "IoU", "higher"), Value("fid", "FID", "lower", 1), Value("taste", "taste", ""))
}
TEST = {100: 0.2, 200: 0.5, 300: 0.4}
VALIDATION = {100: 0.3, 200: 0.2, 300: 0.6}


def history(test, validation, metric="iou", method="one", seed=0):
    """Return the records of one trial from values by step, on the test and on the validation images."""
    return pd.DataFrame(
        {"direction": "AtoB", "metric": metric, "method": method, "seed": seed, "split": split, "step": step,
         "value": value}
        for split, values in (("test", test), ("val", validation))
        for step, value in values.items()
    )  # fmt: skip


def only(rows, methods=("one",)):
    selected = selection(rows, VALUES, methods)
    assert len(selected) == 1
    return selected.iloc[0]


def test_validation_chooses_and_the_test_score_of_that_step_is_shown():
    row = only(history(TEST, VALIDATION))
    assert (row["last"], row["last_step"]) == (0.4, 300)
    assert (row["chosen"], row["chosen_step"]) == (0.4, 300)
    assert (row["oracle"], row["oracle_step"]) == (0.5, 200)
    assert row["gap"] == pytest.approx(0.1)


def test_a_spike_on_the_test_images_moves_the_oracle_alone():
    before, after = only(history(TEST, VALIDATION)), only(history({**TEST, 100: 0.9}, VALIDATION))
    assert (after["oracle"], after["oracle_step"], after["gap"]) == (0.9, 100, pytest.approx(0.5))
    for column in ("last", "chosen", "chosen_step"):
        assert after[column] == before[column]


def test_lower_is_better_where_the_score_says_so():
    row = only(history({1: 30.0, 2: 20.0, 3: 25.0}, {1: 9.0, 2: 8.0, 3: 7.0}, "fid"))
    assert (row["chosen"], row["oracle"], row["gap"]) == (25.0, 20.0, 5.0)


def test_without_validation_images_nothing_is_chosen_and_the_gap_is_from_the_last():
    row = only(history(TEST, {}))
    assert math.isnan(row["chosen"]) and row["gap"] == pytest.approx(0.1)
    assert math.isnan(only(history(TEST, {300: 0.6}))["chosen"])  # a choice of one is none


def test_of_equal_steps_the_first_is_taken():
    row = only(history({1: 0.5, 2: 0.5, 3: 0.1}, {1: 0.2, 2: 0.2, 3: 0.2}))
    assert (row["chosen_step"], row["oracle_step"]) == (1, 1)


@pytest.mark.parametrize("rows", [
    history({300: 0.4}, {300: 0.6}), history(TEST, VALIDATION, "taste"), history(TEST, VALIDATION, "iou/road"),
    history({1: math.nan, 2: math.inf, 3: 0.1}, {}), history(TEST, VALIDATION, method="copy"),
])  # fmt: skip
def test_what_cannot_choose_is_not_there(rows):
    assert selection(rows, VALUES, ["one"]).empty


def test_the_table_holds_means_over_seeds_in_the_order_of_methods():
    rows = pd.concat([
        history(TEST, VALIDATION), history({100: 0.4, 200: 0.3, 300: 0.2}, {}, method="two"),
        history({100: 0.4, 200: 0.7, 300: 0.6}, VALIDATION, seed=1),
    ])  # fmt: skip
    tables = selection_tables(selection(rows, VALUES, ["one", "two"]), VALUES, {"AtoB": "labels→photo"}, ["two", "one"])
    assert [title for title, _ in tables[0].groups] == ["IoU ↑"]
    assert tables[0].groups[0][1] == (
        ("two", "0.200 (300)", "–", "0.400 (100)", "+0.200"),
        ("one", "0.500 (300)", "0.500 (300)", "0.600 (200)", "+0.100"),
    )
    text = selection_markdown(tables)
    assert "### AtoB: labels→photo, which checkpoint" in text
    assert "| IoU ↑ | one    | 0.500 (300) | 0.500 (300)   | 0.600 (200) | +0.100   |" in text
