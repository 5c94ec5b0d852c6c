"""Differences from a reference method: pairing, significance, tables and figures."""

import numpy as np
import pytest

from cgbench.errors import CgbenchError
from cgbench.files import read_jsonl, write_jsonl
from cgbench.reports.figures.differences import forest_panels
from cgbench.reports.figures.heatmaps import class_panels
from cgbench.reports.figures.style import assign_styles
from cgbench.reports.formats.numbers import number
from cgbench.reports.report import write_report
from cgbench.reports.sections.difference_tables import difference_tables, differences_markdown
from cgbench.reports.sections.differences import BOTH, SEEDS, compare
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from cgbench.results.significance import over_seeds, over_seeds_and_images
from helpers.cli import cgbench
from helpers.run_folder import NAMES, VALUES, build_run

LEVELS = {  # method -> FCN pixel accuracy of seeds 0, 1, 2
    "cyclegan": (0.50, 0.54, 0.51),
    "gan_only": (0.40, 0.445, 0.41),
    "cycle_only": (0.40, 0.60, 0.50),
    "copy": (0.2, 0.2, 0.2),
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


def row(comparison, method, basis=SEEDS):
    rows = comparison.rows
    (entry,) = rows[(rows["method"] == method) & (rows["basis"] == basis)].itertuples()
    return entry


def test_numbers_are_paired_by_seed_and_by_image(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES)
    assert comparison.reference == "cyclegan"
    seeds = over_seeds(np.subtract(LEVELS["gan_only"], LEVELS["cyclegan"]))
    entry = row(comparison, "gan_only")
    assert entry.difference == pytest.approx(seeds.mean) and entry.seeds == 3
    assert entry.p == pytest.approx(2 * seeds.p)  # the smaller of two, by Holm
    images = [image_scores("gan_only", seed) - image_scores("cyclegan", seed) for seed in range(3)]
    entry = row(comparison, "gan_only", BOTH)
    assert entry.difference == pytest.approx(over_seeds_and_images(np.array(images)).mean)
    assert (entry.seeds, entry.images) == (3, 4)


def test_scores_of_source_and_target_images_of_one_name_are_no_pairs(tmp_path):
    before = row(compare(read_run(measured(tmp_path / "sources")), VALUES), "gan_only", BOTH)
    run = measured(tmp_path / "targets")
    for method, seed in [
        (method, seed) for method in LEVELS for seed in range(3) if (method, seed) != ("cycle_only", 2)
    ]:
        path = TrialFolder.of(run, "shapes", method, seed).image_scores
        write_jsonl(path, [{**entry, "of": "target"} for entry in read_jsonl(path)])
    comparison = compare(read_run(run), VALUES)
    entry = row(comparison, "gan_only", BOTH)
    assert (entry.difference, entry.low, entry.seeds) == pytest.approx((before.difference, before.low, 3))
    assert row(comparison, "cycle_only", BOTH).seeds == 2  # one of its seeds has scores of the sources


def test_a_seed_that_one_of_the_two_lacks_is_left_out_of_both(tmp_path):
    run = read_run(measured(tmp_path, states={("gan_only", 1): "diverged"}))
    entry = row(compare(run, VALUES), "gan_only")
    assert entry.seeds == 2 and entry.difference == pytest.approx(-0.1)


def test_nothing_is_said_of_one_seed(tmp_path):
    run = measured(tmp_path, seeds=(0,))
    assert compare(read_run(run), VALUES) is None
    write_report(run, VALUES)
    assert not (run / "report" / "differences.csv").exists()


def test_better_follows_the_metric_and_needs_an_interval_without_zero(tmp_path):
    comparison = compare(read_run(measured(tmp_path)), VALUES, "gan_only")
    assert comparison.better() == {("AtoB", "cyclegan", "fcn_pixel")}  # cycle_only's lead varies too much
    assert not row(comparison, "cycle_only").significant
    lower = {"fcn_pixel": VALUES["reconstruction_l1"]}  # the same numbers, if low were good
    assert compare(read_run(measured(tmp_path)), lower, "gan_only").better() == set()


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
    assert f"**−0.098 [{number(entry.low, 3, sign=True)}, {number(entry.high, 3, sign=True)}]**" in text
    assert "| (detectable) |" in text and "3 seeds" in text


def test_the_report_command_takes_the_reference(tmp_path):
    run = measured(tmp_path)
    text = cgbench("report", run, "--reference", "gan_only")
    assert "differences from gan_only" in text and "Bold: better than gan_only" in text
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "Differences from gan_only" in page and "forest-AtoB-fcn_pixel" in page
    first = (run / "report" / "differences.csv").read_bytes()
    cgbench("report", run, "--reference", "gan_only")
    assert (run / "report" / "differences.csv").read_bytes() == first


def test_a_forest_has_a_disc_and_a_ring_per_method(tmp_path):
    run = read_run(measured(tmp_path))
    comparison = compare(run, VALUES)
    (panel,) = forest_panels(comparison.rows, "AtoB", VALUES, assign_styles(run.order, run.roles))
    assert "differences from cyclegan" in panel.svg and panel.title == "FCN pixel ↑"
    assert panel.svg.count("<use ") >= 4


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
