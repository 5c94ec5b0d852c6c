"""Differences from a reference method: the three analyses, the questions that they answer, and what is marked."""

import math
import shutil

import numpy as np
import pytest
from scipy import stats

from cgbench.api.names import Analysis
from cgbench.errors import CgbenchError
from cgbench.files import read_json, read_jsonl, write_json, write_jsonl
from cgbench.reports.figures.differences import forest_panels
from cgbench.reports.figures.style import assign_styles
from cgbench.reports.report import write_report
from cgbench.reports.sections.difference_tables import (
    difference_tables,
    differences_markdown,
    question_tables,
)
from cgbench.reports.sections.differences import Basis, compare
from cgbench.results.band import band, image_part
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from cgbench.results.significance import mean_effect
from helpers.cli import cgbench
from helpers.known_differences import KEYS, LEVELS, image_scores, interval, levels, measured, row
from helpers.run_folder import NAMES, VALUES


def tables_text(comparison):
    """The differences as Markdown."""
    return differences_markdown(comparison, difference_tables(comparison, VALUES, NAMES))


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
    seeds = mean_effect(levels("gan_only", 5) - levels("cyclegan", 5))
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
    assert "| gan_only             | −0.217 (one seed)" in tables_text(comparison)
    forest_panels(comparison.rows, "AtoB", VALUES, assign_styles(run.order, run.roles))
    backwards = compare(run, VALUES, "gan_only")
    assert set(backwards.rows["note"]) == {"one seed of gan_only"} and not backwards.better()
    assert "–" in tables_text(backwards).split("(detectable, worst)")[1].splitlines()[0]
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
    text = tables_text(comparison)
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
    text = tables_text(comparison)
    assert "**" not in text and "Supervised methods are not marked." in text


def test_any_row_can_be_the_reference_and_another_is_refused(tmp_path):
    run = read_run(measured(tmp_path))
    with pytest.raises(CgbenchError, match=r"--reference cyclegna: .* did you mean 'cyclegan'"):
        compare(run, VALUES, "cyclegna")


def test_other_scorers_widen_the_intervals_of_their_question(tmp_path):
    run = measured(tmp_path)
    shifts = {"cyclegan": (-0.03, 0.0, 0.03), "gan_only": (0.05, 0.0, -0.05), "cycle_only": (0.0, 0.0, 0.0)}
    for method, own in shifts.items():
        for seed in range(3):
            path = TrialFolder.of(run, "shapes", method, seed).metrics
            rows = read_jsonl(path)
            write_jsonl(path, [{**entry, "by_scorer": [entry["value"] + shift for shift in own]} for entry in rows])
    comparison = compare(read_run(run), VALUES)
    scenes, everything = (row(comparison, "gan_only", basis) for basis in (Basis.SEEDS_IMAGES, Basis.ALL))
    assert everything.difference == scenes.difference
    assert everything.high - everything.low > 1.2 * (scenes.high - scenes.low)
    (table,) = question_tables(comparison, VALUES, NAMES, {"AtoB": "fcn_pixel"})
    assert len(table.headers) == 3 and "by any such scorers" in table.headers[2]
    assert "also other scorers" in table.caption


def test_one_scorer_answers_no_question_about_scorers(tmp_path):
    run = measured(tmp_path)
    path = TrialFolder.of(run, "shapes", "gan_only", 0).metrics
    write_jsonl(path, [{**entry, "by_scorer": [entry["value"]]} for entry in read_jsonl(path)])
    assert Basis.ALL not in set(compare(read_run(run), VALUES).rows["basis"])
