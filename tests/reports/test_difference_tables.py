"""Tables and figures of differences: intervals, marks, bold, questions, forests and heat maps."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from cgbench.files import read_jsonl, write_jsonl
from cgbench.reports.figures.differences import forest_panels
from cgbench.reports.figures.heatmaps import class_panels
from cgbench.reports.figures.style import assign_styles
from cgbench.reports.formats.numbers import number
from cgbench.reports.sections.difference_tables import (
    difference_tables,
    differences_markdown,
    question_tables,
    questions_markdown,
)
from cgbench.reports.sections.differences import Basis, compare
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from helpers.cli import cgbench
from helpers.known_differences import measured, row
from helpers.run_folder import NAMES, VALUES


def test_each_question_has_a_column_that_says_what_is_compared(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES)
    tables = question_tables(comparison, VALUES, NAMES, {"AtoB": "fcn_pixel", "BtoA": "label_pixel"})
    (table,) = tables
    assert table.headers == (
        "the method, on this test set: FCN pixel",
        "the method, on scenes like these: mean over images of FCN pixel",
    )
    text = questions_markdown(tables)
    assert "4 images, taken as independent of each other" in text
    for basis in (Basis.SEEDS, Basis.SEEDS_IMAGES):
        entry = row(comparison, "gan_only", basis)
        assert f"[{number(entry.low, 3, sign=True)}, {number(entry.high, 3, sign=True)}]" in text
    assert question_tables(comparison, VALUES, NAMES, {}) == []


def test_the_mean_of_contributions_is_the_number_itself(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES)
    values = VALUES | {"fcn_pixel": replace(VALUES["fcn_pixel"], contributions=True)}
    (table,) = question_tables(comparison, values, NAMES, {"AtoB": "fcn_pixel"})
    assert table.headers[1] == "the method, on scenes like these: FCN pixel"


def test_a_row_that_cannot_be_told_apart_says_so(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES)
    assert comparison.undecided() == {("AtoB", "cycle_only", "fcn_pixel")}
    assert "≈" in differences_markdown(comparison, difference_tables(comparison, VALUES, NAMES))
    path = measured(tmp_path / "page")
    line = next(line for line in cgbench("report", path).splitlines() if line.startswith("| cycle_only "))
    assert line.split("|")[2].strip().endswith("≈")
    assert 'aria-label="not to be told apart">≈' in (path / "report" / "index.html").read_text(encoding="utf-8")


def test_the_table_shows_intervals_and_what_could_be_seen(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES)
    (table,) = difference_tables(comparison, VALUES, NAMES)
    assert [name for name, _ in table.rows] == ["gan_only", "cycle_only"]
    text = differences_markdown(comparison, difference_tables(comparison, VALUES, NAMES))
    entry = row(comparison, "gan_only")
    assert f"−0.198 [{number(entry.low, 3, sign=True)}, {number(entry.high, 3, sign=True)}] ▼" in text
    sizes = [row(comparison, method).detectable for method in ("gan_only", "cycle_only")]
    assert f"| (detectable, median) | {np.median(sizes):.3f} " in text
    assert f"| (detectable, worst)  | {max(sizes):.3f} " in text
    assert "the method, on this test set (3 seeds; seeds of methods treated as independent)" in text


def test_one_method_has_one_size_and_no_family(tmp_path):
    run = measured(tmp_path)
    for method in ("cycle_only", "copy"):
        shutil.rmtree(run / "shapes" / method)
    comparison = compare(read_run(run), VALUES)
    (table,) = difference_tables(comparison, VALUES, NAMES)
    assert [name for name, _ in table.detectable] == ["detectable"]
    assert "In brackets the moderated interval (95%)." in table.caption and "Last row:" in table.caption
    assert "methods" not in table.caption.replace("seeds of methods", "")


def test_better_is_bold_in_the_tables_of_scores_and_of_differences(tmp_path):
    path = measured(tmp_path)
    text = cgbench("report", path, "--reference", "gan_only")
    (score,) = [line for line in text.splitlines() if line.startswith("| cyclegan ") and "**0.517 ± 0.021**" in line]
    assert score and "| **+0.198 [" in text
    assert "0.318 ± 0.024 ▼" in cgbench("report", path)
    assert r"0.318 $\pm$ 0.024 $\bigtriangledown$" in (path / "report" / "table.tex").read_text(encoding="utf-8")
    assert 'aria-label="worse">▼' in (path / "report" / "index.html").read_text(encoding="utf-8")


def test_the_report_command_takes_the_reference(tmp_path):
    run = measured(tmp_path)
    text = cgbench("report", run, "--reference", "gan_only")
    assert "differences from gan_only" in text and "Bold: better than gan_only" in text
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "Differences from gan_only" in page and "forest-AtoB-fcn_pixel" in page and "a ring has" in page
    first = (run / "report" / "differences.csv").read_bytes()
    cgbench("report", run, "--reference", "gan_only")
    assert (run / "report" / "differences.csv").read_bytes() == first


def test_a_forest_has_a_disc_and_a_ring_per_method(tmp_path):
    run = read_run(measured(tmp_path))
    comparison = compare(run, VALUES)
    (panel,) = forest_panels(comparison.rows, "AtoB", VALUES, assign_styles(run.order, run.roles))
    assert "differences from cyclegan" in panel.svg and panel.title == "FCN pixel ↑"
    assert panel.svg.count("<use ") >= 4


def test_a_panel_holds_all_intervals_but_outlying_ones(tmp_path):
    run = read_run(measured(tmp_path))
    rows, styles = compare(run, VALUES).rows, assign_styles(run.order, run.roles)
    (panel,) = forest_panels(rows, "AtoB", VALUES, styles)
    left, right = panel.figure.axes[0].get_xlim()
    assert left <= rows["low"].min() and rows["high"].max() <= right and panel.note == ""
    rows.loc[rows.index[0], ["low", "high"]] = -50.0, 50.0
    (panel,) = forest_panels(rows, "AtoB", VALUES, styles)
    assert panel.figure.axes[0].get_xlim()[1] < 50 and "cut at its edge" in panel.note


def test_signs():
    texts = [number(value, 2, sign=True) for value in (0.123, -0.123, 0.001, -0.001)]
    assert texts == ["+0.12", "−0.12", "0.00", "0.00"]


def test_names_from_data_are_escaped(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES)
    text = differences_markdown(comparison, difference_tables(comparison, VALUES, {"AtoB": "<b>a|b"}))
    assert "&lt;b>a\\|b" in text and "<b>" not in text


def test_a_heat_map_shows_the_mean_of_each_class(tmp_path):
    run = measured(tmp_path)
    for seed, level in enumerate((0.2, 0.3, 0.7)):
        folder = TrialFolder.of(run, "shapes", "cyclegan", seed)
        row = {"direction": "AtoB", "step": 2000, "n": 4, "protocol": "aaaaaaaaaaaa"}
        rows = [{**row, "metric": f"fcn_pixel/{kind}", "value": level} for kind in ("sky", "road", "compat")]
        write_jsonl(folder.metrics, [*read_jsonl(folder.metrics), *rows])
    data = read_run(run)
    (panel,) = class_panels(data.records, "AtoB", data.order, VALUES)
    assert panel.title == "FCN pixel ↑ by class" and "sky, road for cyclegan" in panel.svg
    assert panel.svg.count("0.40") == 2 and "compat" not in panel.svg  # the mean of both classes
    assert not any("/" in metric for metric in compare(data, VALUES).rows["metric"])


@pytest.mark.parametrize(("levels", "end"), [((0.2, 0.7), 1), ((3, 45), 45)])
def test_colours_of_a_heat_map_reach_to_1_or_to_the_largest_distance(tmp_path, levels, end):
    run = measured(tmp_path)
    folder = TrialFolder.of(run, "shapes", "cyclegan", 0)
    row = {"direction": "AtoB", "step": 2000, "n": 4, "protocol": "aaaaaaaaaaaa"}
    rows = [{**row, "metric": f"fcn_pixel/{kind}", "value": level} for kind, level in zip("ab", levels, strict=True)]
    write_jsonl(folder.metrics, [*read_jsonl(folder.metrics), *rows])
    data = read_run(run)
    (panel,) = class_panels(data.records, "AtoB", data.order, VALUES)
    assert panel.figure.axes[0].collections[0].get_clim() == (0, end)
