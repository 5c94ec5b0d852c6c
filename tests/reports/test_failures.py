"""Failures in the report: tables, heat map, and the gallery of the worst images in a real browser."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cgbench.api.metric import Value
from cgbench.errors import CgbenchError
from cgbench.files import read_json, read_jsonl, write_json, write_jsonl
from cgbench.reports.figures.heatmaps import failure_panel
from cgbench.reports.galleries import worst_images as gallery
from cgbench.reports.galleries.worst_images import disagreement, sampled, shown_seed, worst, worst_images
from cgbench.reports.report import write_report
from cgbench.reports.sections.failures import failure_tables, failures_csv, failures_markdown, read_failures
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from helpers.pages import HOSTILE, Collector, dom, needs_browser
from helpers.run_folder import NAMES, VALUES, add_failures, build_run

GOLDEN = """\
### AtoB: labels→photo, failures

| method           | copy of the input                  | structure lost                                          | hidden signal                      |
| ---------------- | ---------------------------------- | ------------------------------------------------------- | ---------------------------------- |
| copy (floor)     | 1 of 1 · 100% [74–100%] · 0.10     | 0 of 1 · 50% [21–79%] · 0.10 (1 with copy of the input) | –                                  |
| shuffled (floor) | 0 of 1 · 0% [0–26%] · 0.10         | 0 of 1 · 0% [0–26%] · 0.10                              | –                                  |
| cyclegan         | 0 of 3 [0–71%] · 0% [0–26%] · 0.10 | 0 of 3 [0–71%] · 0% [0–26%] · 0.10                      | 0 of 3 [0–71%] · 0% [0–26%] · 0.10 |
| gan_only         | 0 of 2 [0–84%] · 0% [0–26%] · 0.10 | 2 of 2 [16–100%] · 62% [31–88%] · 0.10                  | –                                  |
| cycle_only       | 0 of 3 [0–71%] · 0% [0–26%] · 0.10 | 0 of 3 [0–71%] · 0% [0–26%] · 0.10                      | 0 of 3 [0–71%] · 0% [0–26%] · 0.10 |
| real (ceiling)   | 0 of 1 · 0% [0–26%] · 0.10         | 0 of 1 · 0% [0–26%] · 0.10                              | –                                  |
"""  # noqa: E501


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = build_run(tmp_path_factory.mktemp("runs") / "demo", states={("gan_only", 1): "diverged"}, side=16)
    return add_failures(folder)


@pytest.fixture(scope="module")
def page(run):
    return write_report(run, VALUES).read_text(encoding="utf-8")


def tables(run):
    data = read_run(run)
    detections, definitions = read_failures(data)
    return failure_tables(detections, definitions, data.order, data.roles, NAMES), definitions, detections


def test_the_table_of_failures_reads_as_expected(run):
    shown, definitions, _ = tables(run)
    text = failures_markdown(shown, definitions)
    assert text.startswith(GOLDEN)
    assert "- gan_only: structure lost (seed 0, 2): tree in 9 images\n" in text
    assert "| colour" not in text and "| structure lost    | the measure of structure lost    | 0.05 or more |" in text
    how = "on this dataset, declared 0.03; calls 4% of 336 healthy images (10% with blur; 48 validation scenes) and"
    assert f"| {how} 90% of 24 real images of other scenes (24 test scenes) |" in text
    assert re.search(r"\| hidden signal +\| the measure of hidden signal +\| 3 or more +\| fixed +\|", text)
    assert "Healthy images are real ones with one of: noise; blur." in text


def changed(run, change):
    """Return the tables of a run after `change` of the detections."""
    detections, definitions = read_failures(data := read_run(run))
    return failure_tables(change(detections), definitions, data.order, data.roles, NAMES)


def test_what_cannot_be_judged_has_no_rate_and_a_reason(run):
    def unjudged(rows):
        lost = rows["failure"] == "lost"
        values = {"state": "cannot be judged", "rate": None, "reason": "the control is missed"}
        return rows.assign(**{name: rows[name].mask(lost, value) for name, value in values.items()})

    table = changed(run, unjudged)[0]
    assert {cells[1].text for _, _, cells in table.rows} == {"cannot be judged · 0.10"}
    assert table.notes == ("Structure lost cannot be judged here: the control is missed.",)
    assert not any("structure lost" in text for text in table.findings)


def test_a_detector_that_is_called_for_everything_is_shown_to_be_useless(run):
    def everywhere(rows, methods):
        chosen = (rows["failure"] == "copy") & rows["method"].isin(methods)
        return rows.assign(state=rows["state"].mask(chosen, "found"), rate=rows["rate"].mask(chosen, 1.0))

    trained = ["cyclegan", "gan_only", "cycle_only"]
    (note,) = changed(run, lambda rows: everywhere(rows, [*trained, "real"]))[0].notes
    assert note == "Copy of the input is called on 100% of the real images too: it says nothing here."
    (note,) = changed(run, lambda rows: everywhere(rows, trained))[0].notes
    assert note.startswith("Copy of the input is found in every seed of every trained method: ")
    assert changed(run, lambda rows: everywhere(rows, trained[:2]))[0].notes == ()


@pytest.mark.parametrize(("field", "value"), [("version", 2), ("share", 0.3), ("calibration", None)])
def test_trials_that_were_examined_otherwise_are_not_mixed(run, tmp_path, field, value):
    copy = Path(shutil.copytree(run, tmp_path / "demo"))
    path = TrialFolder.of(copy, "shapes", "cyclegan", 1).failures
    content = read_json(path)
    content["BtoA"]["lost"][field] = value
    write_json(path, content)
    with pytest.raises(CgbenchError, match=r"failure lost BtoA was looked for otherwise .*'cgbench evaluate") as found:
        read_failures(read_run(copy))
    assert "\n" not in str(found.value)


def test_the_report_holds_the_table_and_everything_found_as_csv(run, page):
    assert GOLDEN in (run / "report" / "table.md").read_text(encoding="utf-8")
    lines = (run / "report" / "failures.csv").read_text(encoding="utf-8").splitlines()
    columns = "direction,method,seed,failure,state,rate,images,evidence,detail,explained_by"
    assert lines[0] == f"{columns},threshold,healthy_rate,control_rate,reason"
    assert "AtoB,copy,0,lost,explained,0.5,12,0.1,tree in 9 images,copy,0.05,0.04,0.9," in lines
    assert len(lines) == 1 + 2 * 3 * (3 + 3 + 2 + 3)  # directions × failures × trials that are done
    headings = Collector(page).headings
    assert headings.index("Failures") + 1 == headings.index("Failure gallery")


def test_a_detector_that_broke_is_no_zero(run):
    _, _, detections = tables(run)
    detections = detections.assign(
        state=["failed" if name == "lost" else state for name, state in detections[["failure", "state"]].values]
    )
    data = read_run(run)
    shown = failure_tables(detections, read_failures(data)[1], data.order, data.roles, NAMES)
    assert {cells[1].text for _, _, cells in shown[0].rows} == {"detector broke"}
    assert "failed" in failures_csv(detections)


def test_the_heat_map_names_what_it_shows(run):
    _, _, detections = tables(run)
    labels = {"copy": "copy of the input", "lost": "structure lost"}
    panel = failure_panel(detections[detections["direction"] == "AtoB"], labels, "AtoB", ["copy", "gan_only"])
    assert 'aria-label="Share of images that show each failure, AtoB: copy of the input, structure lost; ' in panel.svg
    assert re.search(r">\s*62\s*<", panel.svg) and re.search(r">\s*100\s*<", panel.svg)
    assert failure_panel(detections[detections["failure"] == "none"], labels, "AtoB", ["copy"]) is None


def test_a_run_without_detectors_has_no_such_sections(tmp_path):
    text = write_report(build_run(tmp_path / "old", seeds=(0,), images=2, side=8), VALUES).read_text(encoding="utf-8")
    assert not {"Failures", "Failure gallery"} & set(Collector(text).headings)
    assert not (tmp_path / "old" / "report" / "failures.csv").exists()


def test_worst_means_low_where_high_is_better():
    scores = {"a": 0.5, "b": 0.1, "c": 0.9, "d": 0.1}
    assert worst(scores, Value("x", "x", "higher"), 3) == ["b", "d", "a"]
    assert worst(scores, Value("x", "x", "lower"), 2) == ["c", "a"]


def test_disagreement_is_the_spread_over_methods():
    spread = disagreement([{"a": 1.0, "b": 0.0, "c": 0.3}, {"a": 3.0, "b": 0.0}])
    assert spread == {"a": 1.0, "b": 0.0}


def test_the_draw_looks_at_nothing_but_the_keys():
    keys = [f"scene-{index:03d}" for index in range(40)]
    assert sampled(keys, 5, "test") == sampled(keys, 5, "test") == sorted(sampled(keys, 5, "test"))
    assert set(sampled(keys, 3, "test")) < set(sampled(keys, 5, "test"))
    assert sampled(keys, 5, "test") != sampled(keys, 5, "ood") != keys[:5]
    assert sampled(keys, 50, "test") == keys


def test_images_are_of_the_first_seed_that_all_methods_finished(run):
    assert shown_seed(read_run(run)) == 0
    TrialFolder.of(run, "shapes", "cyclegan", 0).set_status("failed")
    try:
        assert shown_seed(read_run(run)) == 2  # of seed 1, gan_only diverged
    finally:
        TrialFolder.of(run, "shapes", "cyclegan", 0).set_status("done", step=2000, seconds=180.0)


def test_the_worst_of_every_method_and_the_draw_are_there(run):
    galleries = worst_images(read_run(run), VALUES)
    assert [shown.direction for shown in galleries] == ["AtoB", "BtoA"]
    assert [value.name for value in galleries[1].metrics] == ["label_pixel", "reconstruction_l1"]
    shown = {example.key: example for example in galleries[0].examples}
    data = read_run(run)
    for place, method in enumerate(galleries[0].methods):
        rows = [json.loads(line) for line in data.trials_of(method)[0].folder.image_scores.read_text().splitlines()]
        scores = {row["key"]: row["value"] for row in rows if row["metric"] == "fcn_pixel"}
        for key in worst(scores, VALUES["fcn_pixel"], galleries[0].worst):
            output = shown[key].outputs[place]
            assert output.scores["fcn_pixel"] == scores[key]
            assert output.reconstruction and output.segmentation and output.uri
    assert sum(example.sampled for example in galleries[0].examples) == 6 and len(galleries[0].ood) == 4
    assert shown["scene-000"].outputs[1].failures == ("structure lost",)
    assert all(example.source and example.truth for example in galleries[0].examples)


def test_scores_of_unpaired_target_images_are_not_shown_beside_translations(tmp_path):
    run = add_failures(build_run(tmp_path / "run", seeds=(0,), images=4, side=8), images=4, ood_images=1)
    before = worst_images(read_run(run), VALUES)
    for trial in read_run(run).trials:
        if trial.folder.image_scores.exists():
            rows = list(read_jsonl(trial.folder.image_scores))
            of_target = {"direction": "AtoB", "metric": "reconstruction_l1", "value": 0.5, "of": "target"}
            keys = ("scene-000", "of the target domain alone")
            write_jsonl(trial.folder.image_scores, [*rows, *({**of_target, "key": key} for key in keys)])
    assert worst_images(read_run(run), VALUES) == before


def test_contributions_to_a_number_of_the_whole_set_judge_no_image(tmp_path):
    run = add_failures(build_run(tmp_path / "run", seeds=(0,), images=4, side=8), images=4, ood_images=1)
    shown = worst_images(read_run(run), VALUES)[0].metrics
    contributions = VALUES | {shown[0].name: replace(shown[0], contributions=True)}
    assert worst_images(read_run(run), contributions)[0].metrics == shown[1:]


def test_the_gallery_keeps_to_its_budget(run, monkeypatch):
    monkeypatch.setattr(gallery, "BUDGET", 60_000)
    galleries = worst_images(read_run(run), VALUES)
    assert galleries[0].reduced and sum(map(gallery._bytes, galleries)) <= 60_000
    assert galleries[0].examples[0].outputs[0].uri.startswith("data:image/webp;base64,")


def test_a_lost_image_has_a_status(tmp_path):
    run = add_failures(build_run(tmp_path / "run", seeds=(0,), images=2, side=8), images=2, ood_images=1)
    TrialFolder.of(run, "shapes", "cyclegan", 0).output("AtoB", "scene-001").unlink()
    page = write_report(run, VALUES).read_text(encoding="utf-8")
    assert 'aria-label="labels→photo, cyclegan, seed 0, image scene-001: no image">no image<' in page


def test_names_in_failures_are_escaped(tmp_path):
    run = add_failures(build_run(tmp_path / "run", seeds=(0,), images=2, side=8), images=2, ood_images=1)
    for folder in (run / "shapes").glob("*/seed-0"):
        path = TrialFolder(folder).failures
        record = read_json(path)
        for entry in (entry for by_name in record.values() for entry in by_name.values()):
            entry |= {"label": HOSTILE, "evidence_definition": HOSTILE, "summary": HOSTILE, "detail": HOSTILE}
        write_json(path, record)
    values = {**VALUES, "fcn_pixel": Value("fcn_pixel", HOSTILE, "higher")}
    text = write_report(run, values).read_text(encoding="utf-8")
    assert "alert(1)" in text and "<script>alert" not in text and len(Collector(text).all("script")) == 1


def test_alternative_texts_are_their_own_and_ids_are_unique(page):
    collector = Collector(page)
    texts = [item.get("alt") for item in collector.all("img")]
    assert all(texts) and len(texts) == len(set(texts)) and len(collector.ids) == len(set(collector.ids))
    assert "labels→photo, gan_only, seed 0, image scene-000, failure gallery" in texts


def browse(page: str, folder: Path, script: str) -> dict:
    """Return what a script stores in `seen` when it runs in a copy of the page without its policy."""
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    whole = f"<script>const seen = {{}}; {script}; document.title = JSON.stringify(seen);</script></body>"
    return json.loads(re.search(r"<title>(.*?)</title>", dom(bare.replace("</body>", whole), folder))[1])


@needs_browser
def test_the_browser_sorts_by_score_and_disagreement_and_shows_one_method(page, run, tmp_path):
    seen = browse(page, tmp_path, """
        const controls = document.querySelector(".case-controls");
        const set = (name, value) => {
            controls.elements[name].value = value;
            controls.elements[name].dispatchEvent(new Event("change", {bubbles: true}));
        };
        const keys = (part) => [...document.querySelectorAll(`.cases:not([hidden]) .${part} .case:not([hidden])`)]
            .map((article) => article.dataset.key);
        seen.foreign = [...document.images].filter((image) => !image.src.startsWith("data:")).length;
        seen.mean = keys("chosen"); seen.drawn = keys("drawn");
        set("order", "apart"); seen.apart = keys("chosen");
        set("order", "worst"); set("method", "gan_only"); set("metric-AtoB", "fcn_iou");
        seen.one = keys("chosen"); seen.drawnThen = keys("drawn");
        const first = document.querySelector(".cases:not([hidden]) .chosen .case:not([hidden])");
        seen.methods = [...first.querySelectorAll(".shot:not([hidden])")].map((shot) => shot.dataset.method);
        seen.score = first.querySelector(".shot:not([hidden]) .score").textContent;
        first.querySelector("button").click();
        seen.large = [...document.querySelectorAll("#case-zoom[open] img")].map((image) => image.alt);
        document.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown", bubbles: true}));
        seen.next = document.querySelector("#case-zoom img").alt;
        document.getElementById("case-zoom").close();
        document.querySelector(".case-controls input[value=BtoA]").click(); seen.back = keys("chosen").length;
    """)  # fmt: skip
    data = read_run(run)
    scores = {}
    for method in ("cyclegan", "gan_only", "cycle_only"):
        rows = map(json.loads, data.trials_of(method)[0].folder.image_scores.read_text().splitlines())
        for row in rows:
            scores.setdefault(row["metric"], {}).setdefault(method, {})[row["key"]] = row["value"]
    pixel = list(scores["fcn_pixel"].values())
    means = {key: sum(by_key[key] for by_key in pixel) / 3 for key in pixel[0]}
    spread = disagreement(pixel)
    assert seen["foreign"] == 0 and len(seen["drawn"]) == 6
    assert seen["mean"] == worst(means, VALUES["fcn_pixel"], 6)
    assert seen["apart"] == sorted(spread, key=lambda key: -spread[key])[:6]
    assert seen["one"] == worst(scores["fcn_iou"]["gan_only"], VALUES["fcn_iou"], 6)
    assert seen["drawnThen"] == seen["drawn"] and seen["methods"] == ["gan_only"]
    assert seen["score"] == f"FCN IoU {min(scores['fcn_iou']['gan_only'].values()):.3f}"
    kinds = ["input", "ground truth", "gan_only", "reconstruction of the input", "classes that it shows"]
    assert len(seen["large"]) == 5 and all(kind in text for kind, text in zip(kinds, seen["large"], strict=True))
    assert seen["one"][1] in seen["next"] and seen["back"] == 6


def test_a_failure_of_an_ood_image_is_not_shown_at_the_test_image_of_the_same_key(tmp_path):
    run = add_failures(build_run(tmp_path / "run", ("cyclegan",), (0,), images=4, side=8), images=4, ood_images=1)
    folder = TrialFolder.of(run, "shapes", "cyclegan", 0)
    records = read_json(folder.failures)
    key = "scene-000"
    outputs = folder.path / "outputs"
    (outputs / "AtoB-ood" / "ood-0.png").rename(outputs / "AtoB-ood" / f"{key}.png")
    records["AtoB"]["copy"] |= {"state": "found", "rate": 1.0, "of": "ood", "flagged": [key]}
    records["AtoB"]["lost"] |= {"state": "found", "rate": 1.0, "of": "source", "flagged": [key]}
    write_json(folder.failures, records)
    gallery = worst_images(read_run(run), VALUES)[0]
    shown = {example.key: example.outputs[0].failures for example in gallery.examples}
    assert shown[key] == ("structure lost",)
    assert [example.outputs[0].failures for example in gallery.ood] == [("copy of the input",)]
