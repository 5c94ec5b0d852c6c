"""Score tables: the golden Markdown, statuses in place of numbers, and bold means."""

import numpy as np
import pandas as pd
import pytest

from cgbench.api.metric import Value
from cgbench.errors import CgbenchError
from cgbench.files import write_jsonl
from cgbench.reports.sections import score_tables, scores
from cgbench.results.records import COLUMNS
from cgbench.results.run import overrides, read_run
from cgbench.results.run_folder import TrialFolder
from helpers.run_folder import VALUES, build_run

NAMES = {"AtoB": "labels→photo", "BtoA": "photo→labels"}
GOLDEN = """\
### AtoB: labels→photo

| method           | FCN pixel ↑                              | FCN IoU ↑                                | rec. L1 ↓                                |
| ---------------- | ---------------------------------------- | ---------------------------------------- | ---------------------------------------- |
| copy (floor)     | 0.120                                    | 0.060                                    | –                                        |
| shuffled (floor) | 0.340                                    | 0.170                                    | –                                        |
| cyclegan         | 0.520 ± 0.020                            | 0.260 ± 0.010                            | 0.040 ± 0.010                            |
| gan_only         | 0.410 ± 0.028 (2 of 3 seeds; 1 diverged) | 0.205 ± 0.014 (2 of 3 seeds; 1 diverged) | 0.095 ± 0.014 (2 of 3 seeds; 1 diverged) |
| cycle_only       | 1 failed, 2 not started                  | 1 failed, 2 not started                  | 1 failed, 2 not started                  |
| real (ceiling)   | 0.880                                    | 0.440                                    | –                                        |

labels→photo: 4 test images; mean ± sample standard deviation over 3 seeds unless a cell says otherwise: the spread of trainings, not the error of the mean; rows that need no training have none. \
↑ higher is better, ↓ lower is better, – does not apply.

### BtoA: photo→labels

| method           | label pixel ↑                            | rec. L1 ↓                                |
| ---------------- | ---------------------------------------- | ---------------------------------------- |
| copy (floor)     | 0.160                                    | –                                        |
| shuffled (floor) | 0.380                                    | –                                        |
| cyclegan         | 0.560 ± 0.020                            | 0.040 ± 0.010                            |
| gan_only         | 0.450 ± 0.028 (2 of 3 seeds; 1 diverged) | 0.095 ± 0.014 (2 of 3 seeds; 1 diverged) |
| cycle_only       | 1 failed, 2 not started                  | 1 failed, 2 not started                  |
| real (ceiling)   | 0.920                                    | –                                        |

photo→labels: 4 test images; mean ± sample standard deviation over 3 seeds unless a cell says otherwise: the spread of trainings, not the error of the mean; rows that need no training have none. \
↑ higher is better, ↓ lower is better, – does not apply.
"""  # noqa: E501
STATES = {
    ("gan_only", 1): "diverged", ("cycle_only", 0): "failed", ("cycle_only", 1): "", ("cycle_only", 2): "",
}  # fmt: skip


SCORE = (Value("score", "score", "higher", 2),)


def record(method, seed, value, status="done", metric="score", direction="AtoB", protocol="p", step=10):
    return ["run", "shapes", direction, method, "", seed, step, metric, value, 5, protocol, status, "", "test", np.nan]


def summarise(rows, values=SCORE, order=("one", "two"), roles=None, overrides=None):
    records = pd.DataFrame(rows, columns=COLUMNS)
    values = {value.name: value for value in values}
    return scores.summary(records, values, order, roles or {}, overrides), values


def cell(table, values, method, metric="score"):
    (shown,) = score_tables.layout(table, values, {})
    column = list(dict.fromkeys(table["metric"])).index(metric)
    return next(row.cells[column] for row in shown.rows if row.method == method)


def nothing(method, seed, status):
    return record(method, seed, float("nan"), status, metric="", direction="", protocol="")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_run(build_run(tmp_path_factory.mktemp("runs") / "golden", states=STATES, images=4, side=8))


def test_the_markdown_is_the_golden_one(run):
    table = scores.summary(run.records, VALUES, run.order, run.roles)
    assert score_tables.markdown(score_tables.layout(table, VALUES, NAMES)) == GOLDEN


