"""Differences from a reference method: the three analyses, marks, tables and figures."""

import math
import shutil

import numpy as np
import pytest
from scipy import stats

from cgbench.api.names import Analysis
from cgbench.errors import CgbenchError
from cgbench.files import read_json, read_jsonl, write_json, write_jsonl
from cgbench.reports.figures.differences import forest_panels
from cgbench.reports.figures.heatmaps import class_panels
from cgbench.reports.figures.style import assign_styles
from cgbench.reports.formats.numbers import number
from cgbench.reports.report import write_report
from cgbench.reports.sections.difference_tables import (
    difference_tables,
    differences_markdown,
    question_tables,
    questions_markdown,
)
from cgbench.reports.sections.differences import Basis, compare
from cgbench.results.band import band, image_part
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from cgbench.results.significance import over_seeds
from helpers.cli import cgbench
from helpers.run_folder import NAMES, VALUES, build_run

LEVELS = {  # method -> FCN pixel accuracy of seeds 0 to 4, of which most tests use three
    "cyclegan": (0.50, 0.54, 0.51, 0.52, 0.50),
    "gan_only": (0.30, 0.345, 0.31, 0.325, 0.3),
    "cycle_only": (0.25, 0.60, 0.40, 0.45, 0.55),
    "copy": (0.2,) * 5,
}
KEYS = ("a", "b", "c", "d")


def image_scores(method, seed):
    rng = np.random.default_rng([len(method), seed])
    return LEVELS[method][seed] + rng.normal(0, 0.01, len(KEYS))


def measured(path, seeds=(0, 1, 2), states=None):
    """Return a run with known numbers of each trial and known scores of single images."""
    run = build_run(path / "run", methods=tuple(LEVELS), seeds=seeds, states=states, images=2, side=8)
    for method in LEVELS:
        for seed in seeds:
            folder = TrialFolder.of(run, "shapes", method, seed)
            if folder.trial.exists() and folder.status()["state"] == "done":
                common = {"direction": "AtoB", "metric": "fcn_pixel"}
                row = {**common, "step": 2000, "value": LEVELS[method][seed], "n": 4, "protocol": "aaaaaaaaaaaa"}
                write_jsonl(folder.metrics, [row])
                scores = zip(KEYS, image_scores(method, seed), strict=True)
                write_jsonl(
                    folder.image_scores, [{**common, "key": key, "value": float(score)} for key, score in scores]
                )
    return run


def row(comparison, method, basis=Basis.SEEDS):
    rows = comparison.rows
    (entry,) = rows[(rows["method"] == method) & (rows["basis"] == basis)].itertuples()
    return entry


def levels(method, seeds=3):
    return np.array(LEVELS[method][:seeds])


def interval(entry):
    return entry.difference, entry.low, entry.high, entry.p, entry.detectable


def test_numbers_have_the_band_of_independent_seeds(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES)
    assert (comparison.reference, comparison.analysis) == ("cyclegan", "band")
    found = band(levels("cyclegan"), [levels("gan_only"), levels("cycle_only")])
    for method, expected in zip(("gan_only", "cycle_only"), found, strict=True):
        entry = row(comparison, method)
        assert interval(entry) == (expected.mean, expected.low, expected.high, expected.p, expected.detectable)
        assert (entry.seeds, entry.reference_seeds, entry.note) == (3, 3, "")
    assert row(comparison, "gan_only").worse and not row(comparison, "cycle_only").significant


def test_scores_of_single_images_add_the_variance_of_images(tmp_path):
    entry = row(compare(read_run(measured(tmp_path)), VALUES), "gan_only", Basis.SEEDS_IMAGES)
    scores = {name: np.array([image_scores(name, seed) for seed in range(3)]) for name in LEVELS}
    own, others = scores["cyclegan"], [scores["gan_only"], scores["cycle_only"]]
    parts = [[image_part(table, own)] for table in others]
    expected = band(own.mean(axis=1), [table.mean(axis=1) for table in others], parts)[0]
    assert interval(entry) == pytest.approx(
        (expected.mean, expected.low, expected.high, expected.p, expected.detectable)
    )
    assert (entry.seeds, entry.images) == (3, 4)


def test_the_paired_analysis_is_paired_by_seed(tmp_path):
    run = read_run(measured(tmp_path, seeds=range(5)))
    comparison = compare(run, VALUES, analysis=Analysis.PAIRED)
    seeds = over_seeds(levels("gan_only", 5) - levels("cyclegan", 5))
    entry = row(comparison, "gan_only")
    assert entry.difference == pytest.approx(seeds.mean) and entry.seeds == 5
    assert entry.p == pytest.approx(2 * seeds.p)  # the smaller of two, by Holm
    assert set(comparison.rows["basis"]) == {Basis.SEEDS}


def test_the_paired_analysis_is_refused_below_five_seeds(tmp_path):
    path = measured(tmp_path)
    text = cgbench("report", path, "--analysis", "paired", code=2)
    assert text.strip().splitlines() == [
        "cgbench: --analysis paired: it needs 5 seeds or more, and this run has 3; train more, or leave the option out"
    ]


