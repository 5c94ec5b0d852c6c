"""Published tables: a second transcription of every value, the three formats, marks, statuses and directions."""

import csv
import io
import re
import subprocess
import sys

import pytest

from cgbench.benchmarks.cli.main import main
from cgbench.errors import CgbenchError
from cgbench.files import read_json, read_jsonl, write_json, write_jsonl
from cgbench.reports.paper_tables.comparison import comparison, direction_of
from cgbench.reports.paper_tables.formats import FORMATS
from cgbench.reports.paper_tables.published import RECALLED, TABLES, PaperTable
from cgbench.results.run import read_run
from cgbench.results.run_folder import trial_folders
from helpers.cli import cgbench
from helpers.run_folder import build_run

# As protocols.md has them; [M] is what was recalled and not confirmed.
RIVALS = """\
| CoGAN | .40/.10/.06 [N] | .45/.11/.08 [N] |
| BiGAN/ALI | .19/.06/.02 [M] | .41/.13/.07 [N] |
| SimGAN | .20/.10/.04 [M] | .47/.11/.07 [N] |
| Feature loss+GAN | .06/.04/.01 [M] | .50/.10/.06 [N] |
| CycleGAN | .52/.17/.11 [N] | .58/.22/.16 [N,I] |
| pix2pix | .71/.25/.18 [N] | .85/.40/.32 [N] |
"""
ABLATIONS = """\
| Cycle alone | .22/.07/.02 [N] | .10/.05/.02 [M] |
| GAN alone | .51/.11/.08 [N] | .53/.11/.07 [N] |
| GAN+forward | **.55/.18/.12** [N] | .49/.11/.07 [M] |
| GAN+backward | .39/.14/.06 [M] | .01/.06/.01 [N] |
| CycleGAN | .52/.17/.11 [N] | .58/.22/.16 [N] |
"""
CUT = """\
| CycleGAN | 20.4 | 55.9 | 25.4 | 76.3[M] | 85.9 | 77.2 | .40 | 4.81 |
| MUNIT | 16.9 | 56.5 | 22.5 | 91.4 | 104.4 | 133.8 | .39 | 3.84 |
| DRIT | 17.0 | 58.7 | 22.2 | 155.3 | 123.4 | 140.0 | .70 | 4.85 |
| Distance | 8.4 | 42.2 | 12.6 | 81.8[M]; 85.8[DC] | 155.3 | 72.0 | .15 | 2.72 |
| SelfDistance | 15.3 | 56.9 | 20.6 | 78.8 | 144.4 | 80.8 | .16 | 2.72 |
| GCGAN | 21.2 | 63.2 | 26.6 | 105.2 | 96.6 | 86.7 | .26[M]; .62[DC] | 2.67 |
| CUT | 24.7 | 68.8 | 30.7 | 56.4 | 76.2 | 45.5 | .24 | 3.33 |
| FastCUT | 19.1 | 59.9 | 24.3 | 68.8 | 94.0 | 73.4 | .15 | 2.25 |
"""
METHODS = {
    "2": ["cogan", "bigan", "simgan", "feature_loss_gan", "cyclegan", "pix2pix"],
    "4": ["cycle_only", "gan_only", "gan_forward_cycle", "gan_backward_cycle", "cyclegan"],
    "cut": ["cyclegan", "munit", None, "distancegan", "distancegan_self", "gcgan", "cut", "fastcut"],
}
METHODS |= {"3": METHODS["2"], "5": METHODS["4"]}
GOLDEN_MARKDOWN = """\
## CycleGAN (Zhu et al. 2017, arXiv 1703.10593), Table 4: FCN scores of variants, labels→photo

| method               |            | per-pixel   | per-class    | IoU         | seeds                    |
| -------------------- | ---------- | ----------- | ------------ | ----------- | ------------------------ |
| Cycle alone          | paper      | 0.22        | 0.07         | 0.02        |                          |
|                      | ours       | –           | –            | –           | 1 failed, 2 not started  |
| GAN alone            | paper      | 0.51        | 0.11         | 0.08        |                          |
|                      | ours       | 0.41 ± 0.03 | not measured | 0.20 ± 0.01 | 2 of 3 seeds; 1 diverged |
|                      | difference | −0.10       | –            | +0.12       |                          |
| GAN + forward cycle  | paper      | 0.55        | 0.18         | 0.12        |                          |
|                      | ours       | –           | –            | –           | not run                  |
| GAN + backward cycle | paper      | 0.39†       | 0.14†        | 0.06†       |                          |
|                      | ours       | –           | –            | –           | not run                  |
| CycleGAN             | paper      | 0.52        | 0.17         | 0.11        |                          |
|                      | ours       | 0.52 ± 0.02 | not measured | 0.26 ± 0.01 | 3                        |
|                      | difference | 0.00        | –            | +0.15       |                          |

- paper: FCN-8s on translations for the 500 validation images of Cityscapes, resized to 2048×1024.
- ours: run golden, dataset shapes, preset demo, 64-pixel images, 2000 steps, 4 test images, seeds 0, 1, 2;
  scored by a network that cgbench trained on this dataset (0123456789ab); mean ± sample standard deviation
  over seeds.
- difference: ours − paper, taken before rounding. Data, scorer, resolution and budget are not the paper's, so
  a difference is no reproduction error.
- † recalled, not confirmed against the paper; differences from it are marked too.
- The paper's other values were read in secondary public notes, not in the paper itself.
- – no number, for the reason in the last column.
"""
GOLDEN_LATEX = r"""% needs \usepackage{booktabs}
\begin{table}
\centering
\caption{%
CycleGAN (Zhu et al. 2017, arXiv 1703.10593), Table 4: FCN scores of variants, labels$\to$photo.
paper: FCN-8s on translations for the 500 validation images of Cityscapes, resized to 2048$\times$1024.
ours: run golden, dataset shapes, preset demo, 64-pixel images, 2000 steps, 4 test images, seeds 0, 1, 2; scored by a network that cgbench trained on this dataset (0123456789ab); mean $\pm$ sample standard deviation over seeds.
difference: ours $-$ paper, taken before rounding. Data, scorer, resolution and budget are not the paper's, so a difference is no reproduction error.
$^\dagger$ recalled, not confirmed against the paper; differences from it are marked too.
The paper's other values were read in secondary public notes, not in the paper itself.
-- no number, for the reason in the last column.
}
\begin{tabular}{llllll}
\toprule
method &  & per-pixel & per-class & IoU & seeds \\
\midrule
Cycle alone & paper & 0.22 & 0.07 & 0.02 & \\
& ours & -- & -- & -- & 1 failed, 2 not started \\
\addlinespace
GAN alone & paper & 0.51 & 0.11 & 0.08 & \\
& ours & 0.41 $\pm$ 0.03 & not measured & 0.20 $\pm$ 0.01 & 2 of 3 seeds; 1 diverged \\
& difference & $-$0.10 & -- & +0.12 & \\
\addlinespace
GAN + forward cycle & paper & 0.55 & 0.18 & 0.12 & \\
& ours & -- & -- & -- & not run \\
\addlinespace
GAN + backward cycle & paper & 0.39$^\dagger$ & 0.14$^\dagger$ & 0.06$^\dagger$ & \\
& ours & -- & -- & -- & not run \\
\addlinespace
CycleGAN & paper & 0.52 & 0.17 & 0.11 & \\
& ours & 0.52 $\pm$ 0.02 & not measured & 0.26 $\pm$ 0.01 & 3 \\
& difference & 0.00 & -- & +0.15 & \\
\bottomrule
\end{tabular}
\end{table}
"""  # noqa: E501
GOLDEN_CSV = """\
table,row,method,score,unit,direction,paper,paper_confirmed,paper_source,paper_other,ours,ours_sd,seeds,trials,difference,status,remark,run,dataset,preset,images
5,Cycle alone,cycle_only,per-pixel,label_pixel,BtoA,0.1,no,recalled,,,,0,3,,"1 failed, 2 not started",,golden,shapes,demo,
5,Cycle alone,cycle_only,per-class,label_class,BtoA,0.05,no,recalled,,,,0,3,,"1 failed, 2 not started",,golden,shapes,demo,
5,Cycle alone,cycle_only,IoU,label_iou,BtoA,0.02,no,recalled,,,,0,3,,"1 failed, 2 not started",,golden,shapes,demo,
5,GAN alone,gan_only,per-pixel,label_pixel,BtoA,0.53,yes,secondary public notes,,0.45,0.0282843,2,3,-0.08,2 of 3 seeds; 1 diverged,,golden,shapes,demo,4
5,GAN alone,gan_only,per-class,label_class,BtoA,0.11,yes,secondary public notes,,,,0,3,,"1 diverged, 2 not measured",,golden,shapes,demo,
5,GAN alone,gan_only,IoU,label_iou,BtoA,0.07,yes,secondary public notes,,,,0,3,,"1 diverged, 2 not measured",,golden,shapes,demo,
5,GAN + forward cycle,gan_forward_cycle,per-pixel,label_pixel,BtoA,0.49,no,recalled,,,,0,0,,not run,,golden,shapes,demo,
5,GAN + forward cycle,gan_forward_cycle,per-class,label_class,BtoA,0.11,no,recalled,,,,0,0,,not run,,golden,shapes,demo,
5,GAN + forward cycle,gan_forward_cycle,IoU,label_iou,BtoA,0.07,no,recalled,,,,0,0,,not run,,golden,shapes,demo,
5,GAN + backward cycle,gan_backward_cycle,per-pixel,label_pixel,BtoA,0.01,yes,secondary public notes,,,,0,0,,not run,,golden,shapes,demo,
5,GAN + backward cycle,gan_backward_cycle,per-class,label_class,BtoA,0.06,yes,secondary public notes,,,,0,0,,not run,,golden,shapes,demo,
5,GAN + backward cycle,gan_backward_cycle,IoU,label_iou,BtoA,0.01,yes,secondary public notes,,,,0,0,,not run,,golden,shapes,demo,
5,CycleGAN,cyclegan,per-pixel,label_pixel,BtoA,0.58,yes,secondary public notes,,0.56,0.02,3,3,-0.02,,,golden,shapes,demo,4
5,CycleGAN,cyclegan,per-class,label_class,BtoA,0.22,yes,secondary public notes,,,,0,3,,not measured,,golden,shapes,demo,
5,CycleGAN,cyclegan,IoU,label_iou,BtoA,0.16,yes,secondary public notes,,,,0,3,,not measured,,golden,shapes,demo,
"""  # noqa: E501
STATES = {
    ("gan_only", 1): "diverged", ("cycle_only", 0): "failed", ("cycle_only", 1): "", ("cycle_only", 2): "",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder that tests must not change."""
    return build_run(tmp_path_factory.mktemp("runs") / "golden", states=STATES, images=4, side=8)


@pytest.fixture
def own_folder(tmp_path):
    """A small run folder that a test may change."""
    return build_run(tmp_path / "own", methods=("cyclegan", "gan_only", "copy"), seeds=(0, 1), images=1, side=8)


def shown(folder, table, form="md"):
    return FORMATS[form](read_run(folder), TABLES[table])


def change(folder, edit):
    """Apply `edit` to the content of every trial.json of a run."""
    for trial in trial_folders(folder):
        spec = read_json(trial.trial)
        edit(spec)
        write_json(trial.trial, spec)


def measure(folder, extra):
    """Add the records that `extra` (method, seed) returns, as (direction, metric, value), to every trial."""
    for trial in trial_folders(folder):
        spec = read_json(trial.trial)
        rows = list(read_jsonl(trial.metrics))
        for direction, metric, value in extra(spec["method"]["name"], spec["seed"]):
            row = {"direction": direction, "step": 2000, "metric": metric, "value": value, "n": 1}
            rows.append({**row, "protocol": "cccccccccccc"})
        write_jsonl(trial.metrics, rows)


def entries(folder, table):
    return {
        (row.row.name, entry.score.name): entry
        for row in comparison(read_run(folder), TABLES[table])
        for entry in row.entries
    }


def transcribed(text, column):
    """Return per row of a Markdown table the (value, recalled) triple of a cell like ".39/.14/.06 [M]"."""
    rows = []
    for line in text.splitlines():
        cell = line.split("|")[column].replace("*", "")
        values = [float(value) for value in re.search(r"[\d./]+", cell)[0].split("/")]
        rows.append([(value, "[M]" in cell) for value in values])
    return rows


def published(table: PaperTable):
    return [[(value.value, not value.confirmed) for value in row.values] for row in table.rows]


@pytest.mark.parametrize(
    ("table", "text", "column"), [("2", RIVALS, 2), ("3", RIVALS, 3), ("4", ABLATIONS, 2), ("5", ABLATIONS, 3)]
)
def test_the_values_of_the_cyclegan_paper_are_those_of_a_second_transcription(table, text, column):
    cells = transcribed(text, column)
    assert len(cells) >= 5 and all(len(row) == 3 for row in cells)
    assert published(TABLES[table]) == cells


def test_the_values_of_the_cut_paper_are_those_of_a_second_transcription():
    unmarked = (1, 2, 3, 8)  # scores and memory: recalled without a mark of their own
    for line, row in zip(CUT.splitlines(), TABLES["cut"].rows, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0] == row.name and len(row.values) == len(cells) - 1 == 8
        for place, (cell, value) in enumerate(zip(cells[1:], row.values, strict=True), 1):
            first, *other = cell.split(";")
            number, mark = re.fullmatch(r"([\d.]+)(\[M\])?", first).groups()
            recalled = bool(mark) or place in unmarked
            assert (value.value, not value.confirmed) == (float(number), recalled), (row.name, place)
            alternatives = [value.alternative.value] if value.alternative else []
            assert [float(text.split("[")[0]) for text in other] == alternatives


@pytest.mark.parametrize("table", list(TABLES))
def test_rows_are_in_the_papers_order_under_our_names(table):
    rows = TABLES[table].rows
    assert [row.method for row in rows] == METHODS[table]
    assert all(len(row.values) == len(TABLES[table].scores) for row in rows)


def test_markdown_latex_and_csv_are_the_golden_ones(folder):
    assert cgbench("table", "4", folder) == GOLDEN_MARKDOWN
    assert cgbench("table", "4", folder, "--format", "latex") == GOLDEN_LATEX
    assert cgbench("table", "5", folder, "--format", "csv") == GOLDEN_CSV


@pytest.mark.parametrize("table", list(TABLES))
def test_every_table_has_every_format_the_same_twice_and_fits_a_terminal(folder, table):
    for form in FORMATS:
        assert shown(folder, table, form) == shown(folder, table, form)
    assert max(map(len, shown(folder, table).splitlines())) <= 110


@pytest.mark.parametrize("table", list(TABLES))
def test_marks_stand_at_every_recalled_value_and_nowhere_else(folder, table):
    recalled = sum(RECALLED in value.sources for row in TABLES[table].rows for value in row.values)
    for form, mark in (("md", "†"), ("latex", r"$^\dagger$")):
        lines = [line for line in shown(folder, table, form).splitlines() if re.match(r"\| |.*\\\\$", line)]
        assert sum(line.count(mark) for line in lines if "difference" not in line) == recalled
    lines = list(csv.DictReader(io.StringIO(shown(folder, table, "csv"))))
    assert sum(line["paper_confirmed"] == "no" for line in lines) == recalled
    assert all((line["paper_source"] == RECALLED) == (line["paper_confirmed"] == "no") for line in lines)


def test_a_difference_from_a_recalled_value_is_marked(folder):
    row = next(line for line in shown(folder, "cut").splitlines() if "difference" in line)
    assert "+5.6†" in row and "−3.9†" in row  # 26.0 - 20.4 and 52.0 - 55.9


def test_mean_deviation_and_difference_are_over_seeds_and_unrounded(own_folder):
    measure(own_folder, lambda method, seed: [("AtoB", "fcn_class", 0.1704 + 0.01 * seed)])
    entry = entries(own_folder, "2")["CycleGAN", "per-class"]
    assert entry.mean == pytest.approx(0.1754) and entry.difference == pytest.approx(0.0054)
    assert entry.spread == pytest.approx(0.01 / 2**0.5) and (entry.n_seeds, entry.n_trials) == (2, 2)


def test_one_seed_has_no_deviation(tmp_path):
    run = build_run(tmp_path / "one", methods=("cyclegan",), seeds=(1,), images=1, side=8)
    assert re.search(r"\| ours +\| 0\.52 +\|", shown(run, "2")) and "seed 1;" in shown(run, "2")


def test_cuts_scores_are_percent_and_its_map_is_the_mean_iou(folder):
    cells = entries(folder, "cut")
    assert cells["CycleGAN", "mAP"].mean == pytest.approx(26) and cells["CycleGAN", "pixAcc"].mean == pytest.approx(52)
    assert "100 × fcn_iou" in " ".join(shown(folder, "cut").split())


def test_fid_is_shown_once_it_is_measured(own_folder):
    assert entries(own_folder, "cut")["CycleGAN", "FID"].status == "not measured"
    measure(own_folder, lambda method, seed: [("AtoB", "fid", 80.0 + seed), ("BtoA", "fid", 1.0)])
    entry = entries(own_folder, "cut")["CycleGAN", "FID"]
    assert entry.mean == 80.5 and "| 80.5 ± 0.7 |" in shown(own_folder, "cut")
    assert "+4.2†" in shown(own_folder, "cut")  # 80.5 - 76.3


def test_no_row_is_silent(folder):
    text = shown(folder, "4")
    assert [line.split("|")[-2].strip() for line in text.splitlines() if line.startswith("|") and "| ours" in line] == [
        "1 failed, 2 not started", "2 of 3 seeds; 1 diverged", "not run", "not run", "3",
    ]  # fmt: skip
    assert entries(folder, "cut")["DRIT", "mAP"].status == "not in cgbench"
    for line in csv.DictReader(io.StringIO(shown(folder, "cut", "csv"))):
        assert line["ours"] or line["status"], line


@pytest.mark.parametrize("state", ["failed", "diverged", "interrupted", "running"])
def test_a_run_without_any_number_shows_its_states(tmp_path, state):
    run = build_run(tmp_path / "none", ("cyclegan",), (0,), {("cyclegan", 0): state}, images=1, side=8)
    for table, score in (("2", "IoU"), ("5", "IoU"), ("cut", "FID")):
        assert entries(run, table)["CycleGAN", score].status == state
        assert "nothing measured" in shown(run, table)


def test_an_undefined_number_is_a_status(own_folder):
    measure(own_folder, lambda method, seed: [("AtoB", "fcn_class", float("nan"))])
    assert entries(own_folder, "2")["CycleGAN", "per-class"].status == "undefined"
    assert "undefined" in shown(own_folder, "2")


def test_domains_decide_the_direction_not_their_letters(own_folder):
    before = entries(own_folder, "2")["CycleGAN", "per-pixel"].mean
    change(own_folder, lambda spec: spec["dataset"]["domains"].reverse())
    run = read_run(own_folder)
    assert (direction_of(run, TABLES["2"]), direction_of(run, TABLES["3"])) == ("BtoA", "AtoB")
    assert entries(own_folder, "2")["CycleGAN", "per-pixel"].status == "not measured"  # the numbers are AtoB's
    measure(own_folder, lambda method, seed: [("BtoA", "fcn_pixel", 0.7)])
    assert entries(own_folder, "2")["CycleGAN", "per-pixel"].mean == pytest.approx(0.7) != before
    assert ",BtoA," in shown(own_folder, "2", "csv") and ",AtoB," in shown(own_folder, "3", "csv")


@pytest.mark.parametrize(
    ("kinds", "palette", "reason"),
    [
        (["photo", "photo"], [], "its domains are photo and photo"),
        (["labels", "labels"], [["road", 1, 2, 3]], "its domains are labels and labels"),
        (["labels", "photo"], [], "its label images have no classes"),
    ],
)
def test_a_dataset_without_labels_is_refused_in_one_line(own_folder, kinds, palette, reason):
    domains = [{"name": kind, "kind": kind} for kind in kinds]
    change(own_folder, lambda spec: spec["dataset"].update(domains=domains, palette=palette))
    output = cgbench("table", "2", own_folder, code=2)
    assert reason in output and "'shapes'" in output and len(output.splitlines()) == 1


def test_wrong_arguments_are_told(folder, tmp_path):
    output = cgbench("table", "7", folder, code=2)
    assert all(f"'{name}'" in output for name in ("2", "3", "4", "5", "cut"))
    assert "'md', 'latex', 'csv'" in cgbench("table", "2", folder, "--format", "html", code=2)
    for command in (["table", "2"], ["report"]):
        assert "nothing is not a run folder: it is not there" in cgbench(*command, tmp_path / "nothing", code=2)
    (choice,) = (option for option in main.commands["table"].params if option.name == "form")
    assert list(choice.type.choices) == list(FORMATS)


def test_mixed_protocols_are_refused(own_folder):
    measure(own_folder, lambda method, seed: [("AtoB", "fcn_pixel", 0.5)])
    with pytest.raises(CgbenchError, match="2 protocols"):
        shown(own_folder, "2")


def test_notes_say_what_the_numbers_were_made_with(folder):
    text = " ".join(shown(folder, "2").split())
    for fact in (
        "run golden", "dataset shapes", "preset demo", "64-pixel", "2000 steps", "4 test images", "seeds 0, 1, 2",
        "(0123456789ab)", "FCN-8s", "500 validation", "no reproduction error",
    ):  # fmt: skip
        assert fact in text, fact
    assert "nearest colour" in shown(folder, "3") and "†" not in shown(folder, "3")


def test_notes_name_a_published_network_that_scored(own_folder):
    for folder in trial_folders(own_folder):
        protocols = read_json(folder.protocols)
        network = {"scorer_network": "drivers", "scorer_architecture": "fcn_resnet50"}
        write_json(folder.protocols, {key: {**details, **network} for key, details in protocols.items()})
    text = " ".join(shown(own_folder, "2").split())
    assert "scored by the published network drivers, fcn_resnet50 (0123456789ab);" in text
    assert "trained on this dataset" not in text


def test_settings_changed_by_hand_stand_beside_the_row_and_in_the_notes(own_folder):
    run = read_run(own_folder)
    object.__setattr__(run, "overrides", {"cyclegan": "norm=batch & 5%"})
    lines = FORMATS["md"](run, TABLES["4"]).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("| CycleGAN "))
    assert lines[place + 1].startswith("|   (norm=batch &amp; 5%)")
    assert "- CycleGAN: settings of ours changed by hand: norm=batch &amp; 5%." in lines
    assert r"(norm=batch \& 5\%) & ours" in FORMATS["latex"](run, TABLES["4"])
    assert "norm=batch & 5%" in FORMATS["csv"](run, TABLES["4"])


def test_names_are_escaped(own_folder):
    metadata = read_json(own_folder / "run.json")
    write_json(own_folder / "run.json", {**metadata, "name": "a_b%\\#{x}\n~|<i>", "preset": "$x^2&y"})
    latex = shown(own_folder, "2", "latex")
    assert r"run a\_b\%\textbackslash{}\#\{x\} \textasciitilde{}\textbar{}\textless{}i\textgreater{}, dataset" in latex
    assert r"preset \$x\textasciicircum{}2\&y," in latex
    assert "run a_b%\\\\#{x} ~\\|&lt;i>, dataset" in shown(own_folder, "2")


@pytest.mark.parametrize("table", list(TABLES))
def test_the_latex_is_whole(folder, table):
    text = shown(folder, table, "latex")
    assert text.isascii()
    for part in re.findall(r"\\begin{table}.*?\\end{table}", text, re.DOTALL):
        columns = len(re.search(r"\\begin{tabular}{(l+)}", part)[1])
        rows = [line for line in part.splitlines() if line.endswith(r" \\")]
        assert len(rows) > 5 and all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)
        assert part.count("{") == part.count("}") and part.count(r"\caption{") == 1
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == (2 if table == "cut" else 1)


def test_torch_is_not_imported(folder):
    code = (
        "import sys\nfrom cgbench.benchmarks.cli.main import main\n"
        f"try:\n    main(['table', 'cut', {str(folder)!r}])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == shown(folder, "cut") and result.stderr == ""