def test_two_calls_give_the_same_bytes(run):
    first, second = (scores.summary(run.records, VALUES, run.order, run.roles) for _ in range(2))
    assert score_tables.markdown(score_tables.layout(first, VALUES, NAMES)) == score_tables.markdown(
        score_tables.layout(second, VALUES, NAMES)
    )
    assert score_tables.csv(first, NAMES) == score_tables.csv(second, NAMES)


def test_the_csv_has_a_mean_and_a_spread_per_metric_and_says_why_one_is_empty(run):
    lines = score_tables.csv(scores.summary(run.records, VALUES, run.order, run.roles), NAMES).splitlines()
    assert lines[0].startswith(
        "direction,name,method,role,settings,seeds,images,status,fcn_pixel,fcn_pixel_spread,fcn_pixel_low,fcn_pixel_high"
    )
    cyclegan = next(line for line in lines if line.startswith("AtoB,labels→photo,cyclegan,"))
    assert cyclegan.startswith("AtoB,labels→photo,cyclegan,,,3,4,,0.52,0.02,0.470317,0.569683,0.26,0.01,")  # t = 4.3027
    assert '"1 failed, 2 not started"' in next(
        line for line in lines if line.startswith("AtoB,labels→photo,cycle_only")
    )


def test_mean_and_sample_standard_deviation_over_seeds():
    table, values = summarise([record("one", 0, 0.1), record("one", 1, 0.3)], order=["one"])
    assert table.loc[0, "mean"] == pytest.approx(0.2)
    assert table.loc[0, "spread"] == pytest.approx(0.02**0.5)  # ((0.1)² + (0.1)²) / (2 - 1)
    assert cell(table, values, "one").text == "0.20 ± 0.14"


def test_one_seed_has_no_spread():
    table, values = summarise([record("one", 0, 0.25)], order=["one"])
    assert pd.isna(table.loc[0, "spread"])
    assert cell(table, values, "one").text == "0.25"
    assert "one seed" in score_tables.markdown(score_tables.layout(table, values, {}))


def test_the_last_measured_step_counts(tmp_path):
    folder = build_run(tmp_path / "run", methods=("cyclegan",), seeds=(0,), images=1, side=8)
    common = {"direction": "AtoB", "metric": "score", "n": 5, "protocol": "p"}
    rows = [{**common, "value": value, "step": step} for value, step in ((0.9, 2000), (0.1, 5))]
    write_jsonl(TrialFolder.of(folder, "shapes", "cyclegan", 0).metrics, rows)
    run = read_run(folder)
    table = scores.summary(run.records, {}, run.order, run.roles)
    assert table.loc[0, "mean"] == 0.9


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([nothing("two", 0, "diverged"), nothing("two", 1, "diverged")], "diverged"),
        ([nothing("two", 0, "diverged"), nothing("two", 1, "running")], "1 diverged, 1 running"),
        ([nothing("two", 0, "done")], "not measured"),
        ([record("two", 0, float("nan"))], "undefined"),
        ([record("two", 0, 0.5), record("two", 1, float("inf"))], "0.50 (1 of 2 seeds; 1 undefined)"),
        ([record("two", 0, 0.5), nothing("two", 1, "interrupted")], "0.50 (1 of 2 seeds; 1 interrupted)"),
        ([record("two", 0, 0.5, metric="other")], "–"),
        ([], "not started"),
    ],
)
def test_what_has_no_number_has_a_status(rows, expected):
    table, values = summarise([record("one", 0, 0.1), *rows])
    assert cell(table, values, "two").text == expected


def test_a_failed_trial_is_no_number_even_if_it_left_some():
    table, _ = summarise([record("one", 0, 0.1), record("two", 0, 0.9, status="failed")])
    assert table.set_index("method").loc["two", "status"] == "failed"
    assert pd.isna(table.set_index("method").loc["two", "mean"])


def test_bold_is_what_surely_beats_the_reference_and_a_mark_what_is_worse():
    table, values = summarise([record("one", 0, 0.1), record("two", 0, 0.3), record("three", 0, 0.05)])
    marks = score_tables.Marks("one", {("AtoB", "two", "score")}, {("AtoB", "three", "score")})
    text = score_tables.markdown(score_tables.layout(table, values, NAMES, marks))
    assert "| two    | **0.30** |" in text and "| one    | 0.10     |" in text and "| three  | 0.05 ▼   |" in text
    assert (
        "Bold: better than one, ▼: worse, by an interval" in text
        and "excludes zero; ≈: not to be told apart from it." in text
    )
    plain = score_tables.markdown(score_tables.layout(table, values, NAMES))
    assert "**" not in plain and "Bold" not in plain and "▼" not in plain