def test_a_paired_method_with_fewer_seeds_in_common_has_no_interval(tmp_path):
    run = read_run(measured(tmp_path, seeds=range(5), states={("gan_only", 1): "diverged"}))
    entry = row(compare(run, VALUES, analysis=Analysis.PAIRED), "gan_only")
    assert math.isnan(entry.low) and not entry.significant and entry.note == "seeds in common: 4"


def test_the_analysis_of_welch_is_scipys_with_holms_correction(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES, analysis=Analysis.WELCH)
    expected = stats.ttest_ind(levels("gan_only"), levels("cyclegan"), equal_var=False)
    assert row(comparison, "gan_only").p == pytest.approx(2 * expected.pvalue)
    assert set(comparison.rows["basis"]) == {Basis.SEEDS}


def test_scores_of_source_and_target_images_of_one_name_are_no_pairs(tmp_path):
    before = row(compare(read_run(measured(tmp_path / "sources")), VALUES), "gan_only", Basis.SEEDS_IMAGES)
    run = measured(tmp_path / "targets")
    for method, seed in [
        (method, seed) for method in LEVELS for seed in range(3) if (method, seed) != ("cycle_only", 2)
    ]:
        path = TrialFolder.of(run, "shapes", method, seed).image_scores
        write_jsonl(path, [{**entry, "of": "target"} for entry in read_jsonl(path)])
    comparison = compare(read_run(run), VALUES)
    entry = row(comparison, "gan_only", Basis.SEEDS_IMAGES)
    assert (entry.difference, entry.seeds) == pytest.approx((before.difference, 3))
    assert row(comparison, "cycle_only", Basis.SEEDS_IMAGES).seeds == 2  # one of its seeds has scores of the sources


def test_methods_may_have_unequal_seeds(tmp_path):
    run = read_run(measured(tmp_path, states={("gan_only", 1): "diverged"}))
    entry = row(compare(run, VALUES), "gan_only")
    assert (entry.seeds, entry.reference_seeds) == (2, 3)
    assert entry.difference == pytest.approx(levels("gan_only")[[0, 2]].mean() - levels("cyclegan").mean())
    expected = band(levels("cyclegan"), [levels("gan_only")[[0, 2]], levels("cycle_only")])[0]
    assert (entry.low, entry.high) == (expected.low, expected.high)


def test_one_seed_of_a_method_has_no_interval_and_says_why(tmp_path):
    path = measured(tmp_path, states={("gan_only", 1): "diverged", ("gan_only", 2): "failed"})
    run = read_run(path)
    comparison = compare(run, VALUES)
    entry = row(comparison, "gan_only")
    assert math.isnan(entry.low) and math.isnan(entry.p) and not entry.significant and entry.note == "one seed"
    assert math.isfinite(row(comparison, "cycle_only").low)
    assert "| gan_only             | −0.217 (one seed)" in differences_markdown(comparison, VALUES, NAMES)
    forest_panels(comparison.rows, "AtoB", VALUES, assign_styles(run.order, run.roles))
    backwards = compare(run, VALUES, "gan_only")
    assert set(backwards.rows["note"]) == {"one seed of gan_only"} and not backwards.better()
    assert "–" in differences_markdown(backwards, VALUES, NAMES).split("(detectable, worst)")[1].splitlines()[0]
    write_report(path, VALUES)


def test_numbers_that_cannot_vary_are_a_reference_without_error(tmp_path):
    path = measured(tmp_path)
    for seed in (1, 2):
        first, folder = (TrialFolder.of(path, "shapes", "copy", number) for number in (0, seed))
        shutil.copytree(first.path, folder.path)
        write_json(folder.trial, read_json(first.trial) | {"seed": seed})
    entry = row(compare(read_run(path), VALUES, "copy"), "gan_only")
    samples = [levels(name) for name in ("cyclegan", "gan_only", "cycle_only")]
    expected = band([0.2] * 3, samples, deterministic_reference=True)[1]
    assert (entry.low, entry.high) == (expected.low, expected.high)


def test_one_seed_compares_checkpoints_over_images_and_marks_no_method(tmp_path):
    run = measured(tmp_path, seeds=(0,))
    comparison = compare(read_run(run), VALUES)
    entry = row(comparison, "gan_only", Basis.IMAGES)
    expected = stats.ttest_rel(image_scores("gan_only", 0), image_scores("cyclegan", 0))
    assert entry.p == pytest.approx(min(1, 2 * expected.pvalue)) and (entry.seeds, entry.images) == (1, 4)
    assert entry.significant and comparison.better() == comparison.worse() == comparison.undecided() == set()
    text = differences_markdown(comparison, VALUES, NAMES)
    assert "this checkpoint, on other images" in text and "▼" not in text and "≈" not in text and "**" not in text
    write_report(run, VALUES)
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "about the methods they say nothing" in page and "a ring has the interval over images" in page


