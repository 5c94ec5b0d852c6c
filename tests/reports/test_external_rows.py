"""Rows of other programs: marked in every table with what is not known of them, and never paired by seed."""

import pytest

from cgbench.api.names import Analysis
from cgbench.files import write_jsonl
from cgbench.reports.contents import collect_contents
from cgbench.reports.figure_set import draw_figures
from cgbench.reports.report import report_text, write_report
from cgbench.reports.sections.differences import Basis, compare
from cgbench.reports.terminal import terminal_text
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from helpers.external_rows import IMAGES, add_external
from helpers.run_folder import VALUES, add_failures, build_run, declare_primary


def with_image_scores(run, methods, seeds, *, shift=None):
    """Give every image of these trials a score of its own; that of `shift[method]` is added."""
    for method in methods:
        for seed in seeds(method):
            rows = [{"direction": "AtoB", "key": f"scene-{index:03d}", "metric": "fcn_pixel",
                     "value": 0.3 + 0.01 * index + 0.002 * ((index * 7 + seed * 3) % 5) + (shift or {}).get(method, 0)}
                    for index in range(IMAGES)]  # fmt: skip
            write_jsonl(TrialFolder.of(run, "shapes", method, seed).image_scores, rows)


def formatted(run, values, form, analysis=Analysis.BAND):
    return report_text(run, values, "", form, analysis)


def rows_of(comparison, method):
    return comparison.rows[(comparison.rows["method"] == method) & (comparison.rows["metric"] == "fcn_pixel")]


@pytest.fixture
def run(tmp_path):
    return add_external(build_run(tmp_path / "run", images=IMAGES, side=16))


def test_every_table_marks_it_and_says_what_is_not_known(run):
    contents = collect_contents(run, VALUES)
    said = "External: outputs of another program, not trained here, measured as the others are: theirs from folder out"
    unknown = "not known: training, selection and seed"
    for text in (terminal_text(contents, 100, bold=False), formatted(run, VALUES, "md"),
                 formatted(run, VALUES, "latex"), formatted(run, VALUES, "html")):  # fmt: skip
        flat = " ".join(text.split())
        assert said in flat and unknown in flat
        assert "rec. L1 (needs a method that reconstructs its source)" in flat and "never measured here" not in flat
        assert "theirs (external)" in flat or '<th scope="row">theirs <span class="role">external</span>' in flat
    lines = formatted(run, VALUES, "csv").splitlines()
    assert "not_known" in lines[0].split(",")
    assert [line for line in lines if ",theirs,external," in line and "training, selection and seed" in line]
    assert ",not_known," not in formatted(build_run(run.parent / "own", side=16), VALUES, "csv")
    table = next(table for table in contents.layout() if table.direction == "BtoA")
    assert "External" not in table.caption  # there it has no number
    assert [row.method for row in table.rows] == ["copy", "shuffled", "cyclegan", "gan_only", "cycle_only", "theirs",
                                                  "real"]  # fmt: skip


def test_what_was_told_is_shown_as_told(run):
    add_external(run, "told", seeds=(3,), training="200 epochs, last checkpoint")
    text = " ".join(formatted(run, VALUES, "md").split())
    assert "told from folder out (12 PNG), told and not checked: 200 epochs, last checkpoint, not measured" in text


def test_trained_methods_keep_their_rows_differences_and_headlines(tmp_path):
    run = build_run(tmp_path / "run", images=IMAGES, side=16)
    before, text = compare(read_run(run), VALUES), formatted(run, VALUES, "md")
    after = compare(read_run(add_external(run)), VALUES)
    own = after.rows[after.rows["method"] != "theirs"].reset_index(drop=True)
    assert own.equals(before.rows)
    assert read_run(run).trained == ("cyclegan", "gan_only", "cycle_only") and read_run(run).seeds == (0, 1, 2)
    headline = next(line for line in text.splitlines() if line.startswith("## "))
    assert headline in formatted(run, VALUES, "md")