def test_an_untrained_row_that_no_seed_changes_has_no_spread():
    rows = [record(name, seed, 0.1 + seed * (name == "shuffled")) for name in ("copy", "shuffled") for seed in range(3)]
    roles = {"copy": "floor", "shuffled": "floor"}
    table, values = summarise([*rows, *(record("one", seed, 0.1) for seed in range(3))], roles=roles)
    assert cell(table, values, "copy").spread == "" and cell(table, values, "shuffled").spread == "± 1.00"
    assert cell(table, values, "one").spread == "± 0.00"  # of a training that is a finding


def test_seeds_that_agree_have_no_interval():
    """The spread of three times 0.1 is 2e-17 in floating point."""
    table, values = summarise([record("one", seed, 0.1) for seed in range(3)])
    assert cell(table, values, "one").interval == ""
    table, values = summarise([record("one", seed, 0.1 + seed) for seed in range(3)])
    assert cell(table, values, "one").interval


def test_rows_are_floors_trained_in_order_ceilings():
    rows = [record(name, 0, 0.1) for name in ("real", "b", "a", "copy", "stranger")]
    table, _ = summarise(rows, order=["real", "b", "a", "copy"], roles={"real": "ceiling", "copy": "floor"})
    assert list(table["method"]) == ["copy", "b", "a", "stranger", "real"]


def test_columns_are_in_declared_order_and_unknown_metrics_are_shown():
    rows = [record("one", 0, 0.1, metric=name) for name in ("unknown", "late", "early")]
    table, values = summarise(rows, [Value("early", "Early", "lower"), Value("late", "Late", "")], ["one"])
    (shown,) = score_tables.layout(table, values, {})
    assert shown.headers == ("Early ↓", "Late", "unknown")


def test_a_run_without_any_number_has_a_table_of_statuses():
    table, values = summarise([nothing("one", 0, "failed"), nothing("two", 0, "running")])
    text = score_tables.markdown(score_tables.layout(table, values, NAMES))
    assert "| one    | failed  |" in text
    assert "no trial has a number" in text
    assert score_tables.csv(table, NAMES).splitlines()[1] == "AtoB,labels→photo,one,,,1,0,failed"


def test_protocols_are_not_mixed():
    with pytest.raises(CgbenchError, match="2 protocols"):
        summarise([record("one", 0, 0.1, protocol="p"), record("two", 0, 0.1, protocol="q")])


def test_negative_zero_is_zero():
    table, values = summarise([record("one", 0, -0.0001)], order=["one"])
    assert cell(table, values, "one").text == "0.00"


def test_markdown_escapes_names():
    table, values = summarise([record("a|b<script>*x*\n", 0, 0.1)], order=["a|b<script>*x*\n"])
    text = score_tables.markdown(score_tables.layout(table, values, {"AtoB": "<b>"}))
    assert "| a\\|b&lt;script>\\*x\\* |" in text
    assert "<b>" not in text


def test_what_was_changed_by_hand_stands_beside_the_method():
    table, values = summarise([record("one", 0, 0.1), record("two", 0, 0.2)], roles={"two": "supervised"},
                              overrides={"two": "cycle_a=5, features=scorer"})  # fmt: skip
    text = score_tables.markdown(score_tables.layout(table, values, NAMES))
    assert "| two \\[cycle_a=5, features=scorer] (supervised) |" in text and "changed by hand" in text
    assert ',supervised,"cycle_a=5, features=scorer",' in score_tables.csv(table, NAMES)


def test_overrides_are_own_settings_and_weights_only():
    spec = {
        "method": {"role": ""},
        "config": {"features": "scorer", "steps": 5, "norm": "batch"},
        "weights": {"cycle_a": 5.0},
        "origins": {"features": "--set", "steps": "--set", "norm": "method", "cycle_a": "--set"},
    }
    assert overrides(spec) == "cycle_a=5, features=scorer"


def test_details_of_a_number_are_no_columns():
    rows = [record("one", 0, 0.1), record("one", 0, 0.4, metric="score/road"), record("one", 0, 0.2, metric="other")]
    table, _ = summarise(rows, order=["one"])
    assert list(table["metric"]) == ["score", "other"]