def grouped(path, groups):
    """The run of `measured` with a group of each image."""
    run = measured(path)
    for method in LEVELS:
        for seed in range(3 if method != "copy" else 1):
            folder = TrialFolder.of(run, "shapes", method, seed)
            spec = read_json(folder.trial)
            write_json(folder.trial, spec | {"dataset": spec["dataset"] | {"image_groups": "clip"}})
            rows = [{**entry, "group": groups[entry["key"]]} for entry in read_jsonl(folder.image_scores)]
            write_jsonl(folder.image_scores, rows)
    return run


def test_frames_of_one_clip_count_as_one(tmp_path):
    groups = {"a": "one", "b": "one", "c": "two", "d": "three"}
    entry = row(compare(read_run(grouped(tmp_path, groups)), VALUES), "gan_only", Basis.SEEDS_IMAGES)
    columns = [[0, 1], [2], [3]]
    scores = {name: np.array([image_scores(name, seed) for seed in range(3)]) for name in LEVELS}
    scores = {
        name: np.stack([table[:, keys].mean(axis=1) for keys in columns], axis=1) for name, table in scores.items()
    }
    own, others = scores["cyclegan"], [scores["gan_only"], scores["cycle_only"]]
    expected = band(own.mean(axis=1), [t.mean(axis=1) for t in others], [[image_part(t, own)] for t in others])[0]
    assert (entry.difference, entry.low, entry.high) == pytest.approx((expected.mean, expected.low, expected.high))
    assert (entry.images, entry.groups) == (3, "clip")


def test_one_clip_says_nothing_about_other_scenes(tmp_path):
    comparison = compare(read_run(grouped(tmp_path, dict.fromkeys(KEYS, "one"))), VALUES)
    assert set(comparison.rows["basis"]) == {Basis.SEEDS}
    assert question_tables(comparison, VALUES, NAMES, {"AtoB": "fcn_pixel"}) == []


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


def test_a_row_that_cannot_be_told_apart_says_so(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES)
    assert comparison.undecided() == {("AtoB", "cycle_only", "fcn_pixel")}
    assert "≈" in differences_markdown(comparison, VALUES, NAMES)
    path = measured(tmp_path / "page")
    line = next(line for line in cgbench("report", path).splitlines() if line.startswith("| cycle_only "))
    assert line.split("|")[2].strip().endswith("≈")
    assert 'aria-label="not to be told apart">≈' in (path / "report" / "index.html").read_text(encoding="utf-8")


def test_better_follows_the_metric_and_needs_an_interval_without_zero(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES, "gan_only")
    assert comparison.better() == {("AtoB", "cyclegan", "fcn_pixel")}  # cycle_only's lead varies too much
    assert not row(comparison, "cycle_only").significant and comparison.worse() == set()
    lower = {"fcn_pixel": VALUES["reconstruction_l1"]}  # the same numbers, if low were good
    assert compare(read_run(measured(tmp_path)), lower, "gan_only").better() == set()
    assert compare(read_run(measured(tmp_path)), lower, "gan_only").worse() == {("AtoB", "cyclegan", "fcn_pixel")}


def test_supervised_methods_are_not_marked(tmp_path):
    path = measured(tmp_path)
    for seed in range(3):
        file = TrialFolder.of(path, "shapes", "cyclegan", seed).trial
        spec = read_json(file)
        write_json(file, spec | {"method": spec["method"] | {"role": "supervised"}})
    comparison = compare(read_run(path), VALUES, "gan_only")
    assert row(comparison, "cyclegan").better and comparison.better() == set()
    text = differences_markdown(comparison, VALUES, NAMES)
    assert "**" not in text and "Supervised methods are not marked." in text


def test_any_row_can_be_the_reference_and_another_is_refused(tmp_path):
    run = read_run(measured(tmp_path))
    with pytest.raises(CgbenchError, match=r"--reference cyclegna: .* did you mean 'cyclegan'"):
        compare(run, VALUES, "cyclegna")


def test_the_table_shows_intervals_and_what_could_be_seen(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES)
    (table,) = difference_tables(comparison, VALUES, NAMES)
    assert [name for name, _ in table.rows] == ["gan_only", "cycle_only"]
    text = differences_markdown(comparison, VALUES, NAMES)
    entry = row(comparison, "gan_only")
    assert f"−0.198 [{number(entry.low, 3, sign=True)}, {number(entry.high, 3, sign=True)}] ▼" in text
    sizes = [row(comparison, method).detectable for method in ("gan_only", "cycle_only")]
    assert f"| (detectable, median) | {np.median(sizes):.3f} " in text
    assert f"| (detectable, worst)  | {max(sizes):.3f} " in text
    assert "the method, on this test set (3 seeds; seeds of methods treated as independent)" in text


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
    text = differences_markdown(comparison, VALUES, {"AtoB": "<b>a|b"})
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