@pytest.mark.parametrize(("seeds", "note"), [((None,), "seed unknown"), ((1,), "one seed")])
@pytest.mark.parametrize("analysis", list(Analysis))
def test_one_row_is_compared_over_images_and_never_paired_by_seed(tmp_path, seeds, note, analysis):
    run = build_run(tmp_path / "run", ("cyclegan", "gan_only"), seeds=tuple(range(5)), images=IMAGES, side=16)
    add_external(run, seeds=seeds)
    with_image_scores(run, ("cyclegan", "gan_only"), lambda method: range(5))
    with_image_scores(run, ("theirs",), lambda method: [seeds[0] or 0], shift={"theirs": 0.05})
    found = compare(read_run(run), VALUES, analysis=analysis)
    rows = rows_of(found, "theirs")
    assert set(rows["basis"]) == {Basis.SEEDS, Basis.IMAGES}
    by_seed, by_image = (rows[rows["basis"] == basis].iloc[0] for basis in (Basis.SEEDS, Basis.IMAGES))
    assert by_seed["note"] == note and by_seed[["low", "high", "p"]].isna().all() and not by_seed["significant"]
    assert 0.03 < by_image["low"] < 0.05 < by_image["high"] < 0.07 and by_image["images"] == IMAGES
    assert Basis.IMAGES not in set(rows_of(found, "gan_only")["basis"])
    text = formatted(run, VALUES, "md", analysis=analysis)
    value = 0.06 + 0.01 * (seeds[0] or 0)  # of the level 0.6; cyclegan's mean over five seeds is 0.54
    assert f"| theirs (external) | +{value:.3f} ({note})" in " ".join(text.split())
    assert "external rows over images" in text
    assert "the mean of its 5 seeds: this checkpoint, on other images" in text


def test_a_number_without_scores_of_images_has_no_interval_and_the_table_says_why(run):
    rows = rows_of(compare(read_run(run), VALUES), "theirs")
    assert list(rows["basis"]) == [Basis.SEEDS] and list(rows["note"]) == ["seed unknown"]


def test_several_known_seeds_are_independent_and_not_paired(tmp_path):
    run = build_run(tmp_path / "run", ("cyclegan", "gan_only"), seeds=tuple(range(5)), images=IMAGES, side=16)
    add_external(run, seeds=tuple(range(5)))
    paired = rows_of(compare(read_run(run), VALUES, analysis=Analysis.PAIRED), "theirs").iloc[0]
    assert paired["note"] == "external, not paired by seed" and paired[["low", "high"]].isna().all()
    for analysis in (Analysis.BAND, Analysis.WELCH):
        row = rows_of(compare(read_run(run), VALUES, analysis=analysis), "theirs").iloc[0]
        assert row["note"] == "" and row["low"] < row["difference"] < row["high"]
    as_reference = compare(read_run(run), VALUES, "theirs", Analysis.PAIRED)
    assert set(rows_of(as_reference, "gan_only")["note"]) == {"external, not paired by seed"}


def test_in_a_run_of_one_seed_its_checkpoints_are_compared_over_images(tmp_path):
    run = build_run(tmp_path / "run", ("cyclegan", "gan_only"), seeds=(0,), images=IMAGES, side=16)
    add_external(run, seeds=(0, 1))
    with_image_scores(run, ("cyclegan", "gan_only", "theirs"), lambda method: (0, 1) if method == "theirs" else (0,))
    found = compare(read_run(run), VALUES)
    assert found.basis == Basis.IMAGES and set(found.methods) == {"gan_only", "theirs"}


def test_a_report_with_failures_and_images_is_whole(run):
    page = write_report(add_failures(run, images=IMAGES), VALUES, files=False).read_text()
    assert "theirs (external), test image scene-000" in page and "<td>not known</td>" in page
    assert "theirs (external)" in (run / "report" / "table.md").read_text()


def test_the_ranking_marks_it(run):
    declare_primary(run, {"AtoB": "fcn_pixel"})
    (group,) = draw_figures(collect_contents(run, VALUES)).rankings
    names = [label.get_text() for label in group.panels[0].figure.axes[0].get_yticklabels()]
    assert "theirs (external)" in names and "cyclegan" in names
